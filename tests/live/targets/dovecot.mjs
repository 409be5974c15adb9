// Dovecot: the token as an IMAP bearer token, verified with the key files that the bridge's page tells how to fetch.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { broken, forged, unsigned } from "../forged.mjs";
import { check } from "../harness.mjs";
import { passmint, until, work } from "../program.mjs";
import { boot, directory, fetchKeys, is23, looksAtAudience, signIn } from "./dovecot-set-up.mjs";

const kid = (token) => JSON.parse(Buffer.from(token.split(".")[0], "base64url")).kid;
const ANOTHER = "00000000-0000-4000-8000-000000000001";

export async function dovecot({ origin, user, mint, expired }) {
  const port = await check("dovecot: starts with what its page says", () => boot(origin));
  if (!port) return;
  const late = expired("dovecot-brief");
  const enter = (token, mechanism = "OAUTHBEARER", name = user) => signIn(port, mechanism, name, token);
  const leave = async (...given) => (await enter(...given)).end();
  /** Asserts that a sign-in is refused, for the reason in Dovecot's log. */
  const refused = async (why, ...given) => {
    const log = () => readFileSync(join(work, "dovecot.log"), "utf8");
    const before = log().length;
    await assert.rejects(enter(...given), /AUTHENTICATIONFAILED/);
    await until(() => assert.match(log().slice(before), why));
  };

  await check("dovecot: without a key's file nobody comes in, and the page's command fetches it", async () => {
    await refused(/RS256 key '.*' not found/, await mint("dovecot"));
    await fetchKeys(origin, "dovecot");
    assert.deepEqual(readdirSync(join(directory, "keys/default")), ["RS256"]);
  });

  for (const mechanism of ["OAUTHBEARER", "XOAUTH2"]) {
    await check(`dovecot, ${mechanism}: a person opens the own mailbox, and nobody another's`, async () => {
      const token = await mint("dovecot");
      const line = await enter(token, mechanism);
      const message = `Subject: ${mechanism}\r\n\r\nHello, ${user}.\r\n`;
      line.say(`b APPEND INBOX {${message.length}+}\r\n${message}\r\n`);
      await line.hear(/^b OK /m);
      line.say("c SELECT INBOX\r\nd FETCH * BODY.PEEK[]\r\n");
      await line.hear(new RegExp(`Subject: ${mechanism}\\s+Hello, ${user}\\.[^]*^d OK `, "m"));
      line.end();
      await refused(/Username '00000000-.*' did not match/, token, mechanism, ANOTHER);
      assert.deepEqual(readdirSync(join(directory, "mail")), [user]);
    });
  }

  const good = await mint("dovecot");
  const refusals = {
    "a broken signature": [/Bad signature/, broken(good)],
    "a token without a signature": [/Unsupported algorithm/, unsigned(good)],
    "another bridge's token": [/client_id not found in aud|RS256 key '.*' not found/, await mint("proxy")],
    "a token of another issuer": [/Issuer .* is not allowed/, await mint("dovecot-stranger")],
    "a token of a key that it does not know": [/ES256 key '.*' not found/, await mint("dovecot-own")],
    "a token without kid": [/key 'default' not found/, forged(good, {}, { kid: undefined })],
    "a kid that is a path": [/key '.*' not found/, forged(good, {}, { kid: `../RS256/${kid(good)}` })],
    "an azp that has no folder": [/key '.*' not found/, forged(good, { azp: "web" })],
    "a token without exp": [/Missing 'exp'/, forged(good, { exp: undefined })],
    "a token of the future": [/issued in future/, forged(good, { iat: Math.floor(Date.now() / 1000) + 60 })],
  };
  for (const [what, given] of Object.entries(refusals)) {
    await check(`dovecot: refuses ${what}`, () => refused(...given));
  }

  const elsewhere = await mint("dovecot-elsewhere");
  if (looksAtAudience()) {
    await check("dovecot: refuses a token for another audience", () => refused(/client_id not found in aud/, elsewhere));
  } else {
    await check("dovecot: too old to look at the audience, as its page says, it takes any", () => leave(elsewhere));
  }

  const access = forged(good, {}, { typ: "at+jwt" });
  if (await is23()) {
    await check("dovecot: refuses the type of an access token", () => refused(/'typ'/, access));
  } else {
    await check("dovecot: takes the type of an access token since 2.4, as its page says", () => leave(access));
  }

  await check("dovecot, PLAIN: a token is no password, and a password still is", async () => {
    await refused(/[Pp]assword mismatch/, good, "PLAIN");
    await leave("live-password", "PLAIN");
  });

  const rotate = (...words) => passmint("keys", "rotate", "--purpose", "bridge:dovecot-own", ...words);
  /** Waits for a token that is signed with another key. */
  const newer = (than) => until(async () => {
    const token = await mint("dovecot-own");
    assert.notEqual(kid(token), kid(than));
    return token;
  });

  await check("dovecot, ES256: the bridge's own key is fetched, and so is the next one before it signs", async () => {
    const first = await mint("dovecot-own");
    await fetchKeys(origin, "dovecot-own");
    await leave(first);
    await rotate();
    await until(async () => {
      await fetchKeys(origin, "dovecot-own");
      assert.equal(readdirSync(join(directory, "keys/default/ES256")).length, 2);
    });
    await rotate("--now");
    const next = await newer(first);
    await leave(next);
    await leave(first);
  });

  await check("dovecot, ES256: a key that signs at once is unknown until it is fetched", async () => {
    const before = await mint("dovecot-own");
    await rotate("--now");
    const token = await newer(before);
    await refused(/ES256 key '.*' not found/, token);
    await fetchKeys(origin, "dovecot-own");
    await leave(token);
  });

  await check("dovecot: refuses an expired token", async () => refused(/Token has expired/, await late));
}
