// @ts-check
/*
 * For the page that sends a form again. Signing in, in another tab, replaces the CSRF token.
 * Take the new one from its cookie when the form is sent. Without this, the server answers
 * the first press with the same page and a new token.
 */
(() => {
  "use strict";

  const form = document.getElementById("lock-send-again");
  form?.addEventListener("submit", () => {
    const name = form.dataset.csrfCookie;
    const found = name && `; ${document.cookie}`.split(`; ${name}=`)[1];
    const field = /** @type {HTMLInputElement | null} */ (
      form.querySelector("[name=csrfmiddlewaretoken]")
    );
    if (found && field) field.value = decodeURIComponent(found.split(";")[0]);
  });
})();
