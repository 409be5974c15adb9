// Appwrite and InstantDB, which issue their tokens themselves: Passmint sends the same requests as their own server
// libraries.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { init } from "@instantdb/admin";
import { Client, Users } from "node-appwrite";

import { check } from "../harness.mjs";

const APP = "5a8b2c1d-0c5b-4f0e-9d5a-7c1f3b2a9e40";
const REFRESH = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

/** Listens where the bridges of ./bridges.mjs send their requests, and answers as the two services document. */
export async function backends({ user, call, kept }) {
  const heard = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const body = JSON.parse(text);
    const { pathname } = new URL(request.url, "http://x");
    heard.push({ method: request.method, pathname, headers: request.headers, body });
    const answer = pathname.endsWith("/tokens")
      ? [201, { $id: "t", userId: pathname.split("/")[3], secret: "5".repeat(body.length), expire: "2026-01-01T00:00:00.000+00:00", phrase: "" }]
      : [200, { user: { id: body.id ?? APP, email: body.email ?? null, app_id: APP, refresh_token: REFRESH }, created: true }];
    response.writeHead(answer[0], { "content-type": "application/json" }).end(JSON.stringify(answer[1]));
  });
  await new Promise((resolve) => server.listen(kept.backendsPort, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${kept.backendsPort}`;
  /** Asserts that the two requests are equal, apart from headers that a library adds. */
  const same = (names) => {
    const [ours, theirs] = heard.splice(0).map(({ method, pathname, headers, body }) =>
      ({ method, pathname, body, headers: Object.fromEntries(names.map((name) => [name, headers[name]])) }));
    assert.deepEqual(ours, theirs);
    for (const name of names) assert.ok(ours.headers[name], name);
  };
  try {
    await check("appwrite: the request is its own library's, and the answer's secret is the token", async () => {
      const { status, body } = await call("appwrite");
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual(body, { bridge: "appwrite", token: "5".repeat(64), expiresIn: 300, subject: user });
      const client = new Client().setEndpoint(`${url}/v1`).setProject("my-project").setKey(kept.secrets.backends);
      await new Users(client).createToken({ userId: user, length: 64, expire: 300 });
      same(["x-appwrite-key", "x-appwrite-project", "content-type"]);
    });

    await check("instantdb: the request is its own library's, and the answer's refresh token is the token", async () => {
      const { status, body } = await call("instantdb");
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual(body, { bridge: "instantdb", token: REFRESH, expiresIn: 0, subject: user });
      const token = await init({ appId: APP, adminToken: kept.secrets.backends, apiURI: url }).auth.createToken({ id: user });
      assert.equal(token, body.token);
      same(["authorization", "app-id", "content-type"]);
    });
  } finally {
    server.close();
  }
}
