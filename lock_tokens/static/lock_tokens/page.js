// @ts-check
/*
 * Follows the lock of a page that edits an object, and tells the person in front of it what happens.
 * The templates have all the words. This script chooses which of them are shown:
 *
 *   #lock-tokens                  what the server knows about the page, in data- attributes
 *   data-lock-when="a b"          shown in the states a and b (see STATES)
 *   data-lock-note                a line with one part for each of: brief, alone, shared, lost
 *   data-lock-text="locked_by"    gets the holder's name; or locked_at, expires_at
 *   data-lock-live                shown only if this script runs
 *   data-lock-do="copy"           a button of this script
 *   data-lock-said="copied"       the answer to such a button
 *   data-lock-here                a link to the address of this page
 *
 * Rich text editors hear the event lock_tokens.sync on the form, and write into its fields.
 */
(() => {
  "use strict";

  const globals = /** @type {any} */ (window);
  if (globals.lock_tokens_page) return; // the page loads this script twice
  globals.lock_tokens_page = true;

  const LEASE = 60; // seconds that the lock lives on if a save fails and takes the page away
  // Milliseconds
  const SAVING = 10000; // a save is answered in this time; meanwhile a lost lock is no news
  const SECOND_CLICK = 1000; // a press of Save so soon after another is a slip
  const SLOW = 700; // after this the page says that it is saving
  const ANSWER = 250; // other tabs answer in this time

  /**
   * @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Field
   * @typedef {HTMLInputElement | HTMLButtonElement} Button
   * @typedef {{locked_by: string | null, locked_at: string | null,
   *   expires_at?: string | null}} Holder
   */

  /**
   * The states of a page. The templates name what each of them shows.
   *
   * `renews`: the page has its lock or may have it, and the client goes on renewing it.
   * `can_save`: Save is enabled. `lost`: the page has no lock, and watches the object instead.
   * `locked`: somebody has the lock, and may release it. `alarms`: the bar is red.
   *
   * @type {Record<string, {renews?: boolean, can_save?: boolean, lost?: boolean,
   *   locked?: boolean, alarms?: boolean}>}
   */
  const STATES = {
    held: { renews: true, can_save: true },
    unkept: { renews: true, can_save: true }, // the page works, but not the API

    offline: { renews: true }, // the server does not answer
    server: { renews: true }, // it has a problem
    signed_out: { renews: true }, // the lock may still be there

    taken: { lost: true, locked: true, alarms: true }, // by another user
    mine: { lost: true, locked: true, alarms: true }, // this user has the lock elsewhere
    tab: { lost: true, locked: true, alarms: true }, // another tab of this browser has it

    ended: { lost: true, alarms: true }, // nobody has it
    deleted: { lost: true, alarms: true }, // the object
    out: { lost: true, alarms: true }, // signed out, and the lock has ended
    back: { lost: true }, // signed in again
    freed: { lost: true }, // whoever had it has finished
    free: {}, // the same, on a page to read
  };

  // What is shown

  /** @param {string} selector */
  function all(selector) {
    const found = document.querySelectorAll(`.lock-tokens ${selector}`);
    return /** @type {HTMLElement[]} */ ([...found]);
  }

  const get_bar = () => document.getElementById("lock-tokens-bar");

  /**
   * Write a time by one of Django's formats. The parts of the date are those in UTC.
   * @param {string} format
   * @param {Date} time
   */
  function write_time(format, time) {
    const language = document.documentElement.lang || undefined;
    const two = (/** @type {number} */ number) => `${number}`.padStart(2, "0");
    const name_month = (/** @type {"short" | "long"} */ width) =>
      time.toLocaleString(language, { month: width, timeZone: "UTC" });
    const [hours, minutes, year] = [time.getUTCHours(), time.getUTCMinutes(), time.getUTCFullYear()];
    const [day, month, hour] = [time.getUTCDate(), time.getUTCMonth() + 1, hours % 12 || 12];
    const half = hours < 12 ? "a.m." : "p.m.";
    const short = name_month("short");
    const long = name_month("long");
    /** @type {Record<string, string | number>} */
    const parts = {
      P: `${hour}${minutes ? `:${two(minutes)}` : ""} ${half}`,
      a: half,
      A: half.replaceAll(".", "").toUpperCase(),
      ...{ g: hour, h: two(hour), G: hours, H: two(hours) },
      ...{ i: two(minutes), s: two(time.getUTCSeconds()) },
      ...{ j: day, d: two(day), n: month, m: two(month), y: two(year % 100), Y: year },
      ...{ b: short, M: short, N: short, E: long, F: long },
    };
    return format.replace(/\\(.)|[a-z]/gi, (letter, plain) => plain ?? `${parts[letter] ?? letter}`);
  }

  /**
   * Return a time as the server writes it: in its time zone, and with the date unless that is
   * today.
   * @param {string | null | undefined} iso
   */
  function clock(iso) {
    const config = document.getElementById("lock-tokens")?.dataset ?? {};
    const offset = 60000 * Number(config.utcOffset ?? 0);
    const time = new Date(Date.parse(iso ?? "") + offset);
    if (Number.isNaN(time.valueOf())) return "";
    const today = new Date(Date.now() + offset).toISOString().slice(0, 10);
    const is_today = time.toISOString().startsWith(today);
    return write_time((is_today ? config.timeFormat : config.dateFormat) ?? "", time);
  }

  /** @type {(one: string | null, other: string | null) => boolean} */
  const is_same_time = (one, other) => Date.parse(one ?? "") === Date.parse(other ?? "");

  /** @type {(element: HTMLElement, text: string) => void} */
  function write(element, text) {
    // A screen reader might read the same text out again.
    if (text && element.textContent !== text) element.textContent = text;
  }

  /** @type {(holder: Holder, somebody?: string) => void} */
  function show_holder(holder, somebody = "") {
    for (const element of all("[data-lock-text]")) {
      const what = element.dataset.lockText;
      if (what === "locked_by") write(element, holder.locked_by ?? somebody);
      else if (what === "locked_at" || what === "expires_at") write(element, clock(holder[what]));
    }
    if (!holder.locked_at) return;
    for (const button of /** @type {HTMLButtonElement[]} */ (all("[name=_take_over]"))) {
      const details = button.closest("details");
      // An open question to take over is about the holder before.
      if (details && !is_same_time(button.value, holder.locked_at)) details.open = false;
      button.value = holder.locked_at;
    }
  }

  /** @param {string} state */
  function show_state(state) {
    for (const element of all("[data-lock-when]")) {
      if (element.parentElement?.hasAttribute("data-lock-note")) continue;
      element.hidden = !element.dataset.lockWhen?.split(" ").includes(state);
    }
    const bar = get_bar();
    const news = bar?.querySelector(".lock-news:not([hidden])");
    bar?.classList.toggle("lock-bar-shown", Boolean(news));
  }

  /** @param {"brief" | "alone" | "shared" | "lost"} note */
  function show_note(note) {
    for (const element of all("[data-lock-note] > [data-lock-when]")) {
      // Hidden by its class, a part keeps its room, so the page below does not move.
      element.classList.toggle("lock-unseen", element.dataset.lockWhen !== note);
    }
  }

  /** @param {string} answer to a button, or "" for none */
  function show_answer(answer) {
    for (const element of all("[data-lock-said]")) {
      element.hidden = element.dataset.lockSaid !== answer;
    }
  }

  function focus_news() {
    const heading = get_bar()?.querySelector(".lock-news:not([hidden]) [data-lock-focus]");
    /** @type {HTMLElement | null | undefined} */ (heading)?.focus({ preventScroll: true });
  }

  /** Show what needs this script, with addresses as the browser has them. */
  function show_live_parts() {
    for (const element of all("[data-lock-live]:not([data-lock-when])")) element.hidden = false;
    for (const link of /** @type {HTMLAnchorElement[]} */ (all("a[data-lock-here]"))) {
      link.href = location.pathname + location.search; // a popup, the list's filters
    }
  }

  // The form

  /** @param {Element} element */
  const is_ours = (element) => Boolean(element.closest(".lock-tokens"));

  /** @param {Element} element of the form's menu of actions (Django 6.1) */
  const is_action = (element) => Boolean(element.closest(".actions"));

  /** @param {Element | null} button that submits the form; none if a script does */
  function is_save(button) {
    if (!button) return true;
    const { type, name } = /** @type {Button} */ (button);
    const others = name === "_saveasnew" || is_ours(button) || is_action(button);
    return /^(submit|image)$/.test(type) && !others;
  }

  /** @param {HTMLSelectElement} select */
  function chosen_options(select) {
    // In a filter_horizontal all options in the box of the chosen ones count.
    const whole = select.matches(".filtered");
    return [...select.options].filter((option) => whole || option.selected);
  }

  /**
   * Say whether a browser has filled in what was typed here earlier.
   * @param {Field} field
   */
  function has_other_value(field) {
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
  }

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
      const texts = chosen_options(field).map((option) => option.text.trim());
      return texts.join(", ");
    }
    const ticked = field instanceof HTMLInputElement && field.checked;
    if (field.type === "checkbox") return ticked ? "[x]" : "[ ]";
    if (field.type !== "radio") return field.value;
    return ticked ? (field.labels?.[0]?.textContent?.trim() ?? field.value) : "";
  }

  class Form {
    #disabled = /** @type {Set<Button>} */ (new Set()); // by this script

    /** @param {HTMLFormElement | null} element */
    constructor(element) {
      this.element = element;
    }

    /** @param {Element} element also one elsewhere on the page that names the form */
    has(element) {
      if (!this.element) return false;
      return this.element.contains(element) || /** @type {Field} */ (element).form === this.element;
    }

    /** @returns {(Field | Button)[]} also those elsewhere on the page that name the form */
    #controls() {
      const found = document.querySelectorAll("input, textarea, select, button");
      return /** @type {any[]} */ ([...found]).filter(({ form }) => form && form === this.element);
    }

    /**
     * Say whether the answer to this button opens in another window.
     * @param {Element | null} button
     */
    stays(button) {
      const target = button?.getAttribute("formtarget") ?? this.element?.getAttribute("target");
      return !/^(_self|_parent|_top)?$/i.test(target ?? "") && target !== window.name;
    }

    /** @returns {Field[]} that a person fills in */
    #fields() {
      return /** @type {Field[]} */ (this.#controls()).filter(
        (field) =>
          field.name &&
          !/^(hidden|submit|button|reset|image|password)$/.test(field.type) &&
          !(field.name === "csrfmiddlewaretoken" || field.name.endsWith("_old")) &&
          !field.closest(".empty-form, .lock-tokens, .actions"),
      );
    }

    /** @param {"lock_token" | "csrfmiddlewaretoken"} name */
    hidden_field(name) {
      const field = this.#controls().find((control) => control.name === name);
      return /** @type {HTMLInputElement | undefined} */ (field);
    }

    /** @param {string | null | undefined} token */
    set_csrf_token(token) {
      const field = this.hidden_field("csrfmiddlewaretoken");
      if (field && token) field.value = token;
    }

    /** Let rich text editors write what they show into the fields of the form. */
    sync() {
      this.element?.dispatchEvent(new Event("lock_tokens.sync", { bubbles: true }));
    }

    is_filled_in() {
      return this.#fields().some(has_other_value);
    }

    /** Return all values in one string, to compare them with those at another time. */
    contents() {
      this.sync();
      return JSON.stringify(
        this.#controls().map((control) => {
          if (!control.name || /^(submit|button|image|reset)$/.test(control.type)) return 0;
          if (/^(csrfmiddlewaretoken|lock_token)$|_old$/.test(control.name)) return 0;
          if (is_action(control)) return 0;
          if (control instanceof HTMLSelectElement) {
            return [control.name, chosen_options(control).map((option) => option.value)];
          }
          const ticked = control instanceof HTMLInputElement && control.checked;
          return [control.name, control.value, ticked];
        }),
      );
    }

    /** Return what a person has filled in, with its labels. */
    text() {
      this.sync();
      return this.#fields()
        .map((field) => [label_of(field), text_of(field)])
        .filter(([, text]) => text.trim())
        .map(([label, text]) => `${label}:${text.includes("\n") ? "\n" : " "}${text}`)
        .join("\n");
    }

    /** @param {boolean} may */
    enable_saving(may) {
      if (may) {
        for (const button of this.#disabled) button.disabled = false;
        this.#disabled.clear();
        return;
      }
      for (const button of /** @type {Button[]} */ (this.#controls())) {
        if (!is_save(button) || button.disabled) continue;
        const focused = button === document.activeElement;
        // Firefox would remember it over a reload.
        if (button instanceof HTMLInputElement) button.autocomplete = "off";
        button.disabled = true;
        this.#disabled.add(button);
        if (focused) focus_news();
      }
    }
  }

  /** Asks before somebody leaves a page with changes that are not saved. */
  class UnsavedChanges {
    #form;
    #before = /** @type {string | null} */ (null); // the contents before anything was typed
    #changed = false; // there are changes, whatever the contents are now
    sending = false; // by a button that sends what was typed

    /** @param {Form} form */
    constructor(form) {
      this.#form = form;
    }

    /** Take it that there are changes. */
    mark() {
      this.#changed = true;
      this.#listen_to_leaving();
    }

    look_after() {
      for (const event of ["pointerdown", "keydown", "beforeinput", "paste", "drop"]) {
        window.addEventListener(event, this.#touched, true);
      }
      // No other event tells that somebody goes on to type in the frame of an editor.
      window.addEventListener("blur", (event) => {
        const frame = document.activeElement;
        if (frame instanceof HTMLIFrameElement && this.#form.has(frame)) this.#touched(event);
      });
      for (const event of ["input", "change"]) window.addEventListener(event, this.#typed);
      for (const event of ["formset:added", "formset:removed"]) {
        this.#form.element?.addEventListener(event, () => {
          // Until then it is the admin's own scripts, which build the page.
          if (this.#before !== null) this.#changed = true;
        });
      }
    }

    #touched = (/** @type {Event} */ event) => {
      if (!event.isTrusted) return;
      this.#before ??= this.#form.contents();
      this.#listen_to_leaving();
    };

    #typed = (/** @type {Event} */ event) => {
      const target = /** @type {Element} */ (event.target);
      if (!event.isTrusted || !this.#form.has(target)) return;
      if (is_ours(target) || is_action(target)) return;
      if (this.#before === null) this.#changed = true; // there is nothing to compare with
      this.#listen_to_leaving();
    };

    #listen_to_leaving() {
      // Not earlier: this can keep a page out of the back/forward cache.
      window.addEventListener("beforeunload", this.#ask);
    }

    #ask = (/** @type {BeforeUnloadEvent} */ event) => {
      const differs = this.#before !== null && this.#before !== this.#form.contents();
      if (this.sending || !(this.#changed || differs)) return;
      event.preventDefault();
      event.returnValue = ""; // older browsers ask for it
    };
  }

  /** Knows whether other tabs of this browser have the object's lock, too. */
  class OtherTabs {
    #topic;
    #on_message;
    #me = `${Math.random()}`;
    #others = /** @type {Set<string>} */ (new Set());
    #channel = /** @type {BroadcastChannel | undefined} */ (undefined);

    /** @param {string} topic @param {(type: string) => void} on_message */
    constructor(topic, on_message) {
      this.#topic = topic;
      this.#on_message = on_message;
    }

    get are_there() {
      return this.#others.size > 0;
    }

    open() {
      try {
        this.#channel = new BroadcastChannel("lock_tokens.page");
      } catch {
        return; // the browser has none, or blocks it
      }
      this.#channel.onmessage = ({ data }) => {
        if (data?.topic !== this.#topic || data.from === this.#me) return;
        if (data.type === "gone") this.#others.delete(data.from);
        else this.#others.add(data.from);
        this.#on_message(data.type);
      };
      this.tell("hello");
    }

    /** @param {"hello" | "here" | "gone"} type */
    tell(type) {
      this.#channel?.postMessage({ type, from: this.#me, topic: this.#topic });
    }

    close() {
      this.tell("gone");
      // An open channel would keep the page out of the back/forward cache.
      this.#channel?.close();
      this.#channel = undefined;
      this.#others.clear();
    }
  }

  /**
   * Ask for this page again, to see whether the user is signed in. Unlike HEAD, GET locks the
   * object and brings a new CSRF token.
   * @param {string} url
   * @param {"HEAD" | "GET"} [method]
   * @returns {Promise<{problem: "" | "out" | "offline" | "server", csrf_token?: string | null}>}
   */
  async function probe(url, method = "HEAD") {
    try {
      const signal = AbortSignal.timeout(SAVING);
      const answer = await fetch(url, { method, redirect: "manual", cache: "no-store", signal });
      if (answer.type === "opaqueredirect" || answer.status === 401) return { problem: "out" };
      if (answer.status >= 500) return { problem: "server" };
      if (method === "HEAD") return { problem: "" };
      const there = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!there.getElementById("lock-tokens")) return { problem: "out" }; // a login page
      const field = there.querySelector("form [name=csrfmiddlewaretoken]");
      return { problem: "", csrf_token: field?.getAttribute("value") };
    } catch {
      return { problem: "offline" };
    }
  }

  /** @param {HTMLElement} config */
  function start(config) {
    const client = globals.LockTokens;
    // The token, and the cookie if it can be read; and a clock that nobody sets back
    const { _csrf: get_csrf, _now: get_time } = globals.lock_tokens;
    const { state: kind = "", task, token = "", url = "", user } = config.dataset;
    const object = [config.dataset.appLabel, config.dataset.model, config.dataset.objectId];
    const topic = object.join("/");
    const reads = kind === "locked" || kind === "elsewhere";
    const holds = Boolean(token) && (kind === "held" || kind === "again");
    const shows_unsaved_text =
      kind === "again" || kind === "refused" || config.hasAttribute("data-bound");

    const form = new Form(
      config.closest("form") ?? config.parentElement?.querySelector("form[method=post]") ?? null,
    );
    const changes = new UnsavedChanges(form);
    const tabs = new OtherTabs(topic, on_message_of_tab);
    const title = document.title;
    // The page had this token when it was left, if the browser comes back to it.
    const earlier = shows_unsaved_text ? undefined : history.state?.lock_token;

    // Who has the lock, as the server has shown it
    const first_state = get_first_state();
    const first_locked_at = all("[name=_take_over]")[0]?.getAttribute("value") || null;

    let now = first_state; // one of STATES
    let watching = false;
    let settling = false; // the page gives a lock back, and the client's events are about that
    let probing = false;
    let proven = false; // the page was seen to have its lock
    let doubted = ""; // why the client was not sure of it
    let doubts = 0; // how often
    let asking = false; // the page asks whether the form can be saved
    let asking_shown = false;
    let submitter = /** @type {HTMLElement | null} */ (null);
    let sending = false; // the form may pass without asking
    let sent = 0; // when the form was sent
    let loss_timer = 0;
    let loss_reason = "";
    let tell_loss = /** @type {(() => void) | null} */ (null); // called when the timer ends
    let finding_out = /** @type {Promise<void> | null} */ (null); // why the lock is not renewed
    let lease_timer = 0;
    const { timeout, renew, leave } = config.dataset;
    const options = {
      timeout: timeout ? Number(timeout) : undefined,
      renew: renew !== "false",
      leave: leave !== "false",
    };

    // States

    function get_first_state() {
      if (holds) return "held";
      if (reads) return kind === "elsewhere" ? "mine" : "taken";
      const seen = all(".lock-box [data-lock-when]:not([hidden])")[0];
      return seen?.dataset.lockWhen?.split(" ")[0] ?? "freed";
    }

    function get_note() {
      if (STATES[now].lost) return "lost";
      if (tabs.are_there) return "shared";
      return proven && now === "held" ? "alone" : "brief";
    }

    function show() {
      show_state(asking_shown ? "asking" : now);
      show_note(get_note());
      get_bar()?.classList.toggle("lock-bar-lost", Boolean(STATES[now].alarms));
      config.dataset.now = now;
      document.title = now === "free" ? `${config.dataset.freeTitle} – ${title}` : title;
    }

    /** @type {(state: string, holder?: Holder) => void} */
    function tell(state, holder) {
      if (holder) show_holder(holder, config.dataset.somebody);
      if (now !== state) show_answer("");
      now = state;
      asking_shown = false;
      show();
      form.enable_saving(Boolean(STATES[now].can_save));
      if (!STATES[now].lost) return;
      tabs.tell("gone");
      watch();
    }

    /** @param {Holder} holder */
    function state_by_holder({ locked_by, locked_at }) {
      // The server knows more about the lock that it has shown than a name tells.
      const known = is_same_time(locked_at, first_locked_at) ? first_state : "";
      if (known === "taken" || known === "mine") return known;
      if (locked_by === null || locked_by !== user) return "taken";
      return tabs.are_there ? "tab" : "mine";
    }

    /** Follow the lock of an object that this page has not locked. */
    function watch() {
      if (watching) return;
      watching = true;
      client.watch(...object, (/** @type {Record<string, any>} */ states) => {
        const holder = states[String(config.dataset.objectId)];
        if (holder === undefined || now === "out") return;
        if (holder === null) tell("deleted");
        else if (holder.locked) {
          const by_holder = state_by_holder(holder);
          // The user may have opened this in the tab to sign in. Both tabs can share its lock.
          tell(by_holder !== "taken" && now === "back" ? "back" : by_holder, holder);
        } else if (reads) tell("free");
        else if (STATES[now].locked) tell("freed");
      });
    }

    /** @param {string} type */
    function on_message_of_tab(type) {
      if (type === "hello" && STATES[now].renews) tabs.tell("here");
      show_note(get_note());
    }

    // Saving

    /** @param {SubmitEvent} event before other scripts see it */
    function before_submit(event) {
      if (event.target !== form.element) return;
      form.sync();
      if (sending) return;
      const button = event.submitter;
      const goes_on = button !== null && is_ours(button);
      if (form.stays(button) || (!goes_on && !is_save(button))) {
        // Signing in again, in any tab, makes the token of the form's own field invalid.
        form.set_csrf_token(get_csrf().cookie);
        return;
      }
      // Other scripts see the event when the form is really sent.
      event.preventDefault();
      event.stopImmediatePropagation();
      if (get_time() - sent < SECOND_CLICK) return;
      submitter = button;
      if (!asking) (goes_on ? go_on : save)();
    }

    /**
     * A refused save takes the page away, and so does a server that is not there. So ask first.
     * Do not say farewell if the page goes: then the save has ended the lock, or the next page
     * has it. Only if the save fails nobody has it, so its life is short.
     */
    async function save() {
      asking = true;
      finding_out = null;
      const slow = setTimeout(() => {
        asking_shown = true;
        show();
      }, SLOW);
      const lease = Math.min(LEASE, options.timeout ?? LEASE);
      const brief = { timeout: lease, leave: false };
      const renewed = await client.renew_lock(...object, undefined, brief);
      clearTimeout(lease_timer);
      lease_timer = window.setTimeout(end_lease, SAVING);
      clearTimeout(slow);
      if (!renewed && loss_reason !== "ended") tell_loss?.();
      if (!renewed) await finding_out;
      asking = asking_shown = false;
      show();
      if (tell_loss) return; // most likely the answer to the first press of Save is on its way
      if (renewed || STATES[now].can_save) return send();
      form.enable_saving(false);
      focus_news();
    }

    /** The page is still here: renew the lock, and leave it, as before. */
    function end_lease() {
      clearTimeout(lease_timer);
      client.renew_lock(...object, undefined, options);
    }

    /** Lock the object again, or take it over, and keep what was typed. */
    async function go_on() {
      asking = true;
      show_answer("");
      const { cookie } = get_csrf();
      const { problem, csrf_token } = await probe(url, cookie ? "HEAD" : "GET");
      asking = false;
      if (problem === "out") {
        tell("out");
        focus_news();
      } else if (problem) show_answer("offline");
      else {
        form.set_csrf_token(cookie || csrf_token);
        send();
      }
    }

    function send() {
      if (!form.element) return;
      if (STATES[now].can_save) form.set_csrf_token(get_csrf().token);
      sending = true;
      // The form may have a field of that name.
      HTMLFormElement.prototype.requestSubmit.call(form.element, submitter);
      sending = false;
    }

    /** @param {SubmitEvent} event after other scripts have seen it */
    function after_submit(event) {
      if (event.target !== form.element || event.defaultPrevented) return;
      const button = event.submitter;
      if (form.stays(button) || (button && is_action(button))) return;
      changes.sending = true;
      setTimeout(() => (changes.sending = false), 1000);
      if (is_save(button) || (button && is_ours(button))) sent = get_time();
    }

    // What the client says about the lock of this page

    /** @type {(event: string, work: (detail: any) => void) => void} */
    function on(name, work) {
      document.addEventListener(`lock_tokens.${name}`, (event) => {
        const { detail } = /** @type {CustomEvent} */ (event);
        const { app_label, model, object_id } = detail;
        if (!settling && [app_label, model, object_id].join("/") === topic) work(detail);
      });
    }

    function on_held() {
      if (STATES[now].lost) return;
      doubts += 1;
      if (proven && now === "held") return;
      proven = true;
      tell("held");
    }

    /** @param {{reason: string}} detail */
    function on_uncertain({ reason }) {
      const is_news = now !== "unkept" || reason !== doubted;
      const is_going = get_time() - sent < SAVING;
      if (STATES[now].lost || !(asking || (is_news && !is_going))) return;
      doubted = reason;
      finding_out = find_out();
    }

    /**
     * Find out why the lock is not renewed. A page that the server still shows can be saved: the
     * API alone refuses, or something before it.
     */
    async function find_out() {
      const doubt = (doubts += 1);
      const { problem } = await probe(url);
      if (doubt !== doubts || !STATES[now].renews) return;
      tell(problem === "out" ? "signed_out" : problem || "unkept");
    }

    /** @param {Holder & {reason: string}} detail */
    function on_lost(detail) {
      // A save ends the lock. That is no news while its answer is on the way.
      const wait = Math.max(0, sent + SAVING - get_time());
      loss_reason = detail.reason;
      const was_signed_out = now === "signed_out";
      tell_loss = () => {
        tell_loss = null;
        finding_out = find_out_loss(detail, was_signed_out);
      };
      clearTimeout(loss_timer);
      if (wait) loss_timer = window.setTimeout(() => tell_loss?.(), wait);
      else tell_loss();
    }

    /** @type {(detail: Holder & {reason: string}, was_signed_out: boolean) => Promise<void>} */
    async function find_out_loss(detail, was_signed_out) {
      if (detail.reason === "deleted") tell("deleted");
      else if (detail.locked_at) tell(state_by_holder(detail), detail);
      else if (detail.reason !== "ended") tell("freed", detail);
      else {
        form.enable_saving(false);
        const { problem } = await probe(url);
        tell(problem === "out" ? "out" : was_signed_out ? "back" : "ended");
      }
    }

    async function look_for_sign_in() {
      if (document.hidden || now !== "out" || probing) return;
      probing = true;
      const { problem } = await probe(url);
      if (!problem && now === "out") tell("back");
      probing = false;
    }

    // Holding the lock

    /**
     * A browser that comes back to this page may fill in what was typed here under an earlier
     * lock. A save with the new lock would overwrite what others wrote between. So that text
     * keeps the token that it was typed with.
     */
    async function choose_token() {
      const field = form.hidden_field("lock_token");
      const fresh = field?.value || token;
      if (!field || !earlier || earlier === fresh || !form.is_filled_in()) return fresh;
      settling = true;
      await new Promise((resolve) => setTimeout(resolve, ANSWER));
      // Only another tab may need the new lock.
      const no_other = !tabs.are_there;
      if (no_other && (await client.register_existing_lock_token(...object, fresh))) {
        await client.unlock(...object);
      }
      settling = false;
      field.value = earlier;
      changes.mark();
      return earlier;
    }

    async function hold() {
      tabs.open();
      const chosen = await choose_token();
      history.replaceState({ ...history.state, lock_token: chosen }, "");
      // Do not wait between the two: from here on the lock is released when the page is left.
      client.register_existing_lock_token(...object, chosen);
      client.hold_lock(...object, undefined, options);
    }

    function begin_to_hold() {
      on("acquired", on_held);
      on("renewed", on_held);
      on("uncertain", on_uncertain);
      on("lost", on_lost);
      // Until pageshow a browser may not have filled in what was typed under an earlier lock.
      if (document.readyState === "complete" || !earlier) hold();
      else window.addEventListener("pageshow", hold, { once: true });
    }

    // Copying

    /** @param {HTMLElement} button */
    async function copy(button) {
      const text = form.text();
      try {
        await navigator.clipboard.writeText(text);
        show_answer("copied");
      } catch {
        // The browser does not allow it, or has no clipboard: it needs HTTPS.
        show_answer("selected");
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

    /** Do not wait for the client's next renewal. */
    async function try_now() {
      asking = true;
      finding_out = null;
      show_answer("");
      const renewed = await client.renew_lock(...object);
      if (!renewed) await finding_out;
      asking = false;
      if (STATES[now].renews && !STATES[now].can_save) show_answer("offline");
    }

    // The page's life

    /**
     * Put the last parts at the end of the form. Some themes end it earlier, and out there the
     * buttons of these parts would do nothing. A tag brings all parts to its own place.
     */
    function gather_parts() {
      for (const part of document.querySelectorAll(".lock-end, #lock-tokens-bar")) {
        const is_early = part.hasAttribute("data-lock-last") || !form.element?.contains(part);
        if (is_early) form.element?.append(part);
      }
    }

    /** @param {PageTransitionEvent} event */
    function come_back({ persisted }) {
      if (!persisted) return;
      sent = 0;
      changes.sending = asking = asking_shown = false;
      clearTimeout(loss_timer);
      tell_loss?.();
      if (holds) {
        tabs.open();
        end_lease();
      }
      show();
    }

    // The start

    if (task === "delete") {
      // Templates cannot add a field to Django's own form.
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: "lock_token", value: token });
      form.element?.append(field);
    }
    if (task !== "delete") gather_parts();
    show_live_parts();
    for (const button of all("[data-lock-do=copy]")) {
      button.addEventListener("click", () => copy(button));
    }
    for (const button of all("[data-lock-do=try]")) button.addEventListener("click", try_now);
    window.addEventListener("pagehide", () => tabs.close());
    window.addEventListener("pageshow", come_back);
    window.addEventListener("focus", look_for_sign_in);
    document.addEventListener("visibilitychange", look_for_sign_in);
    if (form.element && !reads) {
      // Before all other scripts, and after them
      window.addEventListener("submit", before_submit, true);
      window.addEventListener("submit", after_submit);
    }
    if (form.element && task !== "delete" && (holds || kind === "refused")) {
      changes.look_after();
      if (shows_unsaved_text) changes.mark();
    }
    tell(first_state);
    if (holds) begin_to_hold();
  }

  function begin() {
    const config = document.getElementById("lock-tokens");
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
    else if (config) start(config);
  }

  if (globals.LockTokens) begin();
  else document.addEventListener("lock_tokens.clientready", begin, { once: true });
})();
