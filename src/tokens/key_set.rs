//! Reads the JWK sets of other issuers.
//!
//! Invariant: a foreign set has a bounded size and yields only keys that we can verify with, never a symmetric one.

use serde_json::Value;

use super::keys::{Algorithm, PublicKey};
use super::ring::VerifyingKey;
use crate::domain::strict_json::parse_object;

/// Why a foreign set is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Over [`KeySet::MAX_BYTES`] or [`KeySet::MAX_KEYS`].
    #[error("the key set is too large")]
    TooLarge,
    /// Not a JSON object with an array `keys`, or one with duplicate members.
    #[error("the key set is malformed")]
    Malformed,
    /// None of its keys can be used to verify signatures.
    #[error("the key set has no usable key")]
    Empty,
}

/// The keys of another issuer, for verifying its tokens.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<(Option<String>, VerifyingKey)>,
    /// Whether the key has no name, so that it is used whatever `kid` a token has.
    nameless: bool,
}

impl KeySet {
    /// The largest document that is read, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;
    /// The largest number of keys in a set.
    pub const MAX_KEYS: usize = 64;

    /// Reads a JWK set (RFC 7517 §5). Keys that we cannot or must not use are skipped: other key types, a `use` other
    /// than `sig`, `key_ops` without `verify`, weak or malformed keys.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        if document.len() > Self::MAX_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let set = parse_object(document).map_err(|_| KeySetError::Malformed)?;
        let members = set.get("keys").and_then(Value::as_array).ok_or(KeySetError::Malformed)?;
        if members.len() > Self::MAX_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let keys: Vec<_> = members.iter().filter_map(usable).flatten().collect();
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self { keys, nameless: false }) }
    }

    /// A set of one public key that is used whatever `kid` a token has.
    pub fn of_one(key: &PublicKey) -> Self {
        Self { keys: of_key(None, key), nameless: true }
    }

    /// A set of public keys with their names.
    ///
    /// # Errors
    /// [`KeySetError::TooLarge`], [`KeySetError::Empty`].
    pub fn of_named<'a>(named: impl IntoIterator<Item = (&'a str, &'a PublicKey)>) -> Result<Self, KeySetError> {
        let keys: Vec<_> = named.into_iter().flat_map(|(kid, key)| of_key(Some(kid), key)).collect();
        match keys.len() {
            0 => Err(KeySetError::Empty),
            // An RSA key counts twice, once for each of its algorithms.
            many if many > 2 * Self::MAX_KEYS => Err(KeySetError::TooLarge),
            _ => Ok(Self { keys, nameless: false }),
        }
    }

    /// Finds the one key that a header refers to: by name and algorithm if there is a `kid`, otherwise the only key
    /// with that algorithm. Two candidates count as none, because the order of the set must not decide.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&VerifyingKey> {
        let mut candidates = self.keys.iter().filter(|(name, key)| {
            key.algorithm() == algorithm && (self.nameless || kid.is_none() || name.as_deref() == kid)
        });
        match (candidates.next(), candidates.next()) {
            (Some((_, key)), None) => Some(key),
            _ => None,
        }
    }
}

fn of_key(kid: Option<&str>, key: &PublicKey) -> Vec<(Option<String>, VerifyingKey)> {
    let name = kid.unwrap_or_default();
    let named = |algorithm: &Algorithm| {
        (kid.map(ToOwned::to_owned), VerifyingKey::foreign_for(name.to_owned(), key, *algorithm))
    };
    key.algorithms().iter().map(named).collect()
}

