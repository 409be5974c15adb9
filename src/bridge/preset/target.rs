//! A target whose rules are data: a JWT with a set of allowed algorithms, defaults, and rules for its claims.
//!
//! What must always hold: `iss`, the subject, `aud`, `exp`, `iat` and `jti` are always present, because many verifiers
//! accept a token without them; there is a single audience; claims about the sign-in state what happened, and a claim
//! for the e-mail address contains the person's own; and the finished token satisfies every rule of the data, at every
//! minting.
//!
//! To add a target: a file of data beside this one. [`PLAIN`](super::jwt::PLAIN) is the target without special
//! requirements.

use serde_json::{Map, Value, json};
use url::Url;

use super::about::About;
use super::claim::{Claim, at, check_claims, vet_claims};
use super::rules::{
    Parts, Plan, Preset, Problems, Violation, is_actor_readable, is_plain, is_reserved, name_actor, settle_max_bytes,
};
use super::shape::{self, Shape};
use crate::bridge::facts::Fact;
use crate::bridge::spec::{Algorithm, AudienceForm, BridgeDefinition, KeySource, KidPolicy, Problem, Typ};
use crate::bridge::template::Template;

/// Claims that only the engine sets, or whose meaning a bridge cannot vouch for (delegation RFC 8693 §4.1 and §4.4, key
/// binding RFC 7800, the header's own member).
pub const RESERVED: [&str; 11] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "act", "may_act", "cnf", "typ"];

/// Claims that a target may use for decisions, or to find a person: each may contain only its own fact.
pub const ABOUT_THE_SIGN_IN: [(&str, Fact); 8] = [
    ("acr", Fact::SessionAcr),
    ("amr", Fact::SessionAmr),
    ("auth_time", Fact::SessionAuthTime),
    ("sid", Fact::SessionId),
    ("azp", Fact::ClientId),
    ("client_id", Fact::ClientId),
    ("email", Fact::UserEmail),
    ("email_verified", Fact::UserEmailVerified),
];

/// The requirements of one kind of target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its description.
    pub about: About,
    /// The algorithms that it verifies; the first is the default.
    pub algorithms: &'static [Algorithm],
    /// The allowed values of `typ`; the first is the default.
    pub types: &'static [Typ],
    /// Where `iss` comes from.
    pub issuer: Issuer,
    /// Where `aud` comes from.
    pub audience: Audience,
    /// The allowed forms of `aud`; the first is the default.
    pub forms: &'static [AudienceForm],
    /// How it uses `kid`.
    pub kid: Kid,
    /// Whether it finds keys only through the issuer's discovery document, which contains only this server's own keys.
    pub by_discovery: bool,
    /// The lifetime of a token.
    pub lifetime: Lifetime,
    /// The subject of a token.
    pub subject: Subject,
    /// The default claims, as JSON text.
    pub defaults: &'static str,
    /// The rules for single claims.
    pub claims: &'static [Claim],
    /// Names, besides those in [`RESERVED`], that no template may set.
    pub reserved: &'static [&'static str],
    /// Rules that concern more than one claim: returns the one that is violated.
    pub also: fn(&Plan, &Value) -> Option<&'static str>,
}

/// Where `iss` comes from.
#[derive(Clone, Copy, Debug)]
pub enum Issuer {
    /// This server's issuer, unless the operator sets another one.
    Server,
    /// The operator must set it. The text describes it.
    Said(&'static str),
}

/// Where `aud` comes from.
#[derive(Clone, Copy, Debug)]
pub enum Audience {
    /// The operator must set it. The text describes it.
    Said(&'static str),
    /// This value, unless the operator sets another one.
    Usually(&'static str),
}

/// How a target uses `kid` in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kid {
    /// In no particular way.
    Any,
    /// It finds the key by it.
    Needed,
    /// It is a name that the target assigned to the key. The text describes it.
    Fixed(&'static str),
}

/// The lifetime of a token, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// The minimum.
    pub least: i64,
    /// The default.
    pub usual: i64,
    /// The maximum.
    pub most: i64,
    /// The limits in words.
    pub words: &'static str,
}

impl Lifetime {
    /// Up to an hour.
    pub const HOUR: Self = Self { least: 10, usual: 600, most: 3600, words: "between 10 seconds and 1 hour" };
    /// Up to a day.
    pub const DAY: Self = Self { least: 10, usual: 600, most: 86_400, words: "between 10 seconds and 24 hours" };
    /// Up to a day; the default suits a connection.
    pub const CONNECTION: Self = Self { usual: 1800, ..Self::DAY };

