// Forward auth by the real nginx and the real Caddy, in front of an app that tells what reached it.
import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { createRemoteJWKSet, jwtVerify } from "jose";

import { ceremony, open } from "./browser.mjs";
import { check } from "./harness.mjs";

/** The app behind the proxies: answers with the path and the headers that it was sent. */
function startApp(port) {
  const server = createServer((asked, answer) => {
    answer.setHeader("content-type", "application/json");
    answer.end(JSON.stringify({ reached: asked.url, headers: asked.headers }));
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

/** Waits until a proxy listens. */
async function listens(port) {
  const connects = () => new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => { socket.destroy(); resolve(true); });
    socket.on("error", () => resolve(false));
  });
  for (const deadline = Date.now() + 20_000; !(await connects());) {
    assert.ok(Date.now() < deadline, `nobody listens on ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A request byte for byte: `fetch` would mend paths, and look the name up. */
function send(origin, path, headers = {}, method = "GET") {
  const { host, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, method, headers: { host, ...headers } }, (answer) => {
      let body = "";
      answer.on("data", (part) => { body += part; });
      answer.on("end", () => {
        let told;
        try { told = JSON.parse(body); } catch { told = {}; }
        resolve({ status: answer.statusCode, headers: answer.headers, told });
      });
    });
    sent.on("error", reject);
    sent.end();
  });
}

const IDENTITY = ["remote-user", "remote-groups", "remote-email", "remote-name"];
/** What a caller might send; with an underscore it is the same header to some apps. */
const EVIL = Object.fromEntries(IDENTITY.flatMap((name) => [[name, "evil"], [name.replace("-", "_"), "evil"]]));

/** The app behind Caddy verifies the signed header itself, by the published keys, whatever the caller wrote there. */
async function signed(origin, issuer, page, subject) {
  const keys = createRemoteJWKSet(new URL(`${issuer}/v1/forward-auth/jwks.json`));
  const options = { issuer, audience: origin, algorithms: ["ES256"], typ: "forward-auth+jwt" };
  const forged = { "x-passmint-assertion": "evil" };

  await check("Caddy: the app verifies the signed header, and never sees the caller's own", async () => {
    await page.goto(`${origin}/x`);
    const cookie = (await page.context().cookies(origin)).map(({ name, value }) => `${name}=${value}`).join("; ");
    const somebody = await send(origin, "/x", { ...forged, cookie });
    assert.equal(somebody.status, 200);
    const { payload } = await jwtVerify(somebody.told.headers["x-passmint-assertion"], keys, options);
    assert.equal(payload.user, subject);
    assert.ok(payload.exp - payload.iat <= 60);
    const nobody = await send(origin, "/public/x", forged);
    assert.equal(nobody.status, 200);
    assert.notEqual(nobody.told.headers["x-passmint-assertion"], "evil");
  });
}

async function behind(name, origin, issuer, page, subject) {
  const cookies = async () =>
    (await page.context().cookies(origin)).map(({ name: key, value }) => `${key}=${value}`).join("; ");
  const seen = async (path) => {
    await page.goto(`${origin}${path}`);
    return JSON.parse(await page.innerText("body"));
  };

  await check(`${name}: a stranger signs in and lands where they wanted to go`, async () => {
    await page.context().clearCookies();
    await page.goto(`${origin}/a/b?c=d%20e`);
    assert.ok(page.url().startsWith(`${issuer}/forward-auth?`), page.url());
    await page.locator("#pk button").first().click();
    await page.waitForURL(`${origin}/a/b?c=d%20e`);
    const { reached, headers } = JSON.parse(await page.innerText("body"));
    assert.equal(reached, "/a/b?c=d%20e");
    assert.equal(headers["remote-user"], subject);
  });

  await check(`${name}: identity headers of the caller never reach the app`, async () => {
    const nobody = await send(origin, "/public/x", EVIL);
    assert.equal(nobody.status, 200);
    for (const header of IDENTITY) assert.ok(!nobody.told.headers[header], `${header}: ${nobody.told.headers[header]}`);
    const somebody = await send(origin, "/x", { ...EVIL, cookie: await cookies() });
    assert.equal(somebody.status, 200);
    assert.equal(somebody.told.headers["remote-user"], subject);
    for (const header of IDENTITY.slice(1, 3)) assert.ok(!somebody.told.headers[header], header);
    for (const { told } of [nobody, somebody]) {
      assert.ok(!Object.values(told.headers).includes("evil"), JSON.stringify(told.headers));
    }
  });

  await check(`${name}: a caller cannot say what is asked about`, async () => {
    const smuggled = {
      "x-original-url": `${origin}/public/x`, "x-original-method": "GET", "x-forwarded-uri": "/public/x",
      "x-forwarded-method": "GET", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https", forwarded: "host=evil.example",
    };
    for (const path of ["/admin", "/admin?mode=nginx", "/admin?uri=/public/x", "/public/../admin", "/public/..%2fadmin", "/%61dmin", "//admin"]) {
      const answer = await send(origin, path, smuggled);
      assert.ok([302, 303, 401, 403].includes(answer.status), `${path}: ${answer.status}`);
      assert.equal(answer.told.reached, undefined, path);
    }
  });

  await check(`${name}: who lacks the group is refused`, async () => {
    const answer = await send(origin, "/admin/x", { cookie: await cookies(), accept: "text/html" });
    assert.equal(answer.status, 403);
    assert.equal(answer.told.reached, undefined);
  });

  await check(`${name}: another method, and a form that was sent`, async () => {
    assert.equal((await send(origin, "/x", { cookie: await cookies() }, "DELETE")).told.reached, "/x");
    const stranger = await send(origin, "/x", { accept: "*/*" }, "POST");
    assert.ok([303, 401].includes(stranger.status), `${stranger.status}`);
    const address = stranger.headers.location ?? stranger.told.signIn;
    assert.equal(address, `${origin}/.passmint/start?rd=%2F&method=POST&path=%2Fx`);
  });

  await check(`${name}: signing out ends it for the app`, async () => {
    const before = await cookies();
    assert.equal((await send(origin, "/x", { cookie: before })).status, 200);
    await seen("/x");
    await page.evaluate(() => { location.href = "/.passmint/sign-out"; });
    await page.waitForURL(`${issuer}/signed-out**`);
    assert.notEqual((await send(origin, "/x", { cookie: before })).status, 200);
    await page.goto(`${origin}/x`);
    assert.ok(page.url().startsWith(`${issuer}/forward-auth?`), page.url());
  });
}

/** Two servers of one nginx, and what a program gets there. */
async function byNginx(origin, open) {
  await check("nginx: the host that answers is the one that is asked about", async () => {
    const elsewhere = await send(open, "/open/x");
    assert.deepEqual([elsewhere.status, elsewhere.told.headers.host], [200, new URL(open).host]);
    // The server is chosen by the first line, whatever the header says.
    const swapped = await send(origin, `${origin}/open/x`, { host: new URL(open).host });
    assert.deepEqual([swapped.status, swapped.told.reached], [303, undefined]);
    const told = await send(origin, `${origin}/public/x`, { host: new URL(open).host });
    assert.deepEqual([told.status, told.told.headers.host], [200, new URL(origin).host]);
  });

  await check("nginx: a token that is not good is told so, and sent nowhere", async () => {
    const answer = await send(open, "/x", { authorization: "Bearer x" });
    assert.deepEqual([answer.status, answer.headers.location, answer.told.reached], [401, undefined, undefined]);
  });
}

export async function forward(issuer, { nginx, caddy, app }) {
  await Promise.all([listens(nginx), listens(caddy)]);
  const server = await startApp(app);
  const { page, close } = await open(issuer);
  // The virtual authenticator would answer the prompt in the e-mail field before anybody presses a button.
  await page.addInitScript(() => { PublicKeyCredential.getClientCapabilities = async () => ({ conditionalGet: false }); });
  try {
    const signedUp = await ceremony(page, "registration", { name: "Live Reader" });
    assert.equal(signedUp.verified?.status, 200, JSON.stringify(signedUp));
    const subject = signedUp.verified.body.user.id;
    await signed(`http://caddy.localhost:${caddy}`, issuer, page, subject);
    await behind("nginx", `http://nginx.localhost:${nginx}`, issuer, page, subject);
    await byNginx(`http://nginx.localhost:${nginx}`, `http://open.localhost:${nginx}`);
    await behind("Caddy", `http://caddy.localhost:${caddy}`, issuer, page, subject);
  } finally {
    await close();
    server.close();
  }
}
