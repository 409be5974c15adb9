//! PostgREST and Neon's Data API: PostgreSQL's row level security over HTTP.
//!
//! Both pass the whole claim set to the database as `request.jwt.claims` and switch to the role that the token names.
//!
//! Source: PostgREST's documentation of authentication and its `jwt-*` settings; Neon's of the Data API.

use super::about::{About, Snippet, Verified};
use super::claim::claim;
use super::jwt::PLAIN;
use super::shape;
use super::target::{Audience, Lifetime, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

const POWERFUL: &[&str] =
    &["postgres", "pg_*", "authenticator", "rds_superuser", "cloudsqlsuperuser", "neon_superuser", "admin", "root"];

/// PostgREST.
pub static POSTGREST: Target = Target {
    about: About {
        title: "PostgREST",
        page: "postgrest",
        summary: "The bearer token of a PostgREST API: names the database role, and carries the claims that policies read.",
        verified: Verified::Source(
            "PostgREST's documentation; the claims of our tokens were tried as it sets them, in PostgreSQL 15 and 17",
        ),
        key_lag: 60,
        example: r#"[bridges.postgrest]
preset = "postgrest"
audience = "https://api.example.com"

[bridges.postgrest.claims]
role = "member"
"#,
        other_side: &[
            Snippet {
                place: "postgrest.conf",
                language: "ini",
                text: "# PostgREST fetches no URL: curl -s {jwks_url} -o /etc/postgrest/jwks.json
jwt-secret = \"@/etc/postgrest/jwks.json\"
jwt-aud = \"{audience}\"
jwt-role-claim-key = \".role\"",
            },
            Snippet {
                place: "The database",
                language: "sql",
                text: "create role member nologin;
grant member to authenticator;
alter table notes enable row level security;
create policy own on notes to member
    using (owner::text = current_setting('request.jwt.claims', true)::json ->> 'sub');",
            },
        ],
        notes: &[
            "PostgREST accepts a token *without* `aud` even if `jwt-aud` is set; ours always has it.",
            "Do not grant `authenticator` any role that a token must not reach: the token chooses among the granted \
             roles. `role` must not come from text that people choose; `{{ user.groups | map('editors', 'editor') | \
             first ?? 'member' }}` is a way to choose it.",
            "When the key is rotated, fetch the file again and reload (`NOTIFY pgrst, 'reload config'`); the next key is published an hour \
             before it signs.",
            "The roles of administrators (`postgres`, `pg_*`, `authenticator` …) are refused without `dangerous = true`.",
        ],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256, Algorithm::Hs256],
    types: &[Typ::Jwt, Typ::None],
    audience: Audience::Said("what `jwt-aud` says"),
    lifetime: Lifetime::DAY,
    claims: &[claim(&["role"], shape::ROLE).needed().powerful(POWERFUL)],
    ..PLAIN
};

/// Neon's Data API.
pub static NEON: Target = Target {
    about: About {
        title: "Neon Data API",
        page: "postgrest",
        summary: "The bearer token of Neon's Data API: `auth.user_id()` is its `sub`.",
        verified: Verified::Source("Neon's documentation of the Data API with another provider"),
        key_lag: 60,
        example: r#"[bridges.neon]
preset = "neon"
audience = "my-app"
"#,
        other_side: &[
            Snippet {
                place: "Neon's console, Data API, other provider: JWKS URL",
                language: "text",
                text: "{jwks_url}",
            },
            Snippet { place: "Neon's console: JWT audience", language: "text", text: "{audience}" },
            Snippet {
                place: "The database",
                language: "sql",
                text: "create policy own on notes to authenticated using (owner = auth.user_id());",
            },
        ],
        notes: &["Neon asks for key sets of one algorithm; the bridge's set has one."],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    types: &[Typ::Jwt],
    audience: Audience::Said("the audience that was entered in Neon's console"),
    forms: &[AudienceForm::String],
    lifetime: Lifetime::DAY,
    claims: &[claim(&["role"], shape::ROLE).powerful(POWERFUL)],
    ..PLAIN
};