/// The key once for each algorithm it may be used with: an RSA key without `alg` has two.
fn usable(jwk: &Value) -> Option<Vec<(Option<String>, VerifyingKey)>> {
    let kid = match jwk.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str()?.to_owned()),
    };
    let signs = jwk.get("use").is_none_or(|usage| usage == "sig");
    let verifies = match jwk.get("key_ops") {
        None => true,
        Some(operations) => operations.as_array()?.iter().any(|operation| operation == "verify"),
    };
    if !signs || !verifies {
        return None;
    }
    let key = PublicKey::from_jwk(jwk).ok()?;
    let named = jwk.get("alg").and_then(Value::as_str);
    let fits = key.algorithms().iter().filter(|algorithm| named.is_none_or(|named| named == algorithm.as_str()));
    let name = kid.clone().unwrap_or_default();
    Some(fits.map(|fits| (kid.clone(), VerifyingKey::foreign_for(name.clone(), &key, *fits))).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::tokens::keys::KeyMaterial;

    fn jwk(kid: Option<&str>) -> Value {
        let mut jwk = KeyMaterial::generate(Algorithm::ES256).unwrap().public_jwk().unwrap();
        if let Some(kid) = kid {
            jwk["kid"] = kid.into();
        }
        jwk
    }

    fn set(keys: &[Value]) -> Result<KeySet, KeySetError> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn a_key_is_found_by_kid_and_algorithm() {
        let set = set(&[jwk(Some("a")), jwk(Some("b"))]).unwrap();
        assert!(set.find(Some("a"), Algorithm::ES256).is_some());
        assert!(set.find(Some("a"), Algorithm::RS256).is_none(), "another algorithm");
        assert!(set.find(Some("c"), Algorithm::ES256).is_none(), "unknown");
        assert!(set.find(None, Algorithm::ES256).is_none(), "two candidates");
    }

    #[test]
    fn two_keys_with_one_kid_are_none() {
        assert!(set(&[jwk(Some("a")), jwk(Some("a"))]).unwrap().find(Some("a"), Algorithm::ES256).is_none());
        assert!(set(&[jwk(None)]).unwrap().find(None, Algorithm::ES256).is_some(), "a single nameless key");
    }

    #[test]
    fn a_single_key_fits_every_name_and_named_keys_their_own() {
        let key = |algorithm| KeyMaterial::generate(algorithm).unwrap().public().cloned().unwrap();
        let (one, other) = (key(Algorithm::ES256), key(Algorithm::RS256));
        let single = KeySet::of_one(&one);
        assert!(
            single.find(Some("whatever"), Algorithm::ES256).is_some() && single.find(None, Algorithm::ES256).is_some()
        );
        assert!(single.find(None, Algorithm::RS256).is_none());
        let named = KeySet::of_named([("a", &one), ("b", &other)]).unwrap();
        assert!(named.find(Some("a"), Algorithm::ES256).is_some() && named.find(Some("b"), Algorithm::PS256).is_some());
        assert!(named.find(Some("b"), Algorithm::ES256).is_none() && named.find(Some("c"), Algorithm::RS256).is_none());
        assert_eq!(KeySet::of_named([]).unwrap_err(), KeySetError::Empty);
    }

    #[test]
    fn unusable_keys_are_passed_over() {
        for (name, member, value) in [
            ("for encryption", "use", json!("enc")),
            ("not for verifying", "key_ops", json!(["sign"])),
            ("key_ops of another type", "key_ops", json!("verify")),
            ("kid of another type", "kid", json!(7)),
            ("another algorithm", "alg", json!("ES384")),
            ("symmetric", "kty", json!("oct")),
        ] {
            let mut key = jwk(Some("a"));
            key[member] = value;
            assert_eq!(set(&[key.clone()]).unwrap_err(), KeySetError::Empty, "{name}");
            assert!(set(&[key, jwk(Some("b"))]).is_ok(), "{name}, beside a good one");
        }
    }

    proptest! {
        /// Whatever a foreign server sends is either read or refused.
        #[test]
        fn noise_is_no_key_set_and_a_changed_one_is_no_panic(
            noise in prop::collection::vec(any::<u8>(), 0..300), at in 0..400_usize, byte in any::<u8>()
        ) {
            prop_assert!(KeySet::parse(&noise).is_err());
            let mut changed = json!({ "keys": [jwk(Some("a"))] }).to_string().into_bytes();
            let at = at % changed.len();
            changed[at] = byte;
            let _ = KeySet::parse(&changed);
        }
    }

    #[test]
    fn malformed_sets_are_refused() {
        for (name, text, expected) in [
            ("empty", String::new(), KeySetError::Malformed),
            ("array", "[]".into(), KeySetError::Malformed),
            ("no keys", "{}".into(), KeySetError::Malformed),
            ("keys twice", r#"{"keys":[],"keys":[]}"#.into(), KeySetError::Malformed),
            ("object", r#"{"keys":{}}"#.into(), KeySetError::Malformed),
            ("none", r#"{"keys":[]}"#.into(), KeySetError::Empty),
            ("too many", json!({"keys": vec![json!({}); 65]}).to_string(), KeySetError::TooLarge),
            ("too long", " ".repeat(KeySet::MAX_BYTES + 1), KeySetError::TooLarge),
        ] {
            assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), expected, "{name}");
        }
    }
}
