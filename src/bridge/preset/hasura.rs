//! Hasura (GraphQL Engine 2) and Nhost, which is based on it.
//!
//! Both role claims are mandatory, and every other value in the namespace is text. A client may select any allowed role
//! with a header, so the list of allowed roles is what matters.
//!
//! Source: hasura.io/docs, JWT mode; the checks in graphql-engine's `Hasura.Server.Auth.JWT`.

use serde_json::Value;

use super::about::{About, Snippet, Verified};
use super::claim::{Claim, claim};
use super::jwt::PLAIN;
use super::rules::Plan;
use super::shape;
use super::target::{Audience, Lifetime, Target};
use crate::bridge::spec::{Algorithm, Typ};

const NAMESPACE: &str = "https://hasura.io/jwt/claims";
const DEFAULT_ROLE: &str = "x-hasura-default-role";
const ALLOWED_ROLES: &str = "x-hasura-allowed-roles";

const CLAIMS: &[Claim] = &[
    // Row permissions can use every session variable.
    claim(&[NAMESPACE], shape::OBJECT).needed().rights(),
    claim(&[NAMESPACE, DEFAULT_ROLE], shape::TEXT).needed().powerful(&["admin"]),
    claim(&[NAMESPACE, ALLOWED_ROLES], shape::SOME_TEXTS).needed().powerful(&["admin"]),
    claim(&[NAMESPACE, "x-hasura-user-id"], shape::TEXT),
];

const NOTES: &[&str] = &[
    "Hasura accepts a token *without* `iss` despite its issuer check; ours always has it.",
    "A client picks any of the allowed roles with the header `x-hasura-role`. `admin` is refused without `dangerous = true`.",
    "Roles and organisation are attributes of the person (`passmint users set ID --attribute org=acme --attribute 'roles=[\"editor\"]'`). \
     Groups do as well: `\"{{ user.groups | in('editor') | with('user') }}\"`.",
    "Every value except the list of roles is text: `\"{{ user.created_at | str }}\"`. A PostgreSQL array is written `{1,2}`.",
    "Hasura fetches keys again according to the answer's `Cache-Control`; ours says five minutes.",
];

fn namespace(_: &Plan, claims: &Value) -> Option<&'static str> {
    let members = claims[NAMESPACE].as_object()?;
    if members.iter().any(|(name, value)| name != ALLOWED_ROLES && !value.is_string()) {
        return Some("every value in the namespace except `x-hasura-allowed-roles` is text");
    }
    if !members.keys().all(|name| name.starts_with("x-hasura-")) {
        return Some("every name in the namespace begins with `x-hasura-`");
    }
    let default = members.get(DEFAULT_ROLE)?;
    let allowed = members.get(ALLOWED_ROLES)?.as_array()?;
    (!allowed.contains(default)).then_some("`x-hasura-default-role` is one of `x-hasura-allowed-roles`")
}

/// Hasura.
pub static HASURA: Target = Target {
    about: About {
        title: "Hasura",
        page: "hasura",
        summary: "The bearer token of a Hasura GraphQL engine, with its roles and session variables.",
        verified: Verified::Source("Hasura 2's documentation and source"),
        key_lag: 10,
        example: r#"[bridges.hasura]
preset = "hasura"
audience = "my-hasura"

[bridges.hasura.claims."https://hasura.io/jwt/claims"]
x-hasura-default-role = "user"
x-hasura-allowed-roles = "{{ user.attr('roles', 'list') | in('editor', 'viewer') | with('user') ?? 'user' | list }}"
x-hasura-org-id = "{{ user.attr('org') ? }}"
"#,
        other_side: &[Snippet {
            place: "The environment of graphql-engine",
            language: "sh",
            text: "HASURA_GRAPHQL_JWT_SECRET='{\"jwk_url\": \"{jwks_url}\", \"issuer\": \"{issuer}\", \"audience\": \"{audience}\"}'",
        }],
        notes: NOTES,
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Hs256],
    types: &[Typ::Jwt, Typ::None],
    audience: Audience::Said("the `audience` of HASURA_GRAPHQL_JWT_SECRET"),
    lifetime: Lifetime::DAY,
    defaults: r#"{ "https://hasura.io/jwt/claims": {
        "x-hasura-default-role": "user", "x-hasura-allowed-roles": ["user"], "x-hasura-user-id": "{{ user.id }}"
    } }"#,
    claims: CLAIMS,
    also: namespace,
    ..PLAIN
};

/// Nhost.
pub static NHOST: Target = Target {
    about: About {
        title: "Nhost",
        page: "hasura",
        summary: "The same for a project at Nhost.",
        verified: Verified::Source("Nhost's documentation of JWT secrets, and Hasura's"),
        key_lag: 10,
        example: r#"[bridges.nhost]
preset = "nhost"
audience = "my-nhost-project"
"#,
        other_side: &[Snippet {
            place: "nhost.toml",
            language: "text",
            text: "[[hasura.jwtSecrets]]
jwk_url = '{jwks_url}'
issuer = '{issuer}'
audience = '{audience}'",
        }],
        notes: NOTES,
    },
    audience: Audience::Said("the `audience` of the project's JWT secret"),
    defaults: r#"{ "https://hasura.io/jwt/claims": {
        "x-hasura-default-role": "user", "x-hasura-allowed-roles": ["user", "me"], "x-hasura-user-id": "{{ user.id }}",
        "x-hasura-user-is-anonymous": "false"
    } }"#,
    ..HASURA
};
