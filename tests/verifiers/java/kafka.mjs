// Kafka: a whole broker with clients that bring tokens, and the broker's token validator by itself, which tells its
// reasons.
import assert from "node:assert/strict";

import { assertRefused, check, expired, given } from "./check.mjs";
import { altered, broken, confused, foreign, unsigned, without } from "./forge.mjs";
import { ALLOWED, TRUSTING, ask, bare, boot, byFile, file, settings } from "./kafka-broker.mjs";

const { tokens } = given;
const NO_KEY = "Unable to find a suitable verification key for JWS w/ header";

/** The tokens that must be refused, and a word of the validator's reason. */
const refusals = (token, late) => [
  ["a token for another audience", tokens["kafka-elsewhere"], "Audience (aud) claim [elsewhere]"],
  ["a token of another issuer", tokens["kafka-stranger"], "Issuer (iss) claim value (https://stranger.example.com)"],
  ["a token of another bridge with the same key", tokens.trino, "Audience (aud) claim [trino]"],
  ["a token of another bridge with another key", tokens["kafka-own"], NO_KEY],
  ["an access token", given.accessToken, NO_KEY],
  ["an ID token", given.idToken, NO_KEY],
  ["a token that is over for longer than the clocks may differ", late, "The JWT is no longer valid"],
  ["a token that says no end", without(token, "exp"), "No Expiration Time (exp) claim present"],
  ["a token that says no beginning", without(token, "iat"), "No Issued At (iat) claim present"],
  ["a token about nobody", without(token, "sub"), "sub value must be non-null"],
  ["a token of nobody", without(token, "iss"), "No Issuer (iss) claim present"],
  ["a token for nobody", without(token, "aud"), "No Audience (aud) claim present"],
  ["a broken signature", broken(token), "Invalid JWS Signature"],
  ["an altered token", altered(token), "Invalid JWS Signature"],
  ["a token under a key that it brings along", foreign(token), "Invalid JWS Signature"],
  ["a token without a signature", unsigned(token), "Malformed JWT provided"],
  ["a token that wants no signature", `${unsigned(token)}AA`, `${NO_KEY} {"alg":"none"`],
  ["a token that is signed with the published key", confused(token), `${NO_KEY} {"alg":"HS256"`],
];

export async function kafka() {
  if (!(await check("kafka: a broker starts with the docs' properties and its environment", boot))) return;
  const token = tokens.kafka;

  await check("kafka: the docs' client writes and reads what the person may, and nothing else", () => {
    const [first, second] = [file("token", token), file("own-token", tokens["kafka-own"])];
    const answers = ask("Client", [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${first},${second}`], [
      { properties: byFile(first), topic: "own" }, { properties: byFile(second, "OWN"), topic: "own" }, { properties: byFile(first), topic: "other" },
    ]);
    assert.deepEqual(answers.slice(0, 2), [{ read: "hi" }, { read: "hi" }]);
    assertRefused(answers[2], "TopicAuthorizationException");
  });

  const bad = refusals(token, await expired("kafka-brief", 31));
  const all = [token, tokens["no-scope"], ...bad.map(([, one]) => one)];
  const [judged, judgedBare, ...reasons] = ask("Validator", [...TRUSTING, ALLOWED], all.map((one) => ({ properties: settings, token: one })));
  const [passed, passedBare, ...answers] = ask("Client", [], all.map((one) => ({ properties: bare(one), topic: "own" })));
  await check("kafka: validator and broker take the token, for the person", () =>
    assert.deepEqual([judged, passed], [{ principal: given.user }, { read: "hi" }]));
  await check("kafka: as the docs tell, they miss no scope", () =>
    assert.deepEqual([judgedBare, passedBare], [{ principal: given.user }, { read: "hi" }]));
  for (const [index, [what, , because]] of bad.entries()) {
    await check(`kafka: validator and broker refuse ${what}`, () => {
      assertRefused(reasons[index], because);
      assertRefused(answers[index], 'SaslAuthenticationException: {"status":"invalid_token"}');
    });
  }

  await check("kafka: nothing is judged without an allowed address, an issuer or an audience", () => {
    const lacking = (name) => ({ properties: Object.fromEntries(Object.entries(settings).filter(([key]) => !key.endsWith(name))), token });
    assertRefused(ask("Validator", TRUSTING, [{ properties: settings, token }])[0], "org.apache.kafka.sasl.oauthbearer.allowed.urls");
    const [issuer, audience] = ask("Validator", [...TRUSTING, ALLOWED], [lacking("expected.issuer"), lacking("expected.audience")]);
    assertRefused(issuer, 'requires "sasl.oauthbearer.expected.issuer"');
    assertRefused(audience, 'requires "sasl.oauthbearer.expected.audience"');
  });

  await check("kafka: as the docs warn, without the handler's line a broker takes what nobody signed", () => {
    const anybody = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${token.split(".")[1]}.`;
    assert.deepEqual(ask("Client", [], [{ properties: bare(anybody, "OPEN"), topic: "own" }]), [{ read: "hi" }]);
  });
}
