//! What each place expects: one function for each kind of token of ours.

use serde_json::{Map, Value};

use super::dates::date;
use super::{Audience, Expectation, Expiry, KeySource, Leeway, NO_TYPE, Refusal, Verified, verify};
use crate::clock::Time;
use crate::domain::exchange::SubjectKind;
use crate::tokens::claims::{
    AccessClaims, ActionResultClaims, AssertionClaims, IdClaims, RefreshClaims, TransactionClaims,
    TransactionProofClaims,
};
use crate::tokens::key_set::KeySet;
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

/// An access token at userinfo, where it is enough that this server is among those it is for (RFC 9068 §4): a client may ask for
/// one token for its API and for this. Nothing there can be changed, so an API that was handed one learns what it was shown.
///
/// # Errors
/// [`Refusal`].
pub fn userinfo_token(ring: &KeyRing, issuer: &str, token: &str, now: Time) -> Result<Verified<AccessClaims>, Refusal> {
    access(ring, issuer, Audience::AnyOf(&[issuer]), token, now)
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

/// An ID token that comes back as a hint (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2). It may have expired, and its
/// key too; it says who is meant, it is no permission. With `client` it must be that client's alone.
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
        keys: KeySource::Hints { ring, algorithms: &ASYMMETRIC },
        ..own(ring, &Use::Tokens, &ASYMMETRIC, &[typ::ID], issuer)
    };
    verify(token, &expected, now)
}

/// An ID token that its client gives back in exchange for another token (RFC 8693 §2.1). Unlike a hint it must be good now;
/// whom it is for the caller compares.
///
/// # Errors
/// [`Refusal`].
pub fn exchanged_id_token(ring: &KeyRing, issuer: &str, token: &str, now: Time) -> Result<Verified<IdClaims>, Refusal> {
    let expected =
        Expectation { audience: Audience::CheckedByCaller, ..own(ring, &Use::Tokens, &ASYMMETRIC, &[typ::ID], issuer) };
    verify(token, &expected, now)
}

/// The result of an action, brought back by the client that it is for. That it is redeemed once, the database knows.
///
/// # Errors
/// [`Refusal`].
pub fn action_result(
    ring: &KeyRing,
    issuer: &str,
    client: &str,
    token: &str,
    now: Time,
) -> Result<Verified<ActionResultClaims>, Refusal> {
    let expected = Expectation {
        audience: Audience::Exactly(client),
        ..own(ring, &Use::Tokens, &[Algorithm::ES256], &[typ::ACTION_RESULT], issuer)
    };
    verify(token, &expected, now)
}

/// The proof of a signed operation, brought by the client that it is for. That it is redeemed once, the database knows.
///
/// # Errors
/// [`Refusal`].
pub fn transaction_proof(
    ring: &KeyRing,
    issuer: &str,
    client: &str,
    token: &str,
    now: Time,
) -> Result<Verified<TransactionProofClaims>, Refusal> {
    let expected = Expectation {
        audience: Audience::Exactly(client),
        required: &["sub", "iat", "jti", "operation", "operation_hash"],
        ..own(ring, &Use::Tokens, &[Algorithm::ES256], &[typ::TRANSACTION_PROOF], issuer)
    };
    verify(token, &expected, now)
}

/// A transaction token of ours that is to be replaced by another; whom it is for the caller compares. Nowhere else is one
/// taken.
///
/// # Errors
/// [`Refusal`].
pub fn replaced_transaction(
    ring: &KeyRing,
    issuer: &str,
    token: &str,
    now: Time,
) -> Result<Verified<TransactionClaims>, Refusal> {
    let expected = Expectation {
        audience: Audience::CheckedByCaller,
        required: &["sub", "iat", "jti", "txn", "scope", "req_wl", "sid"],
        ..own(ring, &Use::Tokens, &ASYMMETRIC, &[typ::TRANSACTION], issuer)
    };
    verify(token, &expected, now)
}

/// What a place expects of a trusted issuer's token.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a> {
    /// What the token is.
    pub kind: SubjectKind,
    /// Exactly this issuer.
    pub issuer: &'a str,
    /// Whom it must be for: one of these.
    pub audiences: &'a [&'a str],
    /// Seconds that clocks may differ.
    pub leeway: u8,
    /// Longest `exp - iat`, in seconds.
    pub max_life: i64,
}

