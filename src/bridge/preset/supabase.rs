//! Supabase, in three ways: with its legacy shared secret, with a key of ours that it imports, and with third-party
//! auth.
//!
//! Its row level security uses `role`, `sub` (through `auth.uid()`, which must be a UUID) and any claim that policies
//! name, such as `aal`. `role: service_role` bypasses every policy.
//!
//! Source: supabase.com/docs, JWT signing keys and third-party auth; the SQL functions `auth.uid()`, `auth.jwt()`.

use super::about::{About, Snippet, Verified};
use super::claim::{Claim, claim};
use super::jwt::PLAIN;
use super::shape;
use super::target::{Audience, Kid, Lifetime, Subject, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

/// `aal2` if the passkey verified the user: policies can require it.
const DEFAULTS: &str = r#"{
    "role": "authenticated",
    "aal": "{{ session.acr | map('phr', 'aal2', 'phrh', 'aal2') ?? 'aal1' }}",
    "session_id": "{{ session.id ? }}",
    "is_anonymous": false
}"#;

/// Roles with access to everything.
const POWERFUL: &[&str] =
    &["service_role", "supabase_*", "postgres", "pg_*", "pgsodium_*", "dashboard_user", "authenticator"];

const CLAIMS: &[Claim] = &[
    claim(&["role"], shape::ROLE).needed().powerful(POWERFUL),
    claim(&["aal"], shape::TEXT).locked(),
    claim(&["session_id"], shape::UUID).locked(),
    claim(&["is_anonymous"], shape::FLAG).locked(),
    claim(&["app_metadata"], shape::OBJECT).rights(),
    claim(&["user_metadata"], shape::OBJECT),
];

const SUBJECT: Subject = Subject { shape: shape::UUID, max: 36, ..Subject::USER };

const SQL: Snippet = Snippet {
    place: "A policy that lets people see their own rows, and change them only after a passkey with user verification",
    language: "sql",
    text: "alter table notes enable row level security;
create policy own on notes to authenticated using (owner = auth.uid());
create policy with_passkey on notes as restrictive for update to authenticated
    using ((auth.jwt() ->> 'aal') = 'aal2');",
};

const CLIENT: Snippet = Snippet {
    place: "The app",
    language: "js",
    text: "const supabase = createClient(url, publishableKey, { accessToken: async () => await freshToken() });",
};

const NOTES: &[&str] = &[
    "`sub` must be a UUID, or every policy with `auth.uid()` fails with *invalid input syntax for type uuid*. Our user ids are; for ids \
     from elsewhere: `subject = \"{{ link('source') | uuid5('…') }}\"`.",
    "`role = \"service_role\"` and the other roles that see everything are refused without `dangerous = true`.",
    "`amr` is a list of objects at Supabase and a list of texts in OpenID Connect; it is left out. `aal` says what happened: `aal2` only \
     for a passkey that verified its user.",
];

/// The legacy shared secret.
pub static SECRET: Target = Target {
    about: About {
        title: "Supabase, shared secret",
        page: "supabase",
        summary: "A session of the Data API, Storage and Realtime, signed with the project's legacy JWT secret.",
        verified: Verified::Source(
            "Supabase's documentation; the claims of our tokens were tried with its SQL functions in PostgreSQL 15 and 17",
        ),
        key_lag: 0,
        example: r#"[bridges.supabase-legacy]
preset = "supabase-secret"
secret_file = "/run/secrets/supabase-jwt-secret"   # Project settings, JWT keys, legacy secret
"#,
        other_side: &[SQL, CLIENT],
        notes: &[
            NOTES[0],
            NOTES[1],
            NOTES[2],
            "Anyone who has the secret can impersonate everybody. Third-party auth needs none; prefer it.",
        ],
    },
    algorithms: &[Algorithm::Hs256],
    types: &[Typ::Jwt],
    audience: Audience::Usually("authenticated"),
    lifetime: Lifetime::HOUR,
    subject: SUBJECT,
    defaults: DEFAULTS,
    claims: CLAIMS,
    ..PLAIN
};

/// A key of ours, imported as a signing key of the project.
pub static KEY: Target = Target {
    about: About {
        title: "Supabase, imported key",
        page: "supabase",
        summary: "The same, signed with a private key that the project imported as a signing key.",
        verified: Verified::Source("Supabase's documentation of signing keys"),
        key_lag: 30,
        example: r#"[bridges.supabase-key]
preset = "supabase-key"
key_file = "/run/secrets/supabase-signing-key.json"   # a JWK, as `supabase gen signing-key` prints it
"#,
        other_side: &[SQL, CLIENT],
        notes: &[
            NOTES[0],
            NOTES[1],
            NOTES[2],
            "Create the key, import it at both sides, and let it stand by for 30 minutes before it signs: verifiers remember keys that long. \
             Its `kid` has to be the one that the project shows: write it as `kid` if it is another than the key's own.",
        ],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    types: &[Typ::Jwt],
    kid: Kid::Needed,
    audience: Audience::Usually("authenticated"),
    lifetime: Lifetime::HOUR,
    subject: SUBJECT,
    defaults: DEFAULTS,
    claims: CLAIMS,
    ..PLAIN
};

/// Third-party auth: the project trusts this server's keys for the bridge.
pub static THIRD_PARTY: Target = Target {
    about: About {
        title: "Supabase, third-party auth",
        page: "supabase",
        summary: "The same, signed with the bridge's own key, which the project fetches.",
        verified: Verified::Source(
            "Supabase's documentation; the claims of our tokens were tried with its SQL functions in PostgreSQL 15 and 17",
        ),
        key_lag: 30,
        example: r#"[bridges.supabase]
preset = "supabase-third-party"

[bridges.supabase.claims.app_metadata]     # yours: what policies shall know
groups = "{{ user.groups }}"
org = "{{ user.attr('org') ? }}"           # an attribute of the person
"#,
        other_side: &[
            Snippet {
                place: "Supabase's management API (or the dashboard: Authentication, Third-party auth)",
                language: "sh",
                text: "curl -X POST https://api.supabase.com/v1/projects/$REF/config/auth/third-party-auth \\
  -H \"Authorization: Bearer $SUPABASE_ACCESS_TOKEN\" -H 'Content-Type: application/json' \\
  -d '{\"jwks_url\": \"{jwks_url}\"}'",
            },
            SQL,
            CLIENT,
        ],
        notes: &[
            NOTES[0],
            NOTES[1],
            NOTES[2],
            "A rotated key is published for 30 minutes before it signs: Supabase remembers keys that long.",
            "Without `role` a token counts as `anon`: the preset always writes it.",
            "For the people who are in a project already, step by step: [the recipe](../recipes/firebase-and-supabase.md).",
        ],
    },
    forms: &[AudienceForm::String],
    ..KEY
};
