//! The one verifier: it checks our own tokens and those of trusted issuers by one set of rules.
//!
//! Nothing in a token is believed before its signature is verified. The signature is judged by what the *place*
//! expects: which keys, which algorithm (the key's), which `typ`. The order is fixed: size, form, header, `typ`, key,
//! signature, claims. An unknown key costs no cryptography. [`Refusal`] is for the log; callers cannot tell refusals
//! apart, except for a wrong audience, which is checked last.
//!
//! To add a place that accepts tokens: a function in [`places`] with its [`Expectation`].

mod dates;
pub mod places;
pub mod proof;
mod refusal;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::dates::{MAX_DATE, date};
pub use self::refusal::Refusal;
use super::key_set::KeySet;
use super::keys::{Algorithm, Use};
use super::provider;
use super::ring::{KeyRing, VerifyingKey};
use crate::clock::Time;
use crate::domain::json::holds_nul;
use crate::domain::secret::TokenDigest;
use crate::domain::strict_json::{JsonFault, parse_object};

/// The longest token that is read, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;
/// The longest `kid` that is looked up.
const MAX_KID: usize = 256;
/// In [`Expectation::types`]: accepts a header without `typ`, as some foreign issuers send.
pub const NO_TYPE: &str = "";

/// Where the keys come from. This also limits the possible algorithms.
#[derive(Clone, Copy, Debug)]
pub enum KeySource<'a> {
    /// Keys of our ring with this use and these algorithms; `kid` is required.
    Own {
        /// The ring.
        ring: &'a KeyRing,
        /// The keys' use.
        usage: &'a Use,
        /// The algorithms that the place accepts.
        algorithms: &'a [Algorithm],
    },
    /// Like `Own`, for hints: keys for our tokens, including expired ones. Never use it where a token grants access.
    Hints {
        /// The ring.
        ring: &'a KeyRing,
        /// The algorithms that the place accepts.
        algorithms: &'a [Algorithm],
    },
    /// The key set of a trusted issuer. A token may omit `kid` only if exactly one key fits.
    Foreign {
        /// The set.
        keys: &'a KeySet,
        /// The algorithms that the issuer is trusted with.
        algorithms: &'a [Algorithm],
    },
}

/// The audience that the token must have.
#[derive(Clone, Copy, Debug)]
pub enum Audience<'a> {
    /// Exactly this one and no other.
    Exactly(&'a str),
    /// Exactly this one, written as a string: an array is refused even with a single member (FAPI 2.0 §5.3.2.1).
    OnlyText(&'a str),
    /// At least one of these; others do not matter.
    AnyOf(&'a [&'a str]),
    /// Must be present and well formed; the caller compares it (introspection, `id_token_hint`).
    CheckedByCaller,
}

/// How `exp` is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Refused from `exp` on, allowing for the [`Leeway`].
    Enforced,
    /// Must be present but may be past: an `id_token_hint` at sign-out (OpenID Connect RP-Initiated Logout §4).
    MayBePast,
    /// Optional, enforced if present: a signed request of OpenID Connect Core §6.1.
    IfPresent,
}

/// How far clocks may differ, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leeway {
    start: i64,
    expiry: i64,
}

impl Leeway {
    /// For our own tokens: 5 s for `iat` and `nbf` between replicas, none for `exp` (a token is refused exactly at
    /// `exp`).
    pub const OWN: Self = Self { start: 5, expiry: 0 };

    /// For foreign tokens: the same on both ends, at most 30 s.
    pub const fn foreign(seconds: u8) -> Self {
        let seconds = if seconds > 30 { 30 } else { seconds as i64 };
        Self { start: seconds, expiry: seconds }
    }
}

/// What one place expects of a token.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// Accepted `typ`, compared as media types (case-insensitive, `application/` left off, RFC 7515 §4.1.9).
    pub types: &'a [&'a str],
    /// Exactly this issuer.
    pub issuer: &'a str,
    /// The audience that it must have.
    pub audience: Audience<'a>,
    /// Claims that must be present in addition to `iss`, `aud` and (unless [`Expiry::IfPresent`]) `exp`.
    pub required: &'a [&'static str],
    /// How far clocks may differ.
    pub leeway: Leeway,
    /// How `exp` is judged.
    pub expiry: Expiry,
    /// Longest `exp - iat` in seconds; needs `iat`.
    pub max_lifetime: Option<i64>,
    /// Where the key comes from.
    pub keys: KeySource<'a>,
}

/// Claims that passed verification. Only [`verify`] creates this.
#[derive(Clone, Debug)]
#[must_use = "a verified token is there to be used"]
pub struct Verified<C> {
    claims: C,
    kid: String,
    algorithm: Algorithm,
}

