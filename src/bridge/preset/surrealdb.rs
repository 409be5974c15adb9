//! SurrealDB: a record of a table (`TYPE RECORD WITH JWT`), or a system user (`TYPE JWT`), who stands above table permissions.
//!
//! Source: surrealdb.com/docs, DEFINE ACCESS, and what `@surrealdb/node` 3.0.3 embeds. No test gives it a token of ours.

use serde_json::Value;

use super::about::{About, Snippet, Verified};
use super::claim::claim;
use super::shape;
use super::target::{Audience, Lifetime, PLAIN, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

/// SurrealDB reads each of its claims under long names as well.
fn has_long_names(claims: &Value) -> bool {
    let is_long = |name: &String| name.to_ascii_lowercase().starts_with("https://surrealdb.com/");
    claims.as_object().is_some_and(|all| all.keys().any(is_long))
}

const LONG_NAMES: &str = "no name begins with `https://surrealdb.com/`: write `ns`, `db`, `ac`";

/// A record.
pub static RECORD: Target = Target {
    about: About {
        title: "SurrealDB, record access",
        page: "surrealdb",
        summary: "Signs a person in as a record, for whom table permissions hold.",
        verified: Verified::Source(
            "SurrealDB 3's documentation, and what @surrealdb/node 3.0.3 embeds; no test runs it",
        ),
        key_lag: 60,
        example: r#"[bridges.surrealdb]
preset = "surrealdb-record"
audience = "my-app"

[bridges.surrealdb.claims]
ns = "main"
db = "main"
ac = "passmint"
"#,
        other_side: &[Snippet {
            place: "The database",
            language: "sql",
            text: "DEFINE ACCESS passmint ON DATABASE TYPE RECORD
  WITH JWT URL \"{jwks_url}\"
  AUTHENTICATE {
    IF $token.iss != \"{issuer}\" { THROW \"iss\" };
    IF $token.aud != \"{audience}\" { THROW \"aud\" };
    RETURN type::record(\"user\", $token.sub)
  };",
        }],
        notes: &[
            "Without the AUTHENTICATE clause SurrealDB checks neither `iss` nor `aud`. The comparison fails on a list: `aud` is text.",
            "`rl` is never written: it belongs to system users.",
        ],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Hs256],
    types: &[Typ::Jwt],
    audience: Audience::Said("what the AUTHENTICATE clause compares `$token.aud` with"),
    forms: &[AudienceForm::String],
    lifetime: Lifetime::HOUR,
    claims: &[
        claim(&["ns"], shape::ID).needed().rights(),
        claim(&["db"], shape::ID).needed().rights(),
        claim(&["ac"], shape::ID).needed().rights(),
        claim(&["id"], shape::TEXT).rights(),
    ],
    reserved: &["rl"],
    also: |_, claims| has_long_names(claims).then_some(LONG_NAMES),
    ..PLAIN
};

/// A system user.
pub static SYSTEM: Target = Target {
    about: About {
        title: "SurrealDB, system access",
        page: "surrealdb",
        summary: "Signs a person in as a system user of the database: an operator, not somebody with rows of their own.",
        verified: Verified::Source("SurrealDB 3's documentation; no test runs it"),
        key_lag: 60,
        example: r#"[bridges.surrealdb-operators]
preset = "surrealdb-system"
audience = "my-operators"

[bridges.surrealdb-operators.claims]
ns = "main"
db = "main"
ac = "operators"
rl = ["Viewer"]

[bridges.surrealdb-operators.allow]
groups = ["operators"]
"#,
        other_side: &[Snippet {
            place: "The database",
            language: "sql",
            text: "DEFINE ACCESS operators ON DATABASE TYPE JWT URL \"{jwks_url}\" AUTHENTICATE {
    IF $token.iss != \"{issuer}\" { THROW \"iss\" };
    IF $token.aud != \"{audience}\" { THROW \"aud\" }
  };",
        }],
        notes: &["System users stand above table permissions. `Owner` needs `dangerous = true`."],
    },
    claims: &[
        claim(&["ns"], shape::ID).needed().rights(),
        claim(&["db"], shape::ID).rights(),
        claim(&["ac"], shape::ID).needed().rights(),
        claim(&["rl"], shape::SOME_TEXTS).needed().powerful(&["Owner"]),
    ],
    reserved: &["id"],
    also: |_, claims| {
        if has_long_names(claims) {
            return Some(LONG_NAMES);
        }
        let known = |role: &Value| ["Viewer", "Editor", "Owner"].iter().any(|one| role == one);
        (!shape::items(&claims["rl"], known)).then_some("a role is `Viewer`, `Editor` or `Owner`")
    },
    ..RECORD
};
