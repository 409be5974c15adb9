//! Presets: what one kind of target demands, as code.
//!
//! What must always hold: a preset's [`Preset::check`] looks at the finished header and claims alone, as the strictest
//! target would, and runs both when a bridge is saved and at every minting. To add a preset: a file with a unit struct
//! that implements [`Preset`], a row in [`PresetKind`] and an arm in [`PresetKind::rules`]; then golden tokens and a table
//! of refusals in its tests.

pub mod firebase;
pub mod jwt;

use chrono::Duration;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::spec::{Algorithm, AudienceForm, BridgeDefinition, KidPolicy, Problem, Typ, words};
use super::template::Template;

words! {
    /// The presets there are.
    PresetKind {
        /// A custom token of Firebase Auth or Google Identity Platform.
        Firebase = "firebase",
        /// A plain JSON Web Token.
        Jwt = "jwt",
    }
}

impl PresetKind {
    /// The preset's rules.
    pub fn rules(self) -> &'static dyn Preset {
        match self {
            Self::Firebase => &firebase::Firebase,
            Self::Jwt => &jwt::Jwt,
        }
    }
}

/// What one kind of target demands.
pub trait Preset: Sync {
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
    /// Seconds.
    pub lifetime: i64,
    pub max_bytes: usize,
    /// The most characters of a subject.
    pub subject_max: usize,
    pub tenant_id: Option<String>,
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
    #[error("life longer than an hour, or none")]
    Lifetime,
    /// A reserved name among the developer claims.
    #[error("reserved name `{0}`")]
    Reserved(String),
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

fn is_reserved(name: &str, reserved: &[&str]) -> bool {
    reserved.iter().any(|taken| name.eq_ignore_ascii_case(taken))
}

/// The lifetime in seconds, at most `max`.
fn settle_lifetime(spec: &BridgeDefinition, max: Duration, refusal: &'static str, problems: &mut Problems) -> i64 {
    let lifetime = spec.lifetime.unwrap_or(Duration::minutes(10));
    if lifetime < Duration::seconds(10) || lifetime > max {
        problems.add("lifetime", Problem::Form(refusal));
    }
    lifetime.num_seconds()
}

fn settle_max_bytes(spec: &BridgeDefinition, problems: &mut Problems) -> usize {
    let max_bytes = spec.max_bytes.unwrap_or(4096);
    if !(256..=16_384).contains(&max_bytes) {
        problems.add("max_bytes", Problem::Form("between 256 and 16384"));
    }
    max_bytes
}

/// Text that goes into a token as it stands: visible ASCII.
fn is_plain(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
