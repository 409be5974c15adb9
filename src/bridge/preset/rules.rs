//! What a preset is: the rules of one kind of target, and what they are about.
//!
//! What must always hold: a preset's [`Preset::check`] looks at the finished header and claims alone, as the strictest
//! target would, and runs both when a bridge is saved and at every minting.

use aws_lc_rs::hmac;
use chrono::Duration;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::about::About;
use super::way::Way;
use crate::bridge::spec::{Algorithm, AudienceForm, BridgeDefinition, KidPolicy, Problem, Typ};
use crate::bridge::template::Template;
use crate::domain::exchange::Actor;
use crate::domain::secret::Secret;

/// What one kind of target demands.
pub trait Preset: Sync {
    /// What people are told about it.
    fn about(&self) -> &About;

    /// How what it makes reaches the target.
    fn way(&self) -> Way {
        Way::Token
    }

    /// Its rules, each with a name; empty where they are told on a page of their own.
    fn in_words(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Whether what it makes says who acts for the person (RFC 8693 §4.1), where somebody does.
    fn names_actor(&self) -> bool {
        false
    }

    /// How long the target may go on without a new key: it is published at least as long before it signs.
    fn key_lag(&self) -> Duration {
        Duration::minutes(self.about().key_lag)
    }

    /// The expression for the subject where the operator says nothing.
    fn subject(&self) -> Option<&'static str> {
        Some("{{ user.id }}")
    }

    /// The claims where the operator says nothing; what the operator says is put over them.
    fn defaults(&self) -> Value {
        Value::Null
    }

    /// The settled values of a spec: its own, the preset's defaults, and never other ones than the preset allows.
    fn settle(&self, spec: &BridgeDefinition, problems: &mut Problems) -> Plan;

    /// Checks the claims' names when the bridge is saved.
    fn vet(&self, template: &Template, problems: &mut Problems);

    /// The finished claims.
    fn assemble(&self, plan: &Plan, parts: Parts) -> Map<String, Value>;

    /// Every rule of the target that this header and these claims break; empty when they keep all.
    fn check(&self, plan: &Plan, header: &Value, claims: &Value) -> Vec<Violation>;
}

/// A spec whose every field has a value.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields of BridgeDefinition, settled")]
pub struct Plan {
    pub issuer: String,
    pub audience: String,
    pub audience_form: AudienceForm,
    pub algorithm: Algorithm,
    pub typ: Typ,
    pub kid: KidPolicy,
    /// The token's lifetime in seconds.
    pub lifetime: i64,
    pub max_bytes: usize,
    /// The most characters of a subject.
    pub subject_max: usize,
    pub tenant_id: Option<String>,
    /// Whether values are taken that give more than a user should have.
    pub dangerous: bool,
    /// NATS: the account that signs.
    pub nats: Option<NatsAccount>,
}

/// An account of NATS, or a signing key of one.
#[derive(Clone, Debug)]
pub struct NatsAccount {
    /// Its public key, `A…`.
    pub public: String,
    /// Its private key, which people's user keys are derived from.
    pub secret: Secret<Vec<u8>>,
}

impl NatsAccount {
    /// 32 bytes for one purpose, from which nobody gets back to the key.
    pub fn derive(&self, purpose: &str) -> Secret<[u8; 32]> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&key, purpose.as_bytes()).as_ref());
        Secret::new(bytes)
    }
}

/// What a token is assembled from.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Checked by the engine's subject rule.
    pub subject: String,
    /// The rendered template.
    pub claims: Map<String, Value>,
    /// `iat`, seconds since 1970.
    pub iat: i64,
    /// `exp`, seconds since 1970.
    pub exp: i64,
    /// `jti`.
    pub jti: Uuid,
    /// The key that the target binds the token to.
    pub bound_key: Option<String>,
    /// Who acts for the subject; only where [`Preset::names_actor`].
    pub act: Option<Actor>,
}

/// A rule of a target that a token breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A header member that is wrong.
    #[error("header `{0}`")]
    Header(&'static str),
    /// A claim that is absent or has the wrong type or value.
    #[error("claim `{0}`")]
    Claim(&'static str),
    /// A claim that has no business there.
    #[error("unexpected claim `{0}`")]
    Unexpected(String),
    /// `iss` and `sub` must be the same service account.
    #[error("`iss` and `sub` differ")]
    IssuerIsNotSubject,
    /// `exp` too far from `iat`, or before it.
    #[error("life longer than the target allows, or none")]
    Lifetime,
    /// A reserved name among the developer claims.
    #[error("reserved name `{0}`")]
    Reserved(String),
    /// A claim that is absent or that the target could not read.
    #[error("claim `{0}` must be {1}")]
    Shape(String, &'static str),
    /// A value that gives more than a user should have.
    #[error("claim `{0}` is `{1}` only with `dangerous = true`")]
    Powerful(String, String),
    /// A rule that is not about one claim alone.
    #[error("{0}")]
    Rule(&'static str),
    /// Developer claims beyond their limit.
    #[error("developer claims longer than {0} characters of JSON")]
    ClaimsTooLong(usize),
}

/// Collects what is wrong with a spec.
#[derive(Debug, Default)]
pub struct Problems(Vec<(String, Problem)>);

impl Problems {
    /// Notes a problem at a place.
    pub fn add(&mut self, place: &str, problem: Problem) {
        self.0.push((place.to_owned(), problem));
    }

    /// All problems, in the order found.
    pub fn into_inner(self) -> Vec<(String, Problem)> {
        self.0
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes every name of `template` that is in `reserved`, in whatever case it is written.
    pub fn add_reserved(&mut self, template: &Template, reserved: &[&str]) {
        for name in template.names().filter(|name| is_reserved(name, reserved)) {
            self.add(&format!("claims.{name}"), Problem::Reserved);
        }
    }
}

/// Writes who acts for the subject into the claims that say so.
pub(super) fn name_actor(claims: &mut Map<String, Value>, act: Option<Actor>) {
    if let Some(act) = act {
        claims.insert("act".to_owned(), json!(act));
    }
}

/// Whether what these claims say of who acts, if anything, can be read, and stands under its own name alone: some parsers compare
/// names without regard to case.
pub(super) fn is_actor_readable(claims: &Value) -> bool {
    let mut named_so = claims.as_object().into_iter().flatten().filter(|(name, _)| is_reserved(name, &["act"]));
    named_so.all(|(name, act)| name == "act" && Actor::read(act).is_ok())
}

pub(super) fn is_reserved(name: &str, reserved: &[&str]) -> bool {
    reserved.iter().any(|taken| name.eq_ignore_ascii_case(taken))
}

/// What the operator says, put over what the preset says: objects member by member, all else whole.
pub fn merged(defaults: Value, given: &Value) -> Value {
    match (defaults, given) {
        (defaults, Value::Null) => defaults,
        (Value::Object(mut members), Value::Object(given)) => {
            for (name, value) in given {
                let default = members.remove(name).unwrap_or_default();
                members.insert(name.clone(), merged(default, value));
            }
            Value::Object(members)
        }
        (_, given) => given.clone(),
    }
}

pub(super) fn settle_max_bytes(spec: &BridgeDefinition, problems: &mut Problems) -> usize {
    let max_bytes = spec.max_bytes.unwrap_or(4096);
    if !(256..=16_384).contains(&max_bytes) {
        problems.add("max_bytes", Problem::Form("between 256 and 16384"));
    }
    max_bytes
}

/// Text that goes into a token as it stands: visible ASCII.
pub(super) fn is_plain(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
