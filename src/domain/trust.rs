//! Trusted issuers: whose tokens are accepted here, how far they are trusted, and which people they identify.
//!
//! Invariants: a token of another issuer says who a person is, but nothing about how strongly they signed in or what
//! they may do here; an e-mail address counts only if the issuer is the authority for its domain and says that it was
//! verified. To add a condition: a field of [`Trust`], a variant of [`TrustRefusal`], a line in [`Trust::judge`], its
//! row in the test.

use std::collections::BTreeMap;

use chrono::Duration;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::exchange::SubjectKind;
use super::scope::Scopes;
use super::text::Email;
use crate::clock::Time;

/// How a token identifies a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mapping {
    /// By the external id under the issuer's source; the person must have been linked before.
    #[default]
    Linked,
    /// By the external id, or by an address that the issuer is the authority for. The link is then stored.
    VerifiedEmail,
    /// By the external id; an account is created for a person who has none.
    Create,
}

/// How far one issuer is trusted.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Our name for it.
    pub name: String,
    /// Its `iss`, byte for byte.
    pub issuer: String,
    /// The JWA names of the algorithms that it is trusted with.
    pub algorithms: Vec<String>,
    /// The kinds of tokens that are accepted.
    pub kinds: Vec<SubjectKind>,
    /// Its tokens must have one of these audiences; never empty.
    pub audiences: Vec<String>,
    /// The greatest accepted age of a token.
    pub max_age: Duration,
    /// How long a token may live from `iat` to `exp`.
    pub max_life: Duration,
    /// How far clocks may differ, in seconds.
    pub leeway: u8,
    /// Whether each token may be used only once, by its `jti`.
    pub single_use: bool,
    /// When the trust ends automatically.
    pub expires_at: Option<Time>,
    /// Claims that must be present, each with one of these values.
    pub required_claims: BTreeMap<String, Vec<Value>>,
    /// How a token identifies a person.
    pub mapping: Mapping,
    /// The source of external ids to which the issuer's `sub` belongs.
    pub source: String,
    /// The domains of e-mail addresses that the issuer is the authority for, in lower case.
    pub email_domains: Vec<String>,
    /// For a newly created account: our standard claim → the issuer's claim.
    pub attributes: BTreeMap<String, String>,
    /// For a newly created account: the person's attribute → the issuer's claim.
    pub custom_attributes: BTreeMap<String, String>,
    /// Whether every accepted token sets these attributes, for people who have an account, too.
    pub updates_attributes: bool,
    /// For a newly created account: its groups.
    pub groups: Vec<String>,
    /// Whether its fresh tokens let the person create a passkey.
    pub may_enrol: bool,
}

/// How recent the sign-in at the issuer must be for that.
pub const FRESH_FOR_ENROLMENT: Duration = Duration::minutes(5);

/// Why a token with a valid signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustRefusal {
    /// The trust has ended.
    #[error("the trust in this issuer has ended")]
    Ended,
    /// It was made too long ago.
    #[error("the token is too old")]
    TooOld,
    /// A claim is missing or has another value.
    #[error("the claim {0:?} is missing or has another value than this issuer's tokens must have")]
    Claim(String),
    /// A token without an id cannot be limited to one use.
    #[error("the token has no jti")]
    NoId,
}

impl Trust {
    /// Whether the trust has not expired.
    pub fn is_in_force(&self, now: Time) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Judges the claims of a verified token.
    ///
    /// # Errors
    /// [`TrustRefusal`].
    pub fn judge(&self, claims: &Map<String, Value>, now: Time) -> Result<(), TrustRefusal> {
        if !self.is_in_force(now) {
            return Err(TrustRefusal::Ended);
        }
        let iat = claims.get("iat").and_then(Value::as_i64).unwrap_or_default();
        if now.timestamp() - iat > self.max_age.num_seconds() + i64::from(self.leeway) {
            return Err(TrustRefusal::TooOld);
        }
        for (name, allowed) in &self.required_claims {
            if !claims.get(name).is_some_and(|value| allowed.contains(value)) {
                return Err(TrustRefusal::Claim(name.clone()));
            }
        }
        if self.single_use && !claims.contains_key("jti") {
            return Err(TrustRefusal::NoId);
        }
        Ok(())
    }

