// Forward auth by the real nginx, Caddy and Traefik, in front of an app that reports what reached it.
import assert from "node:assert/strict";
import { createRemoteJWKSet, jwtVerify } from "jose";

import { ceremony, open } from "./browser.mjs";
import { listens, send, startApp } from "./forward-wire.mjs";
import { check } from "./harness.mjs";
import { startTraefik } from "./traefik.mjs";

const IDENTITY = ["remote-user", "remote-groups", "remote-email", "remote-name"];
/**
 * Identity headers that a caller may forge; some apps (CGI, WSGI, PHP) read another character than the dash as the same
 * header.
 */
const EVIL = Object.fromEntries(IDENTITY.flatMap((name) => ["-", "_", ".", "~"].map((dash) => [name.replace("-", dash), "evil"])));

/**
 * Checks that the app behind a proxy can verify the signed header with the published keys, whatever the caller sent in
 * it.
 */
async function signed(proxy, origin, issuer, page, subject) {
  const keys = createRemoteJWKSet(new URL(`${issuer}/v1/forward-auth/jwks.json`));
  const options = { issuer, audience: origin, algorithms: ["ES256"], typ: "forward-auth+jwt" };
  const forged = { "x-passmint-assertion": "evil" };

  await check(`${proxy}: the app verifies the signed header, and never sees the caller's own`, async () => {
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
    const forwarded = {
      "x-forwarded-uri": "/public/x", "x-forwarded-method": "GET", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https",
      forwarded: "host=evil.example",
    };
    const original = { "x-original-url": `${origin}/public/x`, "x-original-method": "GET" };
    // Each set alone as well: behind Caddy and Traefik the first is overwritten and the second always refused; nginx is
    // the reverse.
    const paths = ["/admin", "/admin?mode=nginx", "/admin?uri=/public/x", "/public/../admin", "/public/..%2fadmin", "/%61dmin", "//admin"];
    for (const smuggled of [forwarded, original, { ...forwarded, ...original }]) {
      for (const path of paths) {
        const answer = await send(origin, path, smuggled);
        assert.ok([302, 303, 401, 403].includes(answer.status), `${path}: ${answer.status}`);
        assert.equal(answer.told.reached, undefined, path);
      }
    }
    // The proxies overwrite or empty these headers, so a request that carries them is decided like any other.
    assert.equal((await send(origin, "/public/x", { ...forwarded, "x-forwarded-uri": "/admin" })).told.reached, "/public/x");
  });

  await check(`${name}: who lacks the group is refused, and a reader is told on a page of ours`, async () => {
    const program = await send(origin, "/admin/x", { cookie: await cookies() });
    assert.deepEqual([program.status, program.headers.location, program.told.reached], [403, undefined, undefined]);
    await page.goto(`${origin}/admin/x`);
    assert.equal(page.url(), `${issuer}/forward-auth?refused=${encodeURIComponent(origin)}&rd=%2Fadmin%2Fx`);
    assert.equal(await page.innerText("h1"), "This account cannot open this page");
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

/** Checks two servers of one nginx, and the answer to a program. */
async function byNginx(origin, open) {
  await check("nginx: the host that answers is the one that is asked about", async () => {
    const elsewhere = await send(open, "/open/x");
    assert.deepEqual([elsewhere.status, elsewhere.told.headers.host], [200, new URL(open).host]);
    // nginx chooses the server by the request line, whatever the `Host` header says.
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

export async function forward(issuer, { nginx, caddy, traefik, app }) {
  await Promise.all([listens(nginx), listens(caddy)]);
  const server = await startApp(app);
  const { page, close } = await open(issuer);
  // The virtual authenticator would answer the prompt in the e-mail field before the button is pressed.
  await page.addInitScript(() => { PublicKeyCredential.getClientCapabilities = async () => ({ conditionalGet: false }); });
  try {
    const signedUp = await ceremony(page, "registration", { name: "Live Reader" });
    assert.equal(signedUp.verified?.status, 200, JSON.stringify(signedUp));
    const subject = signedUp.verified.body.user.id;
    const at = (name, port) => `http://${name}.localhost:${port}`;
    const routed = await check("Traefik: starts", () => startTraefik(at("traefik", traefik)));
    await signed("Caddy", at("caddy", caddy), issuer, page, subject);
    if (routed) await signed("Traefik", routed, issuer, page, subject);
    await behind("nginx", at("nginx", nginx), issuer, page, subject);
    await byNginx(at("nginx", nginx), at("open", nginx));
    await behind("Caddy", at("caddy", caddy), issuer, page, subject);
    if (routed) await behind("Traefik", routed, issuer, page, subject);
  } finally {
    await close();
    server.close();
  }
}
