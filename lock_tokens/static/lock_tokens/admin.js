// @ts-check
/*
 * The life of a page of the admin that has a lock, or waits for one. It has no words of its
 * own: they stand in the templates, and this chooses which are seen.
 *
 *   #lock-tokens                  what the server says of the page, in data- attributes
 *   data-lock-when="a b"          to be seen in the states a and b
 *   data-lock-text="locked_by"    the name of who has the lock; or locked_at, expires_at
 *   data-lock-live                is true with a script only
 *   data-lock-do="copy"           a button for the script
 *   data-lock-said="copied"       the answer to that
 *   data-lock-here                a link to this page, as it is now
 *
 * States: held, shared; offline, server, signed_out (nobody knows); taken, mine, tab, ended,
 * deleted, out (lost); freed, back (lost, and to be had again); free (a page to read).
 */
(() => {
  "use strict";

  const flag = /** @type {any} */ (window);
  if (flag.lock_tokens_admin) return; // the script is here twice
  flag.lock_tokens_admin = true;

  const PROVEN = 5000; // milliseconds for which a lock that was seen is not asked about
  const SAVING = 10000; // in which a save ends the lock, and that is no news
  const SLOW = 700; // until it is said that something is going on
  const ANSWER = 250; // in which other tabs have said that they are there
  const LOST = "taken mine tab ended deleted out freed back".split(" ");
  const DOUBT = ["offline", "server", "signed_out"];

  /**
   * @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Field
   * @typedef {HTMLInputElement | HTMLButtonElement} Button
   * @typedef {{locked_by: string | null, locked_at: string | null,
   *   expires_at?: string | null}} Holder
   */

  /** @returns {any} */
  const client = () => flag.LockTokens;

  function start() {
    const found = document.getElementById("lock-tokens");
    if (!found) return;
    const config = found;
    const { state = "", task = "", token = "", url = "" } = config.dataset;
    const object = [config.dataset.appLabel, config.dataset.model, config.dataset.objectId];
    const form = /** @type {HTMLFormElement | null} */ (
      config.closest("form") ?? config.parentElement?.querySelector("form[method=post]")
    );
    if (form && task === "delete") {
      // Django's own form, which templates cannot add to.
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: "lock_token", value: token });
      form.append(field);
    }
    const bar = document.getElementById("lock-tokens-bar");
    const language = document.documentElement.lang || undefined;
    const title = document.title;

    /** @type {string} */
    let now = state;

    // What is seen

    /**
     * @template {HTMLElement} [E=HTMLElement]
     * @param {string} selector
     * @returns {E[]}
     */
    function all(selector) {
      return [...document.querySelectorAll(`.lock-tokens ${selector}`)].map(
        (element) => /** @type {E} */ (element),
      );
    }

    /** @param {string | null | undefined} iso */
    function clock(iso) {
      const time = new Date(iso ?? NaN);
      if (Number.isNaN(time.valueOf())) return "";
      /** @type {Intl.DateTimeFormatOptions} */
      const minutes = { hour: "numeric", minute: "2-digit" };
      const today = time.toDateString() === new Date().toDateString();
      return today
        ? time.toLocaleTimeString(language, minutes)
        : time.toLocaleString(language, { month: "short", day: "numeric", ...minutes });
    }

    /**
     * @param {HTMLElement} element
     * @param {string} text
     */
    function write(element, text) {
      // Not the same text again: a screen reader might read it out again.
      if (text && element.textContent !== text) element.textContent = text;
    }

    /** @param {Holder} holder */
    function name_holder(holder) {
      for (const element of all("[data-lock-text]")) {
        const what = element.dataset.lockText;
        if (what === "locked_by") {
          write(element, holder.locked_by ?? config.dataset.somebody ?? "");
        } else if (what === "locked_at" || what === "expires_at") {
          write(element, clock(holder[what]));
        }
      }
      for (const button of /** @type {HTMLButtonElement[]} */ (all("[name=_take_over]"))) {
        if (button.value === holder.locked_at || !holder.locked_at) continue;
        // Who is asking was shown another name.
        const details = button.closest("details");
        if (details && !is_same_time(button.value, holder.locked_at)) details.open = false;
        button.value = holder.locked_at;
      }
    }

    /**
     * @param {string | null} one
     * @param {string | null} other
     */
    function is_same_time(one, other) {
      return Date.parse(one ?? "") === Date.parse(other ?? "");
    }

    /** Show what is meant for this state, and hide what is not. */
    function show() {
      const busy = asking_shown ? "asking" : now;
      for (const element of all("[data-lock-when]")) {
        const seen = (element.dataset.lockWhen ?? "").split(" ").includes(busy);
        if (element.parentElement?.hasAttribute("data-lock-note")) continue;
        if (element.hidden === seen) element.hidden = !seen;
      }
      const news = bar?.querySelector(".lock-news:not([hidden])");
      bar?.classList.toggle("lock-bar-shown", Boolean(news));
      bar?.classList.toggle("lock-bar-lost", LOST.slice(0, 6).includes(now));
      config.dataset.now = now;
      show_note();
      document.title = now === "free" ? `${config.dataset.freeTitle} – ${title}` : title;
    }

    /** The line at the top keeps its size, whatever it says. */
    function show_note() {
      const note = LOST.includes(now) ? "lost" : peers.size ? "shared" : "alone";
      for (const element of all("[data-lock-note] > [data-lock-when]")) {
        element.classList.toggle("lock-unseen", element.dataset.lockWhen !== note);
      }
    }

    /** @param {string} what of the answers to a button, or none */
    function say(what) {
      for (const element of all("[data-lock-said]")) {
        element.hidden = element.dataset.lockSaid !== what;
      }
    }

    for (const element of all("[data-lock-live]:not([data-lock-when])")) element.hidden = false;
    for (const element of all("time[datetime]")) {
      write(element, clock(element.getAttribute("datetime")));
    }
    for (const link of /** @type {HTMLAnchorElement[]} */ (all("a[data-lock-here]"))) {
      link.href = location.pathname + location.search; // popups, filters
    }
    for (const button of all("[data-lock-do=copy]")) {
      button.addEventListener("click", () => copy(button));
    }

    // Who has the lock

    /** @type {Holder & {now: string}} */
    const first = {
      now: state === "elsewhere" ? "mine" : state === "locked" ? "taken" : first_state(),
      locked_by: null,
      locked_at: all("[name=_take_over]")[0]?.getAttribute("value") || null,
    };

    function first_state() {
      const seen = all(".lock-box [data-lock-when]:not([hidden])")[0];
      return seen?.dataset.lockWhen?.split(" ")[0] ?? "freed";
    }

    /** @param {Holder} holder */
    function whose(holder) {
      // Of the lock that the server has shown it knows better than by the name.
      const known = is_same_time(holder.locked_at, first.locked_at) ? first.now : "";
      if (known === "taken" || known === "mine") return known;
      if (holder.locked_by === null || holder.locked_by !== config.dataset.user) return "taken";
      return peers.size ? "tab" : "mine";
    }

    /** Follow what becomes of an object whose lock this page does not have. */
    function watch() {
      if (watching || !client()) return;
      watching = true;
      client().watch(...object, (/** @type {any} */ states) => {
        const key = String(config.dataset.objectId);
        const holder = states[key];
        if (holder === undefined || now === "out") return;
        if (holder === null) tell("deleted");
        else if (holder.locked) {
          const who = whose(holder);
          // Signing in in another tab may have opened this there, too. Its lock can be shared.
          tell(who !== "taken" && now === "back" ? "back" : who, holder);
        } else if (reading) tell("free");
        else if (["taken", "mine", "tab"].includes(now)) tell("freed");
      });
    }
    let watching = false;
    const reading = state === "locked" || state === "elsewhere";

    /**
     * @param {string} news
     * @param {Holder} [holder]
     */
    function tell(news, holder) {
      if (holder) name_holder(holder);
      now = news;
      asking_shown = false;
      show();
      allow(now === "held");
      if (LOST.includes(now)) {
        call("gone");
        watch();
      }
    }

    // The form

    /** @returns {(Field | Button)[]} */
    const controls = () =>
      [...(form?.querySelectorAll("input, textarea, select, button") ?? [])].map(
        (element) => /** @type {any} */ (element),
      );

    /** @param {Element} element */
    const is_ours = (element) => Boolean(element.closest(".lock-tokens"));

    /** @param {Element} element whether it is the form's action menu (Django 6.1) */
    const is_action = (element) => Boolean(element.closest(".actions"));

    /** @returns {Field[]} what a person fills in */
    function fields() {
      return /** @type {Field[]} */ (controls()).filter(
        (field) =>
          field.name &&
          !/^(hidden|submit|button|reset|image|password)$/.test(field.type) &&
          !(field.name === "csrfmiddlewaretoken" || field.name.endsWith("_old")) &&
          !field.closest(".empty-form, .lock-tokens, .actions"),
      );
    }

    /** @param {Element | null} button */
    function saves(button) {
      if (!button) return true; // by the form itself
      const { type, name } = /** @type {Button} */ (button);
      const others = name === "_saveasnew" || is_ours(button) || is_action(button);
      return /^(submit|image)$/.test(type) && !others;
    }

    const disabled = /** @type {Set<Button>} */ (new Set()); // by this script

    /** @param {boolean} may whether this page can be saved */
    function allow(may) {
      if (may) {
        for (const button of disabled) button.disabled = false;
        disabled.clear();
        return;
      }
      for (const button of /** @type {Button[]} */ (controls())) {
        if (!/^(submit|image)$/.test(button.type) || !saves(button) || button.disabled) continue;
        const focused = button === document.activeElement;
        // Firefox would remember it over a reload.
        if (button instanceof HTMLInputElement) button.autocomplete = "off";
        button.disabled = true;
        disabled.add(button);
        if (focused) focus_news();
      }
    }

    function focus_news() {
      const heading = bar?.querySelector(".lock-news:not([hidden]) [data-lock-focus]");
      /** @type {HTMLElement | null | undefined} */ (heading)?.focus({ preventScroll: true });
    }

    /** @returns {string} what the form has now, in short */
    function contents() {
      return JSON.stringify(
        controls().map((control) => {
          if (!control.name || /^(submit|button|image|reset)$/.test(control.type)) return 0;
          if (/^(csrfmiddlewaretoken|lock_token)$|_old$/.test(control.name)) return 0;
          if (is_action(control)) return 0;
          if (control instanceof HTMLSelectElement) {
            // Of a filter_horizontal all counts that is in its box of the chosen.
            const whole = control.matches(".filtered");
            const options = [...control.options].filter((option) => whole || option.selected);
            return [control.name, options.map((option) => option.value)];
          }
          const ticked = control instanceof HTMLInputElement && control.checked;
          return [control.name, control.value, ticked];
        }),
      );
    }

    /** Whether a browser has filled in what was typed here earlier. */
    function is_filled_in() {
      return fields().some((field) => {
        if (field instanceof HTMLSelectElement) {
          if (field.matches(".filtered, .selectfilter, .selectfilterstacked")) return false;
          const options = [...field.options];
          const preset = options.some((option) => option.defaultSelected);
          if (!preset && !field.multiple) return field.selectedIndex > 0;
          return options.some((option) => option.selected !== option.defaultSelected);
        }
        if (field instanceof HTMLInputElement && /^(checkbox|radio)$/.test(field.type)) {
          return field.checked !== field.defaultChecked;
        }
        return field.type !== "file" && field.value !== field.defaultValue;
      });
    }

    // Unsaved changes

    let before = /** @type {string | null} */ (null); // contents(), before anything was done
    let changed = state === "again" || state === "refused" || config.hasAttribute("data-bound");
    let going = false; // by a button that sends what was typed

    /** @param {Event} event */
    function touch(event) {
      if (!event.isTrusted) return;
      before ??= contents();
      listen_to_leaving();
    }

    function listen_to_leaving() {
      // Not before there is something to ask: it can keep pages from coming back as they were.
      window.addEventListener("beforeunload", ask_before_leaving);
    }

    /** @param {BeforeUnloadEvent} event */
    function ask_before_leaving(event) {
      if (going || !(changed || (before !== null && before !== contents()))) return;
      event.preventDefault();
      event.returnValue = ""; // what older browsers ask for
    }

    /** @param {Event} event */
    function note_change(event) {
      const target = /** @type {Element} */ (event.target);
      if (!event.isTrusted || is_ours(target) || is_action(target)) return;
      if (before === null) changed = true; // and nobody knows from what
      listen_to_leaving();
    }

    function look_after_changes() {
      if (!form || task === "delete") return;
      for (const event of ["pointerdown", "keydown", "beforeinput", "paste", "drop"]) {
        window.addEventListener(event, touch, true);
      }
      for (const event of ["input", "change"]) {
        form.addEventListener(event, note_change);
      }
      for (const event of ["formset:added", "formset:removed"]) {
        form.addEventListener(event, () => {
          if (before !== null) changed = true; // by a person, not while the page was made
        });
      }
      if (changed) listen_to_leaving();
    }

    // CSRF: signing in again, in any tab, makes the token of this page's form an old one.

    const field_of_csrf = () =>
      /** @type {HTMLInputElement | null | undefined} */ (
        form?.querySelector("[name=csrfmiddlewaretoken]")
      );

    /** @returns {string | undefined} the token, as far as scripts can know it */
    function known_csrf() {
      const script = /** @type {HTMLElement | null} */ (
        document.querySelector("script[data-lock-tokens-url]")
      );
      const { csrfCookie, csrfToken } = script?.dataset ?? {};
      if (csrfToken || !csrfCookie) return csrfToken;
      const cookie = `; ${document.cookie}`.split(`; ${csrfCookie}=`)[1];
      return cookie ? decodeURIComponent(cookie.split(";")[0]) : undefined;
    }

    /** Whether a cookie tells it at once; else it is what the last request has brought. */
    function has_cookie() {
      const script = /** @type {HTMLElement | null} */ (
        document.querySelector("script[data-lock-tokens-url]")
      );
      return Boolean(script?.dataset.csrfCookie && !script.dataset.csrfToken && known_csrf());
    }

    /** @param {string | null | undefined} csrf */
    function renew_csrf(csrf) {
      const field = field_of_csrf();
      if (field && csrf) field.value = csrf;
    }

    /**
     * Ask the page's address who is signed in, without locking the object if possible.
     * @param {boolean} [whole]
     * @returns {Promise<string>} "out", "offline", "server", or nothing of it
     */
    async function probe(whole = false) {
      try {
        const answer = await fetch(url, {
          method: whole ? "GET" : "HEAD",
          redirect: "manual",
          cache: "no-store",
          signal: AbortSignal.timeout(SAVING),
        });
        if (answer.type === "opaqueredirect" || answer.status === 401) return "out";
        if (answer.status >= 500) return "server";
        if (!whole) return "";
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (!page.getElementById("lock-tokens")) return "out"; // a page to sign in on
        renew_csrf(page.querySelector("form [name=csrfmiddlewaretoken]")?.getAttribute("value"));
        return "";
      } catch {
        return "offline";
      }
    }

    // Saving

    let proven = 0; // when the lock was last seen to stand
    let sent = 0; // when the form was
    let asking = false;
    let asking_shown = false;
    let passing = false; // what has been asked about
    /** @type {HTMLElement | null} */
    let submitter = null;

    /** @param {SubmitEvent} event */
    function before_submit(event) {
      if (event.target !== form || !form || passing) return;
      const button = event.submitter;
      const goes_on = button !== null && is_ours(button);
      if (!goes_on && !saves(button)) {
        if (has_cookie()) renew_csrf(known_csrf());
        return;
      }
      const recent = navigator.onLine && Date.now() - proven < PROVEN;
      const proof = now === "held" && recent && has_cookie();
      const again = Date.now() - sent < SAVING;
      if (proof && !again && !asking && !goes_on) {
        renew_csrf(known_csrf());
        return;
      }
      // Others are to hear of it when it is sent.
      event.preventDefault();
      event.stopImmediatePropagation();
      if (again) return;
      submitter = button;
      if (!asking) (goes_on ? go_on : save)();
    }

    /** A save that is refused takes the page away. So ask first whether it would be. */
    async function save() {
      asking = true;
      const slow = setTimeout(() => {
        asking_shown = true;
        show();
      }, SLOW);
      const renewed = await client().renew_lock(...object);
      clearTimeout(slow);
      asking = asking_shown = false;
      show();
      if (!renewed) await losing;
      if (renewed || now === "held") return send();
      allow(false);
      focus_news();
    }

    /** Lock it again, here or from somebody else, and keep what was typed. */
    async function go_on() {
      asking = true;
      say("");
      const csrf = has_cookie() ? known_csrf() : "";
      const problem = await probe(!csrf);
      asking = false;
      if (problem === "out") {
        tell("out");
        focus_news();
      } else if (problem) say("offline");
      else {
        renew_csrf(csrf);
        send();
      }
    }

    function send() {
      if (!form) return;
      if (now === "held") renew_csrf(known_csrf());
      passing = true;
      // The form may have a field of that name.
      HTMLFormElement.prototype.requestSubmit.call(form, submitter);
      passing = false;
    }

    /** @param {SubmitEvent} event after all other scripts have seen it */
    function after_submit(event) {
      if (event.target !== form || event.defaultPrevented) return;
      const button = event.submitter;
      if (button && is_action(button)) return;
      going = true;
      setTimeout(() => (going = false), 1000);
      if (saves(button) || (button && is_ours(button))) sent = Date.now();
    }

    // Other tabs of this browser

    /** @type {BroadcastChannel | undefined} */
    let channel;
    const me = `${Math.random()}`;
    const peers = /** @type {Set<string>} */ (new Set());
    const topic = object.join("/");

    /** @param {string} type */
    function call(type) {
      channel?.postMessage({ type, from: me, topic });
    }

    const has_lock = () => now === "held" || DOUBT.includes(now);

    function open_channel() {
      if (!("BroadcastChannel" in window)) return;
      channel = new BroadcastChannel("lock_tokens.admin");
      channel.onmessage = ({ data }) => {
        if (data?.topic !== topic || data.from === me) return;
        if (data.type === "gone") peers.delete(data.from);
        else peers.add(data.from);
        if (data.type === "hello" && has_lock()) call("here");
        show_note();
      };
      call("hello");
    }

    // A page with a lock

    /** @param {(event: CustomEvent) => void} work */
    const about_this = (work) => (/** @type {Event} */ event) => {
      const { app_label, model, object_id } = /** @type {CustomEvent} */ (event).detail;
      const same = [app_label, model, object_id].join("/") === topic;
      if (same && !settling) work(/** @type {CustomEvent} */ (event));
    };

    let settling = false;
    let later = 0; // the timer that tells of a lost lock

    function on_held() {
      if (LOST.includes(now)) return;
      proven = Date.now();
      if (now !== "held") tell("held");
    }

    /** @param {CustomEvent} event */
    function on_uncertain({ detail }) {
      if (sent && Date.now() - sent < SAVING) return; // the page is about to go
      if (LOST.includes(now)) return;
      if (detail.reason === "forbidden") losing = on_forbidden();
      else tell(DOUBT.includes(detail.reason) ? detail.reason : "server");
    }

    /** The API refuses this user, and a save may work all the same; or nobody is signed in. */
    async function on_forbidden() {
      const out = (await probe()) === "out";
      if (has_lock() && (out || now !== "held")) tell(out ? "signed_out" : "held");
    }

    /** @param {CustomEvent} event */
    function on_lost({ detail }) {
      // A save ends the lock. That is no news while its answer is on the way.
      const wait = Math.max(0, sent + SAVING - Date.now());
      const was_out = now === "signed_out";
      lost = () => (losing = lose(detail, was_out));
      clearTimeout(later);
      if (wait) later = window.setTimeout(() => lost?.(), wait);
      else lost();
    }
    /** @type {(() => Promise<void>) | null} */
    let lost = null;
    /** @type {Promise<void> | null} */
    let losing = null;

    /**
     * @param {any} detail
     * @param {boolean} was_out
     */
    async function lose(detail, was_out) {
      lost = null;
      if (detail.reason === "deleted") tell("deleted");
      else if (detail.locked_at) tell(whose(detail), detail);
      else if (detail.reason !== "ended") tell("freed", detail);
      else {
        allow(false);
        const out = (await probe()) === "out";
        tell(out ? "out" : was_out ? "back" : "ended");
      }
    }

    async function look_after_sign_in() {
      if (document.hidden || now !== "out" || looking) return;
      looking = true;
      if (!(await probe()) && now === "out") tell("back");
      looking = false;
    }
    let looking = false;

    /**
     * A browser that comes back to this page may fill in what was typed here under an earlier
     * lock. Saved with the new one it would go over what others wrote between, so it keeps
     * the token that it was typed with.
     */
    async function keep_together() {
      const field = /** @type {HTMLInputElement | null | undefined} */ (
        form?.querySelector("input[name=lock_token]")
      );
      const fresh = field?.value || token;
      const earlier = earlier_token();
      if (field && earlier && earlier !== fresh && is_filled_in()) {
        settling = true;
        await new Promise((resolve) => setTimeout(resolve, ANSWER));
        // Nobody needs the new lock, but for another tab that may be there.
        if (!peers.size && (await client().register_existing_lock_token(...object, fresh))) {
          await client().unlock(...object);
        }
        settling = false;
        field.value = earlier;
        changed = true;
        listen_to_leaving();
        return earlier;
      }
      return fresh;
    }

    function earlier_token() {
      const is_answer = state === "again" || config.hasAttribute("data-bound");
      return is_answer ? undefined : history.state?.lock_token;
    }

    async function hold() {
      open_channel();
      const kept = await keep_together();
      history.replaceState({ ...history.state, lock_token: kept }, "");
      const { timeout, renew, leave } = config.dataset;
      const options = {
        timeout: timeout ? Number(timeout) : undefined,
        renew: renew !== "false",
        leave: leave !== "false",
      };
      // Without waiting between, so that the lock goes with the page from here on.
      client().register_existing_lock_token(...object, kept);
      client().hold_lock(...object, undefined, options);
    }

    function begin_to_hold() {
      now = "held";
      show();
      for (const name of ["acquired", "renewed"]) {
        document.addEventListener(`lock_tokens.${name}`, about_this(on_held));
      }
      document.addEventListener("lock_tokens.uncertain", about_this(on_uncertain));
      document.addEventListener("lock_tokens.lost", about_this(on_lost));
      // Until pageshow a browser may not have filled in what was typed. Without an earlier
      // token that does not matter.
      if (document.readyState === "complete" || !earlier_token()) hold();
      else window.addEventListener("pageshow", hold, { once: true });
    }

    // Copying

    /** @param {Field} field */
    function label_of(field) {
      const cell = field.closest("td");
      const row = /** @type {HTMLTableRowElement | null | undefined} */ (cell?.parentElement);
      const heading = cell && row?.closest("table")?.tHead?.rows[0]?.cells[cell.cellIndex];
      const legend = field.type === "radio" && field.closest("fieldset")?.querySelector("legend");
      const label = legend || field.labels?.[0] || heading;
      const text = label?.textContent?.trim().replace(/\s+/g, " ").replace(/\s*:$/, "");
      return text || field.getAttribute("aria-label") || field.name;
    }

    /** @param {Field} field */
    function text_of(field) {
      if (field instanceof HTMLSelectElement) {
        const whole = field.matches(".filtered");
        const chosen = [...field.options].filter((option) => whole || option.selected);
        return chosen.map((option) => option.text.trim()).join(", ");
      }
      if (field.type === "checkbox") {
        return /** @type {HTMLInputElement} */ (field).checked ? "[x]" : "[ ]";
      }
      if (field.type === "radio") {
        const ticked = /** @type {HTMLInputElement} */ (field).checked;
        return ticked ? (field.labels?.[0]?.textContent?.trim() ?? field.value) : "";
      }
      return field.value;
    }

    /** @returns {string} all that was typed */
    function my_text() {
      return fields()
        .map((field) => [label_of(field), text_of(field)])
        .filter(([, text]) => text.trim())
        .map(([label, text]) => `${label}:${text.includes("\n") ? "\n" : " "}${text}`)
        .join("\n");
    }

    /** @param {HTMLElement} button */
    async function copy(button) {
      const text = my_text();
      try {
        await navigator.clipboard.writeText(text);
        say("copied");
      } catch {
        // Not allowed, or not there: browsers want HTTPS for it.
        say("selected");
        const place = /** @type {HTMLTextAreaElement | null | undefined} */ (
          button.closest(".lock-ways")?.querySelector("[data-lock-copy]")
        );
        if (!place) return;
        place.value = text;
        place.hidden = false;
        place.focus();
        place.select();
      }
    }

    // The page's life

    function leave() {
      call("gone");
      // Open, it would keep the page out of the back/forward cache.
      channel?.close();
      channel = undefined;
      peers.clear();
    }

    /** @param {PageTransitionEvent} event */
    function come_back({ persisted }) {
      if (!persisted) return;
      sent = 0;
      going = asking = asking_shown = false;
      clearTimeout(later);
      lost?.();
      if (state === "held" || state === "again") open_channel();
      show();
    }

    window.addEventListener("pagehide", leave);
    window.addEventListener("pageshow", come_back);
    window.addEventListener("focus", look_after_sign_in);
    document.addEventListener("visibilitychange", look_after_sign_in);
    if (form && !reading) {
      // First of all scripts, and last.
      window.addEventListener("submit", before_submit, true);
      window.addEventListener("submit", after_submit);
    }
    if (token && (state === "held" || state === "again")) {
      look_after_changes();
      begin_to_hold();
    } else {
      if (state === "refused") look_after_changes();
      now = first.now;
      show();
      allow(false);
      watch();
    }
  }

  function begin() {
    if (document.readyState !== "loading") start();
    else document.addEventListener("DOMContentLoaded", start, { once: true });
  }

  if (client()) begin();
  else document.addEventListener("lock_tokens.clientready", begin, { once: true });
})();
