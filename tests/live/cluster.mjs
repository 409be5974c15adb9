// A private PostgreSQL for a test, on a free loopback port.
import { chownSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { find, freePort, run, start, work } from "./program.mjs";

/**
 * Starts it; returns its port and `sql`, which runs a script as the superuser and resolves to what it selects. `prepare`
 * may change the data directory before the start: it is called with the directory and with `own`, which writes a file
 * that only the server can read, and returns further settings.
 */
export async function cluster(name, prepare = () => []) {
  const versions = readdirSync("/usr/lib/postgresql").sort((a, b) => b - a);
  const bin = join("/usr/lib/postgresql", versions[0], "bin");
  const psql = find("psql", "install the package postgresql", join(bin, "psql"));
  const data = join(work, name);
  mkdirSync(data, { mode: 0o700 });
  // PostgreSQL refuses to run as root.
  let [command, give] = [[], () => {}];
  if (process.getuid() === 0) {
    const [uid, gid] = (await Promise.all(["-u", "-g"].map((which) => run(["id", which, "postgres"])))).map(Number);
    give = (path) => chownSync(path, uid, gid);
    command = ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
  }
  give(data);
  await run([...command, join(bin, "initdb"), "-A", "trust", "-U", "postgres", "--no-sync", "-D", data], { cwd: "/" });
  const own = (file, text) => {
    writeFileSync(join(data, file), text, { mode: 0o600 });
    give(join(data, file));
  };
  const settings = (await prepare(data, own)).flatMap((setting) => ["-c", setting]);
  const port = await freePort();
  const postgres = [join(bin, "postgres"), "-D", data, "-p", `${port}`, "-h", "127.0.0.1", "-k", "", "-F", ...settings];
  await start(name, [...command, ...postgres], { cwd: "/" }, port);
  const file = join(work, `${name}.sql`);
  const sql = (text) => {
    writeFileSync(file, text);
    return run([psql, "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", `${port}`, "-U", "postgres", "-f", file]);
  };
  return { port, sql };
}
