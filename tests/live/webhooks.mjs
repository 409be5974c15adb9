// Webhooks and a hook before sign-ins, as the Standard Webhooks library verifies them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";

import { check } from "./harness.mjs";

/** Starts the receiver, which allows every sign-in. Returns the checks to run after everything else. */
export async function receiver(port, secretFile) {
  const taken = [];
  const wrong = [];
  const thread = new Worker(new URL("receiver.mjs", import.meta.url), { workerData: { port, secretFile } });
  await once(thread, "message");
  thread.on("message", (came) => {
    if (came.message) taken.push(came);
    wrong.push(...came.wrong);
  });

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
    await thread.terminate();
  };
}
