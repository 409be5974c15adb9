//! Firebase Auth and Google Identity Platform: the custom token that `signInWithCustomToken` accepts.
//!
//! The Auth emulator accepts an expired token, a lifetime of two hours, `iss` ≠ `sub`, a broken signature and a uid of
//! 129 characters; Google does not. [`check`] is therefore stricter than the emulator, and what it refuses is never
//! minted. A user that Firebase does not know is created on first use, without an e-mail address.
//!
//! Source: firebase.google.com, "Create custom tokens", and the checks in Google's Admin SDK.

use serde_json::{Map, Value};

use super::about::{About, Verified};
use super::rules::{
    Parts, Plan, Preset, Problems, Violation, is_actor_readable, is_plain, is_reserved, name_actor, settle_max_bytes,
};
use super::target::Lifetime;
use crate::bridge::service_account::is_service_account_email;
use crate::bridge::spec::{Algorithm, AudienceForm, BridgeDefinition, KidPolicy, Problem, Typ};
use crate::bridge::template::Template;

/// The only audience of custom tokens.
pub const AUDIENCE: &str = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

/// Names that must not be developer claims. Google's Node SDK accepts `sub` and `firebase`; its servers do not.
pub const RESERVED: [&str; 16] = [
    "acr",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "cnf",
    "c_hash",
    "exp",
    "firebase",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "sub",
];

const MAX_LIFETIME: i64 = 3600;
const MAX_UID: usize = 128;
const MAX_CLAIMS: usize = 1000;
const MEMBERS: [&str; 8] = ["iss", "sub", "aud", "iat", "exp", "uid", "tenant_id", "claims"];

/// The description of the presets.
pub const ABOUT: About = About {
    title: "Firebase Auth",
    page: "firebase",
    summary: "The custom token that `signInWithCustomToken` accepts.",
    verified: Verified::Live(
        "firebase-tools 15.34 (Auth emulator), firebase 12.19, firebase-admin 13.10 (the same token as its own), and a checker as strict as Google",
    ),
    key_lag: 0,
    example: r#"[bridges.firebase]
preset = "firebase"
service_account_file = "/run/secrets/firebase-service-account.json"
"#,
    other_side: &[],
    notes: &[],
};
const TENANT_ABOUT: About = About {
    title: "Google Identity Platform, tenant",
    summary: "The same for one tenant: Google refuses a token that does not name it.",
    verified: Verified::Live(
        "a tenant of firebase-tools 15.34 (Auth emulator), firebase-admin 13.10 (the same token as its own), and a checker as strict as Google",
    ),
    example: r#"[bridges.firebase]
preset = "firebase-tenant"
service_account_file = "/run/secrets/firebase-service-account.json"
tenant_id = "customers-ab12"
"#,
    ..ABOUT
};

/// The presets `firebase` and `firebase-tenant`.
#[derive(Clone, Copy, Debug)]
pub struct Firebase {
    /// Whether a tenant is required.
    pub tenant: bool,
}

impl Preset for Firebase {
    fn about(&self) -> &About {
        if self.tenant { &TENANT_ABOUT } else { &ABOUT }
    }

    /// As a developer claim, which then is also in the person's ID tokens.
    fn names_actor(&self) -> bool {
        true
    }

    fn settle(&self, spec: &BridgeDefinition, problems: &mut Problems) -> Plan {
        let issuer = spec.service_account().map_or_else(String::new, |account| account.client_email().to_owned());
        if spec.service_account().is_none() {
            problems.add("service_account", Problem::Required("the key file of a Google service account"));
        }
        let mut locked = |place: &str, given: Option<&str>, must: &str| {
            if given.is_some_and(|given| given != must) {
                problems.add(place, Problem::Locked(must.to_owned()));
            }
        };
        locked("issuer", spec.issuer.as_deref(), &issuer);
        locked("audience", spec.audience.as_deref(), AUDIENCE);
        locked("audience_form", spec.audience_form.map(AudienceForm::as_str), AudienceForm::String.as_str());
        locked("algorithm", spec.algorithm.map(Algorithm::as_str), Algorithm::Rs256.as_str());
        locked("typ", spec.typ.map(Typ::as_str), Typ::Jwt.as_str());
        let kid = spec.kid.clone().unwrap_or(KidPolicy::Omit);
        if matches!(kid, KidPolicy::Fixed(_)) {
            problems.add("kid", Problem::Form("`auto` or `omit`"));
        }
        if self.tenant && spec.tenant_id.is_none() {
            problems.add("tenant_id", Problem::Required("the tenant"));
        }
        if spec.tenant_id.as_deref().is_some_and(|tenant| !is_tenant(tenant)) {
            problems.add("tenant_id", Problem::Form("1 to 128 letters, digits and hyphens"));
        }
        Plan {
            issuer,
            audience: AUDIENCE.to_owned(),
            audience_form: AudienceForm::String,
            algorithm: Algorithm::Rs256,
            typ: Typ::Jwt,
            kid,
            lifetime: Lifetime::HOUR.settle(spec, problems),
            max_bytes: settle_max_bytes(spec, problems),
            subject_max: MAX_UID,
            tenant_id: spec.tenant_id.clone(),
            dangerous: spec.dangerous,
            nats: None,
        }
    }

