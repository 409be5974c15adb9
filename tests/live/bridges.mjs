// Prints the TOML of the bridges whose tokens real programs receive, and writes their keys and secrets:
// bridges.mjs <directory> <port of NATS> <port of another NATS> <port of backends>
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeAccount, encodeOperator } from "@nats-io/jwt";
import { createAccount, createOperator } from "@nats-io/nkeys";

import { mailBridges } from "./bridges-mail.mjs";
import { shop } from "./bridges-shop.mjs";
import { surrealdbBridges } from "./bridges-surrealdb.mjs";

const [directory, natsPort, briefNatsPort, backendsPort] = process.argv.slice(2);
const write = (name, text) => {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
};
const text = (bytes) => new TextDecoder().decode(bytes);

// One RSA key under one name for all bridges whose tokens are verified with a key file: a refused token is then refused
// for its content, not because its key is unknown.
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const key = write("bridges.pem", rsa.privateKey.export({ type: "pkcs8", format: "pem" }));
write("bridges.pub.pem", rsa.publicKey.export({ type: "spki", format: "pem" }));
const signed = `key_file = "${key}"\nalgorithm = "RS256"\nkid = "live"`;

const secrets = { supabase: randomBytes(24).toString("hex"), livekit: randomBytes(24).toString("hex"), stream: randomBytes(32).toString("hex"), pusher: randomBytes(10).toString("hex"), surrealdb: randomBytes(32).toString("hex"), ejabberd: randomBytes(24).toString("hex"), backends: `standard_${randomBytes(32).toString("hex")}` };
const secret = (name) => `secret_file = "${write(`${name}.secret`, `${secrets[name]}\n`)}"`;

const [operator, account, signing, stranger] = [createOperator(), createAccount(), createAccount(), createAccount()];
const limits = { subs: -1, data: -1, payload: -1, conn: -1, leaf: -1, imports: -1, exports: -1, wildcards: true };
const nats = {
  operator: await encodeOperator("live", operator),
  accountKey: account.getPublicKey(),
  account: await encodeAccount("APP", account, { signing_keys: [signing.getPublicKey()], limits }, { signer: operator }),
};
const backend = shop();
write("bridges.json", JSON.stringify({ nats, secrets, shop: backend.given, natsPorts: { callout: Number(natsPort), "callout-brief": Number(briefNatsPort) }, backendsPort: Number(backendsPort) }));
const permissions = `pub = { allow = ["{{ tmpl('usr.{}.>', user.id) }}"] }
sub = { allow = ["{{ tmpl('usr.{}.>', user.id) }}", "{{ tmpl('_INBOX_{}.>', user.id) }}"] }
resp = { max = 1, ttl = 5000000000 }`;
const seed = (name, pair) => `key_file = "${write(`${name}.nk`, text(pair.getSeed()))}"`;

const scopes = `scope = [
    "rabbitmq.tag:management", "{{ tmpl('rabbitmq.configure:%2F/mqtt-subscription-{}*', user.id) }}",
    "{{ tmpl('rabbitmq.write:%2F/mqtt-subscription-{}*/*', user.id) }}", "{{ tmpl('rabbitmq.read:%2F/mqtt-subscription-{}*/*', user.id) }}",
    "{{ tmpl('rabbitmq.write:%2F/amq.topic/{}.*', user.id) }}",
    "{{ tmpl('rabbitmq.read:%2F/amq.topic/{}.*', user.id) }}",
]`;

console.log(`
[bridges.supabase]
preset = "supabase-third-party"
[bridges.supabase.claims.app_metadata]
team = "blue"

[bridges.supabase-legacy]
preset = "supabase-secret"
${secret("supabase")}

[bridges.postgrest]
preset = "postgrest"
audience = "postgrest"
[bridges.postgrest.claims]
role = "member"

[bridges.livekit]
preset = "livekit"
issuer = "APIlive"
${secret("livekit")}
[bridges.livekit.inputs.room]
[bridges.livekit.claims]
video = { roomJoin = true, room = "{{ input.room }}" }

[bridges.stream]
preset = "stream"
${secret("stream")}

[bridges.pusher]
preset = "pusher"
issuer = "live-app-key"
${secret("pusher")}
[bridges.pusher.claims]
channels = ["{{ tmpl('private-user-{}', user.id) }}", "{{ tmpl('private-user-{}-*', user.id) }}", "presence-lobby"]
user_info = { name = "{{ user.name ? }}" }

[bridges.appwrite]
preset = "appwrite"
url = "http://127.0.0.1:${backendsPort}/v1"
audience = "my-project"
${secret("backends")}

[bridges.instantdb]
preset = "instantdb"
url = "http://127.0.0.1:${backendsPort}"
audience = "5a8b2c1d-0c5b-4f0e-9d5a-7c1f3b2a9e40"
${secret("backends")}

[bridges.rabbitmq]
preset = "rabbitmq"
audience = "rabbitmq"
${signed}
[bridges.rabbitmq.claims]
scope = [
    "rabbitmq.tag:management",
    "{{ tmpl('rabbitmq.configure:%2F/user-{}', user.id) }}",
    "{{ tmpl('rabbitmq.write:%2F/user-{}', user.id) }}",
    "{{ tmpl('rabbitmq.read:%2F/user-{}', user.id) }}",
]

[bridges.mqtt]
preset = "rabbitmq-mqtt"
audience = "rabbitmq"
${signed}
[bridges.mqtt.claims]
${scopes}

[bridges.rabbitmq-elsewhere]
preset = "rabbitmq"
audience = "other-broker"
${signed}
[bridges.rabbitmq-elsewhere.claims]
scope = ["other-broker.tag:management"]

[bridges.rabbitmq-brief]
preset = "rabbitmq"
audience = "rabbitmq"
lifetime = "10s"
${signed}
[bridges.rabbitmq-brief.claims]
scope = ["rabbitmq.tag:management"]

[bridges.nats]
preset = "nats-user"
issuer = "${nats.accountKey}"
${seed("signing", signing)}
[bridges.nats.claims]
${permissions}

[bridges.nats-own-key]
preset = "nats-user"
${seed("account", account)}
[bridges.nats-own-key.inputs.user_nkey]
charset = "nkey"
[bridges.nats-own-key.claims]
user_nkey = "{{ input.user_nkey }}"
${permissions}

[bridges.nats-brief]
preset = "nats-user"
lifetime = "10s"
${seed("account-brief", account)}
[bridges.nats-brief.claims]
${permissions}

[bridges.nats-stranger]
preset = "nats-user"
${seed("stranger", stranger)}
[bridges.nats-stranger.claims]
${permissions}

${["callout", "callout-brief"].map((name, index) => `[bridges.${name}]
preset = "nats-callout"
url = "${[`nats://127.0.0.1:${natsPort}`, `tls://localhost:${briefNatsPort}`][index]}"
audience = "APP"
${index === 1 ? 'lifetime = "10s"' : ""}
${seed(name, createAccount())}
[bridges.${name}.claims]
${permissions}
`).join("\n")}
${mailBridges({ key, secret: secret("ejabberd") })}
[bridges.proxy]
preset = "jwt"
audience = "proxy"
${signed}

[bridges.proxy-elsewhere]
preset = "jwt"
audience = "elsewhere"
${signed}

[bridges.proxy-brief]
preset = "jwt"
audience = "proxy"
lifetime = "10s"
${signed}

[bridges.for-nobody]
preset = "jwt"
audience = "proxy"
[bridges.for-nobody.allow]
groups = ["nobody-is-in-this-group"]

${surrealdbBridges(signed, secret("surrealdb"))}
${backend.toml}
`);
