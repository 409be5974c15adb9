//! A plain JSON Web Token (RFC 7519), for any target that verifies one with a JWKS, a PEM key or a shared secret.

use super::about::{About, Snippet, Verified};
use super::target::{Audience, Issuer, Kid, Lifetime, Subject, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

/// The description of the preset.
const ABOUT: About = About {
    title: "Any JWT verifier",
    page: "jwt",
    summary: "A plain signed JWT for one audience.",
    verified: Verified::Live(
        "Envoy 1.39 (jwt_authn), HAProxy 2.6 and 3.0 (jwt_verify), Apache mod_auth_openidc 2.4.12 and 2.4.17, jose 6",
    ),
    key_lag: 10,
    example: r#"[bridges.backend]
preset = "jwt"
audience = "https://backend.example.com"
"#,
    other_side: &[Snippet { place: "The key set", language: "text", text: "{jwks_url}" }],
    notes: &[],
};

/// Any verifier of JWTs; other targets define how they differ from it.
pub const PLAIN: Target = Target {
    about: ABOUT,
    algorithms: &[Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Hs256],
    types: &[Typ::Jwt, Typ::AtJwt, Typ::None],
    issuer: Issuer::Server,
    audience: Audience::Said("the one `aud` the target expects"),
    forms: &[AudienceForm::String, AudienceForm::Array],
    kid: Kid::Any,
    by_discovery: false,
    lifetime: Lifetime::DAY,
    subject: Subject::USER,
    defaults: "{}",
    claims: &[],
    reserved: &[],
    also: |_, _| None,
};

/// The preset `jwt`.
pub static JWT: Target = PLAIN;
