//! Claims of the tokens that we sign.
//!
//! Times are whole seconds since 1970 (`NumericDate`). To add a claim, add a field with `#[serde(default)]` and
//! `skip_serializing_if`, so that tokens issued before the change still deserialize.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::keys::Algorithm;
use crate::clock::Time;
use crate::domain::action::{Action, ExternalId};
pub use crate::domain::authentication::CredentialClass;
use crate::domain::claims::{RequestedClaims, is_reserved};
use crate::domain::exchange::Origin;
use crate::domain::operation::Operation;
use crate::storage::sessions::TokenIds;

/// `aud`: one string, or an array when there are several (RFC 7519 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audiences {
    /// A single audience, the usual case.
    One(String),
    /// A list of audiences.
    Many(Vec<String>),
}

impl Audiences {
    /// Iterates over all audiences.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }

    /// Whether `audience` is among them.
    pub fn contains(&self, audience: &str) -> bool {
        self.iter().any(|one| one == audience)
    }
}

impl From<&str> for Audiences {
    fn from(one: &str) -> Self {
        Self::One(one.to_owned())
    }
}

impl From<Vec<String>> for Audiences {
    fn from(mut many: Vec<String>) -> Self {
        match many.len() {
            1 => Self::One(many.remove(0)),
            _ => Self::Many(many),
        }
    }
}

/// The key that a token is bound to (RFC 7800); here a DPoP key (RFC 9449 §6.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The RFC 7638 thumbprint of the key.
    pub jkt: String,
}

/// How and when the person signed in; the same in every token of one sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// When the person authenticated (`NumericDate`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// Authentication context class: `phr`, `phrh`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// Authentication methods (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// The class of the passkey, if one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_class: Option<CredentialClass>,
}

impl Authentication {
    /// When the person authenticated, if the token says so.
    pub fn at(&self) -> Option<Time> {
        self.auth_time.and_then(|seconds| Time::from_timestamp(seconds, 0))
    }
}

/// An access token (RFC 9068 §2.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Our issuer URL.
    pub iss: String,
    /// The person, or the client for its own tokens.
    pub sub: String,
    /// The resource servers.
    pub aud: Audiences,
    /// The client that requested the token.
    pub client_id: String,
    /// Issued (`NumericDate`).
    pub iat: i64,
    /// Ends (`NumericDate`).
    pub exp: i64,
    /// Its own id.
    pub jti: String,
    /// Scopes, separated by spaces.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// The session that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// How the person signed in.
    #[serde(flatten)]
    pub authentication: Authentication,
    /// The key that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Who acts for the subject (RFC 8693 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Value>,
    /// Who may act for the subject (RFC 8693 §4.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_act: Option<Value>,
    /// The grant that the token was issued for. Revoking the grant revokes this token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
    /// Names of the claims that userinfo returns in addition to those of the scopes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub userinfo_claims: BTreeSet<String>,
    /// Claims added by hooks, under their namespace.
    #[serde(flatten)]
    pub extra: Extra,
}

impl AccessClaims {
    /// The ids under which the token may have been revoked; `None` when it belongs to no session.
    pub fn ids(&self) -> Option<TokenIds> {
        Some(TokenIds {
            session: self.sid.as_deref()?.parse().ok()?,
            jti: self.jti.parse().ok(),
            grant: self.grant_id.as_deref().and_then(|id| id.parse().ok()),
        })
    }
}

/// The claims about a person in the signed header for a protected host. We never accept this token ourselves.
#[derive(Clone, Debug, Serialize)]
pub struct ForwardClaims {
    /// Our issuer URL.
    pub iss: String,
    /// The person's account.
    pub sub: String,
    /// The audience configured for the host; by default its address.
    pub aud: String,
    /// Made (`NumericDate`).
    pub iat: i64,
    /// Ends (`NumericDate`).
    pub exp: i64,
    /// Its own id.
    pub jti: String,
    /// The person's session.
    pub sid: String,
    /// The name by which the app knows the person.
    pub user: String,
    /// Their verified e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The name they gave themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their groups.
    pub groups: Vec<String>,
    /// How they signed in.
    #[serde(flatten)]
    pub authentication: Authentication,
}

