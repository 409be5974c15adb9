// A private Kafka broker, set up with what the docs say to paste, and the settings of its clients.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { freePort, run, start, work } from "../../live/program.mjs";
import { given, pasted } from "./check.mjs";

const folder = join(work, "kafka");
const classes = `${readFileSync(join(folder, "classpath"), "utf8")}:${join(folder, "classes")}`;
const java = (flags, main, ...words) => ["java", "-Xmx512m", ...flags, "-cp", classes, main, ...words];
const QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=off";

/** Asks `Validator` or `Client` these questions; returns the answers. */
export const ask = (main, flags, questions) =>
  JSON.parse(run(java([QUIET, ...flags], main), { input: JSON.stringify(questions), timeout: 180_000 }));

// The trust store for Java's own HTTPS with this run's certificate; a real server has a certificate that Java trusts.
const trust = join(folder, "trust.p12");
/** The flags of a process that fetches the keys. */
export const TRUSTING = [`-Djavax.net.ssl.trustStore=${trust}`, "-Djavax.net.ssl.trustStorePassword=changeit"];

// Beside the docs' own listener: one for another bridge with other keys, and one without the handler's line.
const OWN = ["/bridges/kafka/", "/bridges/kafka-own/"];
const named = (listener) => ["listener.name.sasl_ssl.", `listener.name.${listener}.`];
const [HANDLER] = pasted("kafka", "server.properties").match(/^.*callback\.handler\.class=.*\n/m);
const listeners = `${pasted("kafka", "server.properties")}
${pasted("kafka", "server.properties", [named("own"), OWN])}
${pasted("kafka", "server.properties", [[HANDLER, ""], named("open")])}`;

const environment = (changes) => pasted("kafka", "The broker's environment", changes).match(/^KAFKA_OPTS=(\S+)$/m)[1];
/** The flag that the docs put into the broker's environment, for both bridges. */
export const ALLOWED = `${environment([])},${environment([OWN]).split("=")[1]}`;

const names = ["SASL_SSL", "OWN", "OPEN", "ADMIN", "CONTROLLER"];
const ports = {};
for (const name of names) ports[name] = await freePort();
const each = (word, these = names) => these.map((name) => `${word(name)}:${ports[name]}`).join(",");

const certificate = join(folder, "tls.pem");
const properties = `process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:${ports.CONTROLLER}
listeners=${each((name) => `${name}://127.0.0.1`)}
advertised.listeners=${each((name) => `${name}://localhost`, names.slice(0, 4))}
listener.security.protocol.map=SASL_SSL:SASL_SSL,OWN:SASL_SSL,OPEN:SASL_SSL,ADMIN:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=ADMIN
controller.listener.names=CONTROLLER
ssl.keystore.type=PEM
ssl.keystore.location=${certificate}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
auto.create.topics.enable=false
log.dirs=${join(folder, "data")}
${listeners}`;

const read = (text) => Object.fromEntries(text.split("\n").filter(Boolean).map((line) => line.split(/=(.*)/s).slice(0, 2)));
/** The broker's settings, as an object. */
export const settings = read(properties);

/** Starts the broker, with a topic that the person owns and one that another owns. */
export async function boot() {
  const config = join(folder, "server.properties");
  writeFileSync(config, properties, { mode: 0o600 });
  writeFileSync(certificate, readFileSync(join(work, "tls.key"), "utf8") + readFileSync(process.env.CERTIFICATE, "utf8"), { mode: 0o600 });
  run(["keytool", "-importcert", "-noprompt", "-alias", "passmint", "-file", process.env.CERTIFICATE, "-keystore", trust,
    "-storetype", "PKCS12", "-storepass", "changeit"]);
  const id = run(java([QUIET], "kafka.tools.StorageTool", "random-uuid")).trim();
  run(java([QUIET], "kafka.tools.StorageTool", "format", "--standalone", "-t", id, "-c", config));
  await start("kafka", java([...TRUSTING, ALLOWED], "kafka.Kafka", config), {}, ports.SASL_SSL, 120);
  const admin = { "bootstrap.servers": `localhost:${ports.ADMIN}` };
  const topics = [["own", given.user], ["other", "somebody-else"]].map(([topic, owner]) => ({ properties: admin, topic, owner }));
  assert.deepEqual(ask("Client", [], topics), [{ read: given.user }, { read: "somebody-else" }]);
  return true;
}

/** Writes a token to a file; returns the address that the docs' client expects. */
export function file(name, token) {
  writeFileSync(join(folder, name), token, { mode: 0o600 });
  return `file://${join(folder, name)}`;
}

/** The settings of the docs' client, which reads its token from a file. */
export const byFile = (url, listener = "SASL_SSL") => ({
  ...read(pasted("kafka", "A client's properties, with the token in a file", [["file:///run/kafka/token", url]])),
  "bootstrap.servers": `localhost:${ports[listener]}`, "ssl.truststore.type": "PEM", "ssl.truststore.location": process.env.CERTIFICATE,
});

/** The settings of a client that sends any given token. */
export const bare = (token, listener) => ({
  ...byFile("none", listener),
  "sasl.login.callback.handler.class": "Given",
  "sasl.jaas.config": `org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required token="${token}";`,
});
