// Passmint as an OpenID provider, driven by openid-client, an independent relying-party library. Every check is end to
// end: the library builds the request, a browser shows the pages, the library validates the response.
import assert from "node:assert/strict";
import { generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import * as oidc from "openid-client";

import { ceremony, open } from "./browser.mjs";
import { check } from "./harness.mjs";

/** The redirect URI. Nothing listens there: the browser's request is intercepted and read. */
export const CALLBACK = "http://localhost:9/callback";
export const GONE = "http://localhost:9/gone";
/** The redirect URI that a local program has registered, and the one it uses now, with a port (RFC 8252 §7.3). */
const LOOPBACK = "http://127.0.0.1/callback";
const LOOPBACK_NOW = "http://127.0.0.1:9/callback";
const insecure = { execute: [oidc.allowInsecureRequests] };

/** The buttons that a person presses on the way, by name. */
const BUTTONS = { "sign in": "#pk button", allow: 'button[name="decision"][value="allow"]' };

/** Runs `go` and waits until the browser requests `address`; returns that request. `go` receives a promise of it. */
async function arrival(page, address, go) {
  let caught;
  const arrived = new Promise((resolve) => { caught = resolve; });
  await page.route(`${address}**`, (route) => {
    caught({ url: new URL(route.request().url()), method: route.request().method(), body: route.request().postData() });
    return route.fulfill({ contentType: "text/html", body: "<!doctype html><title>arrived</title>" });
  });
  let timer;
  const late = new Promise((resolve) => { timer = setTimeout(resolve, 20_000); });
  try {
    await Promise.race([go(arrived), late]);
    const answer = await Promise.race([arrived, late]);
    assert.ok(answer, `nothing arrived; the page is ${page.url()}: ${(await page.innerText("body")).slice(0, 300)}`);
    return answer;
  } finally {
    clearTimeout(timer);
    await page.unroute(`${address}**`);
  }
}

/**
 * Presses what a person would press until the client has its response; returns it, with the names of what was
 * `pressed`.
 */
async function throughPages(page, address, callback = CALLBACK) {
  const pressed = [];
  const answer = await arrival(page, callback, async (arrived) => {
    const there = (name) => page.locator(BUTTONS[name]).first().waitFor().then(() => name, () => undefined);
    const next = (...names) => Promise.race([arrived.then(() => undefined), ...names.map(there)]);
    const press = async (name) => { pressed.push(name); await page.locator(BUTTONS[name]).first().click(); };
    await page.goto(address.href).catch(() => {}); // A response without any page ends the navigation early.
    let name = await next("sign in", "allow");
    if (name === "sign in") {
      await press(name);
      name = await next("allow");
    }
    if (name) await press(name);
  });
  return { ...answer, pressed };
}

/** Returns the parameters of a request, and what openid-client must check the response against. */
async function request(more = {}) {
  const verifier = oidc.randomPKCECodeVerifier();
  const asked = {
    redirect_uri: CALLBACK, scope: "openid profile email offline_access", state: oidc.randomState(), nonce: oidc.randomNonce(),
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", ...more,
  };
  const checks = { pkceCodeVerifier: verifier, expectedState: asked.state, expectedNonce: asked.nonce, idTokenExpected: true };
  return { asked, checks };
}

const isRefused = (code) => (error) => error.error === code;

export async function openid(origin, settings) {
  const { page, close } = await open(origin);
  // The virtual authenticator would answer the prompt in the e-mail field before the button is pressed.
  await page.addInitScript(() => { PublicKeyCredential.getClientCapabilities = async () => ({ conditionalGet: false }); });
  const discover = (id, metadata, authentication) =>
    oidc.discovery(new URL(origin), id, metadata, authentication, insecure);
  // From the request to the tokens: returns openid-client's result, how the response came, and what was pressed.
  const obtain = async (config, more) => {
    const { asked, checks } = await request(more);
    const back = await throughPages(page, oidc.buildAuthorizationUrl(config, asked));
    return { ...back, checks, answer: await oidc.authorizationCodeGrant(config, back.url, checks) };
  };
  try {
    const signedUp = await ceremony(page, "registration", { name: "Live Relying Party" });
    assert.equal(signedUp.verified?.status, 200, JSON.stringify(signedUp));
    const subject = signedUp.verified.body.user.id;

    const rp = await check("openid-client discovers the provider", async () => {
      const config = await discover(settings.web.id, undefined, oidc.ClientSecretBasic(settings.web.secret));
      assert.equal(config.serverMetadata().issuer, origin);
      assert.ok(config.serverMetadata().supportsPKCE());
      return config;
    });

    const tokens = await check("code + PKCE + nonce: consent, and tokens that openid-client accepts", async () => {
      const { url, pressed, answer } = await obtain(rp);
      assert.deepEqual(pressed, ["allow"]);
      assert.equal(url.searchParams.get("iss"), origin);
      assert.equal(answer.claims().sub, subject);
      assert.ok(answer.refresh_token && answer.expiresIn() > 0);
      return answer;
    });

    await check("userinfo names the same person, with the claims of the scopes", async () => {
      const claims = await oidc.fetchUserInfo(rp, tokens.access_token, subject);
      assert.equal(claims.name, "Live Relying Party");
    });

    const fresh = await check("refresh: new tokens, for the same person and sign-in", async () => {
      const answer = await oidc.refreshTokenGrant(rp, tokens.refresh_token);
      assert.notEqual(answer.refresh_token, tokens.refresh_token);
      assert.notEqual(answer.access_token, tokens.access_token);
      for (const name of ["sub", "auth_time", "acr"]) {
        assert.equal(answer.claims()[name], tokens.claims()[name], name);
      }
      return answer;
    });

    await check("introspection, and revocation ends the grant", async () => {
      const active = async () => (await oidc.tokenIntrospection(rp, fresh.access_token)).active;
      assert.equal(await active(), true);
      await oidc.tokenRevocation(rp, fresh.refresh_token);
      assert.equal(await active(), false);
      await assert.rejects(oidc.refreshTokenGrant(rp, fresh.refresh_token), isRefused("invalid_grant"));
    });

    await check("what was allowed is remembered, and a code is worth nothing the second time", async () => {
      const { url, checks, pressed } = await obtain(rp);
      assert.deepEqual(pressed, []);
      await assert.rejects(oidc.authorizationCodeGrant(rp, url, checks), isRefused("invalid_grant"));
    });

    await check("mix-up: a client that began with another issuer sends its code nowhere", async () => {
      const { asked, checks } = await request();
      const { url } = await throughPages(page, oidc.buildAuthorizationUrl(rp, asked));
      const evil = new oidc.Configuration(
        { ...rp.serverMetadata(), issuer: "https://evil.example", token_endpoint: "https://evil.example/token" },
        settings.web.id, undefined, oidc.ClientSecretBasic(settings.web.secret));
      evil[oidc.customFetch] = () => assert.fail("the code was sent");
      const unnamed = new URL(url);
      unnamed.searchParams.delete("iss");
      for (const [config, answer] of [[evil, url], [rp, unnamed]]) {
        await assert.rejects(oidc.authorizationCodeGrant(config, answer, checks), (error) => /"iss"/.test(error.cause?.message));
      }
      assert.equal((await oidc.authorizationCodeGrant(rp, url, checks)).claims().sub, subject);
    });

    await check("prompt=consent asks again, and a person who cancels is told to the client", async () => {
      const again = await obtain(rp, { prompt: "consent" });
      assert.deepEqual(again.pressed, ["allow"]);
      const { asked, checks } = await request({ prompt: "consent" });
      const { url } = await arrival(page, CALLBACK, async () => {
        await page.goto(oidc.buildAuthorizationUrl(rp, asked).href);
        await page.locator('button[name="decision"][value="deny"]').click();
      });
      await assert.rejects(oidc.authorizationCodeGrant(rp, url, checks), isRefused("access_denied"));
    });

    await check("prompt=login: the passkey is used again, and max_age holds by openid-client's own reckoning", async () => {
      const { asked, checks } = await request({ prompt: "login", max_age: "60", acr_values: "phr" });
      const before = Math.floor(Date.now() / 1000);
      const { url, pressed } = await throughPages(page, oidc.buildAuthorizationUrl(rp, asked));
      assert.deepEqual(pressed, ["sign in"]);
      const answer = await oidc.authorizationCodeGrant(rp, url, { ...checks, maxAge: 60 });
      assert.ok(answer.claims().auth_time >= before, "signed in on the way, not before");
      assert.equal(answer.claims().acr, "phr");
    });

    await check("form_post: the answer comes in a POST, and nothing in the address", async () => {
      const { asked, checks } = await request({ response_mode: "form_post" });
      const { url, method, body } = await throughPages(page, oidc.buildAuthorizationUrl(rp, asked));
      assert.equal(method, "POST");
      assert.equal(url.search, "");
      const form = new Request(url, { method: "POST", body, headers: { "content-type": "application/x-www-form-urlencoded" } });
      const answer = await oidc.authorizationCodeGrant(rp, form, checks);
      assert.equal(answer.claims().sub, subject);
    });

    await check("a signed request in the address, and a signed answer (JARM)", async () => {
      const config = await discover(settings.web.id, undefined, oidc.ClientSecretBasic(settings.web.secret));
      oidc.useJwtResponseMode(config);
      const { asked, checks } = await request();
      const address = await oidc.buildAuthorizationUrlWithJAR(config, asked, await signingKey(settings.web.key));
      assert.deepEqual([...address.searchParams.keys()].sort(), ["client_id", "request"]);
      const { url } = await throughPages(page, address);
      assert.deepEqual([...url.searchParams.keys()], ["response"]);
      const answer = await oidc.authorizationCodeGrant(config, url, checks);
      assert.equal(answer.claims().sub, subject);
      await page.goto(address.href);
      assert.match(await page.textContent("main"), /invalid_request_object/); // It is accepted only once.
    });

    // The server requires nonces in DPoP proofs (clients.mjs): openid-client receives one, and repeats its request.
    await check("FAPI 2: PAR + PKCE + private_key_jwt + DPoP with the server's nonces", async () => {
      const key = await signingKey(settings.fapi.key);
      const config = await discover(settings.fapi.id, { id_token_signed_response_alg: "ES256" }, oidc.PrivateKeyJwt(key));
      const proof = { DPoP: oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256")) };
      const { asked, checks } = await request();
      const address = await oidc.buildAuthorizationUrlWithPAR(config, asked, proof);
      assert.deepEqual([...address.searchParams.keys()].sort(), ["client_id", "request_uri"]);
      const { url } = await throughPages(page, address);
      const answer = await oidc.authorizationCodeGrant(config, url, checks, undefined, proof);
      assert.equal(answer.token_type, "dpop");
      assert.equal((await oidc.fetchUserInfo(config, answer.access_token, subject, proof)).sub, subject);
      await assert.rejects(oidc.fetchUserInfo(config, answer.access_token, subject), (error) => error.status === 401);
      const next = await oidc.refreshTokenGrant(config, answer.refresh_token, undefined, proof);
      assert.equal(next.token_type, "dpop");
      assert.equal(next.refresh_token, undefined, "the profile keeps the refresh token");
      await assert.rejects(oidc.refreshTokenGrant(config, answer.refresh_token), isRefused("invalid_dpop_proof"));
    });

    await check("FAPI 2 message signing: a signed request, and signed answers that openid-client verifies", async () => {
      const key = await signingKey(settings.signing.key);
      const config = await discover(settings.signing.id, {
        id_token_signed_response_alg: "ES256", authorization_signed_response_alg: "ES256",
        userinfo_signed_response_alg: "ES256", introspection_signed_response_alg: "ES256",
      }, oidc.PrivateKeyJwt(key));
      oidc.useJwtResponseMode(config);
      oidc.enableNonRepudiationChecks(config);
      const proof = { DPoP: oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256")) };
      const { asked, checks } = await request();
      await assert.rejects(oidc.buildAuthorizationUrlWithPAR(config, asked, proof), isRefused("invalid_request"));
      const { searchParams: signed } = await oidc.buildAuthorizationUrlWithJAR(config, asked, key);
      assert.deepEqual([...signed.keys()].sort(), ["client_id", "request"]);
      const { url } = await throughPages(page, await oidc.buildAuthorizationUrlWithPAR(config, signed, proof));
      assert.deepEqual([...url.searchParams.keys()], ["response"]);
      const answer = await oidc.authorizationCodeGrant(config, url, checks, undefined, proof);
      const claims = await oidc.fetchUserInfo(config, answer.access_token, subject, proof);
      assert.equal(claims.name, "Live Relying Party");
      assert.equal((await oidc.tokenIntrospection(config, answer.access_token)).active, true);
    });

    await check("device flow: the person allows it in a browser, the device gets tokens", async () => {
      const config = await discover(settings.device.id, undefined, oidc.None());
      const started = await oidc.initiateDeviceAuthorization(config, { scope: "openid profile" });
      const polling = oidc.pollDeviceAuthorizationGrant(config, started);
      polling.catch(() => {}); // Reported below; an early failure must not stop the run.
      await page.goto(started.verification_uri);
      await page.locator('input[name="user_code"]').fill(started.user_code);
      await page.locator("main form button").click();
      await page.locator('input[name="mine"]').check();
      await page.locator(BUTTONS.allow).click();
      const answer = await polling;
      assert.equal(answer.claims().sub, subject);
      assert.equal((await oidc.fetchUserInfo(config, answer.access_token, subject)).sub, subject);
    });

    await check("client credentials", async () => {
      const config = await discover(settings.service.id, undefined, oidc.ClientSecretPost(settings.service.secret));
      const answer = await oidc.clientCredentialsGrant(config, { scope: settings.service.scope });
      assert.equal(answer.scope, settings.service.scope);
      assert.equal(answer.refresh_token, undefined);
    });

    const register = (metadata) => oidc.dynamicClientRegistration(new URL(origin), metadata, undefined, insecure);

    await check("dynamic registration, a sign-in of the new client, and its end", async () => {
      const config = await register(
        { redirect_uris: [CALLBACK], client_name: "Registered", token_endpoint_auth_method: "client_secret_post" });
      const { client_id, registration_client_uri, registration_access_token } = config.clientMetadata();
      const { answer } = await obtain(config, { scope: "openid" });
      assert.equal(answer.claims().aud, client_id);
      const gone = await fetch(registration_client_uri, { method: "DELETE", headers: { authorization: `Bearer ${registration_access_token}` } });
      assert.equal(gone.status, 204);
    });

    await check("a local program registers itself, listens on a port of its choice, and never gets tokens unseen", async () => {
      const config = await register({
        redirect_uris: [LOOPBACK], client_name: "Program", application_type: "native", token_endpoint_auth_method: "none",
      });
      for (const round of ["first", "second"]) {
        const { asked, checks } = await request({ scope: "openid", redirect_uri: LOOPBACK_NOW });
        const { url, pressed } = await throughPages(page, oidc.buildAuthorizationUrl(config, asked), LOOPBACK_NOW);
        assert.deepEqual(pressed, ["allow"], round);
        assert.equal((await oidc.authorizationCodeGrant(config, url, checks)).claims().sub, subject);
      }
    });

    await check("sign-out by the client: the browser comes back, and the session is gone", async () => {
      const { answer } = await obtain(rp);
      const end = oidc.buildEndSessionUrl(rp, { id_token_hint: answer.id_token, post_logout_redirect_uri: GONE, state: "here" });
      const back = await arrival(page, GONE, () => page.goto(end.href).catch(() => {}));
      assert.equal(back.url.search, "?state=here");
      const { asked, checks } = await request({ prompt: "none" });
      const { url } = await throughPages(page, oidc.buildAuthorizationUrl(rp, asked));
      await assert.rejects(oidc.authorizationCodeGrant(rp, url, checks), isRefused("login_required"));
    });

    await check("a person who is signed out signs in with the passkey on the way", async () => {
      const { pressed, answer } = await obtain(rp);
      assert.deepEqual(pressed, ["sign in"]);
      assert.equal(answer.claims().sub, subject);
    });
  } finally {
    await close();
  }
}

/** Imports a client's private key as openid-client expects it. */
async function signingKey(jwk) {
  const key = await crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
  return { key, kid: jwk.kid };
}

/** Returns the clients that the server is configured with, and their secrets. */
export async function makeClients() {
  const secret = () => `pmk_${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url")}`;
  const key = async (kid) => {
    const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
    return { ...privateKey.export({ format: "jwk" }), kid, use: "sig" };
  };
  return {
    web: { id: "live-web", secret: secret(), key: await key("web") },
    fapi: { id: "live-fapi", key: await key("fapi") },
    signing: { id: "live-signing", key: await key("signing") },
    device: { id: "live-device" },
    service: { id: "live-service", secret: secret(), scope: "inventory.read" },
    // Its id is the source of the external ids that it assigns: the bridge `firebase-people` reads them with
    // link('firebase').
    functions: { id: "firebase", secret: secret() },
  };
}
