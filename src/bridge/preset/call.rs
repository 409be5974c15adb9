//! A target that issues its own tokens and is asked for one with an administrator's credential.
//!
//! What must always hold: the credential goes into one header of one request to the URL of the bridge, and nowhere
//! else; and a response counts only if it is about the requested person.
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

/// The requirements of one kind of target.
#[derive(Clone, Copy, Debug)]
pub struct CallTarget {
    /// Its description.
    pub about: About,
    /// Its default URL; `None` if the operator must set one.
    pub usual_url: Option<&'static str>,
    /// What `audience` means, and its shape.
    pub audience: (&'static str, Shape),
    /// The requested person.
    pub subject: Shape,
    /// The maximum length of the subject, in characters.
    pub subject_max: usize,
    /// The lifetime of the token; `None` if it does not expire.
    pub lifetime: Option<Lifetime>,
    /// The default claims, as JSON text.
    pub defaults: &'static str,
    /// The rules for them.
    pub claims: &'static [Claim],
    /// The complete document of a request: the template's part, the person, the lifetime in seconds.
    pub document: fn(Map<String, Value>, String, i64) -> Map<String, Value>,
    /// The request for such a document.
    pub request: fn(audience: &str, document: &Value) -> Call,
    /// The statuses that mean the person is refused. Any other is a fault: ours, the operator's, or the target's.
    pub person_statuses: &'static [u16],
    /// The token in a response to such a document; `None` for an unexpected response.
    pub given: fn(document: &Value, answer: &Map<String, Value>) -> Option<String>,
}

/// A request, without the credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The path after the base URL.
    pub path: String,
    /// The header for the credential, and the prefix of its value.
    pub credential: (&'static str, &'static str),
    /// The other headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Value,
    /// The user of the token, as the target's client library expects it.
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
