// Tokens that Passmint never issues, signed with the key of this run's bridges, so that a refusal is for the token's
// content.
import { sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { work } from "./program.mjs";

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Returns the token with other claims and another header, signed again; members that are `undefined` are left out. */
export function forged(token, claims, header = {}) {
  const [head, body] = token.split(".").slice(0, 2).map((text) => JSON.parse(Buffer.from(text, "base64url")));
  const signed = `${part({ ...head, ...header })}.${part({ ...body, ...claims })}`;
  return `${signed}.${sign("sha256", signed, readFileSync(join(work, "bridges.pem"))).toString("base64url")}`;
}

/** The same claims without a signature. */
export const unsigned = (token) => `${part({ alg: "none", typ: "JWT" })}.${token.split(".")[1]}.`;

/** The same token with the end of its signature changed. */
export const broken = (token) => `${token.slice(0, -6)}${token.endsWith("AAAAAA") ? "BBBBBB" : "AAAAAA"}`;
