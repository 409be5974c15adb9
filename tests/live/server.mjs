// With a server: SimpleWebAuthn creates and uses a passkey, and independent libraries verify Passmint's answers.
import assert from "node:assert/strict";
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";

import { ceremony, open } from "./browser.mjs";
import { TENANT, adminToken, assertIdToken, signIn, verifyIdToken } from "./firebase.mjs";
import { check } from "./harness.mjs";
import { checkCustomToken } from "./strict.mjs";

const show = (step) => `HTTP ${step?.status}: ${JSON.stringify(step?.body)}`;

/** Asserts that two custom tokens are equal except for their times. */
function assertAlike(ours, theirs) {
  assert.deepEqual(decodeProtectedHeader(ours), decodeProtectedHeader(theirs));
  const [one, other] = [ours, theirs].map(decodeJwt);
  assert.deepEqual({ ...one, iat: typeof one.iat, exp: typeof one.exp }, { ...other, iat: "number", exp: "number" });
  assert.ok(one.exp - one.iat <= other.exp - other.iat, "it lives no longer");
}

/** Asserts that both steps of a ceremony answered 200; returns the verified body. */
function verified(result) {
  assert.equal(result.options.status, 200, `options: ${show(result.options)}`);
  assert.deepEqual(Object.keys(result.options.body).sort(), ["ceremonyId", "expiresIn", "publicKey"]);
  assert.equal(result.verified.status, 200, `verify: ${show(result.verified)}`);
  return result.verified.body;
}

const authentication = (page, result) => ceremony(page, "authentication", { result });

const BRIDGE = { kind: "bridge", clientId: "quickstart", bridge: "firebase" };
const IN_TENANT = { ...BRIDGE, bridge: "firebase-tenant" };
const TOKENS = { kind: "tokens", clientId: "quickstart", scope: "openid profile" };

export async function server(origin, account) {
  const { page, close } = await open(origin);
  try {
    const user = await check("SimpleWebAuthn signs up with a passkey alone", async () => {
      const body = verified(await ceremony(page, "registration", { name: "Live Test" }));
      assert.match(body.user.id, /^[0-9a-f-]{36}$/);
      return body.user;
    });

    const custom = await check("SimpleWebAuthn signs in, and the verify answer is a custom token", async () => {
      const body = verified(await authentication(page, BRIDGE));
      assert.equal(body.kind, "bridge");
      assert.equal(body.user.id, user.id);
      return body.token;
    });

    await check("the custom token keeps every rule of Google's, by the service account's own key", async () => {
      const claims = await checkCustomToken(custom, account);
      assert.equal(claims.uid, user.id);
      assert.deepEqual(claims.claims, { idp_acr: "phr", passkey_uv: true });
    });

    await check("it is the token that firebase-admin makes with the same service account, header and claims", async () => {
      assertAlike(custom, await adminToken(account, user.id, { idp_acr: "phr", passkey_uv: true }));
    });

    const idToken = await check("the Firebase SDK signs in with it, and the claims reach the ID token", async () => {
      const { idToken, claims } = await signIn(custom);
      assertIdToken(claims, user.id);
      assert.equal(claims.idp_acr, "phr");
      assert.equal(claims.passkey_uv, true);
      return idToken;
    });

    await check("verifyIdToken of firebase-admin takes that ID token, and no custom token in its place", async () => {
      const claims = await verifyIdToken(idToken);
      assertIdToken(claims, user.id);
      assert.equal(claims.uid, user.id);
      assert.equal(claims.idp_acr, "phr");
      await assert.rejects(verifyIdToken(custom), (error) => error.code === "auth/argument-error", "a custom token is no ID token");
    });

    await check("a tenant's custom token is firebase-admin's, signs in there, and nowhere else", async () => {
      const { token } = verified(await authentication(page, IN_TENANT));
      assert.equal((await checkCustomToken(token, account)).tenant_id, TENANT);
      assertAlike(token, await adminToken(account, user.id, { idp_acr: "phr" }, TENANT));
      const { idToken: theirs, claims } = await signIn(token, TENANT);
      assertIdToken(claims, user.id);
      assert.equal(claims.firebase.tenant, TENANT);
      assert.equal((await verifyIdToken(theirs, TENANT)).uid, user.id);
      await assert.rejects(verifyIdToken(theirs, "another-tenant"), (error) => error.code === "auth/user-not-found", "nobody there");
      const mismatch = (error) => error.code === "auth/tenant-id-mismatch";
      await assert.rejects(signIn(token, "another-tenant"), mismatch);
      await assert.rejects(signIn(custom, TENANT), mismatch);
    });

    await check("Passmint does not take its own custom token back", async () => {
      const response = await fetch(`${origin}/v1/me`, { headers: { authorization: `Bearer ${custom}` } });
      assert.equal(response.status, 401);
    });

    await check("an answered ceremony cannot be answered again", async () => {
      const done = await authentication(page, BRIDGE);
      verified(done);
      const again = await fetch(`${origin}/v1/passkeys/authentication/verify`, {
        method: "POST", headers: { "content-type": "application/json", origin }, body: JSON.stringify(done.finish),
      });
      assert.equal(again.status, 410);
      assert.equal((await again.json()).code, "ceremony_expired_or_used");
    });

    await check("a bridge that does not exist mints nothing", async () => {
      const result = await authentication(page, { ...BRIDGE, bridge: "nobody" });
      assert.ok(result.options.status >= 400 && result.options.status < 500, show(result.options));
    });

    await check("jose verifies the access token by the published keys alone", async () => {
      const body = verified(await authentication(page, TOKENS));
      assert.equal(body.kind, "tokens");
      const keys = createRemoteJWKSet(new URL(`${origin}/.well-known/jwks.json`));
      const access = await jwtVerify(body.accessToken, keys, { issuer: origin, typ: "at+jwt", requiredClaims: ["exp", "iat", "jti", "aud"] });
      assert.equal(access.payload.sub, user.id);
      assert.equal(access.payload.client_id, "quickstart");
      assert.equal(access.payload.acr, "phr");
      assert.ok(access.payload.exp - access.payload.iat <= 600, "ten minutes at most");
      const id = await jwtVerify(body.idToken, keys, { issuer: origin, audience: "quickstart" });
      assert.equal(id.payload.sub, user.id);
      assert.notEqual(decodeProtectedHeader(body.idToken).typ, "at+jwt");
      await assert.rejects(jwtVerify(custom, keys), "the custom token is signed by no published key");
    });
  } finally {
    await close();
  }
}
