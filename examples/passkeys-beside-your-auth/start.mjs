// One command: Passmint and the app beside it, on this machine only. Ctrl+C ends both.
//
//   PASSMINT=path      the server's binary; default: built now by cargo
//   STATE=folder       where Passmint keeps its data and keys; default: this folder
//   PORTS=4710,4711    Passmint's and the app's
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { app } from "./app.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "../..");
const state = process.env.STATE ?? here;
const [own, apps] = (process.env.PORTS ?? "4710,4711").split(",");
const url = `http://localhost:${own}`;

const binary = process.env.PASSMINT ?? build();
function build() {
  console.log("building Passmint (the first time takes minutes)");
  execFileSync("cargo", ["build", "--locked", "--bin", "passmint"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  return join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug/passmint");
}

// The secret lives as long as this run: Passmint is given its digest, the app the secret itself.
const secret = `pmk_${randomBytes(32).toString("base64url")}`;
const digest = createHash("sha256").update(secret).digest("base64url");
const config = readFileSync(join(here, "passmint.toml"), "utf8")
  .replace("SECRET_DIGEST", digest)
  .replaceAll(":4710", `:${own}`)
  .replaceAll(":4711", `:${apps}`);
mkdirSync(state, { recursive: true });
const file = join(state, "passmint.running.toml");
writeFileSync(file, config, { mode: 0o600 });

// What else is set for some other Passmint on this machine is not for this one.
const foreign = (name) => name.startsWith("PASSMINT_") || name === "DATABASE_URL";
const server = spawn(binary, ["serve", "--config", file, "--data-dir", join(state, "data"), "--keys-dir", join(state, "keys")], {
  stdio: ["ignore", "inherit", "inherit"],
  env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign(name))),
});
let stopping = false;
const stop = () => {
  stopping = true;
  server.kill("SIGTERM");
};
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
server.on("exit", (code) => process.exit(stopping ? 0 : (code ?? 1)));

for (let tries = 0; !(await fetch(`${url}/readyz`).then((answer) => answer.ok, () => false)); tries++) {
  if (tries === 600) throw new Error("Passmint is not ready after two minutes");
  await new Promise((later) => setTimeout(later, 200));
}
const { origin } = await app({ port: Number(apps), url, secret });
console.log(`\nNotes is at ${origin}: sign in as ada with the password "correct horse"`);
