//! The JWK sets that we publish.
//!
//! Invariant: a published set is built from public halves only.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::keys::{Algorithm, KeyState, StoredKey};
use crate::clock::Time;

/// A prepared response of a JWKS endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwks {
    /// The JSON document.
    pub body: Arc<str>,
    /// A strong entity tag, with its quotes (RFC 9110 §8.8.3).
    pub etag: Arc<str>,
}

/// The set of these keys at `now`, ordered by [`rank`]. For each algorithm, the key that signs comes first, then the
/// next one, then the former ones. Symmetric keys are left out.
pub fn publish<'a>(keys: impl IntoIterator<Item = &'a StoredKey>, now: Time) -> Jwks {
    publish_led_by(None, keys, now)
}

/// Like [`publish`], with the keys of algorithm `first` before all others, for clients that take the first key of the
/// set.
pub fn publish_led_by<'a>(first: Option<Algorithm>, keys: impl IntoIterator<Item = &'a StoredKey>, now: Time) -> Jwks {
    let mut keys: Vec<&StoredKey> = keys.into_iter().collect();
    let place = |key: &StoredKey| (Some(key.algorithm) != first, rank(key.algorithm), turn(key.state(now)));
    // Of several signing keys the one that began last is used, as in the ring. `kid` only breaks ties, so that replicas
    // agree.
    keys.sort_by(|a, b| (place(a), b.signs_from, &b.kid).cmp(&(place(b), a.signs_from, &a.kid)));
    let members: Vec<Value> = keys
        .into_iter()
        .filter_map(|key| {
            let mut jwk = key.material.public_jwk()?;
            jwk["kid"] = key.kid.as_str().into();
            Some(jwk)
        })
        .collect();
    let body = json!({ "keys": members }).to_string();
    let etag = etag(&body).into();
    Jwks { body: body.into(), etag }
}

/// RS256 first: some old relying parties read only the first keys and fail on key types that they do not know.
const fn rank(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::RS256 => 0,
        Algorithm::ES256 => 1,
        Algorithm::PS256 | Algorithm::EdDSA | Algorithm::HS256 => 2,
    }
}

/// Signing keys first, because some clients take the first key of the set.
const fn turn(state: KeyState) -> u8 {
    match state {
        KeyState::Signing => 0,
        KeyState::Published => 1,
        KeyState::Verifying | KeyState::Expired | KeyState::Revoked => 2,
    }
}

/// A strong entity tag for a document, with its quotes.
pub fn etag(body: &str) -> String {
    let hash = digest::digest(&digest::SHA256, body.as_bytes());
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&hash.as_ref()[..15]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::keys::{KeyMaterial, Use};
    use chrono::{DateTime, Duration};

    /// Some targets take the first key of the set: it must be the signing key before, during and after a rotation.
    #[test]
    fn the_key_that_signs_comes_first() {
        let at = |minutes: i64| DateTime::from_timestamp(1_800_000_000, 0).unwrap() + Duration::minutes(minutes);
        let key = |kid: &str, algorithm: Algorithm, signs: i64, retired: Option<i64>| StoredKey {
            kid: kid.to_owned(),
            usage: Use::Bridge("hasura".to_owned()),
            algorithm,
            material: KeyMaterial::generate(algorithm).unwrap(),
            published_at: at(signs - 10),
            signs_from: at(signs),
            retired_at: retired.map(at),
            verifies_until: retired.map(|minutes| at(minutes + 60)),
            revoked_at: None,
        };
        let keys = [
            key("b", Algorithm::ES256, 0, Some(100)),
            key("a", Algorithm::ES256, 100, Some(200)),
            key("c", Algorithm::ES256, 200, None),
            key("d", Algorithm::EdDSA, 0, None),
        ];
        let order = |now: i64| {
            let live = keys.iter().filter(|key| key.state(at(now)).is_live() && key.published_at <= at(now));
            let set = publish_led_by(Some(Algorithm::ES256), live, at(now));
            let document: Value = serde_json::from_str(&set.body).unwrap();
            let kids = document["keys"].as_array().unwrap().iter().map(|jwk| jwk["kid"].as_str().unwrap().to_owned());
            kids.collect::<String>()
        };
        for (now, expected) in [(50, "bd"), (95, "bad"), (100, "abd"), (195, "acd"), (200, "cad"), (270, "cd")] {
            assert_eq!(order(now), expected, "at {now}");
        }
    }
}
