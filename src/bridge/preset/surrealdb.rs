//! SurrealDB: a record of a table (`TYPE RECORD WITH JWT`), or a system user (`TYPE JWT`), to whom table permissions do
//! not apply.
//!
//! Source: surrealdb.com/docs, DEFINE ACCESS, and `iam/verify.rs` and `iam/jwks.rs` of SurrealDB 3.0.2.
//! `make test-live` passes tokens of ours to the engine that `@surrealdb/wasm` embeds, which fetches no keys.

use serde_json::Value;

use super::about::{About, Snippet, Verified};
use super::claim::claim;
use super::jwt::PLAIN;
use super::shape;
use super::target::{Audience, Lifetime, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

/// SurrealDB also reads each of its claims under a long name.
fn has_long_names(claims: &Value) -> bool {
    let is_long = |name: &String| name.to_ascii_lowercase().starts_with("https://surrealdb.com/");
    claims.as_object().is_some_and(|all| all.keys().any(is_long))
}

const LONG_NAMES: &str = "no name begins with `https://surrealdb.com/`: write `ns`, `db`, `ac`";

const SESSION: &str = "Over a WebSocket the token is checked once. Without `DURATION FOR SESSION` the connection then \
    stays authenticated for as long as it is open, however short the token's lifetime.";
const KEYS: &str = "SurrealDB fetches the keys only from allowed hosts: start it with `--allow-net` and this server's \
    host. It caches them for 12 hours (`SURREAL_JWKS_CACHE_EXPIRATION_SECONDS`), and accepts a removed key for that \
    long.";
const EMBEDDED: &str = "A SurrealDB that is embedded, or built without the feature `jwks`, fetches none, and refuses with *The access method \
                        cannot be used in the requested operation*. Give it the key in place of the `URL`: `ALGORITHM ES256 KEY \"-----BEGIN \
                        PUBLIC KEY-----…\"`, from `/v1/bridges/<name>/keys/<kid>.pem`, and again whenever the bridge gets another key. A shared secret \
                        is given in the same way, with `HS256`.";

const VERIFIED: Verified = Verified::Live(
    "SurrealDB 3.0.2 (@surrealdb/wasm 3.0.3), with the key in the definition; fetching keys is after its source",
);

/// A record.
pub static RECORD: Target = Target {
    about: About {
        title: "SurrealDB, record access",
        page: "surrealdb",
        summary: "Signs a person in as a record, for whom table permissions hold.",
        verified: VERIFIED,
        key_lag: 60,
        example: r#"[bridges.surrealdb]
preset = "surrealdb-record"
audience = "my-app"

[bridges.surrealdb.claims]
ns = "main"
db = "main"
ac = "passmint"
"#,
        other_side: &[
            Snippet {
                place: "The database",
                language: "sql",
                text: "DEFINE ACCESS passmint ON DATABASE TYPE RECORD
  WITH JWT URL \"{jwks_url}\"
  AUTHENTICATE {
    IF $token.iss != \"{issuer}\" { THROW \"iss\" };
    IF $token.aud != \"{audience}\" { THROW \"aud\" };
    RETURN type::record(\"user\", $token.sub)
  }
  DURATION FOR SESSION 10m;",
            },
            Snippet {
                place: "People and their rows",
                language: "sql",
                text: "DEFINE TABLE user PERMISSIONS FOR select WHERE id = $auth;
DEFINE TABLE note PERMISSIONS FOR select, create, update, delete WHERE owner = $auth;
DEFINE FIELD owner ON note TYPE record<user>;",
            },
        ],
        notes: &[
            "Without the AUTHENTICATE clause SurrealDB checks neither `iss` nor `aud`. The comparison fails on a list: `aud` is text.",
            SESSION,
            "`$auth` is the person's record, whether or not there is one yet. Compare with `$auth` itself: `$auth.id` is `NONE` as long as \
             there is none, and then equals the owner of a row that has no owner. The type of `owner` keeps such rows out; `owner = $auth` \
             would let everybody without a record write them.",
            KEYS,
            EMBEDDED,
            "`rl` is never written: it belongs to system users, and gives a record nothing.",
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
        summary: "Signs a person in as a system user of the database: an operator, not a user with their own rows.",
        verified: VERIFIED,
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
            place: "The database, for operators",
            language: "sql",
            text: "DEFINE ACCESS operators ON DATABASE TYPE JWT URL \"{jwks_url}\"
  AUTHENTICATE {
    IF $token.iss != \"{issuer}\" { THROW \"iss\" };
    IF $token.aud != \"{audience}\" { THROW \"aud\" }
  }
  DURATION FOR SESSION 10m;",
        }],
        notes: &[
            "System users stand above table permissions. `Owner` needs `dangerous = true`.",
            "What a `Viewer` may write depends on the table's permissions, with `$auth` being `NONE`: nothing, as long \
             as no permission matches `NONE`.",
            "The notes above on `DURATION FOR SESSION` and on the keys apply here too.",
        ],
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
