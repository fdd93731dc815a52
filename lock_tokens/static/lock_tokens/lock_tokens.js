// @ts-check
// The client of the lock API. docs/javascript.rst says what it does, and why.
(() => {
  "use strict";

  if (/** @type {any} */ (window).LockTokens?.hold_lock) return; // the page has the tag twice

  const GRACE = 5; // seconds that a lock lasts after its page is left, or before the page has it
  // Milliseconds. Renewals are this far apart, and EARLY in a page's first EARLY_UNTIL.
  const SHORTEST = 300;
  const LONGEST = 45000;
  const EARLY = 3000;
  const EARLY_UNTIL = 15000;
  const POLL = 5000;
  const PATIENCE = 10000; // for an answer, and after a failure; less than EARLY_UNTIL
  const LONGEST_QUERY = 1100; // characters, so that no query has more than the API's 100 keys

  const WORDS = new Map([
    ["PATCH", "renew"],
    ["DELETE", "release"],
  ]);
  const LOST = new Map([
    ["wrong_token", "taken"],
    ["not_locked", "ended"],
    ["not_found", "deleted"],
    ["locked", "locked"],
  ]);

  /**
   * `status` is 0 without an answer. `ours`: it is the API's, not a firewall's or a login page.
   * @typedef {{ok: boolean, status: number, ours: boolean, sent: number, etag: string,
   *   data: any}} Answer
   * @typedef {string | number} Key
   * @typedef {{app_label: string, model: string, object_id: string, url: string}} Target
   * @typedef {{timeout?: number, renew?: boolean, leave?: boolean}} HoldOptions
   */

  const script = /** @type {HTMLScriptElement} */ (
    document.currentScript ?? document.querySelector("script[data-lock-tokens-url]")
  );
  const { lockTokensUrl: base, csrfHeader } = script.dataset;
  let { csrfCookie, csrfToken } = script.dataset;
  let by_post = false; // no other method gets to the API
  let offset = NaN; // the database's clock minus now()
  let [time, date, runtime] = [0, 0, 0];

  /** Also for page.js. Milliseconds, never set back, and they go on in a machine's sleep. */
  function now() {
    const before = [date, runtime];
    [date, runtime] = [Date.now(), performance.now()];
    return (time += Math.max(date - before[0], runtime - before[1]));
  }

  class Token {
    #token;
    _expires_at = "";

    /** @param {string} token */
    constructor(token) {
      this.#token = token;
    }

    get_token() {
      return this.#token;
    }

    get_expiration_date() {
      return new Date(this._expires_at);
    }
  }

  class Lock {
    held = false; // renew it until it is unlocked, and release it with the page
    renew = true; // also without renew_lock()
    leave = true;
    timeout = /** @type {number | undefined} */ (undefined);
    owed = false; // it was to be unlocked, and may still be there
    lost = false;
    /** @type {Token | null} */
    token = null;
    url = "";
    expires_at = ""; // as the server writes it
    ends = 0; // the same by now()
    sent = 0; // when the last renewal was
    early_until = 0;
    failures = 0; // in a row
    timer = 0;
    /** @type {Promise<Token | null> | null} */
    pending = null; // the request in progress
    farewell = to_fetch("PATCH", "", {});

    /** @param {Target} target */
    constructor(target) {
      this.target = target;
    }

    /** Leave. Firefox may end a closing tab's scripts after any listener: each lock has one. */
    handleEvent() {
      fetch(...this.farewell).catch(() => {});
    }

    get leaves() {
      return this.token && (this.owed || (this.held && this.leave));
    }

    /** @param {string} token */
    set_token(token) {
      if (this.token?.get_token() === token) return;
      this.token = new Token(token);
      this.url = `${this.target.url}${encodeURIComponent(token)}/`;
      this.expires_at = "";
    }
  }

  /** @type {Map<string, Lock>} */
  const locks = new Map(); // of this page, by their object's address
  /** @type {BroadcastChannel | undefined} */
  let channel;

  /** @param {string} app_label @param {string} model */
  function address(app_label, model) {
    return `${base}${encodeURIComponent(app_label)}/${encodeURIComponent(model.toLowerCase())}/`;
  }

  /** @param {string} app_label @param {string} model @param {Key} key @returns {Target} */
  function target_of(app_label, model, key) {
    const object_id = String(key);
    // converters.py does the same.
    const segment = object_id.replace(
      /[/\\%~\x00-\x1f\x7f]|^\./g,
      (unsafe) => `~${unsafe.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
    );
    const url = `${address(app_label, model)}${encodeURIComponent(segment || "~")}/`;
    return { app_label, model, object_id, url };
  }

  /** Also for page.js. Signing in, in any tab, changes the cookie. */
  function csrf() {
    const found = csrfCookie && `; ${document.cookie}`.split(`; ${csrfCookie}=`)[1];
    const cookie = found && decodeURIComponent(found.split(";")[0]);
    return { cookie, token: cookie || csrfToken };
  }

  /**
   * @typedef {{body?: object, headers?: Record<string, string>, keepalive?: boolean}} Options
   * @param {string} method
   * @param {string} url
   * @param {Options} options
   * @returns {[string, RequestInit]} what fetch() takes
   */
  function to_fetch(method, url, { body, headers, keepalive = false }) {
    const does = by_post && WORDS.get(method);
    const { token } = csrf();
    return [
      does ? `${url}?do=${does}` : url,
      {
        method: does ? "POST" : method,
        keepalive,
        cache: "no-store",
        redirect: "manual",
        headers: {
          Accept: "application/json",
          ...(body && { "Content-Type": "application/json" }),
          ...(method !== "GET" && csrfHeader && token && { [csrfHeader]: token }),
          ...headers,
        },
        body: body && JSON.stringify(body),
      },
    ];
  }

  /**
   * @param {string} method
   * @param {string} url
   * @param {Options} options
   * @returns {Promise<Answer>} never rejected
   */
  async function request(method, url, options = {}, again = true) {
    const sent = now();
    try {
      const signal = AbortSignal.timeout(PATIENCE);
      const [address, init] = to_fetch(method, url, options);
      const response = await fetch(address, { ...init, signal });
      const { status, headers } = response;
      const ours = /json/.test(headers.get("Content-Type") ?? "") || status === 204;
      const answer = {
        ok: ours && response.ok,
        status: status || 302, // a redirect
        ours,
        sent,
        etag: headers.get("ETag") ?? "",
        data: await response.json().catch(() => ({})),
      };
      if (doubt(answer) === "astray" && !by_post && WORDS.has(method)) {
        by_post = true; // many firewalls let only GET and POST pass
        const second = await request(method, url, options, again);
        by_post = second.ours;
        if (by_post) return second;
      }
      if (answer.data.csrf_token && again) {
        // With two cookies of that name, the server may read the other one.
        csrfCookie = "";
        csrfToken = answer.data.csrf_token;
        return request(method, url, options, false);
      }
      return answer;
    } catch {
      return { ok: false, status: 0, ours: false, sent, etag: "", data: {} };
    }
  }

  /** @param {Answer} answer */
  function doubt({ status, ours, data }) {
    if (/denied|csrf/.test(data.error)) return "forbidden";
    if (status === 401 || status === 302 || /auth/.test(data.error)) return "signed_out";
    if (!status) return "offline";
    return ours || (status >= 500 && status !== 501) ? "server" : "astray";
  }

  /** All tabs of this browser have the same secret, so they share locks. */
  function client_id() {
    const name = "lock_tokens.client";
    const fresh = crypto.getRandomValues(new Uint32Array(5)).join("-");
    try {
      localStorage.setItem(name, localStorage.getItem(name) ?? fresh);
      return localStorage.getItem(name) ?? fresh;
    } catch {
      return fresh; // the browser blocks storage
    }
  }
  const client = client_id();

  /** @param {string} name @param {Target} target @param {string} reason @param {object} [more] */
  function emit(name, { app_label, model, object_id }, reason, more) {
    const detail = { app_label, model, object_id, reason, ...more };
    document.dispatchEvent(new CustomEvent(`lock_tokens.${name}`, { detail }));
  }

  /** @param {Target} target @param {Answer} answer */
  function emit_failure(target, answer) {
    const { error, detail, locked_by = null, locked_at = null, expires_at = null } = answer.data;
    const reason = LOST.get(error);
    if (reason === "deleted") console.warn("LockTokens:", detail, target);
    if (reason) emit("lost", target, reason, { locked_by, locked_at, expires_at });
    else emit("uncertain", target, doubt(answer));
  }

  /** @param {Target} target */
  function lock_of(target) {
    const lock = locks.get(target.url) ?? new Lock(target);
    locks.set(target.url, lock);
    return lock;
  }

  /** @param {Lock} lock */
  function forget(lock) {
    clearTimeout(lock.timer);
    lock.held = lock.owed = false;
    prepare_to_leave(lock);
    if (locks.get(lock.target.url) === lock) locks.delete(lock.target.url);
    return false;
  }

  /** @param {Lock} lock @param {Answer} answer */
  function note(lock, { sent, data }) {
    if (data.token) lock.set_token(data.token);
    lock.expires_at = data.expires_at;
    if (lock.token) lock.token._expires_at = data.expires_at;
    lock.ends = sent + 1000 * data.expires_in;
    offset = Date.parse(data.expires_at) - lock.ends;
  }

  /** @param {Lock} lock */
  function schedule(lock) {
    clearTimeout(lock.timer);
    if (!lock.held || !(lock.renew || lock.failures)) return;
    const most = lock.failures && !document.hidden ? PATIENCE : LONGEST;
    let delay = lock.failures ? 1000 * 2 ** lock.failures : (lock.ends - now()) / 3;
    if (lock.early_until > now()) delay = Math.min(delay, EARLY);
    delay = Math.min(Math.max(delay, SHORTEST), most);
    lock.timer = window.setTimeout(renew, delay * (0.8 + 0.2 * Math.random()), lock);
  }

  /**
   * Send one request at a time.
   * @param {Lock} lock
   * @param {(lock: Lock) => Promise<Token | null>} send
   */
  function once(lock, send) {
    clearTimeout(lock.timer);
    lock.owed = false;
    lock.pending ??= send(lock).finally(() => {
      lock.pending = null;
      prepare_to_leave(lock);
    });
    prepare_to_leave(lock);
    return lock.pending;
  }

  /** @param {Lock} lock */
  function prepare_to_leave(lock) {
    // A date that is not valid does not count: until the first answer, nothing is known.
    const latest = new Date(now() + offset + PATIENCE).toUTCString();
    const known = !lock.pending && !lock.failures && if_unchanged(lock);
    const headers = known || { "If-Unmodified-Since": latest };
    const options = { body: { timeout: GRACE }, headers, keepalive: true };
    lock.farewell = to_fetch("PATCH", lock.url, options);
    window[lock.leaves ? "addEventListener" : "removeEventListener"]("pagehide", lock, true);
  }

  /** @param {Lock} lock */
  function renew(lock) {
    return once(lock, lock.token ? send_renewal : send_acquisition);
  }

  /** @param {Lock} lock */
  function if_unchanged(lock) {
    return lock.expires_at ? { "If-Match": `"${lock.expires_at}"` } : undefined;
  }

  /** @param {Lock} lock */
  async function send_renewal(lock) {
    const expired = lock.ends > 0 && now() > lock.ends;
    /** @param {boolean} [anyway] */
    const send = (anyway) => {
      lock.sent = now();
      const headers = anyway ? {} : if_unchanged(lock);
      return request("PATCH", lock.url, { headers, body: { timeout: lock.timeout } });
    };
    let answer = await send();
    for (let tries = 2; tries && answer.status === 412; tries -= 1) {
      note(lock, answer);
      // Another page has renewed it, or was left.
      if (lock.ends - now() > 2000 * GRACE) break;
      answer = await send(tries === 1);
    }
    const stands = answer.ok || answer.status === 412;
    const reason = expired ? "revived" : lock.failures ? "recovered" : "in_time";
    return concluded(lock, answer, stands && "renewed", reason);
  }

  /** @param {Lock} lock */
  async function send_acquisition(lock) {
    const options = {
      body: { timeout: lock.held && lock.renew ? GRACE : lock.timeout },
      headers: { "Idempotency-Key": client },
    };
    const { url } = lock.target;
    lock.sent = now();
    let answer = await request("POST", url, options);
    // The answer may be lost. The same key gets the same token.
    if (!answer.status) answer = await request("POST", url, options);
    return concluded(lock, answer, answer.ok && "acquired", "locked");
  }

  /** @param {Lock} lock */
  async function send_registration(lock) {
    lock.sent = now();
    const answer = await request("GET", lock.url);
    return concluded(lock, answer, answer.ok && "acquired", "registered");
  }

  /**
   * @param {Lock} lock
   * @param {Answer} answer
   * @param {string | false} event
   * @param {string} reason
   */
  function concluded(lock, answer, event, reason) {
    if (locks.get(lock.target.url) !== lock) return null; // it was unlocked meanwhile
    if (event && answer.data.expires_at) {
      note(lock, answer);
      lock.failures = 0;
      schedule(lock);
      emit(event, lock.target, reason, { token: lock.token });
      return lock.token;
    }
    lock.failures += 1;
    lock.lost = LOST.has(answer.data.error);
    if (lock.lost || !(lock.held || lock.token)) forget(lock);
    else schedule(lock);
    emit_failure(lock.target, answer);
    return null;
  }

  /** @type {Map<string, Promise<any>>} */
  const turns = new Map();

  /**
   * Answer the calls about one object one after the other.
   * @template T
   * @param {Target} target
   * @param {() => Promise<T> | T} work
   * @returns {Promise<T>}
   */
  async function in_turn({ url }, work) {
    const turn = (turns.get(url) ?? Promise.resolve()).then(work);
    turns.set(url, turn);
    const value = await turn;
    if (turns.get(url) === turn) turns.delete(url);
    return value;
  }

  /** @param {Target} target @param {HoldOptions} [options] */
  function hold(target, options) {
    const known = locks.get(target.url);
    if (known) {
      Object.assign(known, options, { held: true }); // the page may be left before its turn
      prepare_to_leave(known);
    }
    return in_turn(target, () => {
      if (known?.lost) return null; // do not replace a void token
      const lock = lock_of(target);
      Object.assign(lock, options, { held: true, early_until: now() + EARLY_UNTIL });
      return renew(lock);
    });
  }

  /** @param {Target} target */
  function release(target) {
    return in_turn(target, async () => {
      const lock = locks.get(target.url);
      await lock?.pending;
      if (!lock || locks.get(target.url) !== lock) return false;
      if (!lock.token) return forget(lock); // stop asking for it
      clearTimeout(lock.timer);
      lock.held = false;
      lock.owed = true;
      prepare_to_leave(lock);
      const answer = await request("DELETE", lock.url, { keepalive: true });
      if (answer.ok) {
        channel?.postMessage(lock.target.url);
        emit("released", target, "unlocked");
      }
      if (answer.ok || LOST.has(answer.data.error)) forget(lock);
      return answer.ok;
    });
  }

  /** @param {Target} target @param {string} token */
  function register(target, token) {
    const known = lock_of(target);
    if (!known.token) known.set_token(token);
    return in_turn(target, async () => {
      const lock = lock_of(target);
      await lock.pending;
      lock.set_token(token);
      return once(lock, send_registration);
    });
  }

  /** @param {Lock | undefined} lock */
  async function renew_anew(lock) {
    await lock?.pending;
    if (!lock?.held) return;
    lock.early_until = now() + EARLY_UNTIL;
    renew(lock);
  }

  function listen() {
    try {
      channel = new BroadcastChannel("lock_tokens");
      channel.onmessage = ({ data }) => renew_anew(locks.get(data));
    } catch {
      return; // the browser has none, or blocks it
    }
  }

  function leave() {
    for (const lock of locks.values()) {
      clearTimeout(lock.timer);
      if (!lock.leaves) continue;
      lock.ends = Math.min(lock.ends, now() + 1000 * GRACE);
      channel?.postMessage(lock.target.url);
    }
    // An open channel would keep the page out of the back/forward cache.
    channel?.close();
    channel = undefined;
  }

  /** @param {number} older milliseconds since the last renewal */
  function wake(older) {
    for (const lock of locks.values()) {
      const due = lock.renew && now() - lock.sent > older;
      if (lock.held && (due || lock.failures)) renew(lock);
    }
  }

  const look_after = () => {
    if (!document.hidden) wake(EARLY);
  };
  document.addEventListener("visibilitychange", look_after);
  document.addEventListener("resume", look_after);
  window.addEventListener("focus", look_after);
  window.addEventListener("online", () => wake(0));
  window.addEventListener("offline", () => wake(0)); // fails, so `uncertain` comes at once
  window.addEventListener("pagehide", leave);
  window.addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    listen();
    for (const lock of locks.values()) renew_anew(lock);
  });
  listen();

  /**
   * @template T
   * @param {(target: Target, options?: HoldOptions) => Promise<T> | null} work
   * @returns {(app_label: string, model: string, object_id: Key,
   *   callback?: (value: T | null) => void, options?: HoldOptions) => Promise<T | null>}
   */
  function method(work) {
    return async (app_label, model, object_id, callback, options) => {
      const value = await work(target_of(app_label, model, object_id), options);
      callback?.(value);
      return value;
    };
  }

  const LockTokens = {
    lock: method((target) => in_turn(target, () => renew(lock_of(target)))),
    hold_lock: method(hold),
    unlock: method(release),
    renew_lock: method(({ url }, options) => {
      const lock = locks.get(url);
      return lock ? renew(Object.assign(lock, options)) : null;
    }),

    /**
     * @param {string} app_label
     * @param {string} model
     * @param {Key} object_id
     * @param {string} token_string
     * @param {(token: Token | null) => void} [callback]
     */
    register_existing_lock_token: (app_label, model, object_id, token_string, callback) =>
      method((target) => register(target, token_string))(app_label, model, object_id, callback),

    /** @param {() => void} [callback] */
    async clear_all_locks(callback) {
      await Promise.all([...locks.values()].map(({ target }) => release(target)));
      callback?.();
    },

    /**
     * @param {string} app_label
     * @param {string} model
     * @param {Key | Key[]} object_ids
     * @param {(states: Record<string, any>) => void} callback
     */
    watch(app_label, model, object_ids, callback) {
      const keys = [object_ids].flat();
      const url = address(app_label, model);
      const queries = /** @type {string[]} */ ([]);
      for (const key of keys) {
        const field = `object_id=${encodeURIComponent(key)}&`;
        const length = queries[0]?.length ?? Infinity;
        if (length + field.length > LONGEST_QUERY) queries.unshift("");
        queries[0] += field;
      }
      if (!keys.length) Promise.resolve({}).then(callback);
      const etags = /** @type {Record<string, string>} */ ({});
      const states = /** @type {Record<string, any>} */ ({});
      let over = false;
      let asking = false;
      let timer = 0;

      async function ask() {
        if (over || asking || document.hidden || !keys.length) return;
        clearTimeout(timer);
        asking = true;
        let changed = false;
        let failed = false;
        for (const query of queries) {
          const answer = await request("GET", `${url}?${query}`, {
            headers: etags[query] ? { "If-None-Match": etags[query] } : {},
          });
          if (answer.ok && answer.data.states) {
            changed = true;
            etags[query] = answer.etag;
            Object.assign(states, answer.data.states);
          } else if (answer.status !== 304) {
            failed = true;
          }
        }
        asking = false;
        timer = window.setTimeout(ask, (failed ? 2 : 1) * POLL * (0.8 + 0.4 * Math.random()));
        if (changed && !over) callback({ ...states });
      }

      document.addEventListener("visibilitychange", ask);
      window.addEventListener("online", ask);
      ask();
      return () => {
        over = true;
        clearTimeout(timer);
        document.removeEventListener("visibilitychange", ask);
        window.removeEventListener("online", ask);
      };
    },
  };

  Object.assign(window, { LockTokens, lock_tokens: { Token, _csrf: csrf, _now: now } });
  document.dispatchEvent(new CustomEvent("lock_tokens.clientready"));
})();
