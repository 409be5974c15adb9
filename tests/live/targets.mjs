// The bridges' targets: a signed-in person's tokens, issued by the running server and used at the programs they are
// for.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { ceremony, open } from "./browser.mjs";
import { check } from "./harness.mjs";
import { work } from "./program.mjs";
import { backends } from "./targets/backends.mjs";
import { dovecot } from "./targets/dovecot.mjs";
import { ejabberd } from "./targets/ejabberd.mjs";
import { libraries } from "./targets/libraries.mjs";
import { nats } from "./targets/nats.mjs";
import { callout } from "./targets/nats-callout.mjs";
import { postgres } from "./targets/postgres.mjs";
import { pusher } from "./targets/pusher.mjs";
import { proxies } from "./targets/proxies.mjs";
import { rabbitmq } from "./targets/rabbitmq.mjs";
import { shop } from "./targets/shop.mjs";
import { surrealdb } from "./targets/surrealdb.mjs";

export async function targets(origin) {
  const { page, close } = await open(origin);
  const kept = JSON.parse(readFileSync(join(work, "bridges.json"), "utf8"));
  try {
    const signedUp = await ceremony(page, "registration", { name: "Target Test" });
    const user = signedUp.verified.body.user.id;
    const call = (bridge, inputs) => page.evaluate(async ([bridge, inputs]) => {
      const response = await fetch(`/v1/bridges/${bridge}/token`, {
        method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ inputs }),
      });
      return { status: response.status, body: await response.json() };
    }, [bridge, inputs]);
    /** Mints a token for the signed-in person, by the session cookie. */
    const mint = async (bridge, inputs) => {
      const { status, body } = await call(bridge, inputs);
      assert.equal(status, 200, `${bridge}: ${JSON.stringify(body)}`);
      return body.token;
    };
    /** Waits until a token with a lifetime of ten seconds has expired. */
    const expired = async (bridge) => {
      const token = await mint(bridge);
      return new Promise((resolve) => setTimeout(() => resolve(token), 12_000));
    };
    /** Returns the tokens of the quick-start app, from a sign-in of its own. */
    const tokens = async (scope) => {
      const result = await ceremony(page, "authentication", { result: { kind: "tokens", clientId: "quickstart", scope } });
      assert.equal(result.verified?.status, 200, JSON.stringify(result));
      return result.verified.body;
    };
    const context = { origin, user, mint, expired, kept, call, tokens };

    await check("a person in none of the groups that a bridge names gets no token", async () => {
      const { status, body } = await call("for-nobody");
      assert.equal(status, 403, JSON.stringify(body));
    });
    // Each starts its own programs, so they can all wait for expiry at the same time.
    await Promise.all([libraries, postgres, rabbitmq, nats, callout, pusher, backends, proxies, dovecot, ejabberd, surrealdb, shop].map((target) =>
      target(context).catch((error) => check(`the targets of ${target.name}`, () => { throw error; }))));
  } finally {
    await close();
  }
}
