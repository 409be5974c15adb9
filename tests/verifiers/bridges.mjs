// Prints the TOML of the bridges whose tokens the verifiers are given: the examples of the docs, as they stand there.
//
//   bridges.mjs <directory for keys>
//
// Beside each example there are more of it that differ from it: `-elsewhere` in the audience, `-stranger` in the issuer, and `-brief`
// lives ten seconds.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const docs = new URL("../../docs/bridges/", import.meta.url);
const [directory] = process.argv.slice(2);

// One key under one name for all bridges of a target that reads the bridge's own keys: what is refused is then refused for what the
// token says, not because the key is unknown.
const shared = (name, kind, options) => {
  const file = join(directory, `${name}.pem`);
  writeFileSync(file, generateKeyPairSync(kind, options).privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  return { key_file: file };
};
const ec = shared("verifiers", "ec", { namedCurve: "P-256" });
const rsa = shared("verifiers-rsa", "rsa", { modulusLength: 2048 });

// The pages whose examples are made here, and what is changed in them. Nothing: they sign with this server's own keys.
const targets = { kubernetes: {}, minio: {}, vault: ec, kafka: rsa, trino: rsa };

/** The first example of a page. */
function example(page) {
  const text = readFileSync(new URL(`${page}.md`, docs), "utf8").split("```toml\n")[1]?.split("```")[0];
  if (!text?.includes(`[bridges.${page}]`)) throw new Error(`docs/bridges/${page}.md has no example that is called ${page}`);
  return text.replace(/^public_url .*$/m, "");
}

/** The same under another name, with other settings. */
function variant(text, name, settings) {
  let changed = text.replace(/\[bridges\.[\w-]+/g, `[bridges.${name}`);
  for (const [key, value] of Object.entries(settings)) {
    changed = changed.replace(new RegExp(`^${key} = .*\n`, "m"), "").replace(/^preset = .*$/m, `$&\n${key} = "${value}"`);
  }
  return changed;
}

for (const [page, settings] of Object.entries(targets)) {
  const text = example(page);
  // With this server's own keys the issuer is this server, and no two bridges have one audience.
  const own = text.includes('key = "provider"');
  console.log(variant(text, page, settings));
  console.log(variant(text, `${page}-elsewhere`, { ...settings, audience: own ? `${page}-elsewhere` : "elsewhere" }));
  if (!own) console.log(variant(text, `${page}-stranger`, { ...settings, issuer: "https://stranger.example.com" }));
  console.log(variant(text, `${page}-brief`, { ...settings, ...(own ? { audience: `${page}-brief` } : {}), lifetime: "10s" }));
}

// The other algorithms that the two take.
console.log(variant(example("kubernetes"), "kubernetes-rs256", { audience: "kubernetes-rs256", algorithm: "RS256" }));
console.log(variant(example("vault"), "vault-rs256", { algorithm: "RS256" }));
console.log(variant(example("vault"), "vault-eddsa", { algorithm: "EdDSA" }));

// With keys of the bridge's own, and what else the two take: another algorithm, another form of the audience, another type.
console.log(variant(example("kafka"), "kafka-own", { algorithm: "ES256", audience_form: "array", typ: "at+jwt" }));
console.log(variant(example("trino"), "trino-own", { algorithm: "ES256", audience_form: "array" }));
// A token for Kafka that has no scope, which its own preset never mints.
console.log(variant('[bridges.no-scope]\npreset = "jwt"\n', "no-scope", { ...rsa, audience: "kafka" }));
