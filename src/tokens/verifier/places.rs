//! What each place expects: one function for each kind of token that we accept.

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
/// Claims that all our tokens have, in addition to `exp`, `iss` and `aud`, which are always required.
const ALWAYS: [&str; 3] = ["sub", "iat", "jti"];

/// Verifies an access token for one of our own APIs, named by `audience` (RFC 9068 §4).
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

/// Verifies an access token at userinfo. It is enough that this server is one of its audiences (RFC 9068 §4): a client
/// may request one token for its API and for userinfo. Nothing can be changed at userinfo, so an API that received such
/// a token learns only what the token's scopes reveal.
///
/// # Errors
/// [`Refusal`].
pub fn userinfo_token(ring: &KeyRing, issuer: &str, token: &str, now: Time) -> Result<Verified<AccessClaims>, Refusal> {
    access(ring, issuer, Audience::AnyOf(&[issuer]), token, now)
}

/// Verifies an access token for any audience: for introspection, revocation and exchange, where the caller decides by
/// `aud` and `client_id` who may ask. Never use it to grant access to an API.
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

/// Verifies a refresh token of ours. Whether it is unused and its family alive is checked against the database.
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

/// Verifies an ID token that comes back as a hint (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2). The token and
/// its key may have expired: it identifies a person but permits nothing. With `client`, that client must be its only
/// audience.
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

/// Verifies an ID token that its client exchanges for another token (RFC 8693 §2.1). Unlike a hint, it must not have
/// expired. The caller compares the audience.
///
/// # Errors
/// [`Refusal`].
pub fn exchanged_id_token(ring: &KeyRing, issuer: &str, token: &str, now: Time) -> Result<Verified<IdClaims>, Refusal> {
    let expected =
        Expectation { audience: Audience::CheckedByCaller, ..own(ring, &Use::Tokens, &ASYMMETRIC, &[typ::ID], issuer) };
    verify(token, &expected, now)
}

/// Verifies the result of an action, presented by its audience. That it is redeemed only once is checked by the
/// database.
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

/// Verifies the proof of a signed operation, presented by its audience. That it is redeemed only once is checked by the
/// database.
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

/// Verifies a transaction token of ours that is to be replaced. The caller compares the audience. No other place
/// accepts one.
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
    /// The audiences of which it must have at least one.
    pub audiences: &'a [&'a str],
    /// How far clocks may differ, in seconds.
    pub leeway: u8,
    /// Longest `exp - iat`, in seconds.
    pub max_life: i64,
}

/// Verifies a token of a trusted issuer with the keys of exactly that issuer. The trust decides what its claims mean
/// here.
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
            // Foreign transaction tokens are for their own trust domains.
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
    // Older logout tokens and security events have no type of their own (RFC 8417 §2.2).
    if verified.claims().contains_key("events") {
        return Err(Refusal::WrongType);
    }
    if date(verified.claims(), "auth_time")?.is_some_and(|at| at > now.timestamp() + i64::from(place.leeway)) {
        return Err(Refusal::NotYet);
    }
    Ok(verified)
}

/// The algorithms of client assertions (RFC 7523). The caller decides which of them a client may use.
pub const ASSERTION_ALGORITHMS: [Algorithm; 4] =
    [Algorithm::ES256, Algorithm::PS256, Algorithm::EdDSA, Algorithm::RS256];
/// The longest remaining life of a client assertion, in seconds.
const MAX_ASSERTION: i64 = 300;
/// How far a client's clock may be ahead of ours, in seconds. No leeway for `exp`: the client chooses it.
const CLIENT_CLOCK: Leeway = Leeway { start: 10, expiry: 0 };

/// Verifies a client's authentication assertion (RFC 7523 §3): signed with a key of the client's own set, by one of
/// `algorithms`, for us alone. That it is used only once is checked by the database.
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

/// The longest time between `nbf` and `exp` of a strict request object, and from `nbf` until now, in seconds (FAPI 2.0
/// Message Signing §5.3.1).
const MAX_REQUEST_OBJECT: i64 = 3600;

/// How far ahead the `exp` of a request object may be, in seconds: for that long its `jti` is remembered.
pub const LONGEST_REQUEST_OBJECT: i64 = 86_400;

/// Verifies an authorization request signed by its client (RFC 9101 §6, §10.8): with a key of the client's own set, by
/// one of `algorithms`, for us. `strict` requires `exp`, `nbf` and a short life, as FAPI 2.0 Message Signing does.
/// Otherwise `exp` may be omitted, as OpenID Connect Core §6.1 allows. That it is used only once is checked by the
/// database.
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
    // The `sub` of a client assertion is its client; a request object never has that `sub`. So neither can be used as
    // the other.
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

/// The expectation that our own tokens share; each place sets the audience.
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
