/*
 * What the newsroom's pages do about locks beyond what the server does for them: hold the
 * lock while a page is open, and say at once what becomes of it. Every word stands in the
 * templates; this chooses which are seen:
 *
 *   data-hold="7"        a form that holds the lock of article 7
 *   data-watch="7"       a place that shows how article 7 stands
 *   data-when="a b"      a part of such a place, to be seen in the states a and b
 *   data-lock="locked_by"  the name of who has the lock (or locked_at, expires_at: a time)
 */
(() => {
  "use strict";

  const ARTICLE = ["newsroom", "article"];

  function clock(time) {
    const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    return new Date(time).toLocaleTimeString([], options);
  }

  /** Show what is meant for this state, and hide what is not. */
  function show(place, now, lock) {
    for (const spot of lock ? place.querySelectorAll("[data-lock]") : []) {
      const what = spot.dataset.lock;
      const text = what === "locked_by" ? (lock.locked_by ?? "Somebody") : clock(lock[what]);
      // Not the same text again: a screen reader might read it out again.
      if (spot.textContent !== text) spot.textContent = text;
    }
    for (const part of place.querySelectorAll("[data-when]")) {
      part.hidden = !part.dataset.when.split(" ").includes(now);
    }
    place.dataset.now = now;
  }

  /** The API tells the name of who holds a lock. */
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
     * earlier lock. Saved with the new one it would go over what others wrote between,
     * so it keeps the token that it was typed with, and the new lock is not needed.
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
      const known = ["offline", "signed_out"].includes(detail.reason);
      tell(known ? detail.reason : "server", { may: false });
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
        // So ask first whether the server answers and the lock stands.
        if (!asked) {
          event.preventDefault();
          if (!(await LockTokens.renew_lock(...article))) return;
          tell("sending", { may: false });
          form.requestSubmit(button);
          return;
        }
      }
      sending = true;
      // Who signed in again in another tab has a new one.
      const csrf = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
      if (csrf) form.elements.csrfmiddlewaretoken.value = csrf[1];
    });
    // Back from another page, as it was left.
    window.addEventListener("pageshow", () => {
      sending = false;
    });

    form.querySelector("[data-copy]")?.addEventListener("click", () => copy(form));
    // Not before: until then a browser may not have filled in what was typed.
    if (document.readyState === "complete") begin();
    else window.addEventListener("pageshow", begin, { once: true });
  }

  async function copy(form) {
    const { headline, body } = form.elements;
    let said = "Copied: headline and text.";
    try {
      await navigator.clipboard.writeText(`${headline.value}\n\n${body.value}`);
    } catch {
      // Not allowed, or not there: browsers want HTTPS for it.
      body.select();
      body.focus();
      said = "The text is selected. Copy it with Ctrl+C.";
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
