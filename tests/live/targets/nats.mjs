// NATS in operator mode: the user JWT lets a person use their own subjects and no others.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createUser } from "@nats-io/nkeys";
import { connect, jwtAuthenticator } from "@nats-io/transport-node";

import { check } from "../harness.mjs";
import { find, freePort, start, work } from "../program.mjs";

export async function nats({ user, mint, expired, kept }) {
  const port = await check("nats: a server of its own starts", () => boot(kept.nats));
  if (!port) return;
  const open = (token, seed) => connect({
    servers: `127.0.0.1:${port}`, authenticator: jwtAuthenticator(token, seed), inboxPrefix: `_INBOX_${user}`, reconnect: false, timeout: 10_000,
  });
  const late = expired("nats-brief");

  await check("nats: a person publishes, subscribes and asks under the own subjects", async () => {
    const connection = await open(await mint("nats"));
    const subscription = connection.subscribe(`usr.${user}.echo`, { callback: (_, message) => message.respond(message.data) });
    const answer = await connection.request(`usr.${user}.echo`, "hi", { timeout: 5_000 });
    assert.equal(answer.string(), "hi");
    subscription.unsubscribe();
    await connection.close();
  });

  await check("nats: another's subjects are refused, to read and to write", async () => {
    const connection = await open(await mint("nats"));
    for (const subject of ["usr.somebody-else.echo", "usr.>", ">", "_INBOX.>", "$SYS.>"]) {
      const refused = new Promise((resolve) => connection.subscribe(subject, { callback: (error) => resolve(error) }));
      assert.match(`${await refused}`, /permissions violation/i, subject);
    }
    const refused = (async () => { for await (const status of connection.status()) if (status.type === "error") return status.error; })();
    connection.publish("usr.somebody-else.echo", "hi");
    assert.match(`${await refused}`, /permissions violation.*publish/i);
    await connection.close();
  });

  await check("nats: for a key of the caller's own, the token alone lets nobody in", async () => {
    const [own, other] = [createUser(), createUser()];
    const token = await mint("nats-own-key", { user_nkey: own.getPublicKey() });
    const connection = await open(token, own.getSeed());
    await connection.close();
    await assert.rejects(open(token), "without the key");
    await assert.rejects(open(token, other.getSeed()), "with another");
  });

  await check("nats: a token of another account, a plain JWT and a broken token are refused", async () => {
    const good = await mint("nats");
    for (const token of [await mint("nats-stranger"), await mint("proxy"), `${good.slice(0, -4)}AAAA`]) {
      await assert.rejects(open(token), token);
    }
  });

  await check("nats: an expired token is refused", async () => {
    await assert.rejects(open(await late));
  });
}

async function boot({ operator, account, accountKey }) {
  const port = await freePort();
  const file = join(work, "nats.conf");
  writeFileSync(file, `operator: ${operator}\nresolver: MEMORY\nresolver_preload: { ${accountKey}: ${account} }\n`);
  await start("nats", [find("nats-server", "install the package nats-server"), "-c", file, "-a", "127.0.0.1", "-p", `${port}`], {}, port);
  return port;
}