    /// The lifetime for a bridge, in seconds.
    pub(super) fn settle(self, spec: &BridgeDefinition, problems: &mut Problems) -> i64 {
        let lifetime = spec.lifetime.map_or(self.usual, |lifetime| lifetime.num_seconds());
        if !(self.least..=self.most).contains(&lifetime) {
            problems.add("lifetime", Problem::Form(self.words));
        }
        lifetime
    }
}

/// The subject of a token.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The claim.
    pub claim: &'static str,
    /// The default expression; `None` if the operator must set one.
    pub usual: Option<&'static str>,
    /// The maximum length, in characters.
    pub max: usize,
    /// The required shape.
    pub shape: Shape,
}

impl Subject {
    /// Our user ID in `sub`, at most 255 ASCII characters (OpenID Connect Core §2).
    pub const USER: Self = Self { claim: "sub", usual: Some("{{ user.id }}"), max: 255, shape: shape::TEXT };
}

impl Preset for Target {
    fn about(&self) -> &About {
        &self.about
    }

    fn in_words(&self) -> Vec<(&'static str, String)> {
        self.rules_in_words()
    }

    fn names_actor(&self) -> bool {
        true
    }

    fn subject(&self) -> Option<&'static str> {
        self.subject.usual
    }

    fn defaults(&self) -> Value {
        serde_json::from_str(self.defaults).unwrap_or_default()
    }

    fn settle(&self, spec: &BridgeDefinition, problems: &mut Problems) -> Plan {
        let issuer = self.settle_issuer(spec, problems);
        if spec.tenant_id.is_some() {
            problems.add("tenant_id", Problem::Unused("only the firebase presets have tenants"));
        }
        if self.subject.usual.is_none() && spec.subject.is_none() {
            problems.add("subject", Problem::Required(self.subject.shape.words));
        }
        if self.by_discovery && spec.key != Some(KeySource::Provider) {
            problems.add("key", Problem::Locked(KeySource::Provider.as_str().to_owned()));
        }
        self.refuse_what_is_locked(&spec.claims, problems);
        let algorithm = self.algorithm_of(spec);
        let algorithm = one_of("algorithm", algorithm, self.algorithms, Algorithm::as_str, problems);
        Plan {
            audience: self.settle_audience(spec, &issuer, problems),
            issuer,
            audience_form: one_of("audience_form", spec.audience_form, self.forms, AudienceForm::as_str, problems),
            algorithm,
            typ: one_of("typ", spec.typ, self.types, Typ::as_str, problems),
            kid: self.settle_kid(spec, algorithm, problems),
            lifetime: self.lifetime.settle(spec, problems),
            max_bytes: settle_max_bytes(spec, problems),
            subject_max: self.subject.max,
            tenant_id: None,
            dangerous: spec.dangerous,
            nats: None,
        }
    }

    fn vet(&self, template: &Template, problems: &mut Problems) {
        problems.add_reserved(template, &RESERVED);
        problems.add_reserved(template, self.reserved);
        if self.subject.claim != "sub" {
            problems.add_reserved(template, &[self.subject.claim]);
        }
        vet_claims_about_the_sign_in(template, problems);
        vet_claims(self.claims, template, problems);
    }

