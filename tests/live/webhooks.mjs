// A receiver of webhooks and of a hook before sign-ins; the Standard Webhooks library verifies both.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

import { check } from "./harness.mjs";

/** Listens, and allows every sign-in. Returns the checks to run after everything else. */
export async function receiver(port, secretFile) {
  const webhook = new Webhook(readFileSync(secretFile, "utf8").trim());
  const taken = [];
  const wrong = [];
  const refuses = (body, headers) => {
    try {
      webhook.verify(body, headers);
      return false;
    } catch {
      return true;
    }
  };

  function take(path, body, headers) {
    const message = webhook.verify(body, headers);
    // Checked while the message is fresh, so that its age is not the reason for a refusal.
    if (!refuses(`${body} `, headers)) wrong.push(`another body passes: ${body}`);
    if (!refuses(body, { ...headers, "webhook-id": `${headers["webhook-id"]}x` })) wrong.push(`another id passes: ${body}`);
    const old = String(Number(headers["webhook-timestamp"]) - 600);
    if (!refuses(body, { ...headers, "webhook-timestamp": old })) wrong.push(`another time passes: ${body}`);
    taken.push({ path, id: headers["webhook-id"], message });
  }

  const server = createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const body = Buffer.concat(parts).toString("utf8");
      try {
        take(request.url, body, request.headers);
      } catch (error) {
        wrong.push(`${error.message}: ${body}`);
      }
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ decision: "allow", claims: { live: true } }));
    });
  });
  await new Promise((ready) => server.listen(port, "127.0.0.1", ready));

  async function arrived(path, type) {
    const deadline = Date.now() + 15_000;
    for (;;) {
      const found = taken.find((one) => one.path === path && one.message.type === type);
      if (found) return found;
      assert.ok(Date.now() < deadline, `no ${type} at ${path}; came: ${taken.map((one) => one.message.type)}`);
      await new Promise((later) => setTimeout(later, 200));
    }
  }

  return async function receives() {
    await check("standardwebhooks verifies the events of signing up and in", async () => {
      const created = await arrived("/events", "user.created");
      await arrived("/events", "session.signed_in");
      assert.match(created.message.data.userId, /^[0-9a-f-]{36}$/);
      const ids = taken.filter((one) => one.path === "/events").map((one) => one.id);
      assert.equal(new Set(ids).size, ids.length, "each event once");
    });
    await check("standardwebhooks verifies what a hook before a sign-in is asked", async () => {
      const asked = await arrived("/hook", "sign_in.before");
      assert.equal(asked.message.data.method, "passkey");
    });
    await check("standardwebhooks refuses each of them with another body, id or time, and none as it came", () => {
      assert.ok(taken.length > 0);
      assert.deepEqual(wrong, []);
    });
    server.close();
  };
}
