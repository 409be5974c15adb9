// The module of pages on which an app lets somebody do one thing. Ceremonies are the page module's; added here: the token comes
// in the address, after the #, where no server reads it, and the app gets its result.

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
    // The return address was registered, byte for byte, by whoever runs the app.
    location.assign(answer.returnTo ?? form.dataset.done);
  } catch (error) {
    if (credential && what === "registration") await recover(error, { result: what }, options, credential);
    // Why a token is not taken, the server's page says.
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
  // A link that differs in what follows the # alone loads no new page.
  addEventListener("hashchange", take);
}
