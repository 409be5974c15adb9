//! Mercure hubs. Versions 0.x and 1.0 require different tokens, so there are two presets.
//!
//! Source: mercure.rocks, the specification's section on authorization.

use serde_json::Value;

use super::about::{About, Snippet, Verified};
use super::claim::claim;
use super::jwt::PLAIN;
use super::shape;
use super::target::{Audience, Lifetime, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

const PATTERN: &str =
    "a topic selector with `{` is a URI template, and reaches every topic that fits it: only with `dangerous = true`";
const TYPED: &str = "a `match_type` other than `exact` is a pattern, and reaches every topic that fits it: only with `dangerous = true`";

/// Another name of the claim `mercure`. A hub uses its value instead of, or in addition to, that of `mercure`.
const LONG_NAME: &str = "https://mercure.rocks/";

/// Whether a topic selector is a URI template (RFC 6570), which a hub matches with any topic that fits. Values filled
/// in by a bridge's own expressions contain no braces.
fn is_template(selector: &Value) -> bool {
    selector.as_str().is_some_and(|text| text.contains('{'))
}

fn any(list: &Value, holds: impl Fn(&Value) -> bool) -> bool {
    list.as_array().is_some_and(|members| members.iter().any(holds))
}

/// Versions 0.x.
pub static V0: Target = Target {
    about: About {
        title: "Mercure 0.x",
        page: "mercure",
        summary: "The bearer (or cookie `mercureAuthorization`) of a subscriber.",
        verified: Verified::Source("the Mercure specification, drafts 0.x, and the source of the hub 0.24.2"),
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
  publisher_jwt {env.MERCURE_PUBLISHER_JWT_KEY}
  subscriber_jwks_url {jwks_url}
}",
        }],
        notes: &[
            "`*` reaches every topic, and a selector with `{` is a URI template that reaches every topic that fits it: both need `dangerous = true`. The hub checks neither `aud` nor `iss`: give the bridge a key of its own.",
            "The hub does not start without a key for publishers: here, a secret in its environment, with which \
             publishers sign.",
            "`https://mercure.rocks/` is never written: the hub uses its value instead of `mercure`.",
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
    // Hubs of version 1.0 that also accept 0.x tokens look at the details first.
    reserved: &[LONG_NAME, "authorization_details"],
    also: |plan, claims| {
        let lists = ["subscribe", "publish"].map(|list| &claims["mercure"][list]);
        (!plan.dangerous && lists.into_iter().any(|list| any(list, is_template))).then_some(PATTERN)
    },
    ..PLAIN
};

/// Version 1.0.
pub static V1: Target = Target {
    about: About {
        title: "Mercure 1.0",
        page: "mercure",
        summary: "The same for hubs that read `authorization_details`.",
        verified: Verified::Unverified(
            "after the hub's documentation of 1.0 and its source at 1.0.0-alpha.3, not after its release; not run",
        ),
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
        other_side: &[Snippet {
            place: "Caddyfile",
            language: "text",
            text: "mercure {
  resource_identifier {audience}
  issuer {issuer} {
    subscriber {
      jwks_uri {jwks_url}
    }
  }
  issuer https://app.example.com {
    publisher {
      jwt {env.MERCURE_PUBLISHER_JWT_KEY}
    }
  }
}",
        }],
        notes: &[
            "`aud` is the hub's address, `typ` is `at+jwt`. The hub does not start without a key for publishers: here that of the app, an `issuer` of its own.",
            "`*` reaches every topic, and a `match_type` other than `exact` every topic that fits it: both need `dangerous = true`.",
            "`mercure` is never written: a hub that also accepts 0.x tokens reads it if there are no details.",
        ],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    types: &[Typ::AtJwt],
    audience: Audience::Said("the hub's address"),
    forms: &[AudienceForm::String],
    claims: &[claim(&["authorization_details"], shape::SOME).needed().powerful(&["*"])],
    reserved: &[LONG_NAME, "mercure"],
    also: |plan, claims| {
        let is_detail = |detail: &Value| {
            let topics =
                detail["topics"].as_array().is_some_and(|topics| topics.iter().all(|one| one["match"].is_string()));
            detail["type"] == "https://mercure.rocks/authorization-detail"
                && topics
                && (shape::SOME_TEXTS.holds)(&detail["actions"])
        };
        let details = &claims["authorization_details"];
        if !shape::items(details, is_detail) {
            return Some("each of `authorization_details` has its `type`, `actions` and `topics` with `match`");
        }
        let some_topic = |holds: fn(&Value) -> bool| any(details, |detail| any(&detail["topics"], holds));
        if plan.dangerous {
            None
        } else if some_topic(|topic| is_template(&topic["match"])) {
            Some(PATTERN)
        } else {
            some_topic(|topic| topic.get("match_type").is_some_and(|kind| kind != "exact")).then_some(TYPED)
        }
    },
    ..V0
};