    /// Whether a sign-in there lets the person create a passkey here. A sign-in of unknown time is not fresh.
    pub fn permits_enrolment(&self, signed_in_at: Option<Time>, now: Time) -> bool {
        self.may_enrol && signed_in_at.is_some_and(|at| now - at <= FRESH_FOR_ENROLMENT)
    }

    /// The e-mail address that a token proves: the issuer says it is verified, and is the authority for its domain.
    pub fn proven_email(&self, claims: &Map<String, Value>) -> Option<Email> {
        let is_verified = claims.get("email_verified") == Some(&Value::Bool(true));
        let email = Email::parse(claims.get("email")?.as_str()?).ok().filter(|_| is_verified)?;
        let normalised = email.normalised();
        let (_, domain) = normalised.rsplit_once('@')?;
        self.email_domains.iter().any(|own| own == domain).then_some(email)
    }

    /// The standard claims of a newly created account. An address is verified only as [`Trust::proven_email`] says;
    /// invalid values of standard claims are left out.
    pub fn attributes_of(&self, claims: &Map<String, Value>) -> Map<String, Value> {
        let mut told: Map<String, Value> = self
            .attributes
            .iter()
            .filter_map(|(ours, theirs)| Some((ours.clone(), claims.get(theirs)?.clone())))
            .filter(|(ours, value)| super::standard_claims::fits(ours, value))
            .collect();
        told.remove("email_verified");
        told.remove("phone_number_verified");
        let proven = self.proven_email(claims);
        if let Some(email) = proven.filter(|email| told.get("email").and_then(Value::as_str) == Some(email.as_str())) {
            told.insert("email".to_owned(), email.as_str().into());
            told.insert("email_verified".to_owned(), true.into());
        }
        told
    }

    /// What a token says about the person's attributes, as changes to them: null for one whose claim is absent. Values
    /// are not checked here, so that one that no attribute can have is refused, not taken for absent.
    pub fn custom_attributes_of(&self, claims: &Map<String, Value>) -> Map<String, Value> {
        let value = |theirs| claims.get(theirs).cloned().unwrap_or_default();
        self.custom_attributes.iter().map(|(ours, theirs)| (ours.clone(), value(theirs))).collect()
    }
}

/// How a trusted issuer's token may be used as a grant (RFC 7523), in addition to exchange.
#[derive(Clone, Debug, Default)]
pub struct BearerGrant {
    /// The clients that may present it as a grant.
    pub clients: Vec<String>,
    /// The scopes that it may grant.
    pub scopes: Scopes,
    /// Whether its audience may be the token endpoint's URL instead of the issuer.
    pub token_endpoint_audience: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trust() -> Trust {
        Trust {
            name: "partner".into(),
            issuer: "https://partner.example".into(),
            algorithms: vec!["ES256".into()],
            kinds: vec![SubjectKind::Jwt],
            audiences: vec!["https://id.example".into()],
            max_age: Duration::minutes(5),
            max_life: Duration::minutes(5),
            leeway: 5,
            single_use: true,
            expires_at: Time::from_timestamp(2_000_000_000, 0),
            required_claims: BTreeMap::from([("org".to_owned(), vec![json!("a"), json!("b")])]),
            mapping: Mapping::Create,
            source: "partner".into(),
            email_domains: vec!["example.com".into()],
            attributes: BTreeMap::from([
                ("name".to_owned(), "display_name".to_owned()),
                ("email".to_owned(), "email".to_owned()),
                ("email_verified".to_owned(), "email_verified".to_owned()),
            ]),
            custom_attributes: BTreeMap::from([
                ("tenant".to_owned(), "org_id".to_owned()),
                ("roles".to_owned(), "https://partner.example/roles".to_owned()),
            ]),
            updates_attributes: false,
            groups: Vec::new(),
            may_enrol: true,
        }
    }

