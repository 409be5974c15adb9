// The module of the pages of action tokens. The page module runs the ceremonies. This module takes the token from the
// URL fragment, which no server reads, and passes the result to the app.

import { API, api, byId, exclusive, finish, prompt, recover, signal } from "./passkey.js";

const token = byId("action-token");
const { form } = token ?? {};

async function run(mine, what, away) {
  let options, credential;
  try {
    const authorization = { Authorization: `ActionToken ${token.value}` };
    const where = away ? { attachment: "cross-platform" } : {};
    options = await api("POST", `${API}${what}/options`, where, false, authorization);
    credential = await prompt(mine, what === "registration" ? "create" : "get", options.publicKey);
    const answer = await finish(mine, what, options, credential);
    if (!answer) return;
    await signal(answer.signals);
    // The app's operator registered exactly this return address.
    location.assign(answer.returnTo ?? form.dataset.done);
  } catch (error) {
    if (credential && what === "registration") await recover(error, { result: what }, options, credential);
    // The server's page says why a token was refused.
    if (!/^(action_token|enrol_over)/.test(error.code ?? "")) throw error;
    form.submit();
  }
}

/** Takes a token that stands in the address out of it, and lets the server look at it. */
function take() {
  if (location.hash.length < 2) return;
  token.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  form.submit();
}

if (form?.dataset.action)
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    exclusive(form, form.querySelector("button"), (mine, away) => run(mine, form.dataset.action, away));
  });
if (form) {
  take();
  // A link that differs only in the fragment loads no new page.
  addEventListener("hashchange", take);
}
