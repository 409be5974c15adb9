// Services that cannot run here, checked with their own server libraries: LiveKit and Stream.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { decodeJwt } from "jose";
import { TokenVerifier } from "livekit-server-sdk";
import { StreamChat } from "stream-chat";

import { check } from "../harness.mjs";

export async function libraries({ user, mint, kept, call }) {
  await check("livekit: its TokenVerifier takes the token, for the one room", async () => {
    const token = await mint("livekit", { room: "blue" });
    const claims = await new TokenVerifier("APIlive", kept.secrets.livekit).verify(token);
    assert.equal(claims.sub, user);
    assert.equal(claims.video.room, "blue");
    assert.equal(claims.video.roomAdmin, undefined);
    await assert.rejects(new TokenVerifier("APIother", kept.secrets.livekit).verify(token), "another API key");
    await assert.rejects(new TokenVerifier("APIlive", "x".repeat(48)).verify(token), "another secret");
  });

  await check("livekit: no token without a room, nor with one that is no name", async () => {
    for (const inputs of [undefined, {}, { room: "*" }, { room: "a b" }]) {
      assert.equal((await call("livekit", inputs)).status, 400, JSON.stringify(inputs));
    }
  });

  await check("stream: the token is its own library's, beside what every token of ours says", async () => {
    const client = new StreamChat("key", kept.secrets.stream);
    const ours = await mint("stream");
    const claims = decodeJwt(ours);
    const theirs = decodeJwt(client.createToken(user, claims.exp, claims.iat));
    for (const [name, value] of Object.entries(theirs)) assert.deepEqual(claims[name], value, name);
    assert.equal(claims.server, undefined);
    // What Stream's servers check: the token is signed with the shared secret, and with no other.
    const [head, body, signature] = ours.split(".");
    const signed = (secret) => createHmac("sha256", secret).update(`${head}.${body}`).digest("base64url");
    assert.equal(signature, signed(kept.secrets.stream));
    assert.notEqual(signature, signed("x".repeat(48)));
  });
}