/// The one event type that a logout token contains.
pub const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A logout token (OpenID Connect Back-Channel Logout §2.4). It has no `nonce`, so that it can never be mistaken for an
/// ID token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogoutClaims {
    /// Our issuer URL.
    pub iss: String,
    /// The person, as this client knows them.
    pub sub: String,
    /// The client.
    pub aud: Audiences,
    /// Issued (`NumericDate`).
    pub iat: i64,
    /// Ends (`NumericDate`).
    pub exp: i64,
    /// Its own id.
    pub jti: String,
    /// [`LOGOUT_EVENT`] with an empty object.
    pub events: BTreeMap<String, Map<String, Value>>,
    /// The session that ended.
    pub sid: String,
}

/// The result of an action token, for the client that created the token. It can be redeemed once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionResultClaims {
    /// Our issuer URL.
    pub iss: String,
    /// The person, as this client knows them.
    pub sub: String,
    /// The client.
    pub aud: Audiences,
    /// Issued (`NumericDate`).
    pub iat: i64,
    /// Ends (`NumericDate`).
    pub exp: i64,
    /// Its own id; can be redeemed once.
    pub jti: String,
    /// What was done.
    pub action: Action,
    /// The id of the action token.
    pub action_token: String,
    /// The client's own id for the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// The operation that was signed, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// SHA-256 of its canonical form, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_hash: Option<String>,
    /// SHA-256 of the passkey's credential id, base64url. It lets the client recognise the passkey and reveals nothing
    /// else.
    pub credential: String,
    /// What the ceremony proved.
    #[serde(flatten)]
    pub authentication: Authentication,
}

/// Proof that a person signed one operation with a passkey, for the client that carries it out. It can be redeemed
/// once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactionProofClaims {
    /// Our issuer URL.
    pub iss: String,
    /// The person, as this client knows them.
    pub sub: String,
    /// The client.
    pub aud: Audiences,
    /// The app that requested the signature.
    pub client_id: String,
    /// Issued (`NumericDate`).
    pub iat: i64,
    /// Ends (`NumericDate`).
    pub exp: i64,
    /// Its own id; can be redeemed once.
    pub jti: String,
    /// The session that it was signed in.
    pub sid: String,
    /// What was signed.
    pub operation: Operation,
    /// SHA-256 of its canonical form, base64url.
    pub operation_hash: String,
    /// SHA-256 of the passkey's credential id, base64url.
    pub credential: String,
    /// What the ceremony proved.
    #[serde(flatten)]
    pub authentication: Authentication,
}

/// A transaction token (draft-ietf-oauth-transaction-tokens-10): the context of one call, passed between the workloads
/// of a trust domain. It grants no access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactionClaims {
    /// Our issuer URL.
    pub iss: String,
    /// The person, by their account's id.
    pub sub: String,
    /// The trust domain.
    pub aud: Audiences,
    /// Issued (`NumericDate`).
    pub iat: i64,
    /// Ends (`NumericDate`).
    pub exp: i64,
    /// Its own id.
    pub jti: String,
    /// The transaction's id, kept by every replacement token.
    pub txn: String,
    /// What the transaction is for: scopes, separated by spaces.
    pub scope: String,
    /// The client that asked for this token.
    pub req_wl: String,
    /// The context of the request.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub rctx: Map<String, Value>,
    /// The details of the transaction.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub tctx: Map<String, Value>,
    /// Every client that requested this token or one that it replaces; the latest is outermost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Value>,
    /// The session that it belongs to.
    pub sid: String,
    /// The grant of the token that the first transaction token was requested with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
}

/// An ID token (OpenID Connect Core §2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdClaims {
    /// Our issuer URL.
    pub iss: String,
    /// The person, as this client knows them.
    pub sub: String,
    /// The client.
    pub aud: Audiences,
    /// Issued (`NumericDate`).
    pub iat: i64,
    /// Ends (`NumericDate`).
    pub exp: i64,
    /// Its own id. The standard does not require one, but every token of ours has one.
    pub jti: String,
    /// The client's `nonce`, returned unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// [`at_hash`] of the access token issued with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
    /// The authorised party, when there are several audiences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azp: Option<String>,
    /// Who acts for the person, in an ID token issued by an exchange (RFC 8693 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Value>,
    /// Who may act for them, likewise (RFC 8693 §4.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_act: Option<Value>,
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// How the person signed in.
    #[serde(flatten)]
    pub authentication: Authentication,
    /// Profile and e-mail claims (Core §5.1), and those of hooks.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A client's assertion about itself (RFC 7523 §3): only the claims that are read after verification.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AssertionClaims {
    /// The client; the same as `iss`.
    pub sub: String,
    /// Expires (`NumericDate`).
    pub exp: i64,
    /// Its own id.
    pub jti: String,
}

