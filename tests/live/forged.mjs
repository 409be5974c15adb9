// Tokens that Passmint never makes, by the key that bridges of this run sign with: what is refused is refused for what it says.
import { sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { work } from "./program.mjs";

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** The token with other claims and another header, signed again; what is `undefined` is left out. */
export function forged(token, claims, header = {}) {
  const [head, body] = token.split(".").slice(0, 2).map((text) => JSON.parse(Buffer.from(text, "base64url")));
  const signed = `${part({ ...head, ...header })}.${part({ ...body, ...claims })}`;
  return `${signed}.${sign("sha256", signed, readFileSync(join(work, "bridges.pem"))).toString("base64url")}`;
}

/** The same claims, signed by nobody. */
export const unsigned = (token) => `${part({ alg: "none", typ: "JWT" })}.${token.split(".")[1]}.`;

/** The same token with other bytes at the end of its signature. */
export const broken = (token) => `${token.slice(0, -6)}${token.endsWith("AAAAAA") ? "BBBBBB" : "AAAAAA"}`;
