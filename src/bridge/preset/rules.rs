//! The definition of a preset: the rules of one kind of target, and the types they use.
//!
//! What must always hold: a preset's [`Preset::check`] looks only at the finished header and claims, as the strictest
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

/// The rules of one kind of target.
pub trait Preset: Sync {
    /// Its description for people.
    fn about(&self) -> &About;

    /// How its result reaches the target.
    fn way(&self) -> Way {
        Way::Token
    }

    /// Its rules in words, each with a name; empty if they are documented on a page of their own.
    fn in_words(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Whether its tokens name the actor for the person (RFC 8693 §4.1), if there is one.
    fn names_actor(&self) -> bool {
        false
    }

    /// How long the target may continue without a new key: the key is published for at least that long before it signs.
    fn key_lag(&self) -> Duration {
        Duration::minutes(self.about().key_lag)
    }

    /// The default expression for the subject.
    fn subject(&self) -> Option<&'static str> {
        Some("{{ user.id }}")
    }

    /// The default claims; those of the operator are merged over them.
    fn defaults(&self) -> Value {
        Value::Null
    }

    /// Determines the final values of a definition: its own or the preset's defaults, and only values that the preset
    /// allows.
    fn settle(&self, spec: &BridgeDefinition, problems: &mut Problems) -> Plan;

    /// Checks the names of the claims when the bridge is saved.
    fn vet(&self, template: &Template, problems: &mut Problems);

    /// Assembles the finished claims.
    fn assemble(&self, plan: &Plan, parts: Parts) -> Map<String, Value>;

    /// Every rule of the target that this header and these claims violate; empty if there is none.
    fn check(&self, plan: &Plan, header: &Value, claims: &Value) -> Vec<Violation>;
}

/// A definition with a value for every field.
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
    /// The maximum length of a subject, in characters.
    pub subject_max: usize,
    pub tenant_id: Option<String>,
    /// Whether values are allowed that grant more than a user should have.
    pub dangerous: bool,
    /// NATS: the account that signs.
    pub nats: Option<NatsAccount>,
}

/// A NATS account, or one of its signing keys.
#[derive(Clone, Debug)]
pub struct NatsAccount {
    /// Its public key, `A…`.
    pub public: String,
    /// Its private key, from which people's user keys are derived.
    pub secret: Secret<Vec<u8>>,
}

impl NatsAccount {
    /// 32 bytes for one purpose, from which the key cannot be recovered.
    pub fn derive(&self, purpose: &str) -> Secret<[u8; 32]> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&key, purpose.as_bytes()).as_ref());
        Secret::new(bytes)
    }
}

/// The parts of a token.
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
    /// The actor for the subject; only if [`Preset::names_actor`].
    pub act: Option<Actor>,
}

/// A rule of a target that a token violates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A wrong header member.
    #[error("header `{0}`")]
    Header(&'static str),
    /// A claim that is missing or has the wrong type or value.
    #[error("claim `{0}`")]
    Claim(&'static str),
    /// A claim that must not be there.
    #[error("unexpected claim `{0}`")]
    Unexpected(String),
    /// `iss` and `sub` must be the same service account.
    #[error("`iss` and `sub` differ")]
    IssuerIsNotSubject,
    /// `exp` is too far from `iat`, or before it.
    #[error("life longer than the target allows, or none")]
    Lifetime,
    /// A reserved name among the developer claims.
    #[error("reserved name `{0}`")]
    Reserved(String),
    /// A claim that is missing, or that the target could not read.
    #[error("claim `{0}` must be {1}")]
    Shape(String, &'static str),
    /// A value that grants more than a user should have.
    #[error("claim `{0}` is `{1}` only with `dangerous = true`")]
    Powerful(String, String),
    /// A rule that concerns more than one claim.
    #[error("{0}")]
    Rule(&'static str),
    /// Developer claims that exceed their limit.
    #[error("developer claims longer than {0} characters of JSON")]
    ClaimsTooLong(usize),
}

/// Collects the problems of a definition.
#[derive(Debug, Default)]
pub struct Problems(Vec<(String, Problem)>);

impl Problems {
    /// Adds a problem at a place.
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

    /// Adds a problem for every name in `template` that is in `reserved`, in any case.
    pub fn add_reserved(&mut self, template: &Template, reserved: &[&str]) {
        for name in template.names().filter(|name| is_reserved(name, reserved)) {
            self.add(&format!("claims.{name}"), Problem::Reserved);
        }
    }
}

/// Adds the actor for the subject to the claims.
pub(super) fn name_actor(claims: &mut Map<String, Value>, act: Option<Actor>) {
    if let Some(act) = act {
        claims.insert("act".to_owned(), json!(act));
    }
}

/// Whether the actor in these claims, if any, is readable and under exactly its own name: some parsers ignore the case
/// of names.
pub(super) fn is_actor_readable(claims: &Value) -> bool {
    let mut named_so = claims.as_object().into_iter().flatten().filter(|(name, _)| is_reserved(name, &["act"]));
    named_so.all(|(name, act)| name == "act" && Actor::read(act).is_ok())
}

pub(super) fn is_reserved(name: &str, reserved: &[&str]) -> bool {
    reserved.iter().any(|taken| name.eq_ignore_ascii_case(taken))
}

/// Merges the operator's claims over the preset's: objects member by member, everything else as a whole.
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

/// Whether a text can be written into a token unchanged: visible ASCII.
pub(super) fn is_plain(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
