//! Mercure hubs. Versions 0.x and 1.0 want tokens that the other does not read: two presets.
//!
//! Source: mercure.rocks, the specification's section on authorization.

use serde_json::Value;

use super::about::{About, Snippet, Verified};
use super::claim::claim;
use super::shape;
use super::target::{Audience, Lifetime, PLAIN, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

/// Versions 0.x.
pub static V0: Target = Target {
    about: About {
        title: "Mercure 0.x",
        page: "mercure",
        summary: "The bearer (or cookie `mercureAuthorization`) of a subscriber.",
        verified: Verified::Source("the Mercure specification, drafts 0.x"),
        key_lag: 60,
        example: r#"[bridges.mercure]
preset = "mercure-0"

[bridges.mercure.claims.mercure]
subscribe = ["{{ tmpl('https://example.com/users/{}', user.id) }}"]
"#,
        other_side: &[Snippet {
            place: "Caddyfile",
            language: "text",
            text: "mercure {
  subscriber_jwks_url {jwks_url}
}",
        }],
        notes: &[
            "`*` reaches every topic; it needs `dangerous = true`. The hub checks neither `aud` nor `iss`: give the bridge a key of its own.",
        ],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256, Algorithm::Hs256],
    types: &[Typ::Jwt],
    audience: Audience::Usually("mercure"),
    forms: &[AudienceForm::String],
    lifetime: Lifetime::CONNECTION,
    claims: &[
        claim(&["mercure"], shape::OBJECT).needed(),
        claim(&["mercure", "subscribe"], shape::TEXTS).powerful(&["*"]),
        claim(&["mercure", "publish"], shape::TEXTS).powerful(&["*"]),
    ],
    ..PLAIN
};

/// Version 1.0.
pub static V1: Target = Target {
    about: About {
        title: "Mercure 1.0",
        page: "mercure",
        summary: "The same for hubs that read `authorization_details`.",
        verified: Verified::Unverified("read about at second hand; the specification of 1.0 may say otherwise"),
        key_lag: 60,
        example: r#"[bridges.mercure-1]
preset = "mercure-1"
audience = "https://hub.example.com/.well-known/mercure"
allow_unverified = true

[[bridges.mercure-1.claims.authorization_details]]
type = "https://mercure.rocks/authorization-detail"
actions = ["subscribe"]
topics = [{ match = "{{ tmpl('https://example.com/users/{}', user.id) }}" }]
"#,
        other_side: &[],
        notes: &["`aud` is the hub's address, `typ` is `at+jwt`."],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    types: &[Typ::AtJwt],
    audience: Audience::Said("the hub's address"),
    forms: &[AudienceForm::String],
    claims: &[claim(&["authorization_details"], shape::ANY).needed().powerful(&["*"])],
    also: |_, claims| {
        let is_detail = |detail: &Value| {
            let topics =
                detail["topics"].as_array().is_some_and(|topics| topics.iter().all(|one| one["match"].is_string()));
            detail["type"] == "https://mercure.rocks/authorization-detail"
                && topics
                && (shape::SOME_TEXTS.holds)(&detail["actions"])
        };
        (!shape::items(&claims["authorization_details"], is_detail))
            .then_some("each of `authorization_details` has its `type`, `actions` and `topics` with `match`")
    },
    ..V0
};
