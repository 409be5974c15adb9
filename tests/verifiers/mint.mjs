// Signs a person up with a passkey in a real browser, and writes a token of every bridge to tokens.json:
//
//   {"origin": "https://localhost:…", "user": "<id>", "groups": […], "tokens": {"<bridge>": "<token>", …},
//    "accessToken": "…", "idToken": "…", "otherSide": {"<bridge>": "what its page tells to paste", …}}
//
// A bridge whose name ends in `-brief` is minted first: its token has expired when the verifiers look at it, or soon
// will.
//
// WORK is the folder of the run, ORIGIN the server, PASSMINT its binary.
import { X509Certificate, createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { ceremony, open } from "../live/browser.mjs";
import { pasted } from "../live/pasted.mjs";
import { passmint, work } from "../live/program.mjs";

const { ORIGIN: origin } = process.env;
const config = join(work, "passmint.toml");
// Where each target's page has what goes to the other side.
const places = { kubernetes: "The API server", minio: "The environment of minio", vault: "Vault" };
// Names of the targets' groups in the docs' examples.
const groups = ["k8s-readers", "vault-people", "staff"];

/** Returns the flag that makes Chromium trust this run's certificate, and no other unknown one. */
function trusting() {
  const { publicKey } = new X509Certificate(readFileSync(join(work, "tls.pem")));
  const digest = createHash("sha256").update(publicKey.export({ type: "spki", format: "der" })).digest("base64");
  return `--ignore-certificate-errors-spki-list=${digest}`;
}

/** Returns the body of a successful answer; throws on any other. */
function good({ status, body }, what) {
  if (status !== 200) throw new Error(`${what}: HTTP ${status} ${JSON.stringify(body)}`);
  return body;
}

const names = [...readFileSync(config, "utf8").matchAll(/^\[bridges\.([\w-]+)\]$/gm)].map(([, name]) => name);
const { page, close } = await open(origin, [trusting()]);
try {
  const { user } = good((await ceremony(page, "registration", { name: "Verifier Test" })).verified, "sign-up");
  passmint("users", "set", user.id, ...groups.flatMap((group) => ["--group", group]));
  const mint = (bridge) => page.evaluate(async (bridge) => {
    const response = await fetch(`/v1/bridges/${bridge}/token`, {
      method: "POST", headers: { "content-type": "application/json" }, body: "{}",
    });
    return { status: response.status, body: await response.json() };
  }, bridge);
  const tokens = {};
  const brief = (name) => name.endsWith("-brief");
  for (const name of [...names.filter(brief), ...names.filter((one) => !brief(one))]) {
    tokens[name] = good(await mint(name), name).token;
  }
  const signedIn = await ceremony(page, "authentication", { result: { kind: "tokens", clientId: "quickstart", scope: "openid profile" } });
  const { accessToken, idToken } = good(signedIn.verified, "sign-in");
  const otherSide = {};
  for (const [page, place] of Object.entries(places)) otherSide[page] = pasted(page, place, [["https://id.example.com", origin]]);
  writeFileSync(join(work, "tokens.json"), JSON.stringify({ origin, user: user.id, groups, tokens, accessToken, idToken, otherSide }, null, 1));
} finally {
  await close();
}
