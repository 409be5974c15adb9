//! Tokens that carry their own key: DPoP proofs (RFC 9449 §4.2).
//!
//! Such a token does not say who signed it, only that the sender holds the key. So the key in its header is used for
//! this one signature only, and it must be a public key of an accepted kind.

use serde_json::{Map, Value};

use super::{MAX_TOKEN, Parts, Refusal, check_signature, check_type, dates, fault, header};
use crate::domain::strict_json::parse_object;
use crate::tokens::keys::{Algorithm, PublicKey};
use crate::tokens::ring::VerifyingKey;

/// JWK members that only the owner of the key may know (RFC 7518 §6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A token whose signature matches the key it carries.
#[derive(Clone, Debug)]
#[must_use = "its claims are not judged yet"]
pub struct SelfSigned {
    /// The key.
    pub key: PublicKey,
    /// Its claims.
    pub claims: Map<String, Value>,
}

/// Verifies the signature of a token with this `typ` that carries its key as `jwk`.
///
/// # Errors
/// [`Refusal`].
pub fn open(token: &str, typ: &str, algorithms: &[Algorithm]) -> Result<SelfSigned, Refusal> {
    if token.len() > MAX_TOKEN {
        return Err(Refusal::TooLong);
    }
    let parts = Parts::split(token)?;
    let header = header(&parts.header)?;
    check_type(&header, &[typ])?;
    let named = header.get("alg").and_then(Value::as_str).and_then(|name| name.parse().ok());
    let named = named.filter(|named| algorithms.contains(named)).ok_or(Refusal::Algorithm)?;
    let key = public_key(header.get("jwk"))?;
    let declared = header.get("jwk").and_then(|jwk| jwk.get("alg")).and_then(Value::as_str);
    if !key.algorithms().contains(&named) || declared.is_some_and(|declared| declared != named.as_str()) {
        return Err(Refusal::Algorithm);
    }
    check_signature(&parts, &VerifyingKey::foreign_for(String::new(), &key, named))?;
    let mut claims = parse_object(&parts.claims).map_err(fault)?;
    dates::round_down(&mut claims);
    Ok(SelfSigned { key, claims })
}

fn public_key(jwk: Option<&Value>) -> Result<PublicKey, Refusal> {
    let jwk = jwk.filter(|jwk| jwk.is_object()).ok_or(Refusal::UnknownKey)?;
    if PRIVATE_MEMBERS.iter().any(|name| jwk.get(name).is_some()) {
        return Err(Refusal::UnknownKey);
    }
    PublicKey::from_jwk(jwk).map_err(|_| Refusal::UnknownKey)
}
