// The scripts of the pages, by the documentation's example.
window.states = [];

async function start() {
  const { kind, key, token } = document.body.dataset;
  const article = (window.article = ["tests", "article", key]);
  if (kind === "edit") {
    LockTokens.register_existing_lock_token(...article, token);
  }
  if (kind === "edit" || kind === "hold") {
    window.held = await LockTokens.hold_lock(...article);
  }
  if (kind === "watch") {
    const keys = key.split(",");
    window.stop = LockTokens.watch("tests", "article", keys, (states) => {
      window.states.push(states);
    });
  }
}

if (window.LockTokens) {
  window.order = "late";
  start();
} else {
  window.order = "early";
  document.addEventListener("lock_tokens.clientready", start);
}