impl<C> Verified<C> {
    /// The claims.
    pub const fn claims(&self) -> &C {
        &self.claims
    }

    /// Returns the claims by value.
    pub fn into_claims(self) -> C {
        self.claims
    }

    /// The key that signed it.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key's algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Verifies a compact JWS against the expectation of its place.
///
/// # Errors
/// [`Refusal`], meant for the log.
pub fn verify<C: DeserializeOwned>(token: &str, expected: &Expectation<'_>, now: Time) -> Result<Verified<C>, Refusal> {
    if token.len() > MAX_TOKEN {
        return Err(Refusal::TooLong);
    }
    let parts = Parts::split(token)?;
    let header = header(&parts.header)?;
    check_type(&header, expected.types)?;
    let key = find_key(&header, &expected.keys, now)?;
    check_signature_once(token, &parts, key)?;
    let mut claims = parse_object(&parts.claims).map_err(fault)?;
    if matches!(expected.keys, KeySource::Foreign { .. }) {
        dates::round_down(&mut claims);
    }
    check_claims(&claims, expected, now)?;
    Ok(Verified {
        claims: serde_json::from_value(Value::Object(claims)).map_err(|_| Refusal::WrongClaimType)?,
        kid: key.kid().to_owned(),
        algorithm: key.algorithm(),
    })
}

/// Reads the issuer that a token claims, to find the keys to verify it with. Trust nothing else in it before
/// [`verify`].
///
/// # Errors
/// [`Refusal`] when it is not a compact JWS with an `iss`.
pub fn claimed_issuer(token: &str) -> Result<String, Refusal> {
    if token.len() > MAX_TOKEN {
        return Err(Refusal::TooLong);
    }
    let claims = parse_object(&Parts::split(token)?.claims).map_err(fault)?;
    claims.get("iss").and_then(Value::as_str).map(ToOwned::to_owned).ok_or(Refusal::MissingClaim("iss"))
}

struct Parts<'a> {
    header: Vec<u8>,
    claims: Vec<u8>,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    /// Splits a token into exactly three parts of canonical base64url. The decoder refuses padding, white space, the
    /// standard alphabet and non-zero spare bits, so that a token has only one spelling.
    fn split(token: &'a str) -> Result<Self, Refusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let decode = |part: &str| match part {
            "" => Err(Refusal::Malformed),
            part => URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed),
        };
        decode(signature)?;
        Ok(Self { header: decode(header)?, claims: decode(claims)?, signed, signature })
    }
}

/// Reads the header. `jku`, `jwk`, `x5u` and `x5c` are ignored like any unknown member: keys come from the place alone.
fn header(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let header = parse_object(bytes).map_err(fault)?;
    // RFC 7515 §4.1.11: critical extensions must be understood, and we understand none. Some senders leave `b64` (RFC
    // 7797) out of `crit`; `zip` and `enc` belong to encryption (RFC 7516).
    for name in ["crit", "b64", "zip", "enc"] {
        if header.contains_key(name) {
            return Err(Refusal::Critical);
        }
    }
    Ok(header)
}

fn check_type(header: &Map<String, Value>, accepted: &[&str]) -> Result<(), Refusal> {
    let given = match header.get("typ") {
        None => NO_TYPE,
        Some(Value::String(typ)) if !typ.is_empty() => media_type(typ),
        Some(_) => return Err(Refusal::WrongType),
    };
    let fits = accepted.iter().any(|one| media_type(one).eq_ignore_ascii_case(given));
    if fits { Ok(()) } else { Err(Refusal::WrongType) }
}

/// Removes `application/`, unless the rest contains another slash.
fn media_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.is_empty() && !rest.contains('/') => rest,
        _ => typ,
    }
}

/// Finds the key by `kid`, then checks that `alg` is the key's: the token cannot choose how it is judged.
fn find_key<'a>(header: &Map<String, Value>, source: &KeySource<'a>, now: Time) -> Result<&'a VerifyingKey, Refusal> {
    let named = header.get("alg").and_then(Value::as_str).ok_or(Refusal::Algorithm)?;
    let named: Algorithm = named.parse().map_err(|_| Refusal::Algorithm)?;
    let key = match source {
        KeySource::Own { ring, usage, algorithms } => {
            own_key(kid(header)?.and_then(|kid| ring.by_kid(kid)), usage, algorithms, now)?
        }
        KeySource::Hints { ring, algorithms } => {
            own_key(kid(header)?.and_then(|kid| ring.for_hints(kid)), &Use::Tokens, algorithms, now)?
        }
        KeySource::Foreign { keys, algorithms } => {
            if !algorithms.contains(&named) {
                return Err(Refusal::Algorithm);
            }
            keys.find(kid(header)?, named).ok_or(Refusal::UnknownKey)?
        }
    };
    if key.algorithm() == named { Ok(key) } else { Err(Refusal::Algorithm) }
}