/// A refresh token: it holds everything that is needed to issue tokens without another lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshClaims {
    /// The version of this form, 1.
    pub v: u8,
    /// Our issuer URL.
    pub iss: String,
    /// Our issuer URL again, because only we read this token.
    pub aud: String,
    /// The person.
    pub sub: String,
    /// The client that it was given to.
    pub client_id: String,
    /// Its own id, see [`refresh::successor_jti`](super::refresh::successor_jti).
    pub jti: String,
    /// The token family that it belongs to.
    pub fid: String,
    /// The session; absent with `offline_access`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The scopes first granted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// The resource servers that access tokens may be requested for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Issued (`NumericDate`).
    pub iat: i64,
    /// Ends (`NumericDate`).
    pub exp: i64,
    /// How the person signed in.
    #[serde(flatten)]
    pub authentication: Authentication,
    /// The DPoP key that the family is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Claims that were requested by name.
    #[serde(default, skip_serializing_if = "RequestedClaims::is_empty")]
    pub claims: RequestedClaims,
    /// The token exchange that started the family. Each use checks its rule again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Box<Origin>>,
}

/// Additional claims. They never use a reserved name: if one object held a claim twice, different parsers would read
/// different values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extra(Map<String, Value>);

impl Extra {
    /// Keeps the claims whose names are not reserved and drops the others.
    pub fn new(claims: Map<String, Value>) -> Self {
        Self(claims.into_iter().filter(|(name, _)| !is_reserved(name)).collect())
    }

    /// One claim.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All of them.
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// `at_hash` (OpenID Connect Core §3.1.3.6): the left half of the access token's digest, base64url. The hash function
/// is that of the ID token's algorithm; for Ed25519 that is SHA-512.
pub fn at_hash(algorithm: Algorithm, access_token: &str) -> String {
    let hash = match algorithm {
        Algorithm::ES256 | Algorithm::RS256 | Algorithm::PS256 | Algorithm::HS256 => &digest::SHA256,
        Algorithm::EdDSA => &digest::SHA512,
    };
    let full = digest::digest(hash, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&full.as_ref()[..full.as_ref().len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::claims::RESERVED;
    use serde_json::json;

    /// The matching access token and `at_hash` of OpenID Connect Core appendix A.3.
    #[test]
    fn at_hash_is_the_one_of_the_standard() {
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(Algorithm::RS256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(at_hash(Algorithm::EdDSA, token).len(), 43);
    }

    #[test]
    fn one_audience_is_a_string_several_are_an_array() {
        let text = |audiences: Audiences| serde_json::to_value(audiences).unwrap();
        assert_eq!(text("a".into()), json!("a"));
        assert_eq!(text(vec!["a".to_owned()].into()), json!("a"));
        assert_eq!(text(vec!["a".to_owned(), "b".to_owned()].into()), json!(["a", "b"]));
        assert!(Audiences::from("a").contains("a") && !Audiences::from("ab").contains("a"));
    }

    #[test]
    fn extra_claims_cannot_replace_the_fixed_ones() {
        let Value::Object(mut all) = json!({"email": "a@example.com", "https://example.com/x": 1}) else {
            unreachable!()
        };
        for name in RESERVED {
            all.insert(name.into(), "evil".into());
        }
        let claims = IdClaims {
            iss: "i".into(),
            sub: "s".into(),
            aud: "a".into(),
            iat: 1,
            exp: 2,
            jti: "j".into(),
            nonce: None,
            at_hash: None,
            azp: None,
            act: None,
            may_act: None,
            sid: None,
            authentication: Authentication::default(),
            extra: Extra::new(all),
        };
        let text = serde_json::to_string(&claims).unwrap();
        assert!(!text.contains("evil"), "{text}");
        assert!(text.contains("a@example.com") && text.contains("https://example.com/x"));
        assert_eq!(serde_json::from_str::<IdClaims>(&text).unwrap(), claims);
    }
}
