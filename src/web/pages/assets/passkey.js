// The page module: API calls and error codes, no decisions and no texts (those come in #boot). Only one ceremony runs
// at a time: `lock` holds it, and `gen` discards late answers. A pending request is aborted and awaited before the next
// one (iOS 16 refuses otherwise), but not forever: a browser extension may never answer.

const boot = JSON.parse(document.getElementById("boot").textContent);
const w = boot.words;
const byId = (id) => document.getElementById(id);
const [problem, status, stop, field] = ["problem", "status", "stop", "username"].map(byId);
const API = "/v1/passkeys/";
const Key = globalThis.PublicKeyCredential;
// Requests of a page act for the session that the page was created for, never for one that began in another tab.
const token = ["passkeys", "stepUp"].includes(boot.page) && document.querySelector("[name=csrf]")?.value;

let gen = 0;
let lock = 0;
let pending = null; // { controller, settled, ours }: the request that the browser has open
let leaving = false;
let running = null; // the pressed button
let again = null; // repeats what was last pressed
// Like `again`, for a passkey that is to be saved somewhere else.
let elsewhere = null;
// What the last prompt was for: get, create.
let asked = "";
let armedAt = 0;
let armedFor = 0;
let timer = 0;
let lostCreations = 0;
let lostPicks = 0; // an extension may answer autofill by itself: never in a circle
let caps = {};

// ---- Small helpers

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text64 = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const say = (text) => {
  // The pressed button shows these itself. This is for screen readers.
  status?.classList.toggle("vh", [w.waiting, w.checking].includes(text));
  if (status) status.textContent = text;
};

function el(tag, text, className) {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  if (className) node.className = className;
  return node;
}

/** The address of a path on our own origin, or nothing. Whole: the path of `/.//x` alone would be another host's address. */
function ownPath(path) {
  if (typeof path !== "string" || !path.startsWith("/")) return undefined;
  const url = new URL(path, location.origin);
  return url.origin === location.origin ? url.href : undefined;
}

function leave(path) {
  leaving = true;
  location.assign(ownPath(path) ?? "/account");
}

/** A refusal by the server (its `code`), or one of our own making. */
class Refusal extends Error {
  constructor(code, body = {}) {
    super(code);
    Object.assign(this, { code, body });
  }
}

async function api(method, path, body, anonymous, more) {
  const headers = { Accept: "application/json", ...more };
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers["X-CSRF-Token"] = token;
  let answer, json;
  try {
    answer = await fetch(path, {
      method, headers,
      body: body && JSON.stringify(body),
      credentials: anonymous ? "omit" : "same-origin",
      redirect: "error",
      signal: AbortSignal.timeout?.(15000),
    });
    json = await answer.json().catch(() => null);
  } catch {
    throw new Refusal(navigator.onLine === false ? "offline" : "unavailable");
  }
  if (answer.ok) return json;
  const wait = Number(answer.headers.get("Retry-After")) || 0;
  throw new Refusal(json?.code ?? (answer.status < 500 ? "invalid_request" : "unavailable"), {
    wait, status: answer.status, ...json, requestId: answer.headers.get("X-Request-Id"),
  });
}

// ---- WebAuthn in JSON, also for browsers and extensions without the helpers

function parse(kind, json) {
  const native = kind === "get" ? Key.parseRequestOptionsFromJSON : Key.parseCreationOptionsFromJSON;
  if (native) return native.call(Key, json);
  const options = { ...json, challenge: bytes(json.challenge) };
  if (json.user) options.user = { ...json.user, id: bytes(json.user.id) };
  for (const name of ["allowCredentials", "excludeCredentials"])
    if (json[name]) options[name] = json[name].map((item) => ({ ...item, id: bytes(item.id) }));
  return options;
}

function plain(credential) {
  try {
    return credential.toJSON();
  } catch {
    const from = credential.response;
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
      if (from[name]?.byteLength) response[name] = text64(from[name]);
    if (from.attestationObject) response.transports = from.getTransports?.() ?? [];
    return {
      id: credential.id, rawId: text64(credential.rawId), type: credential.type, response,
      authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
      clientExtensionResults: credential.getClientExtensionResults?.() ?? {},
    };
  }
}

async function capabilities() {
  if (!Key) return {};
  const told = (await Key.getClientCapabilities?.().catch(() => null)) ?? {};
  const conditional = told.conditionalGet ?? (await Key.isConditionalMediationAvailable?.().catch(() => false));
  return { conditional, immediate: told.immediateGet };
}

