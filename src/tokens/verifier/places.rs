//! What each place expects: one function for each kind of token of ours.

use super::{Audience, Expectation, Expiry, KeySource, Leeway, Refusal, Verified, verify};
use crate::clock::Time;
use crate::tokens::claims::{AccessClaims, IdClaims, RefreshClaims};
use crate::tokens::keys::{Algorithm, Use};
use crate::tokens::ring::KeyRing;
use crate::tokens::typ;

const ASYMMETRIC: [Algorithm; 3] = [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA];
/// What every token of ours has; `exp`, `iss` and `aud` are always required.
const ALWAYS: [&str; 3] = ["sub", "iat", "jti"];

/// An access token for one of our own APIs, whose name is `audience` (RFC 9068 §4).
///
/// # Errors
/// [`Refusal`].
pub fn access_token(
    ring: &KeyRing,
    issuer: &str,
    audience: &str,
    token: &str,
    now: Time,
) -> Result<Verified<AccessClaims>, Refusal> {
    access(ring, issuer, Audience::Exactly(audience), token, now)
}

/// An access token for whomever: for introspection, revocation and exchange, where the caller decides by `aud` and
/// `client_id` who may ask. Never for opening an API.
///
/// # Errors
/// [`Refusal`].
pub fn any_access_token(
    ring: &KeyRing,
    issuer: &str,
    token: &str,
    now: Time,
) -> Result<Verified<AccessClaims>, Refusal> {
    access(ring, issuer, Audience::CheckedByCaller, token, now)
}

fn access(
    ring: &KeyRing,
    issuer: &str,
    audience: Audience<'_>,
    token: &str,
    now: Time,
) -> Result<Verified<AccessClaims>, Refusal> {
    let expected = Expectation {
        required: &["sub", "iat", "jti", "client_id"],
        audience,
        ..own(ring, &Use::Tokens, &ASYMMETRIC, &[typ::ACCESS], issuer)
    };
    verify(token, &expected, now)
}

/// A refresh token of ours. That it is unused, and its family alive, the database knows.
///
/// # Errors
/// [`Refusal`].
pub fn refresh_token(ring: &KeyRing, issuer: &str, token: &str, now: Time) -> Result<Verified<RefreshClaims>, Refusal> {
    let expected = Expectation {
        required: &["sub", "iat", "jti", "client_id", "fid"],
        audience: Audience::Exactly(issuer),
        ..own(ring, &Use::Refresh, &[Algorithm::HS256], &[typ::REFRESH], issuer)
    };
    verify(token, &expected, now)
}

/// An ID token that comes back as a hint (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2). It may have expired; it
/// says who is meant, it is no permission. With `client` it must be that client's alone.
///
/// # Errors
/// [`Refusal`].
pub fn id_token_hint(
    ring: &KeyRing,
    issuer: &str,
    client: Option<&str>,
    token: &str,
    now: Time,
) -> Result<Verified<IdClaims>, Refusal> {
    let expected = Expectation {
        audience: client.map_or(Audience::CheckedByCaller, Audience::Exactly),
        expiry: Expiry::MayBePast,
        ..own(ring, &Use::Tokens, &ASYMMETRIC, &[typ::ID], issuer)
    };
    verify(token, &expected, now)
}

/// The common part; whom it is for is set by each place.
fn own<'a>(
    ring: &'a KeyRing,
    usage: &'a Use,
    algorithms: &'a [Algorithm],
    types: &'a [&'a str],
    issuer: &'a str,
) -> Expectation<'a> {
    Expectation {
        types,
        issuer,
        audience: Audience::Exactly(issuer),
        required: &ALWAYS,
        leeway: Leeway::OWN,
        expiry: Expiry::Enforced,
        max_lifetime: None,
        keys: KeySource::Own { ring, usage, algorithms },
    }
}
