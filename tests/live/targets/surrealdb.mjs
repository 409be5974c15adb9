// SurrealDB, embedded: with the definitions of the docs, a person is a record that sees its own rows, and an operator a
// system user.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createWasmEngines } from "@surrealdb/wasm";
import { Surreal } from "surrealdb";

import { broken, forged, unsigned } from "../forged.mjs";
import { check } from "../harness.mjs";
import { pasted } from "../pasted.mjs";
import { passmint, until, work } from "../program.mjs";

const SOMEBODY = "00000000-0000-4000-8000-000000000001";
const pem = () => readFileSync(join(work, "bridges.pub.pem"), "utf8");

export async function surrealdb({ origin, user, mint, call, expired, kept }) {
  const db = await check("surrealdb: an engine of its own starts, with what the docs define", () => boot(origin, user));
  if (!db) return;
  const late = expired("surrealdb-brief");
  /** Opens a separate connection, authenticated with a token. */
  const enter = async (token) => {
    const session = await db.newSession();
    await session.authenticate(token);
    return async (text) => (await session.query(text)).at(-1);
  };
  const good = await mint("surrealdb");

  await check("surrealdb: a person is the record of their id, and has the own rows alone", async () => {
    const query = await enter(good);
    assert.deepEqual(await query("RETURN [record::tb($auth), record::id($auth), $auth.name]"), ["user", user, "Ada"]);
    assert.deepEqual(await query("SELECT VALUE name FROM user"), ["Ada"]);
    assert.deepEqual(await query("SELECT VALUE text FROM note"), ["mine"]);
    assert.deepEqual(await query("UPDATE note SET text = 'changed' RETURN VALUE text"), ["changed"]);
    assert.deepEqual(await query(`UPDATE note:theirs SET owner = $auth; UPDATE note:mine SET owner = ${record(SOMEBODY)}`), []);
    assert.deepEqual(await query(`CREATE note SET owner = ${record(SOMEBODY)}, text = 'for somebody else'`), []);
    assert.equal((await query("CREATE note SET owner = $auth, text = 'another'")).length, 1);
    for (const text of ["INFO FOR DB", "DEFINE TABLE other"]) await assert.rejects(query(text), /not enough permissions/i, text);
  });

  await check("surrealdb: a person whose record is not there yet has no rows, and can make the own", async () => {
    const query = await enter(forged(good, { sub: "00000000-0000-4000-8000-000000000002" }));
    assert.deepEqual(await query("SELECT * FROM note, user"), []);
    assert.equal((await query("CREATE note SET owner = $auth; SELECT * FROM note")).length, 1);
  });

  await check("surrealdb: who is of the operators reads all rows, and writes none", async () => {
    assert.equal((await call("surrealdb-operators")).status, 403, "before");
    await passmint("users", "set", user, "--group", "operators");
    const query = await enter(await mint("surrealdb-operators"));
    assert.equal(await query("RETURN $auth"), undefined);
    const all = await query("SELECT VALUE text FROM note");
    for (const text of ["changed", "theirs"]) assert.ok(all.includes(text), text);
    assert.deepEqual(await query(`CREATE note SET owner = ${record(SOMEBODY)}`), []);
    for (const text of ["UPDATE note SET text = ''", "UPDATE user SET name = ''", "CREATE user", "DELETE note RETURN BEFORE"]) {
      assert.deepEqual(await query(text), [], text);
    }
    await assert.rejects(query("CREATE note SET owner = $auth"), /expected `record<user>`/i, "what the type of the owner is for");
    await assert.rejects(query("DEFINE TABLE other"), /not enough permissions/i);
    assert.deepEqual(await query("SELECT VALUE text FROM note"), all);
  });

  await check("surrealdb: a role smuggled into a record's token gives nothing", async () => {
    for (const name of ["rl", "RL", "https://surrealdb.com/rl", "roles"]) {
      const query = await enter(forged(good, { [name]: ["Owner"] }));
      assert.ok(!(await query("SELECT VALUE text FROM note")).includes("theirs"), name);
      assert.deepEqual(await query("UPDATE note:theirs SET text = ''"), [], name);
      await assert.rejects(query("INFO FOR DB"), /not enough permissions/i, name);
    }
  });

  const operator = await mint("surrealdb-operators");
  for (const [what, token, why] of [
    ["a token for another audience", await mint("surrealdb-elsewhere"), /: aud$/],
    ["a token for a list of audiences", forged(good, { aud: ["my-app"] }), /: aud$/],
    ["a token for no audience", forged(good, { aud: undefined }), /: aud$/],
    ["a token of another issuer", forged(good, { iss: "https://id.example.com" }), /: iss$/],
    ["an operator's token of another issuer", forged(operator, { iss: "https://id.example.com" }), /: iss$/],
    ["a person's token at the operators' access", forged(good, { ac: "operators" }), /: aud$/],
    ["a person's token with a role there", forged(good, { ac: "operators", rl: ["Owner"] }), /: aud$/],
    ["an operator's token at the people's access", forged(operator, { ac: "passmint" }), /: aud$/],
    ["another namespace", forged(good, { ns: "other" }), /does not exist/],
    ["another database", forged(good, { db: "other" }), /'other' does not exist/],
    ["another access", forged(good, { ac: "other" }), /'other' does not exist/],
    ["an operator of the whole namespace", forged(operator, { db: undefined }), /does not exist in the namespace/],
    ["a role that is none", forged(operator, { rl: ["Reader"] }), /invalid role/i],
    ["a broken signature", broken(good), /problem with authentication/],
    ["an operator's broken signature", broken(operator), /problem with authentication/],
    ["a token without an end", forged(good, { exp: undefined }), /problem with authentication/],
    ["a token without a signature", unsigned(good), /unknown variant `none`/],
    ["an expired token", await late, /token has expired/],
  ]) {
    await check(`surrealdb: refuses ${what}`, () => assert.rejects(enter(token), why));
  }

  await check("surrealdb: takes each algorithm, by the key that the bridge publishes or shares", async () => {
    const keys = { ES256: await published(origin, "es256"), EdDSA: await published(origin, "eddsa"), HS256: kept.secrets.surrealdb };
    for (const [algorithm, key] of Object.entries(keys)) {
      const name = algorithm.toLowerCase();
      await db.query(define(origin, algorithm, key, [["ACCESS passmint", `ACCESS OVERWRITE ${name}`]]));
      const token = await mint(`surrealdb-${name}`);
      const query = await enter(token);
      assert.deepEqual(await query("RETURN [session::ac(), record::id($auth)]"), [name, user]);
      for (const other of [broken(token), forged(good, { ac: name })]) {
        await assert.rejects(enter(other), /problem with authentication/, algorithm);
      }
    }
  });

  await check("surrealdb: a connection is over when its session is", async () => {
    await db.query(define(origin, "RS256", pem(), [["ACCESS passmint", "ACCESS brief"], ["FOR SESSION 10m", "FOR SESSION 2s"]]));
    const query = await enter(forged(good, { ac: "brief" }));
    assert.deepEqual(await query("RETURN record::id($auth)"), user);
    await until(() => assert.rejects(query("RETURN 1"), /session has expired/));
  });
}