// ---- One pending request

async function preempt() {
  if (!pending) return;
  pending.ours = true;
  pending.controller.abort(); // without a reason: a string would be thrown bare
  await Promise.race([pending.settled, pause(500)]);
}

/** Opens the browser's prompt, unless the turn is over. Errors carry `ours` (we aborted), `who`, `fast` (nothing can have been shown). */
async function prompt(turn, kind, json, extra = {}) {
  if (turn !== gen) throw { ours: true };
  const mine = { controller: new AbortController(), ours: false };
  const began = performance.now();
  asked = kind;
  let credential;
  try {
    const promise = navigator.credentials[kind]({ ...extra, publicKey: parse(kind, json), signal: mine.controller.signal });
    mine.settled = promise.then(() => {}, () => {});
    pending = mine;
    credential = await promise;
    if (!credential) throw new DOMException("", "NotAllowedError");
  } catch (error) {
    const fast = performance.now() - began < 800 && !extra.uiMode;
    throw { name: error?.name ?? "UnknownError", ours: mine.ours, who: kind, fast };
  } finally {
    if (pending === mine) pending = null;
  }
  if (turn === gen) return credential;
  // The user was already told that it was cancelled, so a late result is discarded, and no orphaned passkey stays.
  if (kind === "create") signalUnknown({ rpId: json.rp.id, credentialId: credential.id });
  throw { ours: true };
}

// ---- Signals to the passkey manager: fire and forget, never in the way

const canSignal = (name) => typeof Key?.[name] === "function";

async function signal(list = []) {
  const calls = [];
  const tell = (name, data) => canSignal(name) && calls.push(Promise.resolve().then(() => Key[name](data)).catch(() => {}));
  for (const { rpId, userId, allAcceptedCredentialIds, name, displayName } of list) {
    if (allAcceptedCredentialIds) tell("signalAllAcceptedCredentials", { rpId, userId, allAcceptedCredentialIds });
    if (name !== undefined) tell("signalCurrentUserDetails", { rpId, userId, name, displayName: displayName ?? name });
  }
  await Promise.race([Promise.all(calls), pause(300)]);
}

const signalUnknown = (data) =>
  data && canSignal("signalUnknownCredential") && Key.signalUnknownCredential(data).catch(() => {});

// ---- What to say (the rows of the table of situations)

const BY_NAME = {
  InvalidStateError: "haveOne", SecurityError: "address", ConstraintError: "keyPin", NotSupportedError: "keyOld",
  OperationError: "otherPrompt",
};
const BY_CODE = {
  offline: "offline", unsupported: "noPasskeys", busy: "busy", passkey_unknown: "unknown", no_passkey_yet: "noneYet",
  ceremony_expired_or_used: "expired", wrong_origin: "address", verification_failed: "failed",
  user_verification_missing: "unlock", sign_in_refused: "denied", sign_in_denied: "denied", credential_exists: "inUse",
  too_many_passkeys: "tooMany", last_sign_in_method: "lastWay", rate_limited: "limited", unavailable: "unavailable",
  internal: "unavailable",
  csrf: "stale", not_signed_in: "signedOut", running: "otherPrompt", not_found: "stale",
};
const BY_REASON = { account_disabled: "turnedOff", passkey_paused: "paused", no_group: "noGroup" };
const BY_FIELD = { email: "badEmail", name: "badName" };
const FIELDS = { badEmail: "[type=email]", badName: "[name=name]" };
const ACTIONS = {
  closed: ["newHere", "again", "otherDevice"], notSaved: ["again", "somewhereElse", "notNow"],
  view: ["openBrowser", "copyLink", "otherWay"], haveOne: ["seeList", "somewhereElse"], address: ["goThere", "otherWay"], badEmail: [], badName: [],
  keyOld: ["somewhereElse"], noPasskeys: ["otherWay"], unknown: ["otherWay"], noneYet: ["otherWay"], busy: [],
  turnedOff: ["contact"], paused: ["otherWay"], noGroup: ["contact"], denied: ["contact"], inUse: ["createAnother"], tooMany: ["seeList"], lastWay: ["seeList"], limited: ["otherWay"],
  stale: ["reload"], signedOut: ["signIn"], unlock: ["again"], expired: ["again"], otherPrompt: ["again"],
};
const NEUTRAL = ["closed", "notSaved", "haveOne", "expired", "busy", "otherPrompt", "noneYet"];

