// Prints the TOML of the bridges whose tokens the verifiers receive: the examples of the docs, as they stand there.
//
//   bridges.mjs <directory for keys>
//
// Each example has variants: `-elsewhere` differs in the audience, `-stranger` in the issuer, and `-brief` lives ten
// seconds.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const docs = new URL("../../docs/bridges/", import.meta.url);
const [directory] = process.argv.slice(2);

// One key under one name for all bridges of a target that reads the bridge's own keys: a refused token is then refused
// for its content, not because its key is unknown.
const shared = (name, kind, options) => {
  const file = join(directory, `${name}.pem`);
  writeFileSync(file, generateKeyPairSync(kind, options).privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  return { key_file: file };
};
const ec = shared("verifiers", "ec", { namedCurve: "P-256" });
const rsa = shared("verifiers-rsa", "rsa", { modulusLength: 2048 });

// The pages whose examples are used, and the settings changed in them. With `{}` the bridge signs with this server's
// own keys.
const targets = { kubernetes: {}, minio: {}, vault: ec, kafka: rsa, trino: rsa };

/** Returns the first example of a page. */
function example(page) {
  const text = readFileSync(new URL(`${page}.md`, docs), "utf8").split("```toml\n")[1]?.split("```")[0];
  if (!text?.includes(`[bridges.${page}]`)) throw new Error(`docs/bridges/${page}.md has no example that is called ${page}`);
  return text.replace(/^public_url .*$/m, "");
}

/** Returns an example under another name, with other settings. */
function variant(text, name, settings) {
  let changed = text.replace(/\[bridges\.[\w-]+/g, `[bridges.${name}`);
  for (const [key, value] of Object.entries(settings)) {
    changed = changed.replace(new RegExp(`^${key} = .*\n`, "m"), "").replace(/^preset = .*$/m, `$&\n${key} = "${value}"`);
  }
  return changed;
}

for (const [page, settings] of Object.entries(targets)) {
  const text = example(page);
  // With the server's own keys the issuer is the server, and every bridge needs an audience of its own.
  const own = text.includes('key = "provider"');
  console.log(variant(text, page, settings));
  console.log(variant(text, `${page}-elsewhere`, { ...settings, audience: own ? `${page}-elsewhere` : "elsewhere" }));
  if (!own) console.log(variant(text, `${page}-stranger`, { ...settings, issuer: "https://stranger.example.com" }));
  console.log(variant(text, `${page}-brief`, { ...settings, ...(own ? { audience: `${page}-brief` } : {}), lifetime: "10s" }));
}

// The other algorithms that Kubernetes and Vault accept.
console.log(variant(example("kubernetes"), "kubernetes-rs256", { audience: "kubernetes-rs256", algorithm: "RS256" }));
console.log(variant(example("vault"), "vault-rs256", { algorithm: "RS256" }));
console.log(variant(example("vault"), "vault-eddsa", { algorithm: "EdDSA" }));

// With keys of their own, and what else Kafka and Trino accept: another algorithm, another form of the audience,
// another type.
console.log(variant(example("kafka"), "kafka-own", { algorithm: "ES256", audience_form: "array", typ: "at+jwt" }));
console.log(variant(example("trino"), "trino-own", { algorithm: "ES256", audience_form: "array" }));
// A token for Kafka without a scope, which the kafka preset never mints.
console.log(variant('[bridges.no-scope]\npreset = "jwt"\n', "no-scope", { ...rsa, audience: "kafka" }));
