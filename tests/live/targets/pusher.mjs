// Pusher Channels: pusher-js asks Passmint, whose answers equal what Pusher's own server library computes.
import assert from "node:assert/strict";
import PusherServer from "pusher";
import Pusher from "pusher-js";
import { WebSocketServer } from "ws";

import { check } from "../harness.mjs";

const KEY = "live-app-key";

export async function pusher({ origin, user, kept, tokens }) {
  const { accessToken } = await tokens("openid bridge:pusher");
  const authorization = { authorization: `Bearer ${accessToken}` };
  const theirs = new PusherServer({ appId: "1", key: KEY, secret: kept.secrets.pusher, cluster: "eu" });
  const ask = async (path, form, headers = authorization) => {
    const response = await fetch(`${origin}/v1/bridges/pusher/pusher/${path}`, { method: "POST", headers, body: new URLSearchParams(form) });
    return { status: response.status, body: await response.json() };
  };

  await check("pusher: the signatures are its own library's", async () => {
    const channel = `private-user-${user}`;
    assert.deepEqual((await ask("auth", { socket_id: "12.34", channel_name: channel })).body, theirs.authorizeChannel("12.34", channel));
    const presence = (await ask("auth", { socket_id: "12.34", channel_name: "presence-lobby" })).body;
    const member = JSON.parse(presence.channel_data);
    assert.equal(member.user_id, user);
    assert.deepEqual(presence, theirs.authorizeChannel("12.34", "presence-lobby", member));
    const signedIn = (await ask("user-auth", { socket_id: "12.34" })).body;
    assert.deepEqual(signedIn, theirs.authenticateUser("12.34", JSON.parse(signedIn.user_data)));
  });

  await check("pusher: no signature for another's channel, without a token, or for a socket that is none", async () => {
    for (const [status, form, headers] of [
      [403, { socket_id: "12.34", channel_name: "private-user-somebody-else" }],
      [403, { socket_id: "12.34", channel_name: `private-user-${user}x` }],
      [400, { socket_id: "12.34:private-x", channel_name: `private-user-${user}` }],
      [400, { socket_id: "12.34", channel_name: `private-encrypted-user-${user}` }],
      [401, { socket_id: "12.34", channel_name: `private-user-${user}` }, {}],
    ]) {
      assert.equal((await ask("auth", form, headers)).status, status, JSON.stringify(form));
    }
  });

  await check("pusher: pusher-js signs in, and subscribes to the own channels and no others", async () => {
    const server = await serve(theirs);
    const endpoint = (path) => ({ endpoint: `${origin}/v1/bridges/pusher/pusher/${path}`, transport: "ajax", headersProvider: () => authorization });
    const client = new Pusher(KEY, {
      cluster: "eu", wsHost: "127.0.0.1", wsPort: server.address().port, forceTLS: false, enabledTransports: ["ws"], disableStats: true,
      channelAuthorization: endpoint("auth"), userAuthentication: endpoint("user-auth"),
    });
    try {
      const signedIn = new Promise((resolve) => client.bind("pusher:signin_success", ({ user_data: data }) => resolve(JSON.parse(data))));
      client.signin();
      assert.equal((await signedIn).id, user);
      const outcome = (name) => new Promise((resolve) => {
        const channel = client.subscribe(name);
        channel.bind("pusher:subscription_succeeded", () => resolve("subscribed"));
        channel.bind("pusher:subscription_error", ({ status }) => resolve(status));
      });
      assert.equal(await outcome(`private-user-${user}-inbox`), "subscribed");
      assert.equal(await outcome("presence-lobby"), "subscribed");
      assert.equal(client.channel("presence-lobby").members.me.id, user);
      assert.equal(await outcome("private-user-somebody-else"), 403);
    } finally {
      client.disconnect();
      server.close();
    }
  });
}

/**
 * Starts a server that speaks Pusher's protocol as far as subscribing; it accepts what Pusher's own library would have
 * signed.
 */
function serve(theirs) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("connection", (socket) => {
    const id = `${Math.floor(Math.random() * 1e9)}.${Math.floor(Math.random() * 1e9)}`;
    const say = (event, data, channel) => socket.send(JSON.stringify({ event, channel, data: JSON.stringify(data) }));
    const judge = (good, wanted) => wanted.auth === good.auth;
    say("pusher:connection_established", { socket_id: id, activity_timeout: 120 });
    socket.on("message", (text) => {
      const { event, data } = JSON.parse(text);
      if (event === "pusher:subscribe") {
        // The signed-in user's own channel needs no signature.
        if (data.channel.startsWith("#server-to-user-")) return say("pusher_internal:subscription_succeeded", {}, data.channel);
        const member = data.channel_data && JSON.parse(data.channel_data);
        if (!judge(theirs.authorizeChannel(id, data.channel, member), data)) return say("pusher:error", { code: 4009, message: "Invalid signature" });
        const presence = member && { presence: { count: 1, ids: [member.user_id], hash: { [member.user_id]: member.user_info } } };
        say("pusher_internal:subscription_succeeded", presence ?? {}, data.channel);
      } else if (event === "pusher:signin") {
        if (!judge(theirs.authenticateUser(id, JSON.parse(data.user_data)), data)) return say("pusher:error", { code: 4009, message: "Invalid signature" });
        say("pusher:signin_success", { user_data: data.user_data });
      }
    });
  });
  return new Promise((resolve) => server.on("listening", () => resolve(server)));
}