function rowOf(error) {
  if (error instanceof Refusal)
    return BY_FIELD[error.body.field] ?? BY_REASON[error.body.reason] ?? BY_CODE[error.code] ?? "device";
  if (error.name === "NotAllowedError" && error.fast && error.who === "get") return "view";
  if (error.name === "NotAllowedError" || error.name === "AbortError") return error.who === "create" ? "notSaved" : "closed";
  return BY_NAME[error.name] ?? "device";
}

function wordsOf(row, error) {
  if (row === "limited") {
    const minutes = Math.ceil((error.body.wait || error.body.retryAfter || 0) / 60);
    const form = new Intl.PluralRules(boot.lang).select(minutes);
    return minutes ? (w.limitedText[form] ?? w.limitedText.other).replace("{n}", minutes) : w.limitedSoon;
  }
  if (row === "denied" && error.body.message) return error.body.message;
  let text = w[row + "Text"];
  if (row === "notSaved" && ++lostCreations > 1 && matchMedia("(pointer: coarse)").matches) text += ` ${w.notSavedPhone}`;
  if (row === "device") text += ` ${w.code}: ${error.body?.requestId ?? error.code ?? error.name}`;
  return text;
}

/** What each action does here, or nothing where it makes no sense. */
function doing(action, goTo) {
  const other = byId("other");
  switch (action) {
    case "again":
    case "createAnother": return again;
    case "newHere": return byId("new") ? openNew : byId("dev")?.elements.create && devCreate;
    case "otherDevice":
      if (caps.immediate && running?.form?.dataset.ceremony) return () => press(running.form, { plain: true, button: running.button });
      // falls through
    case "otherWay": return other && !other.hidden && (() => { other.open = true; other.querySelector("summary").focus(); });
    case "somewhereElse": return asked === "create" && !boot.hereOnly && elsewhere;
    case "notNow": return empty;
    case "copyLink": return () => copy(location.href);
    case "openBrowser": return location.href;
    case "seeList": return "/account/passkeys";
    case "signIn": return "/";
    case "contact": return boot.contact;
    case "reload": return () => location.reload();
    case "goThere": return goTo;
  }
}

// Empties the box. If it had the focus, the focus returns to the pressed button.
function empty() {
  if (problem?.contains(document.activeElement)) running?.button?.focus();
  problem?.replaceChildren();
}

function show(row, error, goTo) {
  if (!problem) return;
  empty();
  const actions = el("div", "", "actions");
  for (const action of ACTIONS[row] ?? ["again", "otherWay"]) {
    const does = doing(action, goTo);
    if (!does) continue;
    const node = el(typeof does === "string" ? "a" : "button", w[action], "btn");
    if (typeof does === "string") node.href = does;
    else node.addEventListener("click", does);
    if (node.type) node.type = "button";
    actions.append(node);
  }
  problem.className = NEUTRAL.includes(row) ? "problem" : "problem fault";
  problem.append(el("h2", w[row + "Title"]), el("p", wordsOf(row, error)), ...(actions.children.length ? [actions] : []));
}

/** The right address, from the refusal or else from our own server; only a web address is ever made a link, and none to here. */
async function rightAddress({ body }) {
  const right = body?.allowed ?? [(await api("GET", API + "relying-party").catch(() => null))?.goTo];
  return right.includes(location.origin) ? undefined : right.find((one) => /^https?:/.test(one));
}

function explain(error) {
  const row = rowOf(error);
  if (error.code === "passkey_unknown") signalUnknown(error.body.signalUnknown);
  show(row, error);
  const shown = problem?.firstChild;
  if (row === "address") rightAddress(error).then((goTo) => goTo && shown === problem.firstChild && show(row, error, goTo));
  const input = FIELDS[row] && running.form.querySelector(FIELDS[row]);
  if (input) mark(input, wordsOf(row, error));
  if (row === "noPasskeys" || row === "view") byId("other")?.setAttribute("open", "");
}

// Shows at a field what is wrong with it, as the server's pages do.
function mark(input, words) {
  const note = el("p", words, "err");
  note.prepend(el("span", w.errorPrefix, "vh"));
  note.id = input.id + "-err";
  input.before(note);
  input.ariaInvalid = "true";
  input.setAttribute("aria-describedby", `${input.id}-hint ${note.id}`);
  document.title = w.errorPrefix + document.title;
  input.focus();
}

