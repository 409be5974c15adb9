// Needs no server: which tokens the emulator accepts and refuses, and that the strict checker refuses every token that
// Google would. A sign-in at the emulator alone proves the wiring, not the token, so the other tests rely on this
// checker.
import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { SignJWT } from "jose";

import { assertIdToken, signIn } from "./firebase.mjs";
import { check } from "./harness.mjs";
import { AUDIENCE, RESERVED, checkCustomToken } from "./strict.mjs";

export async function emulator(account) {
  const now = Math.floor(Date.now() / 1000);
  const key = createPrivateKey(account.private_key);
  const good = { iss: account.client_email, sub: account.client_email, aud: AUDIENCE, iat: now, exp: now + 3600, uid: "u-1" };
  const mint = (change, header = {}) =>
    new SignJWT({ ...good, ...change }).setProtectedHeader({ alg: "RS256", typ: "JWT", ...header }).sign(key);
  const broken = (token) => {
    const [header, claims, signature] = token.split(".");
    return [header, claims, (signature.startsWith("A") ? "B" : "A") + signature.slice(1)].join(".");
  };

  await check("emulator: a self-minted token signs in, with its claims at the top of the ID token", async () => {
    const token = await mint({ claims: { idp_acr: "phr", passkey_uv: true } });
    await checkCustomToken(token, account);
    const { claims } = await signIn(token);
    assertIdToken(claims, "u-1");
    assert.equal(claims.idp_acr, "phr");
    assert.equal(claims.passkey_uv, true);
  });

  await check("emulator: a uid of 128 characters and a kid in the header are taken", async () => {
    const token = await mint({ uid: "u".repeat(128) }, { kid: account.private_key_id });
    await checkCustomToken(token, account);
    assertIdToken((await signIn(token)).claims, "u".repeat(128));
  });

  for (const name of RESERVED) {
    await check(`emulator and strict checker: the developer claim ${name} is refused`, async () => {
      const token = await mint({ claims: { [name]: "x" } });
      await assert.rejects(signIn(token), (error) => error.code === "auth/forbidden-claim");
      await assert.rejects(checkCustomToken(token, account));
    });
  }

  for (const [name, change, code] of [
    ["no uid", { uid: undefined }, "auth/missing-identifier"],
    ["claims as a list", { claims: [] }, "auth/invalid-claims"],
    ["another audience", { aud: "demo-passmint" }, "auth/invalid-custom-token"],
    ["the audience as a list", { aud: [AUDIENCE] }, "auth/invalid-custom-token"],
  ]) {
    await check(`emulator and strict checker: ${name} is refused`, async () => {
      const token = await mint(change);
      // The SDK maps codes it does not know to auth/internal-error or to the lower-cased code.
      await assert.rejects(signIn(token), (error) => error.code === code || `${error.message}`.includes(code));
      await assert.rejects(checkCustomToken(token, account));
    });
  }

  for (const [name, token] of [
    ["an expired token", await mint({ iat: now - 7200, exp: now - 3600 })],
    ["a life of two hours", await mint({ exp: now + 7200 })],
    ["iss that is not sub", await mint({ iss: "other@demo-passmint.iam.gserviceaccount.com" })],
    ["a broken signature", broken(await mint({}))],
    ["a uid of 129 characters", await mint({ uid: "u".repeat(129) })],
    ["claims of 5000 characters", await mint({ claims: { long: "x".repeat(5000) } })],
    ["a uid that is a number", await mint({ uid: 5 })],
  ]) {
    await check(`${name}: the emulator takes it, the strict checker does not`, async () => {
      await signIn(token);
      await assert.rejects(checkCustomToken(token, account));
    });
  }
}
