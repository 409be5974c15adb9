//! JWK sets as we publish them.
//!
//! Always holds: what we publish is built from public halves only.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::keys::{Algorithm, StoredKey};

/// A prepared answer for a JWKS endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwks {
    /// The JSON document.
    pub body: Arc<str>,
    /// A strong entity tag, with its quotes (RFC 9110 §8.8.3).
    pub etag: Arc<str>,
}

/// The document for these keys, in the order of [`rank`] and `kid`. Symmetric keys are left out.
pub fn publish<'a>(keys: impl IntoIterator<Item = &'a StoredKey>) -> Jwks {
    publish_led_by(None, keys)
}

/// The same with the keys of one algorithm before all others, for whoever takes the first key there is.
pub fn publish_led_by<'a>(first: Option<Algorithm>, keys: impl IntoIterator<Item = &'a StoredKey>) -> Jwks {
    let mut keys: Vec<&StoredKey> = keys.into_iter().collect();
    let place = |key: &StoredKey| (Some(key.algorithm) != first, rank(key.algorithm));
    keys.sort_by(|a, b| (place(a), &a.kid).cmp(&(place(b), &b.kid)));
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

/// RS256 first: some old relying parties look at the first keys only, and stumble over kinds that they do not know.
const fn rank(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::RS256 => 0,
        Algorithm::ES256 => 1,
        Algorithm::PS256 | Algorithm::EdDSA | Algorithm::HS256 => 2,
    }
}

/// A strong entity tag for a document, with its quotes.
pub fn etag(body: &str) -> String {
    let hash = digest::digest(&digest::SHA256, body.as_bytes());
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&hash.as_ref()[..15]))
}