    #[test]
    fn a_passkey_wants_the_right_and_a_fresh_sign_in() {
        let without = Trust { may_enrol: false, ..trust() };
        assert!(trust().permits_enrolment(Some(at(0)), at(300)));
        assert!(!trust().permits_enrolment(Some(at(0)), at(301)));
        assert!(!trust().permits_enrolment(None, at(0)));
        assert!(!without.permits_enrolment(Some(at(0)), at(0)));
    }

    fn claims(change: Value) -> Map<String, Value> {
        let mut claims =
            json!({ "iat": 1_800_000_000, "jti": "1", "org": "b", "email": "Ada@Example.com", "email_verified": true });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object().unwrap().clone()
    }

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn each_condition_refuses_by_itself() {
        let wrong = |name: &str| TrustRefusal::Claim(name.to_owned());
        for (name, change, seconds, expected) in [
            ("good", json!({}), 0, Ok(())),
            ("at the end of its age", json!({}), 305, Ok(())),
            ("too old", json!({}), 306, Err(TrustRefusal::TooOld)),
            ("after the trust", json!({}), 200_000_000, Err(TrustRefusal::Ended)),
            ("another value", json!({ "org": "c" }), 0, Err(wrong("org"))),
            ("another type", json!({ "org": ["a"] }), 0, Err(wrong("org"))),
            ("null", json!({ "org": null }), 0, Err(wrong("org"))),
        ] {
            assert_eq!(trust().judge(&claims(change), at(seconds)), expected, "{name}");
        }
        for (name, refusal) in [("org", wrong("org")), ("jti", TrustRefusal::NoId)] {
            let mut without = claims(json!({}));
            without.remove(name);
            assert_eq!(trust().judge(&without, at(0)), Err(refusal), "no {name}");
        }
    }

    #[test]
    fn an_address_is_proven_by_its_authority_alone() {
        for (name, change, proven) in [
            ("its own domain, in whatever case", json!({}), true),
            ("not verified", json!({ "email_verified": false }), false),
            ("verified in words", json!({ "email_verified": "true" }), false),
            ("another domain", json!({ "email": "ada@example.org" }), false),
            ("a domain below", json!({ "email": "ada@x.example.com" }), false),
            ("a longer name", json!({ "email": "ada@badexample.com" }), false),
            ("two", json!({ "email": "ada@example.org@example.com" }), false),
            ("not text", json!({ "email": ["ada@example.com"] }), false),
        ] {
            assert_eq!(trust().proven_email(&claims(change)).is_some(), proven, "{name}");
        }
    }

    #[test]
    fn what_is_told_of_a_new_person_is_checked() {
        let told = |change| Value::Object(trust().attributes_of(&claims(change)));
        assert_eq!(
            told(json!({ "display_name": "Ada" })),
            json!({ "name": "Ada", "email": "Ada@Example.com", "email_verified": true })
        );
        assert_eq!(told(json!({ "email": "x@elsewhere.example" })), json!({ "email": "x@elsewhere.example" }));
        assert_eq!(told(json!({ "display_name": 7, "email": "none" })), json!({}));
        let long = "x".repeat(10_000_000);
        assert_eq!(told(json!({ "display_name": long, "email": null })), json!({}));
    }

    #[test]
    fn attributes_are_what_the_token_says_or_nothing() {
        let roles = "https://partner.example/roles";
        for (said, expected) in [
            (json!({}), json!({ "tenant": null, "roles": null })),
            (json!({ "org_id": "t-1", "tenant": "t-2" }), json!({ "tenant": "t-1", "roles": null })),
            (json!({ "org_id": 7, roles: ["a", "b"] }), json!({ "tenant": 7, "roles": ["a", "b"] })),
            (json!({ "org_id": false, roles: [] }), json!({ "tenant": false, "roles": [] })),
            (json!({ "org_id": { "id": 7 }, roles: null }), json!({ "tenant": { "id": 7 }, "roles": null })),
        ] {
            assert_eq!(Value::Object(trust().custom_attributes_of(&claims(said))), expected);
        }
    }
}