/// Accepts one of our keys if it may be used in this place.
fn own_key<'a>(
    found: Option<&'a VerifyingKey>,
    usage: &Use,
    algorithms: &[Algorithm],
    now: Time,
) -> Result<&'a VerifyingKey, Refusal> {
    let key = found.filter(|key| key.usage() == Some(usage) && key.accepts_at(now)).ok_or(Refusal::UnknownKey)?;
    if algorithms.contains(&key.algorithm()) { Ok(key) } else { Err(Refusal::Algorithm) }
}

fn kid(header: &Map<String, Value>) -> Result<Option<&str>, Refusal> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if kid.len() <= MAX_KID => Ok(Some(kid)),
        Some(_) => Err(Refusal::UnknownKey),
    }
}

/// Checks the signature, unless the key has [verified this token before](super::remembered).
fn check_signature_once(token: &str, parts: &Parts<'_>, key: &VerifyingKey) -> Result<(), Refusal> {
    let Some(remembered) = &key.remembered else { return check_signature(parts, key) };
    let digest = TokenDigest::of(token);
    if !remembered.knows(&digest) {
        check_signature(parts, key)?;
        remembered.add(&digest);
    }
    Ok(())
}

fn check_signature(parts: &Parts<'_>, key: &VerifyingKey) -> Result<(), Refusal> {
    provider::install();
    match jsonwebtoken::crypto::verify(parts.signature, parts.signed.as_bytes(), &key.key, key.algorithm().library()) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(Refusal::Signature),
    }
}

fn check_claims(claims: &Map<String, Value>, expected: &Expectation<'_>, now: Time) -> Result<(), Refusal> {
    for name in ["exp", "iss", "aud"].iter().chain(expected.required) {
        let optional = *name == "exp" && expected.expiry == Expiry::IfPresent;
        if !optional && !claims.contains_key(*name) {
            return Err(Refusal::MissingClaim(name));
        }
    }
    if claims.values().any(holds_nul) {
        return Err(Refusal::WrongClaimType);
    }
    for name in ["iss", "sub", "jti"] {
        if claims.get(name).is_some_and(|value| value.as_str().is_none_or(str::is_empty)) {
            return Err(Refusal::WrongClaimType);
        }
    }
    check_times(claims, expected, now.timestamp())?;
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer) {
        return Err(Refusal::Issuer);
    }
    check_audience(claims.get("aud"), expected.audience)
}

fn check_times(claims: &Map<String, Value>, expected: &Expectation<'_>, now: i64) -> Result<(), Refusal> {
    let (iat, nbf) = (date(claims, "iat")?, date(claims, "nbf")?);
    let leeway = expected.leeway;
    let exp = match (date(claims, "exp")?, expected.expiry) {
        (Some(exp), _) => exp,
        (None, Expiry::IfPresent) => MAX_DATE,
        (None, _) => return Err(Refusal::MissingClaim("exp")),
    };
    if expected.expiry != Expiry::MayBePast && now >= exp + leeway.expiry {
        return Err(Refusal::Expired);
    }
    if [iat, nbf].into_iter().flatten().any(|start| start > now + leeway.start) {
        return Err(Refusal::NotYet);
    }
    if iat.is_some_and(|iat| exp <= iat) {
        return Err(Refusal::Lifetime);
    }
    match (expected.max_lifetime, iat) {
        (Some(_), None) => Err(Refusal::MissingClaim("iat")),
        (Some(longest), Some(iat)) if exp - iat > longest => Err(Refusal::Lifetime),
        _ => Ok(()),
    }
}

fn check_audience(given: Option<&Value>, expected: Audience<'_>) -> Result<(), Refusal> {
    let is_text = given.is_some_and(Value::is_string);
    let given: Vec<&str> = match given {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => {
            many.iter().map(Value::as_str).collect::<Option<_>>().ok_or(Refusal::WrongClaimType)?
        }
        _ => return Err(Refusal::WrongClaimType),
    };
    let fits = match expected {
        Audience::Exactly(one) => given == [one],
        Audience::OnlyText(one) => is_text && given == [one],
        Audience::AnyOf(any) => given.iter().any(|one| any.contains(one)),
        Audience::CheckedByCaller => !given.is_empty(),
    };
    if fits { Ok(()) } else { Err(Refusal::Audience) }
}

fn fault(fault: JsonFault) -> Refusal {
    match fault {
        JsonFault::Malformed => Refusal::Malformed,
        JsonFault::Duplicate => Refusal::DuplicateMember,
    }
}
