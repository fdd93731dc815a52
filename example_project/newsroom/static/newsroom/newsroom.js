/*
 * The server locks articles. This script holds the lock while a page is open, and shows at
 * once what happens to it. The templates have all the words, and this chooses which are shown:
 *
 *   data-hold="7"          a form that holds the lock of article 7
 *   data-watch="7"         a place that shows the state of article 7
 *   data-when="a b"        a part of such a place, shown in the states a and b
 *   data-lock="locked_by"  gets the holder's name (or the time of locked_at, expires_at)
 */
(() => {
  "use strict";

  const ARTICLE = ["newsroom", "article"];

  function clock(time) {
    const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    return new Date(time).toLocaleTimeString([], options);
  }

  /** Show the parts for this state, and hide the others. */
  function show(place, now, lock) {
    for (const spot of lock ? place.querySelectorAll("[data-lock]") : []) {
      const what = spot.dataset.lock;
      const text = what === "locked_by" ? (lock.locked_by ?? "Somebody") : clock(lock[what]);
      // A screen reader might read the same text out again.
      if (spot.textContent !== text) spot.textContent = text;
    }
    for (const part of place.querySelectorAll("[data-when]")) {
      part.hidden = !part.dataset.when.split(" ").includes(now);
    }
    place.dataset.now = now;
  }

  /** The API gives the name of a lock's holder. */
  function whose(lock) {
    return lock.locked_by === document.body.dataset.user ? "mine" : "taken";
  }

  // Pages that wait: the list, an article, and the refusal to edit it

  function watch() {
    const places = [...document.querySelectorAll("[data-watch]")];
    if (!places.length) return;
    const ids = places.map((place) => place.dataset.watch);
    LockTokens.watch(...ARTICLE, ids, (states) => {
      for (const place of places) {
        const state = states[place.dataset.watch];
        if (state === undefined) continue; // not known yet
        const before = place.dataset.now;
        if (state === null) show(place, "deleted");
        else if (state.locked) show(place, whose(state), state);
        else show(place, /taken|freed/.test(before) ? "freed" : "free");
      }
    });
  }

  // Pages that hold the lock: edit, and delete

  function hold(form) {
    const article = [...ARTICLE, form.dataset.hold];
    const { lock_token, headline, body } = form.elements;
    const button = form.querySelector("[data-needs-lock]");
    let sending = false;

    function tell(now, { may, lock }) {
      show(form, now, lock);
      button.disabled = !may;
    }

    function register() {
      return LockTokens.register_existing_lock_token(...article, lock_token.value);
    }

    /**
     * A browser that comes back to this page may fill in what was typed here under an
     * earlier lock. A save with the new lock would overwrite what others wrote between.
     * So that text keeps the token that it was typed with, and the new lock is not needed.
     */
    async function keepTogether() {
      const earlier = history.state?.lock_token ?? lock_token.value;
      const typed = [headline, body].some((field) => field?.value !== field?.defaultValue);
      if (typed && earlier !== lock_token.value) {
        if (await register()) await LockTokens.unlock(...article);
        lock_token.value = earlier;
      }
      history.replaceState({ lock_token: lock_token.value }, "");
    }

    async function begin() {
      await keepTogether();
      register();
      LockTokens.hold_lock(...article); // until the page is left
    }

    document.addEventListener("lock_tokens.renewed", () => {
      tell("held", { may: true });
    });
    document.addEventListener("lock_tokens.uncertain", ({ detail }) => {
      const known = ["offline", "signed_out", "astray"].includes(detail.reason);
      // The page itself may be served well, and the server checks the save anyway.
      tell(known ? detail.reason : "server", { may: detail.reason === "astray" });
    });
    document.addEventListener("lock_tokens.lost", ({ detail }) => {
      const taken = ["taken", "locked"].includes(detail.reason);
      const now = taken ? whose(detail) : detail.reason;
      // A save ends the lock too. That is no news while its answer is on the way.
      const wait = sending ? 10000 : 0;
      setTimeout(tell, wait, now, { may: false, lock: taken && detail });
    });

    form.addEventListener("submit", async (event) => {
      if (event.submitter === button) {
        const asked = form.dataset.now !== "held";
        tell("sending", { may: false });
        // A save that does not arrive would take the page away, and the text with it.
        // So ask first whether the server answers, and whether the page has its lock.
        if (!asked) {
          event.preventDefault();
          const renewed = await LockTokens.renew_lock(...article);
          if (!renewed && form.dataset.now !== "astray") return;
          tell("sending", { may: false });
          form.requestSubmit(button);
          return;
        }
      }
      sending = true;
      // Signing in again, in any tab, makes the form's token invalid.
      const csrf = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
      if (csrf) form.elements.csrfmiddlewaretoken.value = csrf[1];
    });
    // The browser may come back to the page as it was left.
    window.addEventListener("pageshow", () => {
      sending = false;
    });

    form.querySelector("[data-copy]")?.addEventListener("click", () => copy(form));
    // Until pageshow the browser may not have filled in what was typed.
    if (document.readyState === "complete") begin();
    else window.addEventListener("pageshow", begin, { once: true });
  }

  async function copy(form) {
    const { headline, body } = form.elements;
    let said = "The headline and the text are copied.";
    try {
      await navigator.clipboard.writeText(`${headline.value}\n\n${body.value}`);
    } catch {
      // The browser does not allow it, or has no clipboard: it needs HTTPS.
      body.select();
      body.focus();
      said = "Your text is selected. Copy it with Ctrl+C.";
    }
    form.querySelector(".copied").textContent = said;
  }

  function start() {
    watch();
    for (const form of document.querySelectorAll("[data-hold]")) hold(form);
  }

  if (window.LockTokens) start();
  else document.addEventListener("lock_tokens.clientready", start, { once: true });
})();
