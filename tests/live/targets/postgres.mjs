// PostgreSQL's row-level security with Supabase's functions and PostgREST's setting: the claims of a verified token
// decide which rows its person sees.
import assert from "node:assert/strict";
import { createRemoteJWKSet, jwtVerify } from "jose";

import { cluster } from "../cluster.mjs";
import { check } from "../harness.mjs";

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
  const started = await check("postgres: a cluster of its own starts", () => cluster("postgres"));
  if (!started) return;
  const { sql } = started;
  await sql(`${SCHEMA} insert into notes values ('${user}', 'mine');`);

  /** Does what PostgREST does with a verified token: sets the role and the claims, and runs the query. */
  const as = async (claims, query) => (await sql(`begin; set local role ${JSON.stringify(claims.role)};
    select set_config('request.jwt.claims', $claims$${JSON.stringify(claims)}$claims$, true) as ignored \\gset
    ${query}; commit;`)).trim();
  const keys = (bridge) => createRemoteJWKSet(new URL(`${origin}/v1/bridges/${bridge}/jwks.json`));

  await check("supabase, third-party auth: a person sees the own rows and no others", async () => {
    const options = { audience: "authenticated", issuer: origin, algorithms: ["ES256"], requiredClaims: ["exp", "role"] };
    const { payload, protectedHeader } = await jwtVerify(await mint("supabase"), keys("supabase"), options);
    assert.ok(protectedHeader.kid, "third-party auth needs a kid");
    assert.equal(await as(payload, "select text from notes"), "mine");
    assert.equal(await as(payload, "select auth.uid()"), user);
    assert.equal(await as(payload, "with changed as (update notes set text = text returning 1) select count(*) from changed"), "1", "aal2");
    assert.equal(await as({ ...payload, aal: "aal1" }, "with changed as (update notes set text = text returning 1) select count(*) from changed"), "0");
    assert.equal(await as({ ...payload, sub: "00000000-0000-4000-8000-000000000002" }, "select count(*) from notes"), "0");
    await assert.rejects(as({ ...payload, sub: "usr_1" }, "select count(*) from notes"), /uuid/, "why the subject is a uuid");
  });

  await check("supabase, shared secret: the same, and another secret is refused", async () => {
    const token = await mint("supabase-legacy");
    const secret = new TextEncoder().encode(kept.secrets.supabase);
    const { payload } = await jwtVerify(token, secret, { audience: "authenticated", algorithms: ["HS256"] });
    assert.equal(await as(payload, "select text from notes"), "mine");
    await assert.rejects(jwtVerify(token, new TextEncoder().encode("x".repeat(48))));
    await assert.rejects(jwtVerify(token, keys("supabase")), "no published key verifies it");
  });

  await check("postgrest: the role and the claims of the token hold in the database", async () => {
    const options = { audience: "postgrest", issuer: origin, algorithms: ["ES256"] };
    const { payload } = await jwtVerify(await mint("postgrest"), keys("postgrest"), options);
    assert.equal(payload.role, "member");
    assert.equal(await as(payload, "select text from notes"), "mine");
    await assert.rejects(jwtVerify(await mint("postgrest"), keys("supabase")), "another bridge's key");
    await assert.rejects(jwtVerify(await mint("postgrest"), keys("postgrest"), { audience: "authenticated" }));
  });
}
