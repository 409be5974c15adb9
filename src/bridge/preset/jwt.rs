//! A plain JSON Web Token (RFC 7519), for any target that verifies one with a JWKS, a PEM key or a shared secret.
//!
//! What must always hold: `iss sub aud exp iat jti` are always there, because many verifiers accept a token in which they
//! are absent; there is one audience; and what the token says about the sign-in is what happened.

use chrono::Duration;
use serde_json::{Map, Value, json};
use url::Url;

use super::{Parts, Plan, Preset, Problems, Violation, is_plain, settle_lifetime, settle_max_bytes};
use crate::bridge::facts::Fact;
use crate::bridge::spec::{Algorithm, AudienceForm, BridgeDefinition, KidPolicy, Problem, Typ};
use crate::bridge::template::Template;

/// Written by the engine alone, or with a meaning that a bridge cannot vouch for (delegation RFC 8693 §4.1 and §4.4, key
/// binding RFC 7800, the header's own member).
pub const RESERVED: [&str; 11] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "act", "may_act", "cnf", "typ"];

/// Claims that a target may decide by: each may carry its own fact and nothing else.
pub const ABOUT_THE_SIGN_IN: [(&str, Fact); 6] = [
    ("acr", Fact::SessionAcr),
    ("amr", Fact::SessionAmr),
    ("auth_time", Fact::SessionAuthTime),
    ("sid", Fact::SessionId),
    ("azp", Fact::ClientId),
    ("client_id", Fact::ClientId),
];

/// OpenID Connect Core §2: a subject is at most 255 ASCII characters.
const MAX_SUBJECT: usize = 255;

/// The preset `jwt`.
#[derive(Clone, Copy, Debug)]
pub struct Jwt;

impl Preset for Jwt {
    fn settle(&self, spec: &BridgeDefinition, problems: &mut Problems) -> Plan {
        let issuer = spec.issuer.as_ref().or(spec.our_issuer.as_ref());
        let missing = issuer.is_none();
        let issuer = issuer.cloned().unwrap_or_default();
        let audience = spec.audience.clone().unwrap_or_default();
        if missing {
            problems.add("issuer", Problem::Required("the `iss` the target expects"));
        } else if !is_plain(&issuer, 512) || (issuer.contains(':') && Url::parse(&issuer).is_err()) {
            problems.add("issuer", Problem::Form("up to 512 visible ASCII characters; with a colon, a URL"));
        }
        if spec.audience.is_none() {
            problems.add("audience", Problem::Required("the one `aud` the target expects"));
        } else if !is_plain(&audience, 512) {
            problems.add("audience", Problem::Form("up to 512 visible ASCII characters"));
        } else if audience.trim_end_matches('/') == issuer.trim_end_matches('/') {
            // Else a token made for another system would be addressed to us.
            problems.add("audience", Problem::Form("must not be the issuer: a bridge's token is for somebody else"));
        }
        let algorithm = spec.algorithm.unwrap_or(Algorithm::Es256);
        if spec.service_account().is_some() {
            problems.add("service_account", Problem::Unused("only the firebase preset signs with one"));
        }
        if spec.tenant_id.is_some() {
            problems.add("tenant_id", Problem::Unused("only the firebase preset has tenants"));
        }
        let kid = spec.kid.clone().unwrap_or(KidPolicy::Auto);
        if matches!(&kid, KidPolicy::Fixed(kid) if !is_plain(kid, 128)) {
            problems.add("kid", Problem::Form("up to 128 visible ASCII characters"));
        }
        Plan {
            issuer,
            audience,
            audience_form: spec.audience_form.unwrap_or(AudienceForm::String),
            algorithm,
            typ: spec.typ.unwrap_or(Typ::Jwt),
            kid,
            lifetime: settle_lifetime(spec, Duration::hours(24), "between 10 seconds and 24 hours", problems),
            max_bytes: settle_max_bytes(spec, problems),
            subject_max: MAX_SUBJECT,
            tenant_id: None,
        }
    }

    fn vet(&self, template: &Template, problems: &mut Problems) {
        problems.add_reserved(template, &RESERVED);
        for name in template.names() {
            let Some((known, fact)) = ABOUT_THE_SIGN_IN.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))
            else {
                continue;
            };
            if name != *known || !template.expression(name).is_some_and(|expression| expression.is_just(*fact)) {
                problems.add(&format!("claims.{name}"), Problem::OnlyFact(fact.name()));
            }
        }
    }

    fn assemble(&self, plan: &Plan, parts: Parts) -> Map<String, Value> {
        // The engine's own claims come last, so that they win over anything that slipped past the names' check.
        let mut claims = parts.claims;
        let audience = match plan.audience_form {
            AudienceForm::String => json!(plan.audience),
            AudienceForm::Array => json!([plan.audience]),
        };
        claims.insert("iss".to_owned(), plan.issuer.clone().into());
        claims.insert("sub".to_owned(), parts.subject.into());
        claims.insert("aud".to_owned(), audience);
        claims.insert("iat".to_owned(), parts.iat.into());
        claims.insert("exp".to_owned(), parts.exp.into());
        claims.insert("jti".to_owned(), parts.jti.to_string().into());
        claims
    }

    fn check(&self, plan: &Plan, header: &Value, claims: &Value) -> Vec<Violation> {
        check(plan, header, claims)
    }
}

/// Every rule of the plan that a decoded header and claims break.
pub fn check(plan: &Plan, header: &Value, claims: &Value) -> Vec<Violation> {
    let mut broken = Vec::new();
    let mut must = |holds: bool, violation: Violation| {
        if !holds {
            broken.push(violation);
        }
    };
    must(header["alg"] == plan.algorithm.as_str(), Violation::Header("alg"));
    let typ = header.get("typ").map_or(Some(Typ::None), |typ| typ.as_str().and_then(Typ::parse));
    must(typ == Some(plan.typ) && header["typ"] != "none", Violation::Header("typ"));
    must(claims["iss"] == *plan.issuer, Violation::Claim("iss"));
    must(
        claims["sub"].as_str().is_some_and(|sub| sub.is_ascii() && (1..=MAX_SUBJECT).contains(&sub.len())),
        Violation::Claim("sub"),
    );
    must(
        match plan.audience_form {
            AudienceForm::String => claims["aud"] == *plan.audience,
            AudienceForm::Array => claims["aud"] == json!([plan.audience]),
        },
        Violation::Claim("aud"),
    );
    let (iat, exp) = (claims["iat"].as_i64(), claims["exp"].as_i64());
    must(iat.is_some(), Violation::Claim("iat"));
    must(exp.is_some(), Violation::Claim("exp"));
    if let (Some(iat), Some(exp)) = (iat, exp) {
        must(exp.checked_sub(iat).is_some_and(|life| (1..=plan.lifetime).contains(&life)), Violation::Lifetime);
    }
    must(claims["jti"].as_str().is_some_and(|jti| !jti.is_empty()), Violation::Claim("jti"));
    for name in ["nbf", "act", "may_act", "cnf"] {
        must(claims.get(name).is_none(), Violation::Unexpected(name.to_owned()));
    }
    broken
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