    fn assemble(&self, plan: &Plan, parts: Parts) -> Map<String, Value> {
        // The engine's own claims are added last, so that they override anything that passed the check of names.
        let mut claims = parts.claims;
        claims.insert("iss".to_owned(), plan.issuer.clone().into());
        claims.insert(self.subject.claim.to_owned(), parts.subject.into());
        claims.insert("aud".to_owned(), audience(plan));
        claims.insert("iat".to_owned(), parts.iat.into());
        claims.insert("exp".to_owned(), parts.exp.into());
        claims.insert("jti".to_owned(), parts.jti.to_string().into());
        name_actor(&mut claims, parts.act);
        claims
    }

    fn check(&self, plan: &Plan, header: &Value, claims: &Value) -> Vec<Violation> {
        let mut broken = Vec::new();
        check_header(plan, header, &mut broken);
        self.check_standing(plan, claims, &mut broken);
        if !is_actor_readable(claims) {
            broken.push(Violation::Claim("act"));
        }
        for name in self.reserved.iter().chain(&["nbf", "may_act", "cnf"]) {
            if claims.as_object().is_some_and(|members| members.keys().any(|key| is_reserved(key, &[name]))) {
                broken.push(Violation::Unexpected((*name).to_owned()));
            }
        }
        check_claims(self.claims, plan, claims, &mut broken);
        broken.extend((self.also)(plan, claims).map(Violation::Rule));
        broken
    }
}

impl Target {
    /// The operator's choice, otherwise the algorithm of the imported key if the target supports it.
    fn algorithm_of(&self, spec: &BridgeDefinition) -> Option<Algorithm> {
        let key = || spec.material.as_ref().and_then(|key| Algorithm::parse(key.algorithm().as_str()));
        spec.algorithm.or_else(|| key().filter(|key| self.algorithms.contains(key)))
    }

    fn settle_issuer(&self, spec: &BridgeDefinition, problems: &mut Problems) -> String {
        let (usual, words) = match self.issuer {
            Issuer::Server => (spec.our_issuer.clone(), "the `iss` the target expects"),
            Issuer::Said(words) => (None, words),
        };
        let issuer = spec.issuer.clone().or(usual).unwrap_or_default();
        if issuer.is_empty() && spec.issuer.is_none() {
            problems.add("issuer", Problem::Required(words));
        } else if !is_plain(&issuer, 512) || (issuer.contains(':') && Url::parse(&issuer).is_err()) {
            problems.add("issuer", Problem::Form("up to 512 visible ASCII characters; with a colon, a URL"));
        }
        issuer
    }

    fn settle_audience(&self, spec: &BridgeDefinition, issuer: &str, problems: &mut Problems) -> String {
        let (usual, words) = match self.audience {
            Audience::Said(words) => (None, words),
            Audience::Usually(usual) => (Some(usual.to_owned()), ""),
        };
        let audience = spec.audience.clone().or(usual);
        let Some(audience) = audience else {
            problems.add("audience", Problem::Required(words));
            return String::new();
        };
        let is = |other: &str| audience.trim_end_matches('/') == other.trim_end_matches('/');
        if !is_plain(&audience, 512) {
            problems.add("audience", Problem::Form("up to 512 visible ASCII characters"));
        } else if is(issuer) || spec.our_issuer.as_deref().is_some_and(is) {
            // Otherwise a token for another system would be addressed to this server.
            problems.add("audience", Problem::Form("must not be the issuer: a bridge's token is for another system"));
        }
        audience
    }

