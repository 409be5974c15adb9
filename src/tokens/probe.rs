//! Tests a signing key for `passmint doctor`: does it sign, and do we accept its signature?

use serde_json::{Value, json};

use super::keys::{Algorithm, Use};
use super::ring::KeyRing;
use super::signer::Signer;
use super::verifier::{Audience, Expectation, Expiry, KeySource, Leeway, verify};
use crate::clock::Time;

/// A `typ` and a name (as issuer and audience) that no place accepts, so that the probe is useless to anyone else.
const TYPE: &str = "probe+jwt";
const NAME: &str = "urn:passmint:probe";

/// Signs a probe with the key that currently signs for this use and algorithm, and verifies it.
///
/// # Errors
/// What failed, as a line for the operator.
pub fn sign_and_verify(ring: &KeyRing, usage: &Use, algorithm: Algorithm, now: Time) -> Result<(), String> {
    let key = ring.signing(usage, algorithm).ok_or_else(|| format!("no {algorithm} key signs for {usage} now"))?;
    let iat = now.timestamp();
    let claims = json!({ "iss": NAME, "aud": NAME, "iat": iat, "exp": iat + 60 });
    let token = Signer::new().sign(key, TYPE, &claims).map_err(|error| error.to_string())?;
    let expected = Expectation {
        types: &[TYPE],
        issuer: NAME,
        audience: Audience::Exactly(NAME),
        required: &[],
        leeway: Leeway::OWN,
        expiry: Expiry::Enforced,
        max_lifetime: None,
        keys: KeySource::Own { ring, usage, algorithms: &[algorithm] },
    };
    verify::<Value>(&token, &expected, now)
        .map(drop)
        .map_err(|refusal| format!("what the key {} signs does not verify: {refusal}", key.kid()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::keys::{KeyMaterial, StoredKey};
    use chrono::DateTime;

    #[test]
    fn every_kind_of_key_is_tried_and_a_missing_one_is_named() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for algorithm in Algorithm::OURS {
            let material = KeyMaterial::generate(algorithm).unwrap();
            let key = StoredKey {
                kid: material.thumbprint(),
                usage: Use::Refresh,
                algorithm,
                material,
                published_at: now,
                signs_from: now,
                retired_at: None,
                verifies_until: None,
                revoked_at: None,
            };
            let ring = KeyRing::build(&[key], now).unwrap();
            assert_eq!(sign_and_verify(&ring, &Use::Refresh, algorithm, now), Ok(()), "{algorithm}");
            let missing = sign_and_verify(&ring, &Use::Tokens, algorithm, now).unwrap_err();
            assert_eq!(missing, format!("no {algorithm} key signs for tokens now"));
        }
    }
}
