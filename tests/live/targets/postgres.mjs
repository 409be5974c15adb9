// PostgreSQL's row level security with the functions of Supabase and the setting of PostgREST: the claims of a verified token
// decide what its person sees.
import assert from "node:assert/strict";
import { chownSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRemoteJWKSet, jwtVerify } from "jose";

import { check } from "../harness.mjs";
import { find, freePort, run, start, work } from "../program.mjs";

const SCHEMA = `
create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls; create role member nologin;
create schema auth; grant usage on schema auth to anon, authenticated, member;
create function auth.jwt() returns jsonb language sql stable as
  $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
create function auth.uid() returns uuid language sql stable as $$ select (auth.jwt() ->> 'sub')::uuid $$;
create table notes (owner uuid, text text);
alter table notes enable row level security;
grant select, update on notes to anon, authenticated, member;
create policy own on notes to authenticated using (owner = auth.uid());
create policy with_passkey on notes as restrictive for update to authenticated using ((auth.jwt() ->> 'aal') = 'aal2');
create policy own_text on notes to member using (owner::text = current_setting('request.jwt.claims', true)::json ->> 'sub');
insert into notes values ('00000000-0000-4000-8000-000000000001', 'of somebody else');
`;

export async function postgres({ origin, user, mint, kept }) {
  const sql = await check("postgres: a cluster of its own starts", cluster);
  if (!sql) return;
  sql(`${SCHEMA} insert into notes values ('${user}', 'mine');`);

  /** What PostgREST does with a verified token: its role, its claims, the query. */
  const as = (claims, query) => sql(`begin; set local role ${JSON.stringify(claims.role)};
    select set_config('request.jwt.claims', $claims$${JSON.stringify(claims)}$claims$, true) as ignored \\gset
    ${query}; commit;`).trim();
  const keys = (bridge) => createRemoteJWKSet(new URL(`${origin}/v1/bridges/${bridge}/jwks.json`));

  await check("supabase, third-party auth: a person sees the own rows and no others", async () => {
    const options = { audience: "authenticated", issuer: origin, algorithms: ["ES256"], requiredClaims: ["exp", "role"] };
    const { payload, protectedHeader } = await jwtVerify(await mint("supabase"), keys("supabase"), options);
    assert.ok(protectedHeader.kid, "third-party auth needs a kid");
    assert.equal(as(payload, "select text from notes"), "mine");
    assert.equal(as(payload, "select auth.uid()"), user);
    assert.equal(as(payload, "with changed as (update notes set text = text returning 1) select count(*) from changed"), "1", "aal2");
    assert.equal(as({ ...payload, aal: "aal1" }, "with changed as (update notes set text = text returning 1) select count(*) from changed"), "0");
    assert.equal(as({ ...payload, sub: "00000000-0000-4000-8000-000000000002" }, "select count(*) from notes"), "0");
    assert.throws(() => as({ ...payload, sub: "usr_1" }, "select count(*) from notes"), /uuid/, "why the subject is a uuid");
  });

  await check("supabase, shared secret: the same, and another secret is refused", async () => {
    const token = await mint("supabase-legacy");
    const secret = new TextEncoder().encode(kept.secrets.supabase);
    const { payload } = await jwtVerify(token, secret, { audience: "authenticated", algorithms: ["HS256"] });
    assert.equal(as(payload, "select text from notes"), "mine");
    await assert.rejects(jwtVerify(token, new TextEncoder().encode("x".repeat(48))));
    await assert.rejects(jwtVerify(token, keys("supabase")), "no published key verifies it");
  });

  await check("postgrest: the role and the claims of the token hold in the database", async () => {
    const options = { audience: "postgrest", issuer: origin, algorithms: ["ES256"] };
    const { payload } = await jwtVerify(await mint("postgrest"), keys("postgrest"), options);
    assert.equal(payload.role, "member");
    assert.equal(as(payload, "select text from notes"), "mine");
    await assert.rejects(jwtVerify(await mint("postgrest"), keys("supabase")), "another bridge's key");
    await assert.rejects(jwtVerify(await mint("postgrest"), keys("postgrest"), { audience: "authenticated" }));
  });
}

async function cluster() {
  const versions = readdirSync("/usr/lib/postgresql").sort((a, b) => b - a);
  const bin = join("/usr/lib/postgresql", versions[0], "bin");
  const psql = find("psql", "install the package postgresql", join(bin, "psql"));
  const data = join(work, "postgres");
  mkdirSync(data, { mode: 0o700 });
  // The server refuses to run as root.
  let command = [];
  if (process.getuid() === 0) {
    const [uid, gid] = ["-u", "-g"].map((which) => Number(run(["id", which, "postgres"])));
    chownSync(data, uid, gid);
    command = ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
  }
  run([...command, join(bin, "initdb"), "-A", "trust", "-U", "postgres", "--no-sync", "-D", data], { cwd: "/" });
  const port = await freePort();
  await start("postgres", [...command, join(bin, "postgres"), "-D", data, "-p", `${port}`, "-h", "127.0.0.1", "-k", "", "-F"], { cwd: "/" }, port);
  const file = join(work, "query.sql");
  return (text) => {
    writeFileSync(file, text);
    return run([psql, "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", `${port}`, "-U", "postgres", "-f", file]);
  };
}
