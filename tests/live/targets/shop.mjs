// The script of docs/recipes/your-own-backend.md: a backend decides who enters which LiveKit room.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { TokenVerifier } from "livekit-server-sdk";

import { check } from "../harness.mjs";

const guide = readFileSync(new URL("../../../docs/recipes/your-own-backend.md", import.meta.url), "utf8");

/** Loads the guide's script, for this server. */
async function script(origin, given) {
  const [, code] = guide.match(/```js\n(\/\/ custom-token\.mjs\n.*?)```/s);
  assert.ok(code.includes("\"https://id.example.com\""), "the script names the server");
  // The script reads its settings from the environment while it is loaded.
  Object.assign(process.env, given);
  return import(`data:text/javascript,${encodeURIComponent(code.replace("https://id.example.com", origin))}`);
}

export async function shop({ origin, kept }) {
  const { createCustomToken } = await script(origin, kept.shop);
  const verifier = new TokenVerifier("APIlive", kept.secrets.livekit);
  const claims = async (uid, inputs) => verifier.verify((await createCustomToken(uid, "livekit", inputs)).access_token);

  await check("guide: a backend's script gets LiveKit's token for its user and the room it names", async () => {
    const first = await claims("4711", { room: "blue" });
    assert.equal(first.video.room, "blue");
    assert.ok(first.exp - first.iat <= 60, "no longer than the backend's own JWT");
    assert.equal((await claims("4711", { room: "red" })).sub, first.sub, "the same person");
    assert.notEqual((await claims("4712", { room: "blue" })).sub, first.sub, "another");
  });

  await check("guide: the script tells what was refused", async () => {
    await assert.rejects(createCustomToken("4711", "livekit", { room: "*" }), (error) =>
      error.code === "invalid_request" && error.message.includes("`room`"));
    await assert.rejects(createCustomToken("4711", "stream"), (error) => error.code === "invalid_request");
  });
}
