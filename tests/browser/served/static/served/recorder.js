// What the tests want to know of a page, and cannot ask for afterwards.
window.seen = [];
window.sent = [];

for (const name of [
  "clientready",
  "acquired",
  "renewed",
  "lost",
  "released",
  "uncertain",
]) {
  document.addEventListener(`lock_tokens.${name}`, ({ detail }) => {
    const token = detail?.token?.get_token();
    window.seen.push({ ...detail, name, token, at: Date.now() });
  });
}
window.addEventListener("pageshow", ({ persisted }) => {
  window.seen.push({ name: "pageshow", persisted, at: Date.now() });
});

const original = window.fetch;
window.fetch = (url, options) => {
  window.sent.push({ url, method: options.method, at: Date.now() });
  return original(url, options);
};

window.described = (value) =>
  value instanceof window.lock_tokens.Token
    ? {
        token: value.get_token(),
        expires: value.get_expiration_date() instanceof Date,
        seconds: (value.get_expiration_date() - Date.now()) / 1000,
      }
    : value;

// Call a method; say what its callback and its promise got.
window.call = async (method, ...args) => {
  const told = [];
  const promise = window.LockTokens[method](...args, (...values) => told.push(values));
  const given = await promise;
  return {
    given: window.described(given),
    told: told.map((values) => values.map(window.described)),
    promised: promise instanceof Promise,
  };
};
