// Checks a Firebase custom token as Google does and the emulator does not: the signature by the service account's key,
// the times, and every rule of the format. src/bridge/preset/firebase.rs has the same rules in Rust.
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { decodeProtectedHeader, jwtVerify } from "jose";

export const AUDIENCE = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

export const RESERVED = ["acr", "amr", "at_hash", "aud", "auth_time", "azp", "cnf", "c_hash", "exp", "firebase", "iat",
  "iss", "jti", "nbf", "nonce", "sub"];

const MEMBERS = new Set(["iss", "sub", "aud", "iat", "exp", "uid", "tenant_id", "claims"]);

/** Returns the token's claims, or throws with the name of the first broken rule. */
export async function checkCustomToken(token, account) {
  assert.equal(decodeProtectedHeader(token).typ, "JWT", "typ");
  const key = createPublicKey(account.private_key);
  const { payload } = await jwtVerify(token, key, {
    algorithms: ["RS256"], issuer: account.client_email, subject: account.client_email, requiredClaims: ["exp", "iat"],
  });
  assert.equal(payload.aud, AUDIENCE, "aud is exactly one string");
  assert.ok(payload.exp - payload.iat > 0 && payload.exp - payload.iat <= 3600, "at most an hour");
  assert.ok(payload.iat <= Date.now() / 1000 + 60, "not from the future");
  assert.equal(typeof payload.uid, "string", "uid is text");
  assert.ok(payload.uid.length >= 1 && payload.uid.length <= 128, "uid of 1 to 128 characters");
  for (const name of Object.keys(payload)) assert.ok(MEMBERS.has(name), `unexpected claim ${name}`);
  if ("claims" in payload) {
    assert.ok(payload.claims && typeof payload.claims === "object" && !Array.isArray(payload.claims), "claims");
    assert.ok(JSON.stringify(payload.claims).length <= 1000, "claims of at most 1000 characters");
    for (const name of Object.keys(payload.claims)) assert.ok(!RESERVED.includes(name.toLowerCase()), `reserved ${name}`);
  }
  return payload;
}
