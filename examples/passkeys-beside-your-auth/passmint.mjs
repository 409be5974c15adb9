// The backend's side of Passmint, in one file and without packages. Copy it.
import { createPublicKey, verify } from "node:crypto";

/**
 * @param {{ url: string, client: string, secret: string, bridge: string, audience: string }} settings
 */
export function passmint({ url, client, secret, bridge, audience }) {
  let own = { token: "", until: 0 };
  const seen = new Map(); // jti of custom tokens → their expiry

  /** Returns the backend's own access token (client credentials), and requests a new one before it expires. */
  async function access() {
    if (Date.now() < own.until) return own.token;
    const answer = await fetch(`${url}/oauth/token`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(`${client}:${secret}`).toString("base64")}` },
      body: new URLSearchParams({ grant_type: "client_credentials", scope: "action_tokens" }),
    });
    if (!answer.ok) throw new Error(`no access token: ${await answer.text()}`);
    const { access_token, expires_in } = await answer.json();
    own = { token: access_token, until: Date.now() + (expires_in - 30) * 1000 };
    return own.token;
  }

  async function call(path, body) {
    const answer = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${await access()}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const json = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(json.detail), { code: json.code });
    return json;
  }

  return {
    /**
     * Requests permission for one action of one of your users: `{ id, token }`. Passmint creates the user if it does
     * not know them.
     */
    actionToken: (action, account, name) =>
      call("/v1/action-tokens", { action, user: { externalId: { id: String(account) }, name } }),

    /**
     * Redeems the result of an action token, which works once. The result came through a browser, so `id` must be the
     * token that this very session requested.
     */
    redeem: (id, result) => call(`/v1/action-tokens/${encodeURIComponent(id)}/result`, { result }),

    /**
     * Returns the claims of a custom token of the bridge. Throws unless it is authentic, for this app, in time, and
     * new.
     */
    async verifyCustomToken(token) {
      const parts = token.split(".");
      const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
      if (parts.length !== 3 || header.alg !== "ES256" || header.typ !== "JWT") throw new Error("another kind of token");
      const { keys } = await (await fetch(`${url}/v1/bridges/${bridge}/jwks.json`)).json();
      const jwk = keys.find((key) => key.kid === header.kid);
      if (!jwk) throw new Error("an unknown key");
      const key = { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" };
      const signed = Buffer.from(`${parts[0]}.${parts[1]}`);
      if (!verify("sha256", signed, key, Buffer.from(parts[2], "base64url"))) throw new Error("a wrong signature");
      const now = Date.now() / 1000;
      if (claims.iss !== url || claims.aud !== audience) throw new Error("of somebody else, or for somebody else");
      if (!(now < claims.exp && claims.iat <= now + 5)) throw new Error("too old, or of tomorrow");
      // Each token is accepted once. In one process nothing runs between the check and the write; several processes
      // need a table with a unique column.
      for (const [jti, until] of seen) if (until < now) seen.delete(jti);
      if (typeof claims.jti !== "string" || seen.has(claims.jti)) throw new Error("used before");
      seen.set(claims.jti, claims.exp);
      return claims;
    },
  };
}
