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
  const PATIENCE = 10000; // a request ends after this; less than EARLY_UNTIL
  const LONGEST_QUERY = 1100; // characters, so that no query has more than the API's 100 keys

  const LOST = new Map([
    ["wrong_token", "taken"],
    ["not_locked", "ended"],
    ["not_found", "deleted"],
    ["locked", "locked"],
  ]);

  /**
   * `status` is 0 without an answer. `astray`: it is a page, such as a login page.
   * @typedef {{ok: boolean, status: number, astray: boolean, sent: number,
   *   date: number, etag: string, data: any}} Answer
   * @typedef {string | number} Key
   * @typedef {{app_label: string, model: string, object_id: string, url: string}} Target
   * @typedef {{timeout?: number, renew?: boolean, leave?: boolean}} HoldOptions
   */

  const script = /** @type {HTMLScriptElement} */ (
    document.currentScript ?? document.querySelector("script[data-lock-tokens-url]")
  );
  const { lockTokensUrl: base, csrfHeader } = script.dataset;
  let { csrfCookie, csrfToken } = script.dataset;
  let offset = 0; // the server's clock minus this machine's

  class Token {
    #token;
    #expires_at = new Date(0);

    /** @param {string} token */
    constructor(token) {
      this.#token = token;
    }

    get_token() {
      return this.#token;
    }

    get_expiration_date() {
      return new Date(this.#expires_at);
    }

    /** @param {string} expires_at */
    _renewed(expires_at) {
      this.#expires_at = new Date(expires_at);
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
    ends = 0; // the same by this machine's clock
    sent = 0; // when the last renewal was
    early_until = 0;
    failures = 0; // in a row
    timer = 0;
    /** @type {Promise<Token | null> | null} */
    pending = null; // the request in progress
    /** @type {RequestInit} */
    farewell = {};

    /** @param {Target} target */
    constructor(target) {
      this.target = target;
    }

    /** Leave. Firefox may end a closing tab's scripts after any listener: each lock has one. */
    handleEvent() {
      fetch(this.url, this.farewell).catch(() => {});
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

  /**
   * @param {string} app_label
   * @param {string} model
   */
  function address(app_label, model) {
    return `${base}${encodeURIComponent(app_label)}/${encodeURIComponent(model.toLowerCase())}/`;
  }

  /**
   * @param {string} app_label
   * @param {string} model
   * @param {Key} key
   * @returns {Target}
   */
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

  /** Also for admin.js. Signing in, in any tab, changes the cookie. */
  function csrf() {
    const found = csrfCookie && `; ${document.cookie}`.split(`; ${csrfCookie}=`)[1];
    const cookie = found && decodeURIComponent(found.split(";")[0]);
    return { cookie, token: cookie || csrfToken };
  }

  /** @returns {Record<string, string>} */
  function csrf_headers() {
    const { token } = csrf();
    return csrfHeader && token ? { [csrfHeader]: token } : {};
  }

  /**
   * @typedef {{body?: object, headers?: Record<string, string>, keepalive?: boolean}} Options
   * @param {string} method
   * @param {Options} options
   * @returns {RequestInit}
   */
  function request_init(method, { body, headers, keepalive = false }) {
    return {
      method,
      keepalive,
      cache: "no-store",
      redirect: "manual",
      headers: {
        Accept: "application/json",
        ...(body && { "Content-Type": "application/json" }),
        ...(method !== "GET" && csrf_headers()),
        ...headers,
      },
      body: body && JSON.stringify(body),
    };
  }

  /**
   * @param {string} method
   * @param {string} url
   * @param {Options} options
   * @returns {Promise<Answer>} never rejected
   */
  async function request(method, url, options = {}, again = true) {
    const sent = Date.now();
    const none = { ok: false, status: 0, astray: false, sent, date: NaN, etag: "", data: {} };
    try {
      const signal = AbortSignal.timeout(PATIENCE);
      const response = await fetch(url, { ...request_init(method, options), signal });
      const json = /json/.test(response.headers.get("Content-Type") ?? "");
      const astray = response.type === "opaqueredirect" || (response.status === 200 && !json);
      const answer = {
        ...none,
        ok: response.ok && !astray,
        status: response.status,
        astray,
        date: Date.parse(response.headers.get("Date") ?? ""),
        etag: response.headers.get("ETag") ?? "",
        data: await response.json().catch(() => ({})),
      };
      if (answer.date) offset = answer.date - sent;
      if (answer.data.csrf_token && again) {
        // With two cookies of that name, the server may read the other one.
        csrfCookie = "";
        csrfToken = answer.data.csrf_token;
        return request(method, url, options, false);
      }
      return answer;
    } catch {
      return none;
    }
  }

  /** @param {Answer} answer */
  function doubt({ status, astray, data }) {
    if (astray || status === 401 || status === 403) {
      return /denied|csrf/.test(data.error) ? "forbidden" : "signed_out";
    }
    return status ? "server" : "offline";
  }

  /** All tabs of this browser have the same secret, so they share locks. */
  function client_id() {
    const name = "lock_tokens.client";
    const fresh = Array.from(crypto.getRandomValues(new Uint32Array(5)), (number) =>
      number.toString(36).padStart(7, "0"),
    ).join("");
    try {
      localStorage.setItem(name, localStorage.getItem(name) ?? fresh);
      return localStorage.getItem(name) ?? fresh;
    } catch {
      return fresh; // the browser blocks storage
    }
  }
  const client = client_id();

  /**
   * @param {string} name
   * @param {Target} target
   * @param {string} reason
   * @param {object} [more]
   */
  function emit(name, { app_label, model, object_id }, reason, more) {
    const detail = { app_label, model, object_id, reason, ...more };
    document.dispatchEvent(new CustomEvent(`lock_tokens.${name}`, { detail }));
  }

  /**
   * @param {Target} target
   * @param {Answer} answer
   */
  function emit_failure(target, answer) {
    const { error, locked_by = null, locked_at = null, expires_at = null } = answer.data;
    const reason = LOST.get(error);
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

  /**
   * @param {Lock} lock
   * @param {Answer} answer
   */
  function note(lock, { sent, date, data }) {
    if (data.token) lock.set_token(data.token);
    lock.expires_at = data.expires_at;
    lock.token?._renewed(data.expires_at);
    const expiry = Date.parse(data.expires_at);
    lock.ends = Number.isNaN(date) ? expiry : sent + expiry - date;
  }

  /** @param {Lock} lock */
  function schedule(lock) {
    clearTimeout(lock.timer);
    if (!lock.held || !(lock.renew || lock.failures)) return;
    const now = Date.now();
    let delay = lock.failures ? 1000 * 2 ** lock.failures : (lock.ends - now) / 3;
    const early = lock.early_until - now; // too large if the clock was set back
    if (early > 0 && early <= EARLY_UNTIL) delay = Math.min(delay, EARLY);
    delay = Math.min(Math.max(delay, SHORTEST), LONGEST);
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
    const known = !lock.pending && !lock.failures && if_unchanged(lock);
    const latest = new Date(Date.now() + offset + PATIENCE).toUTCString();
    const headers = known || { "If-Unmodified-Since": latest };
    lock.farewell = request_init("PATCH", { body: { timeout: GRACE }, headers, keepalive: true });
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
    const expired = lock.ends > 0 && Date.now() > lock.ends;
    /** @param {boolean} [anyway] */
    const send = (anyway) => {
      lock.sent = Date.now();
      const headers = anyway ? {} : if_unchanged(lock);
      return request("PATCH", lock.url, { headers, body: { timeout: lock.timeout } });
    };
    let answer = await send();
    for (let tries = 2; tries && answer.status === 412; tries -= 1) {
      note(lock, answer);
      // Another page has renewed it, or was left.
      if (lock.ends - Date.now() > 2000 * GRACE) break;
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
    lock.sent = Date.now();
    let answer = await request("POST", url, options);
    // The answer may be lost. The same key gets the same token.
    if (!answer.status && !answer.astray) answer = await request("POST", url, options);
    return concluded(lock, answer, answer.ok && "acquired", "locked");
  }

  /** @param {Lock} lock */
  async function send_registration(lock) {
    lock.sent = Date.now();
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

  /**
   * @param {Target} target
   * @param {HoldOptions} [options]
   */
  function hold(target, options) {
    const known = locks.get(target.url);
    if (known) {
      Object.assign(known, options, { held: true }); // the page may be left before its turn
      prepare_to_leave(known);
    }
    return in_turn(target, () => {
      if (known?.lost) return null; // do not replace a void token
      const lock = lock_of(target);
      Object.assign(lock, options, { held: true, early_until: Date.now() + EARLY_UNTIL });
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
        tell_other_pages(lock);
        emit("released", target, "unlocked");
      }
      if (answer.ok || LOST.has(answer.data.error)) forget(lock);
      return answer.ok;
    });
  }

  /**
   * @param {Target} target
   * @param {string} token
   */
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

  /** @param {Lock} lock */
  function tell_other_pages(lock) {
    channel?.postMessage(lock.target.url);
  }

  /** @param {Lock | undefined} lock */
  async function renew_anew(lock) {
    await lock?.pending;
    if (!lock?.held) return;
    lock.early_until = Date.now() + EARLY_UNTIL;
    renew(lock);
  }

  function listen() {
    if (!("BroadcastChannel" in window)) return;
    channel = new BroadcastChannel("lock_tokens");
    channel.onmessage = ({ data }) => renew_anew(locks.get(data));
  }

  function leave() {
    for (const lock of locks.values()) {
      clearTimeout(lock.timer);
      if (!lock.leaves) continue;
      lock.ends = Math.min(lock.ends, Date.now() + 1000 * GRACE);
      tell_other_pages(lock);
    }
    // An open channel would keep the page out of the back/forward cache.
    channel?.close();
    channel = undefined;
  }

  /** @param {number} older milliseconds since the last renewal */
  function wake(older) {
    for (const lock of locks.values()) {
      const due = lock.renew && Date.now() - lock.sent > older;
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
    renew_lock: method(({ url }) => {
      const lock = locks.get(url);
      return lock ? renew(lock) : null;
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
      let failures = 0;
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
        failures = failed ? Math.min(failures + 1, 4) : 0;
        timer = window.setTimeout(ask, POLL * 2 ** failures * (0.8 + 0.4 * Math.random()));
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

  Object.assign(window, { LockTokens, lock_tokens: { Token, _csrf: csrf } });
  document.dispatchEvent(new CustomEvent("lock_tokens.clientready"));
})();
