// Tokens that every verifier must refuse, made from a valid one.
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { work } from "../../live/program.mjs";

const decode = (part) => JSON.parse(Buffer.from(part, "base64url"));
const encode = (members) => Buffer.from(JSON.stringify(members)).toString("base64url");
const rs256 = (text, key) => `${text}.${sign("sha256", Buffer.from(text), key).toString("base64url")}`;

// The key that ../bridges.mjs signs the tokens with; only the test has it to forge with.
const key = createPrivateKey(readFileSync(join(work, "verifiers-rsa.pem")));
const published = createPublicKey(key);

/** Returns the token with another signature of the same length. */
export function broken(token) {
  const [header, claims, signature] = token.split(".");
  const bytes = Buffer.from(signature, "base64url");
  bytes[bytes.length >> 1] ^= 1;
  return `${header}.${claims}.${bytes.toString("base64url")}`;
}

/** Returns the token with another subject, under the original signature. */
export function altered(token) {
  const [header, claims, signature] = token.split(".");
  return `${header}.${encode({ ...decode(claims), sub: "somebody-else" })}.${signature}`;
}

/** Returns the same claims without a signature. */
export function unsigned(token) {
  const [header, claims] = token.split(".");
  return `${encode({ ...decode(header), alg: "none" })}.${claims}.`;
}

/** Returns the same claims under an HMAC with public data: the published key. */
export function confused(token) {
  const [header, claims] = token.split(".");
  const text = `${encode({ ...decode(header), alg: "HS256" })}.${claims}`;
  const secret = published.export({ type: "spki", format: "pem" });
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

/** Returns the same claims signed with another key of the same name, which the header carries. */
export function foreign(token) {
  const [header, claims] = token.split(".");
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return rs256(`${encode({ ...decode(header), jwk: pair.publicKey.export({ format: "jwk" }) })}.${claims}`, pair.privateKey);
}

/** Returns the token signed with the right key, without one member of the header or of the claims. */
export function without(token, member) {
  const [header, claims] = token.split(".").slice(0, 2).map(decode);
  delete header[member];
  delete claims[member];
  return rs256(`${encode(header)}.${encode(claims)}`, key);
}