    fn vet(&self, template: &Template, problems: &mut Problems) {
        problems.add_reserved(template, &RESERVED);
        // Google would accept it, but only the engine sets it.
        problems.add_reserved(template, &["act"]);
    }

    fn assemble(&self, plan: &Plan, parts: Parts) -> Map<String, Value> {
        let (mut claims, mut developer) = (Map::new(), parts.claims);
        name_actor(&mut developer, parts.act);
        claims.insert("iss".to_owned(), plan.issuer.clone().into());
        claims.insert("sub".to_owned(), plan.issuer.clone().into());
        claims.insert("aud".to_owned(), AUDIENCE.into());
        claims.insert("iat".to_owned(), parts.iat.into());
        claims.insert("exp".to_owned(), parts.exp.into());
        claims.insert("uid".to_owned(), parts.subject.into());
        if let Some(tenant) = &plan.tenant_id {
            claims.insert("tenant_id".to_owned(), tenant.clone().into());
        }
        if !developer.is_empty() {
            claims.insert("claims".to_owned(), developer.into());
        }
        claims
    }

    fn check(&self, plan: &Plan, header: &Value, claims: &Value) -> Vec<Violation> {
        let mut violations = check(header, claims).err().unwrap_or_default();
        if claims["iss"] != *plan.issuer {
            violations.push(Violation::Claim("iss"));
        }
        if !is_actor_readable(&claims["claims"]) {
            violations.push(Violation::Claim("act"));
        }
        if claims.get("tenant_id").and_then(Value::as_str) != plan.tenant_id.as_deref() {
            violations.push(Violation::Claim("tenant_id"));
        }
        violations
    }
}

/// Checks the decoded header and claims of a custom token against every rule that Google states. Signature and time are
/// checked by the caller: this function has neither key nor clock.
///
/// # Errors
/// Every rule that is violated.
pub fn check(header: &Value, claims: &Value) -> Result<(), Vec<Violation>> {
    let mut broken = Vec::new();
    let mut must = |holds: bool, violation: Violation| {
        if !holds {
            broken.push(violation);
        }
    };
    must(header["alg"] == "RS256", Violation::Header("alg"));
    must(header["typ"] == "JWT", Violation::Header("typ"));
    must(header.get("kid").is_none_or(Value::is_string), Violation::Header("kid"));
    must(header.get("crit").is_none(), Violation::Header("crit"));

    let Some(members) = claims.as_object() else { return Err(vec![Violation::Claim("object")]) };
    for name in members.keys().filter(|name| !MEMBERS.contains(&name.as_str())) {
        must(false, Violation::Unexpected(name.clone()));
    }
    must(claims["iss"].as_str().is_some_and(is_service_account_email), Violation::Claim("iss"));
    must(claims["iss"] == claims["sub"], Violation::IssuerIsNotSubject);
    must(claims["aud"] == AUDIENCE, Violation::Claim("aud"));
    let (iat, exp) = (claims["iat"].as_i64(), claims["exp"].as_i64());
    must(iat.is_some(), Violation::Claim("iat"));
    must(exp.is_some(), Violation::Claim("exp"));
    if let (Some(iat), Some(exp)) = (iat, exp) {
        let life = exp.checked_sub(iat);
        must(life.is_some_and(|life| (1..=MAX_LIFETIME).contains(&life)), Violation::Lifetime);
    }
    // Google counts characters like JavaScript.
    let uid = claims["uid"].as_str().map(|uid| uid.encode_utf16().count());
    must(uid.is_some_and(|length| (1..=MAX_UID).contains(&length)), Violation::Claim("uid"));
    must(
        claims.get("tenant_id").is_none_or(|tenant| tenant.as_str().is_some_and(is_tenant)),
        Violation::Claim("tenant_id"),
    );
    if let Some(developer) = claims.get("claims") {
        check_developer_claims(developer, &mut must);
    }
    if broken.is_empty() { Ok(()) } else { Err(broken) }
}

fn check_developer_claims(developer: &Value, must: &mut impl FnMut(bool, Violation)) {
    let Some(members) = developer.as_object().filter(|members| !members.is_empty()) else {
        return must(false, Violation::Claim("claims"));
    };
    for name in members.keys().filter(|name| is_reserved(name, &RESERVED)) {
        must(false, Violation::Reserved(name.clone()));
    }
    must(developer.to_string().encode_utf16().count() <= MAX_CLAIMS, Violation::ClaimsTooLong(MAX_CLAIMS));
}

fn is_tenant(tenant: &str) -> bool {
    is_plain(tenant, 128) && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
#[path = "firebase_tests.rs"]
mod tests;