// Removes that message, whether the module or the server put it there.
function unmark(input) {
  byId(input.id + "-err")?.remove();
  input.ariaInvalid = null;
  input.setAttribute("aria-describedby", input.id + "-hint");
  document.title = document.title.replace(w.errorPrefix, "");
}

// ---- Ceremonies

/** Step-up inside another action: the same person proves it is them, then the action is repeated once. */
async function stepUp(mine) {
  say(w.confirmFirst);
  const options = await api("POST", API + "authentication/options", { purpose: "step-up" });
  let credential;
  try {
    credential = await prompt(mine, "get", options.publicKey);
  } catch (error) {
    // A browser that requires a click refuses at once: confirm on a separate page.
    if (error.name !== "NotAllowedError" || !error.fast) throw error;
    leave("/confirm?next=" + encodeURIComponent(location.pathname));
    throw { ours: true };
  }
  await api("POST", API + "authentication/verify", { ceremonyId: options.ceremonyId, credential: plain(credential) });
}

async function get(mine, { email, result, purpose, plainly }) {
  const anonymous = result && result.kind !== "session";
  const options = await api("POST", API + "authentication/options", { email, purpose, result }, anonymous);
  if (mine !== gen) return;
  // The immediate mode answers at once if this device has no passkey, without offering a phone. It requires a user
  // gesture.
  const immediate = caps.immediate && navigator.userActivation?.isActive && !email && !plainly && !purpose && !options.publicKey.allowCredentials?.length;
  const credential = await prompt(mine, "get", options.publicKey, immediate ? { uiMode: "immediate" } : {});
  return finish(mine, "authentication", options, credential, anonymous);
}

async function create(mine, request, retried) {
  const anonymous = request.result && request.result.kind !== "session";
  let options;
  try {
    options = await api("POST", API + "registration/options", request, anonymous);
  } catch (error) {
    if (error.code !== "reauthentication_required" || retried || mine !== gen) throw error;
    await stepUp(mine);
    return mine === gen ? create(mine, request, true) : undefined;
  }
  if (mine !== gen) return;
  say(w.waiting);
  const credential = await prompt(mine, "create", options.publicKey);
  lostCreations = 0;
  try {
    return await finish(mine, "registration", options, credential, anonymous);
  } catch (error) {
    const answer = await recover(error, request, options, credential);
    if (answer) return answer;
    throw error;
  }
}

// The server did not confirm a new passkey. If it refused, no orphaned passkey may stay. If the outcome is unknown, ask
// the server first, unless the result is for an app.
async function recover(error, request, options, credential) {
  const unsure = ["offline", "unavailable", "internal", "rate_limited", "busy"].includes(error.code);
  if (!unsure && error.code !== "credential_exists")
    await Promise.race([signalUnknown({ rpId: options.publicKey.rp.id, credentialId: credential.id }), pause(300)]);
  if (!unsure || request.result) return null;
  if (request.purpose === "add") {
    const list = await api("GET", "/v1/passkeys").catch(() => null);
    const found = (list?.passkeys ?? []).find((passkey) => passkey.credentialId === credential.id);
    return found && { kind: "passkey", passkey: found };
  }
  const me = await api("GET", "/v1/session").catch(() => null);
  return me?.session ? { kind: "session", next: "/account?done=welcome" } : null;
}

async function finish(mine, what, options, credential, anonymous) {
  say(w.checking);
  label(what === "registration" ? w.saving : w.checking);
  const body = { ceremonyId: options.ceremonyId, credential: plain(credential) };
  if (boot.page === "developer") devSent(options, body);
  const answer = await api("POST", API + what + "/verify", body, anonymous);
  return mine === gen ? answer : undefined;
}

/** What follows a success: show it (developers), or report to the passkey manager and go on. */
async function succeed(answer) {
  if (boot.page === "developer") {
    say(w.done);
    devShow(answer);
    return signal(answer.signals);
  }
  say(w.welcome);
  leaving = true;
  await signal(answer.signals);
  if (answer.kind === "passkey") leave("/account/passkeys?done=passkey-added");
  else leave(boot.next ?? answer.next);
}

// ---- Pressing

function label(text) {
  const node = running?.button?.querySelector(".label");
  if (!node) return;
  node.dataset.rest ??= node.textContent;
  node.textContent = text;
}

