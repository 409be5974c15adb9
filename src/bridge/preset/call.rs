//! A target that makes its tokens itself, and is asked for one with an administrator's credential.
//!
//! What must always hold: the credential goes into one header of one request to the address of the bridge, and nowhere else;
//! and an answer counts only when it is about the person that was asked for.
//!
//! To add a target: a file of data beside this one.

use serde_json::{Map, Value};

use super::about::About;
use super::claim::{Claim, check_claims, vet_claims};
use super::rules::{Parts, Plan, Preset, Problems, Violation, settle_max_bytes};
use super::shape::Shape;
use super::target::Lifetime;
use super::way::Way;
use crate::bridge::spec::{Algorithm, AudienceForm, BridgeDefinition, KidPolicy, Problem, Typ};
use crate::bridge::template::Template;

/// What one kind of target demands.
#[derive(Clone, Copy, Debug)]
pub struct CallTarget {
    /// In words.
    pub about: About,
    /// Its address where the operator says nothing else; none: the operator has to.
    pub usual_url: Option<&'static str>,
    /// What `audience` is: this, and in which shape.
    pub audience: (&'static str, Shape),
    /// Who is asked for.
    pub subject: Shape,
    /// The most characters of it.
    pub subject_max: usize,
    /// How long what it gives lives; none where it does not end by itself.
    pub lifetime: Option<Lifetime>,
    /// What a template may say, as JSON text, where the operator says nothing else.
    pub defaults: &'static str,
    /// The rules about it.
    pub claims: &'static [Claim],
    /// The whole document of a request: the template's part, the person, the life in seconds.
    pub document: fn(Map<String, Value>, String, i64) -> Map<String, Value>,
    /// The request that such a document stands for.
    pub request: fn(audience: &str, document: &Value) -> Call,
    /// The statuses by which it refuses the person. Any other is a fault: of ours, of its operator's, or its own.
    pub person_statuses: &'static [u16],
    /// What was asked for, in an answer to such a document; `None` for any other answer.
    pub given: fn(document: &Value, answer: &Map<String, Value>) -> Option<String>,
}

/// A request, but for the credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What comes after the address.
    pub path: String,
    /// The header that holds the credential, and what stands there before it.
    pub credential: (&'static str, &'static str),
    /// The other headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Value,
    /// Whom the token will be for, as the target's client library wants to be told.
    pub user: String,
}

impl Preset for CallTarget {
    fn about(&self) -> &About {
        &self.about
    }

    fn way(&self) -> Way {
        Way::Call
    }

    fn defaults(&self) -> Value {
        serde_json::from_str(self.defaults).unwrap_or_default()
    }

    fn settle(&self, spec: &BridgeDefinition, problems: &mut Problems) -> Plan {
        let (words, shape) = self.audience;
        let audience = spec.audience.clone().unwrap_or_default();
        if spec.audience.is_none() {
            problems.add("audience", Problem::Required(words));
        } else if !(shape.holds)(&audience.as_str().into()) {
            problems.add("audience", Problem::Form(shape.words));
        }
        for (place, is_given) in [
            ("issuer", spec.issuer.is_some()),
            ("audience_form", spec.audience_form.is_some()),
            ("algorithm", spec.algorithm.is_some()),
            ("typ", spec.typ.is_some()),
            ("kid", spec.kid.is_some()),
            ("tenant_id", spec.tenant_id.is_some()),
            ("lifetime", spec.lifetime.is_some() && self.lifetime.is_none()),
        ] {
            if is_given {
                problems.add(place, Problem::Unused("the target creates the token itself"));
            }
        }
        let secret = spec.material.as_ref().and_then(|material| material.shared_secret());
        if secret.is_some_and(|secret| secret.len() > 2048 || !secret.iter().all(u8::is_ascii_graphic)) {
            problems.add("key", Problem::Form("a credential of up to 2,048 visible ASCII characters"));
        }
        Plan {
            issuer: String::new(),
            audience,
            audience_form: AudienceForm::String,
            algorithm: Algorithm::Hs256,
            typ: Typ::None,
            kid: KidPolicy::Omit,
            lifetime: self.lifetime.map_or(0, |lifetime| lifetime.settle(spec, problems)),
            max_bytes: settle_max_bytes(spec, problems),
            subject_max: self.subject_max,
            tenant_id: None,
            dangerous: spec.dangerous,
            nats: None,
        }
    }

    fn vet(&self, template: &Template, problems: &mut Problems) {
        for name in template.names().filter(|name| !self.claims.iter().any(|rule| rule.path[0] == *name)) {
            problems.add(&format!("claims.{name}"), Problem::Unused("it is no part of the request"));
        }
        vet_claims(self.claims, template, problems);
    }

    fn assemble(&self, _: &Plan, parts: Parts) -> Map<String, Value> {
        (self.document)(parts.claims, parts.subject, parts.exp - parts.iat)
    }

    fn check(&self, plan: &Plan, _: &Value, document: &Value) -> Vec<Violation> {
        let mut broken = Vec::new();
        check_claims(self.claims, plan, document, &mut broken);
        let user = (self.request)(&plan.audience, document).user;
        if !(self.subject.holds)(&user.into()) {
            broken.push(Violation::Shape("subject".to_owned(), self.subject.words));
        }
        broken
    }
}