const record = (id) => `type::record("user", "${id}")`;

/** Returns the docs' definition for people, with the key itself: the embedded engine fetches no keys. */
const define = (origin, algorithm, key, changes = []) => pasted("surrealdb", "The database", [
  ['URL "https://id.example.com/v1/bridges/surrealdb/jwks.json"', `ALGORITHM ${algorithm} KEY "${key}"`], ["https://id.example.com", origin], ...changes,
]);

/** Returns the first key of a bridge, in PEM. */
async function published(origin, name) {
  const bridge = `${origin}/v1/bridges/surrealdb-${name}`;
  const { keys: [{ kid }] } = await (await fetch(`${bridge}/jwks.json`)).json();
  return (await fetch(`${bridge}/keys/${kid}.pem`)).text();
}

/** Starts an in-memory engine with the docs' definitions and the rows of two people. */
async function boot(origin, user) {
  const db = new Surreal({ engines: createWasmEngines() });
  // The engine fetches its own file, by an address that Node's `fetch` does not accept. If that fails, it waits without
  // an error.
  const { fetch } = globalThis;
  globalThis.fetch = (what, options) => what?.protocol === "file:" ? new Response(readFileSync(what)) : fetch(what, options);
  const late = (resolve, reject) => setTimeout(reject, 60_000, new Error("@surrealdb/wasm did not start within 60 s")).unref();
  await Promise.race([db.connect("mem://"), new Promise(late)]).finally(() => { globalThis.fetch = fetch; });
  await db.use({ namespace: "main", database: "main" });
  await db.query(define(origin, "RS256", pem()));
  await db.query(pasted("surrealdb", "The database, for operators", [
    ['URL "https://id.example.com/v1/bridges/surrealdb-operators/jwks.json"', `ALGORITHM RS256 KEY "${pem()}"`], ["https://id.example.com", origin],
  ]));
  await db.query(pasted("surrealdb", "People and their rows", []));
  await db.query(`CREATE ${record(user)} SET name = "Ada"; CREATE ${record(SOMEBODY)} SET name = "Bob";
    CREATE note:mine SET owner = ${record(user)}, text = "mine"; CREATE note:theirs SET owner = ${record(SOMEBODY)}, text = "theirs";`);
  return db;
}