function busy(form, button) {
  running = { form, button };
  button?.setAttribute("aria-disabled", "true");
  label(w.waiting);
  say(w.waiting);
  empty();
  for (const input of document.querySelectorAll("[aria-invalid]")) unmark(input);
  if (stop) stop.hidden = false;
}

function release() {
  if (stop) stop.hidden = true;
  const node = running?.button?.querySelector(".label");
  if (node?.dataset.rest) node.textContent = node.dataset.rest;
  running?.button?.removeAttribute("aria-disabled");
  if (!leaving && ![w.done, w.cancelled].includes(status?.textContent)) say("");
}

// Takes the lock, runs `work`, explains failures, releases the lock and re-arms autofill. `work` is told whether a
// passkey is to be saved somewhere else.
async function exclusive(form, button, work, repeat = () => exclusive(form, button, work)) {
  if (lock) {
    if (button === running.button) return;
    const kept = again;
    again = repeat;
    show("otherPrompt", new Refusal("running"));
    again = kept;
    return;
  }
  again = repeat;
  elsewhere = () => exclusive(form, button, (mine) => work(mine, true));
  const mine = (lock = ++gen);
  busy(form, button);
  try {
    if (!Key || !isSecureContext) throw new Refusal("unsupported");
    await preempt();
    const answer = await work(mine);
    if (answer && mine === gen) await succeed(answer);
  } catch (error) {
    if (mine === gen && !error.ours) explain(error);
  } finally {
    if (mine === lock) {
      lock = 0;
      release();
      if (!leaving) arm();
    }
  }
}

function press(form, { plain: plainly = "plain" in form.dataset, button = form.querySelector("button[type=submit]") } = {}) {
  return exclusive(form, button, (mine, away) => {
    const data = new FormData(form);
    const typed = (name) => data.get(name)?.trim() || undefined;
    const kind = form.dataset.ceremony;
    const key = button?.value === "security-key";
    const where = { attachment: away || key ? "cross-platform" : undefined, hints: key ? ["security-key"] : undefined };
    if (kind === "create") return create(mine, { purpose: "sign-up", name: typed("name"), email: typed("email"), ...where });
    if (kind === "add") return create(mine, { purpose: "add", ...where });
    if (kind === "step-up") return get(mine, { purpose: "step-up" });
    if (boot.page === "developer") {
      const result = devResult(data, typed);
      return button?.name === "create" ? create(mine, { purpose: "sign-up", result, ...where }) : get(mine, { result, plainly });
    }
    if (form.id === "em" && !typed("username")) throw new Refusal("invalid_request", { field: "email" });
    return get(mine, { email: typed("username"), plainly });
  });
}

function openNew() {
  const section = byId("new");
  section.hidden = false;
  const email = byId("new-email");
  if (email && !email.value) email.value = field?.value ?? "";
  empty();
  byId("new-title").focus();
  section.scrollIntoView({ block: "nearest" });
}

// ---- Autofill

/** Waits for a pick in the e-mail field. Silent: whatever fails, the button still works. */
async function arm(inlined) {
  clearTimeout(timer);
  if (boot.page !== "signIn" || !field || field.matches(":disabled") || !caps.conditional || lostPicks > 2 || lock || leaving) return;
  const mine = ++gen;
  let options = inlined;
  let picked;
  try {
    await preempt();
    options ??= await api("POST", API + "authentication/options", {});
    if (mine !== gen) return;
    armedAt = Date.now();
    armedFor = options.expiresIn * 800;
    timer = setTimeout(refresh, armedFor);
    picked = await prompt(mine, "get", options.publicKey, { mediation: "conditional" });
  } catch {
    return;
  }
  if (mine !== gen || lock) return;
  clearTimeout(timer);
  const form = byId("pk");
  const button = form.querySelector("button");
  lostPicks++;
  const pick = async (now) => {
    try {
      return await finish(now, "authentication", options, picked);
    } catch (error) {
      if (error.code !== "ceremony_expired_or_used" || now !== gen) throw error;
      return onceMore(now, picked.id);
    }
  };
  await exclusive(form, button, pick, () => press(form, { button }));
}

/** The challenge had run out under the open list: ask once for the same passkey with a fresh one. */
async function onceMore(mine, id) {
  say(w.onceMore);
  const options = await api("POST", API + "authentication/options", {});
  if (mine !== gen) return;
  const credential = await prompt(mine, "get", { ...options.publicKey, allowCredentials: [{ type: "public-key", id }] });
  if (mine === gen) return finish(mine, "authentication", options, credential);
}

