// The app: its own users, passwords and sessions. Everything that passkeys add is marked PASSKEYS.
import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { passmint } from "./passmint.mjs";

const page = readFileSync(new URL("page.html", import.meta.url));
const COOKIE = "notes-session";

const hash = (password, salt = randomBytes(16)) => ({ salt, digest: scryptSync(password, salt, 32) });
const matches = (password, { salt, digest }) => timingSafeEqual(scryptSync(password, salt, 32), digest);

// PASSKEYS: what Passmint's error codes mean to this app's users, whether its backend or its page receives them.
const MEANINGS = {
  enrol_over_existing: "You have a passkey already.",
  no_passkey_yet: "Add a passkey first.",
  passkey_unknown: "Nobody here has this passkey.",
  action_token_ended: "That took too long: try again.",
  result_refused: "That took too long, or was done already: try again.",
};

/** Starts the app on `port` of this machine, with Passmint at `url`. */
export function app({ port, url, secret }) {
  const origin = `http://localhost:${port}`;
  const users = new Map([[1, { id: 1, login: "ada", name: "Ada Lovelace", password: hash("correct horse") }]]);
  const sessions = new Map(); // cookie → { user, pending }
  const nobody = hash(randomBytes(16).toString("hex"));
  const passkeys = passmint({ url, client: "notes", secret, bridge: "notes", audience: origin }); // PASSKEYS

  const open = (user) => {
    const cookie = randomBytes(32).toString("base64url");
    sessions.set(cookie, { user, pending: null });
    return { "set-cookie": `${COOKIE}=${cookie}; HttpOnly; SameSite=Lax; Path=/; Max-Age=86400` };
  };

  const routes = {
    "GET /api/me": ({ session }) => [200, { user: session && { name: session.user.name } }],

    "POST /api/login": ({ body }) => {
      const user = [...users.values()].find((one) => one.login === body.login);
      const right = matches(String(body.password), user?.password ?? nobody);
      return user && right ? [200, { user: { name: user.name } }, open(user)] : [401, { problem: "Wrong name or password." }];
    },

    "POST /api/logout": ({ cookie }) => {
      sessions.delete(cookie);
      return [200, {}, { "set-cookie": `${COOKIE}=; Path=/; Max-Age=0` }];
    },

    // PASSKEYS: requests an action token for the user of this session. Its id stays here, the token goes to the page.
    "POST /api/passkeys/begin": async ({ session, body }) => {
      if (!session) return [401, { problem: "Sign in first." }];
      const action = body.action === "step_up" ? "step_up" : "enrol";
      const { id, token } = await passkeys.actionToken(action, session.user.id, session.user.name);
      session.pending = { id, action };
      return [200, { token }];
    },

    // PASSKEYS: the page has created a passkey. Redeems its result, which must belong to the token that this session
    // requested.
    "POST /api/passkeys/added": async ({ session, body }) => {
      if (session?.pending?.action !== "enrol") return [401, { problem: "Nothing was begun here." }];
      const told = await passkeys.redeem(session.pending.id, body.result);
      session.pending = null;
      if (told.externalId.id !== String(session.user.id)) return [400, { problem: "That is of somebody else." }];
      return [200, { passkey: told.credentialClass }];
    },

    // PASSKEYS: exchanges a custom token for a session of this app.
    "POST /api/passkeys/login": async ({ body }) => {
      const claims = await passkeys.verifyCustomToken(String(body.token));
      const user = users.get(Number(claims.account));
      return user ? [200, { user: { name: user.name } }, open(user)] : [401, { problem: "Nobody of ours has this passkey." }];
    },

    // PASSKEYS: a sensitive action requires the passkey again, even with a valid session cookie.
    "POST /api/password": async ({ session, body }) => {
      if (session?.pending?.action !== "step_up") return [401, { problem: "Confirm with your passkey first." }];
      const told = await passkeys.redeem(session.pending.id, body.result);
      session.pending = null;
      const sure = told.externalId.id === String(session.user.id) && ["phr", "phrh"].includes(told.acr);
      if (!sure) return [403, { problem: "That was not sure enough." }];
      if (String(body.password).length < 8) return [400, { problem: "Use 8 characters or more." }];
      session.user.password = hash(String(body.password));
      return [200, {}];
    },
  };

  const server = createServer(async (request, response) => {
    const send = (status, body, headers = {}) => {
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...headers });
      response.end(JSON.stringify(body));
    };
    try {
      if (request.method === "GET" && request.url === "/") {
        response.writeHead(200, {
          "content-type": "text/html; charset=utf-8",
          "content-security-policy": `default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self' ${url}; form-action 'self'; frame-ancestors 'none'`,
        });
        return response.end(page.toString().replace("PASSMINT_URL", url).replace("{ MEANINGS }", JSON.stringify(MEANINGS)));
      }
      const route = routes[`${request.method} ${request.url}`];
      if (!route) return send(404, { problem: "There is nothing here." });
      // Only this app's own page may change anything.
      if (request.method !== "GET" && request.headers.origin !== origin) return send(403, { problem: "From another page." });
      const cookie = /(?:^|; )notes-session=([\w-]{43})(?:;|$)/.exec(request.headers.cookie ?? "")?.[1];
      const answer = await route({ cookie, session: sessions.get(cookie), body: await json(request) });
      return send(...answer);
    } catch (error) {
      console.error(`notes: ${request.url}: ${error.message}`);
      return send(400, { problem: MEANINGS[error.code] ?? "That did not work.", code: error.code });
    }
  });
  return new Promise((ready, failed) => {
    server.once("error", failed);
    server.listen(port, "127.0.0.1", () => ready({ origin, close: () => server.close() }));
  });
}

/** Reads the JSON body of a request, at most 32 KiB. */
async function json(request) {
  if (request.method === "GET") return {};
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > 32 * 1024) throw new Error("too large");
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString() || "{}");
}
