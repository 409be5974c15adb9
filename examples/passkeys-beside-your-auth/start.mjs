// One command: Passmint and the app beside it, on this machine only. Ctrl+C ends both.
//
//   PASSMINT=path      the server's binary; default: built by cargo, after scripts/need has installed what that needs
//   STATE=folder       where Passmint keeps its data and keys; default: this folder
//   PORTS=4710,4711    the ports of Passmint and of the app
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
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
  run("scripts/need", "run");
  withTools();
  console.log("building Passmint (the first time takes minutes)");
  run("cargo", "build", "--locked", "--bin", "passmint");
  return join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug/passmint");
}

/** Runs a program of the checkout. On failure the program has already printed the reason. */
function run(program, ...args) {
  try {
    execFileSync(program, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  } catch (error) {
    if (error.code === "ENOENT") console.error(`${program} is missing: see the README`);
    process.exit(error.status || 1);
  }
}

/** Adds the programs that `scripts/need` has put into the checkout to the PATH, as its env.sh does. */
function withTools() {
  if (!existsSync(join(root, "target/tools/env.sh"))) return;
  process.env.PATH = execFileSync("sh", ["-c", '. target/tools/env.sh; printf %s "$PATH"'], { cwd: root, encoding: "utf8" });
}

// The secret is for this run only: Passmint receives its digest, the app the secret itself.
const secret = `pmk_${randomBytes(32).toString("base64url")}`;
const digest = createHash("sha256").update(secret).digest("base64url");
const config = readFileSync(join(here, "passmint.toml"), "utf8")
  .replace("SECRET_DIGEST", digest)
  .replaceAll(":4710", `:${own}`)
  .replaceAll(":4711", `:${apps}`);
mkdirSync(state, { recursive: true });
const file = join(state, "passmint.running.toml");
writeFileSync(file, config, { mode: 0o600 });

// Settings for another Passmint on this machine do not apply here. PASSMINT_PG_BIN is no server setting, but the place
// of PostgreSQL.
const foreign = (name) => (name.startsWith("PASSMINT_") && name !== "PASSMINT_PG_BIN") || name === "DATABASE_URL";
const server = spawn(binary, ["serve", "--config", file, "--data-dir", join(state, "data"), "--keys-dir", join(state, "keys")], {
  stdio: ["ignore", "inherit", "inherit"],
  env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign(name))),
});
let status; // the exit status, once this program ends the server
const stop = (code) => {
  status ??= code;
  server.kill("SIGTERM");
};
process.on("SIGINT", () => stop(0));
process.on("SIGTERM", () => stop(0));
server.on("error", (error) => {
  console.error(`${binary} cannot be started: ${error.message}`);
  process.exit(1);
});
server.on("exit", (code) => process.exit(status ?? code ?? 1));
// The server also ends if this program ends for any other reason.
process.on("exit", () => server.kill("SIGTERM"));

try {
  for (let tries = 0; !(await fetch(`${url}/readyz`).then((answer) => answer.ok, () => false)); tries++) {
    if (tries === 600) throw new Error("Passmint is not ready after two minutes");
    await new Promise((later) => setTimeout(later, 200));
  }
  const { origin } = await app({ port: Number(apps), url, secret });
  console.log(`\nNotes is at ${origin}: sign in as ada with the password "correct horse"`);
} catch (error) {
  console.error(error.code === "EADDRINUSE" ? `port ${apps} is taken: choose others with PORTS=4710,4711` : error.message);
  stop(1);
}