/** New options at 80 % of the challenge's life, but never under an open list and never for a hidden page. */
function refresh() {
  if (!armedAt || Date.now() - armedAt < armedFor || document.hidden || document.activeElement === field) return;
  arm();
}

// ---- The developer panel

const jsonText = (value) => JSON.stringify(value, null, 2);

function devResult(data, typed) {
  const kind = data.get("kind");
  const clientId = byId("dev").dataset.client;
  if (kind === "tokens") return { kind, clientId, scope: typed("scope") };
  if (kind === "bridge") return { kind, clientId, bridge: data.get("bridge") };
  return { kind: "session" };
}

const devCreate = () => press(byId("dev"), { button: byId("dev").elements.create });

function devSent(options, body) {
  byId("answer-options").textContent = jsonText(options);
  byId("answer-sent").textContent = jsonText(body);
}

function devShow(answer) {
  byId("answer-empty").hidden = true;
  byId("answer-box").hidden = false;
  byId("answer").textContent = jsonText(answer);
  byId("answer-title").scrollIntoView({ block: "nearest" });
  const decoded = byId("decoded");
  decoded.replaceChildren();
  for (const name of ["accessToken", "idToken", "refreshToken", "token"]) {
    if (!answer[name]) continue;
    decoded.append(el("h4", name));
    try {
      const parts = answer[name].split(".").slice(0, 2).map((part) => JSON.parse(new TextDecoder().decode(bytes(part))));
      [w.devHeader, w.devPayload].forEach((title, i) => decoded.append(el("p", title, "hint"), el("pre", jsonText(parts[i]))));
    } catch {
      decoded.append(el("p", w.devOpaque, "hint"));
    }
  }
  byId("decoded-box").hidden = !decoded.children.length;
  for (const pre of decoded.querySelectorAll("pre")) Object.assign(pre, { dir: "ltr", tabIndex: 0 });
}

async function copy(text, button) {
  const rest = button?.textContent;
  try {
    await navigator.clipboard.writeText(text);
    say(w.copied);
    if (!button) return;
    button.textContent = w.copied;
    setTimeout(() => (button.textContent = rest), 2000);
  } catch {
    say(w.copyFailed);
  }
}

// ---- Boot

function wire() {
  for (const form of document.querySelectorAll("form[data-ceremony]"))
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      press(form, { button: event.submitter ?? undefined });
    });
  // What was sent is not sent again: the second answer would say that there is nothing left to do.
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    if (event.target.querySelector("[aria-disabled]")) event.preventDefault();
    else event.submitter?.setAttribute("aria-disabled", "true");
  });
  stop?.addEventListener("click", () => {
    gen++;
    say(w.cancelled);
    empty();
    // The next action waits by itself until the open request has ended.
    preempt();
    lock = 0;
    release();
    running?.button?.focus();
    arm();
  });
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", () => copy(byId(button.dataset.copy).textContent, button));
  }
  for (const button of document.querySelectorAll("[data-close]"))
    button.addEventListener("click", () => {
      byId(button.dataset.close).hidden = true;
      byId("pk")?.querySelector("button").focus();
    });
  field?.addEventListener("blur", () => setTimeout(refresh, 200));
  document.addEventListener("visibilitychange", refresh);
  addEventListener("pagehide", () => {
    gen++;
    preempt();
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    leaving = false;
    lock = 0;
    release();
    for (const button of document.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
    arm();
  });
}

async function start() {
  wire();
  document.querySelector("[data-focus]")?.focus();
  document.querySelector("[data-submit]")?.submit();
  if (document.querySelector("[data-signed-out]")) navigator.credentials?.preventSilentAccess?.().catch(() => {});
  if (canSignal("signalAllAcceptedCredentials")) for (const node of document.querySelectorAll("[data-without-signals]")) node.hidden = true;
  if (boot.page !== "plain" && boot.page !== "passkeys" && problem && (!Key || !isSecureContext)) {
    for (const node of document.querySelectorAll("#pk, .or, #em, #other")) node.hidden = !node.querySelector(".ways");
    show("noPasskeys");
  }
  signal(boot.signals);
  caps = await capabilities();
  arm(boot.armed);
}

start();

export { API, api, byId, exclusive, finish, prompt, recover, signal };
