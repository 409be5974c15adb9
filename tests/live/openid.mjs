// Passmint as an OpenID provider, driven by openid-client: a relying-party library that this project did not write.
// Every check goes the whole way: the library builds the request, a browser shows the pages, the library judges the answer.
import assert from "node:assert/strict";
import { generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import * as oidc from "openid-client";

import { ceremony, open } from "./browser.mjs";
import { check } from "./harness.mjs";

/** Where answers are sent. Nothing listens there: the browser's request is caught and read. */
export const CALLBACK = "http://localhost:9/callback";
export const GONE = "http://localhost:9/gone";
const insecure = { execute: [oidc.allowInsecureRequests] };

/** Ends at `address`, whoever sends the browser there; gives the request that arrived. */
async function arrival(page, address, go) {
  let caught;
  const arrived = new Promise((resolve) => { caught = resolve; });
  await page.route(`${address}**`, (route) => {
    caught({ url: new URL(route.request().url()), method: route.request().method(), body: route.request().postData() });
    return route.fulfill({ contentType: "text/html", body: "<!doctype html><title>arrived</title>" });
  });
  await go();
  const timeout = new Promise((_, reject) =>
    setTimeout(async () => reject(new Error(`nothing arrived; the page is ${page.url()}: ${(await page.innerText("body")).slice(0, 300)}`)), 20_000));
  try {
    return await Promise.race([arrived, timeout]);
  } finally {
    await page.unroute(`${address}**`);
  }
}

/** Presses what a person would press until the client has its answer. */
async function throughPages(page, address) {
  return arrival(page, CALLBACK, async () => {
    await page.goto(address.href).catch(() => {}); // An answer without any page ends the navigation early.
    for (const button of ["#pk button", 'button[name="decision"][value="allow"]']) {
      const there = page.locator(button).first();
      if (page.url().startsWith(CALLBACK)) return;
      if (await there.waitFor({ state: "visible", timeout: 3_000 }).then(() => true, () => false)) {
        await there.click();
      }
    }
  });
}

async function request(config, more = {}) {
  const verifier = oidc.randomPKCECodeVerifier();
  const asked = {
    redirect_uri: CALLBACK, scope: "openid profile email offline_access", state: oidc.randomState(), nonce: oidc.randomNonce(),
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", ...more,
  };
  const checks = { pkceCodeVerifier: verifier, expectedState: asked.state, expectedNonce: asked.nonce, idTokenExpected: true };
  return { asked, checks };
}

export async function openid(origin, settings) {
  const { page, close } = await open(origin);
  const discover = (id, metadata, authentication) =>
    oidc.discovery(new URL(origin), id, metadata, authentication, insecure);
  try {
    const signedUp = await ceremony(page, "registration", { name: "Live Relying Party" });
    assert.equal(signedUp.verified?.status, 200, JSON.stringify(signedUp));
    const subject = signedUp.verified.body.user.id;

    const rp = await check("openid-client discovers the provider", async () => {
      const config = await discover(settings.web.id, undefined, oidc.ClientSecretBasic(settings.web.secret));
      assert.equal(config.serverMetadata().issuer, origin);
      return config;
    });

    const tokens = await check("code + PKCE + nonce: sign-in, consent, tokens that openid-client accepts", async () => {
      const { asked, checks } = await request(rp, { prompt: "consent" });
      const { url } = await throughPages(page, oidc.buildAuthorizationUrl(rp, asked));
      assert.equal(url.searchParams.get("iss"), origin);
      const answer = await oidc.authorizationCodeGrant(rp, url, checks);
      assert.equal(answer.claims().sub, subject);
      assert.ok(answer.refresh_token && answer.expiresIn() > 0);
      return answer;
    });

    await check("userinfo names the same person, with the claims of the scopes", async () => {
      const claims = await oidc.fetchUserInfo(rp, tokens.access_token, subject);
      assert.equal(claims.name, "Live Relying Party");
    });

    const fresh = await check("refresh", async () => {
      const answer = await oidc.refreshTokenGrant(rp, tokens.refresh_token);
      assert.notEqual(answer.refresh_token, tokens.refresh_token);
      assert.notEqual(answer.access_token, tokens.access_token);
      return answer;
    });

    await check("introspection, and revocation ends the grant", async () => {
      assert.equal((await oidc.tokenIntrospection(rp, fresh.access_token)).active, true);
      await oidc.tokenRevocation(rp, fresh.refresh_token);
      await assert.rejects(oidc.refreshTokenGrant(rp, fresh.refresh_token), /invalid_grant|OAuth/);
    });

    await check("a code is worth nothing the second time", async () => {
      const { asked, checks } = await request(rp);
      const { url } = await throughPages(page, oidc.buildAuthorizationUrl(rp, asked));
      await oidc.authorizationCodeGrant(rp, url, checks);
      await assert.rejects(oidc.authorizationCodeGrant(rp, url, checks), (error) => error.error === "invalid_grant");
    });

    await check("form_post: the answer comes in a POST, and nothing in the address", async () => {
      const { asked, checks } = await request(rp, { response_mode: "form_post" });
      const { url, method, body } = await throughPages(page, oidc.buildAuthorizationUrl(rp, asked));
      assert.equal(method, "POST");
      assert.equal(url.search, "");
      const form = new Request(url, { method: "POST", body, headers: { "content-type": "application/x-www-form-urlencoded" } });
      const answer = await oidc.authorizationCodeGrant(rp, form, checks);
      assert.equal(answer.claims().sub, subject);
    });

    await check("FAPI 2: PAR + PKCE + private_key_jwt + DPoP", async () => {
      const key = await crypto.subtle.importKey("jwk", settings.fapi.key, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
      const config = await discover(settings.fapi.id, { id_token_signed_response_alg: "ES256" },
        oidc.PrivateKeyJwt({ key, kid: settings.fapi.key.kid }));
      const proof = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
      const { asked, checks } = await request(config, { scope: "openid profile" });
      const address = await oidc.buildAuthorizationUrlWithPAR(config, asked, { DPoP: proof });
      assert.deepEqual([...address.searchParams.keys()].sort(), ["client_id", "request_uri"]);
      const { url } = await throughPages(page, address);
      const answer = await oidc.authorizationCodeGrant(config, url, checks, undefined, { DPoP: proof });
      assert.equal(answer.token_type, "dpop");
      const claims = await oidc.fetchUserInfo(config, answer.access_token, subject, { DPoP: proof });
      assert.equal(claims.sub, subject);
      await assert.rejects(oidc.fetchUserInfo(config, answer.access_token, subject), "a bound token is no bearer token");
    });

    await check("device flow: the person allows it in a browser, the device gets tokens", async () => {
      const config = await discover(settings.device.id, undefined, oidc.None());
      const started = await oidc.initiateDeviceAuthorization(config, { scope: "openid profile" });
      const polling = oidc.pollDeviceAuthorizationGrant(config, started);
      polling.catch(() => {}); // Told below; an early end must not stop the run.
      await page.goto(started.verification_uri_complete);
      const next = page.locator('main form button[type="submit"]').first();
      if (!(await page.locator('input[type="checkbox"]').count())) await next.click();
      await page.locator('input[type="checkbox"]').first().check();
      await page.locator('button[name="decision"][value="allow"]').click();
      const answer = await polling;
      assert.ok(answer.access_token);
      assert.equal((await oidc.fetchUserInfo(config, answer.access_token, subject)).sub, subject);
    });

    await check("client credentials", async () => {
      const config = await discover(settings.service.id, undefined, oidc.ClientSecretPost(settings.service.secret));
      const answer = await oidc.clientCredentialsGrant(config, { scope: settings.service.scope });
      assert.equal(answer.scope, settings.service.scope);
      assert.equal(answer.refresh_token, undefined);
    });

    await check("dynamic registration, a sign-in of the new client, and its end", async () => {
      const config = await oidc.dynamicClientRegistration(new URL(origin),
        { redirect_uris: [CALLBACK], client_name: "Registered", token_endpoint_auth_method: "client_secret_post" }, undefined, insecure);
      const { client_id, registration_client_uri, registration_access_token } = config.clientMetadata();
      const { asked, checks } = await request(config, { scope: "openid" });
      const { url } = await throughPages(page, oidc.buildAuthorizationUrl(config, asked));
      const answer = await oidc.authorizationCodeGrant(config, url, checks);
      assert.equal(answer.claims().aud, client_id);
      const gone = await fetch(registration_client_uri, { method: "DELETE", headers: { authorization: `Bearer ${registration_access_token}` } });
      assert.equal(gone.status, 204);
    });

    await check("sign-out by the client: the browser comes back, and the session is gone", async () => {
      const { asked, checks } = await request(rp);
      const { url } = await throughPages(page, oidc.buildAuthorizationUrl(rp, asked));
      const answer = await oidc.authorizationCodeGrant(rp, url, checks);
      const end = oidc.buildEndSessionUrl(rp, { id_token_hint: answer.id_token, post_logout_redirect_uri: GONE, state: "here" });
      const back = await arrival(page, GONE, () => page.goto(end.href).catch(() => {}));
      assert.equal(back.url.search, "?state=here");
      const silent = await request(rp, { prompt: "none" });
      const refused = await throughPages(page, oidc.buildAuthorizationUrl(rp, silent.asked));
      assert.equal(refused.url.searchParams.get("error"), "login_required");
    });

    await check("a person who is signed out signs in with the passkey on the way", async () => {
      const { asked, checks } = await request(rp);
      const { url } = await throughPages(page, oidc.buildAuthorizationUrl(rp, asked));
      assert.equal((await oidc.authorizationCodeGrant(rp, url, checks)).claims().sub, subject);
    });
  } finally {
    await close();
  }
}

/** The clients that the server is configured with, and their secrets. */
export async function makeClients() {
  const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
  const key = { ...privateKey.export({ format: "jwk" }), kid: "live", use: "sig" };
  const secret = () => `pmk_${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url")}`;
  return {
    web: { id: "live-web", secret: secret() },
    fapi: { id: "live-fapi", key },
    device: { id: "live-device" },
    service: { id: "live-service", secret: secret(), scope: "inventory.read" },
  };
}