    /// The target does not look up a shared secret by name.
    fn settle_kid(&self, spec: &BridgeDefinition, algorithm: Algorithm, problems: &mut Problems) -> KidPolicy {
        let usual = if algorithm == Algorithm::Hs256 { KidPolicy::Omit } else { KidPolicy::Auto };
        let kid = spec.kid.clone().unwrap_or(usual);
        match (self.kid, &kid) {
            (Kid::Fixed(words), KidPolicy::Auto | KidPolicy::Omit) => problems.add("kid", Problem::Required(words)),
            (Kid::Needed, KidPolicy::Omit) => {
                problems.add("kid", Problem::Form("the target finds the key by its `kid`"));
            }
            (_, KidPolicy::Fixed(kid)) if !is_plain(kid, 128) => {
                problems.add("kid", Problem::Form("up to 128 visible ASCII characters"));
            }
            _ => {}
        }
        kid
    }

    fn refuse_what_is_locked(&self, given: &Value, problems: &mut Problems) {
        let defaults = self.defaults();
        for rule in self.claims.iter().filter(|rule| rule.locked) {
            let locked = at(&defaults, rule.path).unwrap_or(&Value::Null);
            if at(given, rule.path).is_some_and(|given| given != locked) {
                problems.add(&format!("claims.{}", rule.place()), Problem::Locked(locked.to_string()));
            }
        }
    }

    fn check_standing(&self, plan: &Plan, claims: &Value, broken: &mut Vec<Violation>) {
        let mut must = |holds: bool, violation: Violation| {
            if !holds {
                broken.push(violation);
            }
        };
        must(claims["iss"] == *plan.issuer, Violation::Claim("iss"));
        let subject = &claims[self.subject.claim];
        if subject.as_str().is_some_and(|sub| sub.is_ascii() && (1..=self.subject.max).contains(&sub.len())) {
            let violation = Violation::Shape(self.subject.claim.to_owned(), self.subject.shape.words);
            must((self.subject.shape.holds)(subject), violation);
        } else {
            must(false, Violation::Claim(self.subject.claim));
        }
        must(claims["aud"] == audience(plan), Violation::Claim("aud"));
        let (iat, exp) = (claims["iat"].as_i64(), claims["exp"].as_i64());
        must(iat.is_some(), Violation::Claim("iat"));
        must(exp.is_some(), Violation::Claim("exp"));
        if let (Some(iat), Some(exp)) = (iat, exp) {
            must(exp.checked_sub(iat).is_some_and(|life| (1..=plan.lifetime).contains(&life)), Violation::Lifetime);
        }
        must(claims["jti"].as_str().is_some_and(|jti| !jti.is_empty()), Violation::Claim("jti"));
    }
}

fn audience(plan: &Plan) -> Value {
    match plan.audience_form {
        AudienceForm::String => json!(plan.audience),
        AudienceForm::Array => json!([plan.audience]),
    }
}

/// The operator's choice if the target supports it, otherwise a problem; without a choice, the target's first.
fn one_of<T: Copy + PartialEq>(
    place: &str,
    given: Option<T>,
    known: &'static [T],
    word: fn(T) -> &'static str,
    problems: &mut Problems,
) -> T {
    let given = given.unwrap_or(known[0]);
    if !known.contains(&given) {
        let words: Vec<&str> = known.iter().map(|one| word(*one)).collect();
        problems.add(place, Problem::Locked(words.join("`, `")));
    }
    given
}

fn vet_claims_about_the_sign_in(template: &Template, problems: &mut Problems) {
    for name in template.names() {
        let Some((known, fact)) = ABOUT_THE_SIGN_IN.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) else {
            continue;
        };
        if name != *known || !template.expression(name).is_some_and(|expression| expression.is_just(*fact)) {
            problems.add(&format!("claims.{name}"), Problem::OnlyFact(fact.name()));
        }
    }
}

fn check_header(plan: &Plan, header: &Value, broken: &mut Vec<Violation>) {
    if header["alg"] != plan.algorithm.as_str() {
        broken.push(Violation::Header("alg"));
    }
    let typ = header.get("typ").map_or(Some(Typ::None), |typ| typ.as_str().and_then(Typ::parse));
    if typ != Some(plan.typ) || header["typ"] == "none" {
        broken.push(Violation::Header("typ"));
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
