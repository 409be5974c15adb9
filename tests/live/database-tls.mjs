// TLS to PostgreSQL: a build with the feature `db-tls` against a PostgreSQL that accepts nothing else, and the default
// build, which reports that it cannot use TLS.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { cluster } from "./cluster.mjs";
import { check } from "./harness.mjs";
import { freePort, run, start, work } from "./program.mjs";

const PASSWORD = "of-the-database";

/**
 * Creates a certificate authority; returns its certificate's file, and a function that issues a server's key and
 * certificate.
 */
async function authority(name) {
  const file = (ending) => join(work, `${name}${ending}`);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2"];
  await run(["openssl", "req", "-x509", ...key, "-subj", `/CN=${name}`, "-keyout", file(".key"), "-out", file(".pem")]);
  const issue = async (host) => {
    const [of, signed] = [["-CA", file(".pem"), "-CAkey", file(".key")], ["-keyout", file("-server.key"), "-out", file("-server.pem")]];
    await run(["openssl", "req", "-x509", ...of, ...key, "-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host}`,
      "-addext", "basicConstraints=critical,CA:FALSE", ...signed]);
    return ["-server.key", "-server.pem"].map((ending) => readFileSync(file(ending)));
  };
  return { pem: file(".pem"), issue };
}

/** The directory and environment to run `passmint` in, with a database. */
function place(url) {
  const home = join(work, "db-tls");
  mkdirSync(home, { recursive: true });
  // The settings of this run's other server do not apply to this one.
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PASSMINT")));
  const env = { ...own, DATABASE_URL: url, PASSMINT_KEYS_DIR: join(home, "keys"), PASSMINT_DATA_DIR: join(home, "data") };
  return { cwd: home, env };
}

/** Runs a command there; resolves to its exit status and everything it printed. */
const passmint = (program, url, ...words) => new Promise((done) => {
  execFile(program, words, place(url), (error, stdout, stderr) => done({ status: error?.code ?? 0, said: `${stdout}${stderr}` }));
});

async function ready(url) {
  for (let tries = 0; (await fetch(url)).status !== 200; tries++) {
    assert.ok(tries < 100, "the server is ready within 10 s");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export async function databaseTls(withTls, withoutTls) {
  const [known, foreign] = await Promise.all(["known-authority", "foreign-authority"].map(authority));
  const [key, certificate] = await known.issue("localhost");
  const server = await check("a PostgreSQL starts that wants TLS and a password", async () => {
    const started = await cluster("postgres-tls", (data, own) => {
      own("server.key", key);
      own("server.crt", certificate);
      own("pg_hba.conf", "hostssl passmint passmint 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n");
      return ["ssl=on", "fsync=on"];
    });
    await started.sql(`create role passmint login password '${PASSWORD}'`);
    await started.sql("create database passmint owner passmint");
    return started;
  });
  if (!server) return;
  const url = (query) => `postgres://passmint:${PASSWORD}@localhost:${server.port}/passmint?${query}`;
  const verified = url(`sslmode=verify-full&sslrootcert=${known.pem}`);

  await check("with db-tls: the server starts on it, and every connection is encrypted", async () => {
    const made = await passmint(withTls, verified, "keys", "init");
    assert.equal(made.status, 0, made.said);
    const port = await freePort();
    const flags = [`--listen=127.0.0.1:${port}`, `--public-url=http://localhost:${port}`, "--admin-listen=off"];
    const stop = await start("passmint-db-tls", [withTls, "serve", ...flags], place(verified), port);
    try {
      await ready(`http://localhost:${port}/readyz`);
      const ours = "from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'passmint'";
      assert.equal((await server.sql(`select bool_and(ssl) and min(version) >= 'TLSv1.2' ${ours}`)).trim(), "t");
    } finally {
      stop();
    }
  });

  await check("with db-tls: an authority that is not the named one, another host's certificate, and no TLS are refused", async () => {
    for (const [name, wrong, reason] of [
      ["another authority", url(`sslmode=verify-full&sslrootcert=${foreign.pem}`), /certificate verify failed/],
      ["another host", verified.replace("localhost", "127.0.0.1"), /does not match host name/],
      ["no TLS", url("sslmode=disable"), /no encryption|no pg_hba.conf entry/],
    ]) {
      const { status, said } = await passmint(withTls, wrong, "migrate");
      assert.notEqual(status, 0, name);
      assert.match(said, reason, name);
      assert.ok(!said.includes(PASSWORD), `${name}: no password in what is said`);
    }
  });

  await check("without db-tls: one line says that this build cannot, and what to do", async () => {
    const { status, said } = await passmint(withoutTls, verified, "migrate");
    assert.notEqual(status, 0);
    assert.match(said, /asks for TLS \(sslmode=verify-full\).*--features db-tls/);
    assert.ok(!said.includes(PASSWORD));
  });
}
