// ejabberd: the token as an XMPP password, verified with the key file that the bridge's page tells how to fetch.
import assert from "node:assert/strict";

import { broken, forged, unsigned } from "../forged.mjs";
import { check } from "../harness.mjs";
import { HOST, SHARED, boot, configure, fetchKey, signIn } from "./ejabberd-set-up.mjs";

const ANOTHER = "00000000-0000-4000-8000-000000000001";

export async function ejabberd({ origin, user, mint, expired, kept }) {
  const server = await check("ejabberd: starts", () => boot(kept.secrets.ejabberd));
  if (!server) return;
  const late = expired("ejabberd-brief");
  const enter = (token, { name = user, host = HOST, as = "" } = {}) => signIn(server.xmpp, { host, as, name, token });
  const refused = (...given) => assert.rejects(enter(...given), /<not-authorized\/>/);
  const good = await mint("ejabberd");

  await check("ejabberd: with what its page says, the token is the password of the person's JID", async () => {
    await refused(good);
    configure();
    await fetchKey(server, origin, "ejabberd");
    assert.equal(await enter(good), `${user}@${HOST}/live`);
    assert.equal(await enter(good, { as: `${user}@${HOST}` }), `${user}@${HOST}/live`);
  });

  const refusals = {
    "the token under another's name": [good, { name: ANOTHER }],
    "the token to act for another": [good, { as: `${ANOTHER}@${HOST}` }],
    "the token at another host": [good, { host: SHARED }],
    "a token for a JID at another host": [await mint("ejabberd-elsewhere")],
    "a broken signature": [broken(good)],
    "a token without a signature": [unsigned(good)],
    "another bridge's token by the same key": [await mint("proxy")],
    "a token by another key": [await mint("ejabberd-own")],
    "a token that is signed with a shared secret": [await mint("ejabberd-shared")],
    "a token without exp": [forged(good, { exp: undefined })],
    "an empty password": [""],
  };
  for (const [what, given] of Object.entries(refusals)) {
    await check(`ejabberd: refuses ${what}`, () => refused(...given));
  }

  await check("ejabberd: it looks at nothing else, as its page says", async () => {
    const tomorrow = Math.floor(Date.now() / 1000) + 86_400;
    const token = forged(good, { iss: "https://elsewhere.example", aud: "elsewhere", nbf: tomorrow, exp: tomorrow + 60 }, { kid: "unknown" });
    assert.equal(await enter(token), `${user}@${HOST}/live`);
  });

  await check("ejabberd, HS256: a shared secret as the page writes it, and nothing signed otherwise", async () => {
    const token = await mint("ejabberd-shared");
    assert.equal(await enter(token, { host: SHARED }), `${user}@${SHARED}/live`);
    await refused(broken(token), { host: SHARED });
    await refused(forged(token, {}, { alg: "RS256" }), { host: SHARED });
  });

  await check("ejabberd: refuses an expired token", async () => refused(await late));

  await check("ejabberd: once the page's command has fetched another key, that one alone counts", async () => {
    await fetchKey(server, origin, "ejabberd-own");
    assert.equal(await enter(await mint("ejabberd-own")), `${user}@${HOST}/live`);
    await refused(good);
  });
}