/// A token of a trusted issuer, by the keys of exactly that issuer. What its claims mean here, the trust decides.
///
/// # Errors
/// [`Refusal`].
pub fn foreign(
    keys: &KeySet,
    algorithms: &[Algorithm],
    place: &Foreign<'_>,
    token: &str,
    now: Time,
) -> Result<Verified<Map<String, Value>>, Refusal> {
    let expected = Expectation {
        types: match place.kind {
            SubjectKind::AccessToken => &[typ::ACCESS],
            SubjectKind::IdToken | SubjectKind::Jwt => &[NO_TYPE, "JWT"],
            SubjectKind::IdJag => &[typ::ID_JAG],
            // Those of others are for their own trust domains.
            SubjectKind::TxnToken => &[],
        },
        issuer: place.issuer,
        audience: Audience::AnyOf(place.audiences),
        required: &["sub", "iat"],
        leeway: Leeway::foreign(place.leeway),
        expiry: Expiry::Enforced,
        max_lifetime: Some(place.max_life),
        keys: KeySource::Foreign { keys, algorithms },
    };
    let verified: Verified<Map<String, Value>> = verify(token, &expected, now)?;
    // Logout tokens and security events of old have no type of their own (RFC 8417 §2.2).
    if verified.claims().contains_key("events") {
        return Err(Refusal::WrongType);
    }
    if date(verified.claims(), "auth_time")?.is_some_and(|at| at > now.timestamp() + i64::from(place.leeway)) {
        return Err(Refusal::NotYet);
    }
    Ok(verified)
}

/// The algorithms of client assertions (RFC 7523). Which of them a client may use, the place decides.
pub const ASSERTION_ALGORITHMS: [Algorithm; 4] =
    [Algorithm::ES256, Algorithm::PS256, Algorithm::EdDSA, Algorithm::RS256];
/// Longest time that a client assertion may still live, in seconds.
const MAX_ASSERTION: i64 = 300;
/// How far the clock of a client may go before ours, in seconds. Its `exp` gets nothing: it is the client's own choice.
const CLIENT_CLOCK: Leeway = Leeway { start: 10, expiry: 0 };

/// What a client proves itself with (RFC 7523 §3): signed with a key of its own set, by one of `algorithms`, for us alone.
/// That it is used once, the database knows.
///
/// # Errors
/// [`Refusal`].
pub fn client_assertion(
    keys: &KeySet,
    algorithms: &[Algorithm],
    (client, issuer): (&str, &str),
    token: &str,
    now: Time,
) -> Result<Verified<AssertionClaims>, Refusal> {
    let expected = Expectation {
        types: &[NO_TYPE, "JWT", typ::CLIENT_ASSERTION],
        issuer: client,
        audience: Audience::OnlyText(issuer),
        required: &["sub", "jti"],
        leeway: CLIENT_CLOCK,
        expiry: Expiry::Enforced,
        max_lifetime: None,
        keys: KeySource::Foreign { keys, algorithms },
    };
    let verified: Verified<AssertionClaims> = verify(token, &expected, now)?;
    let claims = verified.claims();
    if claims.sub != client {
        return Err(Refusal::Issuer);
    }
    if claims.exp - now.timestamp() > MAX_ASSERTION + CLIENT_CLOCK.start {
        return Err(Refusal::Lifetime);
    }
    Ok(verified)
}

/// Longest time between `nbf` and `exp` of a strict request object, and from `nbf` until now, in seconds (FAPI 2.0 Message
/// Signing §5.3.1).
const MAX_REQUEST_OBJECT: i64 = 3600;

/// How far ahead `exp` of any request object may be, in seconds: so long its `jti` is remembered.
pub const LONGEST_REQUEST_OBJECT: i64 = 86_400;

/// An authorization request that its client signed (RFC 9101 §6, §10.8): with a key of its own set, by one of `algorithms`,
/// for us. `strict` wants `exp`, `nbf` and a short life, as FAPI 2.0 Message Signing does; otherwise `exp` may be left out, as
/// OpenID Connect Core §6.1 allows. That it is used once, the database knows.
///
/// # Errors
/// [`Refusal`].
pub fn request_object(
    keys: &KeySet,
    algorithms: &[Algorithm],
    (client, issuer): (&str, &str),
    strict: bool,
    token: &str,
    now: Time,
) -> Result<Verified<Map<String, Value>>, Refusal> {
    let expected = Expectation {
        types: &[NO_TYPE, "JWT", typ::REQUEST_OBJECT],
        issuer: client,
        audience: Audience::AnyOf(&[issuer]),
        required: if strict { &["nbf"] } else { &[] },
        leeway: CLIENT_CLOCK,
        expiry: if strict { Expiry::Enforced } else { Expiry::IfPresent },
        max_lifetime: None,
        keys: KeySource::Foreign { keys, algorithms },
    };
    let verified: Verified<Map<String, Value>> = verify(token, &expected, now)?;
    let claims = verified.claims();
    // A client assertion is about its client; a request never is, so that neither passes for the other.
    if claims.get("sub").is_some_and(|sub| sub == client) {
        return Err(Refusal::WrongType);
    }
    let seconds = |name| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
    let from = seconds("nbf");
    if seconds("exp") > now.timestamp() + LONGEST_REQUEST_OBJECT {
        return Err(Refusal::Lifetime);
    }
    if strict && (seconds("exp") - from > MAX_REQUEST_OBJECT || now.timestamp() - from > MAX_REQUEST_OBJECT) {
        return Err(Refusal::Lifetime);
    }
    Ok(verified)
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
