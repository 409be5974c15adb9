// The bridges of ./targets/surrealdb.mjs: the examples of docs/bridges/surrealdb.md, and variants that differ in one or
// two settings.
import { readFileSync } from "node:fs";

const page = readFileSync(new URL("../../docs/bridges/surrealdb.md", import.meta.url), "utf8");
const [record, system] = page.split("```toml\n").slice(1).map((rest) => rest.split("```")[0].replace(/^public_url .*\n/m, ""));

/** Returns an example under another name, with more settings, and with the named text replaced. */
function variant(text, name, settings, changes = {}) {
  let changed = text.replace(/\[bridges\.[\w-]+/g, `[bridges.${name}`).replace(/^preset = .*$/m, `$&\n${settings}`);
  for (const [from, to] of Object.entries(changes)) {
    if (!changed.includes(from)) throw new Error(`docs/bridges/surrealdb.md: the example says ${from} no more`);
    changed = changed.replace(from, to);
  }
  return changed;
}

/** All of them in TOML. `signed` names the key that they share, `secret` one of their secrets. */
export const surrealdbBridges = (signed, secret) => [
  variant(record, "surrealdb", signed),
  variant(system, "surrealdb-operators", signed),
  variant(record, "surrealdb-elsewhere", signed, { '"my-app"': '"elsewhere"' }),
  variant(record, "surrealdb-brief", `${signed}\nlifetime = "10s"`),
  // Each with its own key, for an access of its own.
  variant(record, "surrealdb-es256", "", { '"passmint"': '"es256"' }),
  variant(record, "surrealdb-eddsa", 'algorithm = "EdDSA"', { '"passmint"': '"eddsa"' }),
  variant(record, "surrealdb-hs256", `algorithm = "HS256"\n${secret}`, { '"passmint"': '"hs256"' }),
].join("\n");
