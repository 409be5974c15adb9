//! The cryptography behind `jsonwebtoken`: aws-lc-rs, with each key parsed only once.
//!
//! The library's own provider parses the private key again for every token (+12 µs for ES256, +500 µs for RS256). Its
//! factories are plain `fn` pointers, so the parsed keys live in two process-wide maps, keyed by a digest of the
//! algorithm and the key bytes. Invariants: a key that cannot be parsed is an error, never a panic; the maps are
//! bounded.
//!
//! To add an algorithm: a line each in `is_cached`, `parse_private` and `parse_public`. All others fall back to the
//! library's uncached provider.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Once, PoisonError, RwLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self as lc, EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey, RsaKeyPair, RsaPublicKeyComponents,
};
use aws_lc_rs::{digest, hmac};
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use signature::Error as SignatureError;

/// The number of parsed keys kept, far more than an installation signs with. A full map is emptied: that costs one
/// parse for each live key, and there is no eviction order to maintain.
const CAPACITY: usize = 512;

static SIGNERS: LazyLock<Cache<Private>> = LazyLock::new(Cache::default);
static VERIFIERS: LazyLock<Cache<Public>> = LazyLock::new(Cache::default);
static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(|| CryptoProvider {
    signer_factory: cached_signer,
    verifier_factory: cached_verifier,
    key_utils: DEFAULT_PROVIDER.key_utils.clone(),
});

/// Makes this the provider of the process. It may be called any number of times, from any thread; the signer and the
/// verifier call it themselves.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if PROVIDER.install_default().is_err() {
            // The cryptography is the same, only slower: no reason to refuse to start.
            tracing::warn!("another JWT crypto provider was installed first: keys will be parsed for every token");
        }
    });
}

/// Drops every parsed key, so that a revoked private key does not stay in memory after its revocation.
pub fn forget() {
    SIGNERS.clear();
    VERIFIERS.clear();
}

type KeyDigest = [u8; 32];

struct Cache<T>(RwLock<HashMap<KeyDigest, Arc<T>>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> Cache<T> {
    fn get_or_parse(&self, id: KeyDigest, parse: impl FnOnce() -> Result<T, Error>) -> Result<Arc<T>, Error> {
        // A poisoned lock is harmless here: entries are inserted as a whole.
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Arc::clone(known));
        }
        let parsed = Arc::new(parse()?);
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(id, Arc::clone(&parsed));
        Ok(parsed)
    }

    fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn key_digest(algorithm: Algorithm, parts: &[&[u8]]) -> KeyDigest {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(format!("{algorithm:?}").as_bytes());
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

enum Private {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Hmac(Box<hmac::Key>),
}

enum Public {
    Asymmetric(ParsedPublicKey),
    Hmac(Box<hmac::Key>),
}

struct CachedSigner {
    algorithm: Algorithm,
    key: Arc<Private>,
}

struct CachedVerifier {
    algorithm: Algorithm,
    key: Arc<Public>,
}

fn is_cached(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::ES256 | Algorithm::ES384 | Algorithm::RS256 | Algorithm::EdDSA | Algorithm::HS256)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library's interface")]
fn cached_signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    if !is_cached(*algorithm) {
        return (DEFAULT_PROVIDER.signer_factory)(algorithm, key);
    }
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    let id = key_digest(*algorithm, &[key.as_bytes()]);
    let key = SIGNERS.get_or_parse(id, || parse_private(*algorithm, key.as_bytes()))?;
    Ok(Box::new(CachedSigner { algorithm: *algorithm, key }))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library's interface")]
fn cached_verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if !is_cached(*algorithm) {
        return (DEFAULT_PROVIDER.verifier_factory)(algorithm, key);
    }
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    let id = match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => key_digest(*algorithm, &[bytes]),
        DecodingKeyKind::RsaModulusExponent { n, e } => key_digest(*algorithm, &[n, e]),
    };
    let key = VERIFIERS.get_or_parse(id, || parse_public(*algorithm, key))?;
    Ok(Box::new(CachedVerifier { algorithm: *algorithm, key }))
}

/// Reads PKCS#8 (for RSA also PKCS#1) DER, or takes the bytes as the HMAC secret.
fn parse_private(algorithm: Algorithm, bytes: &[u8]) -> Result<Private, Error> {
    match algorithm {
        Algorithm::ES256 => parse_ecdsa(&lc::ECDSA_P256_SHA256_FIXED_SIGNING, bytes),
        Algorithm::ES384 => parse_ecdsa(&lc::ECDSA_P384_SHA384_FIXED_SIGNING, bytes),
        Algorithm::RS256 => RsaKeyPair::from_pkcs8(bytes)
            .or_else(|_| RsaKeyPair::from_der(bytes))
            .map(Private::Rsa)
            .map_err(|rejected| ErrorKind::InvalidRsaKey(rejected.to_string()).into()),
        Algorithm::EdDSA => {
            Ed25519KeyPair::from_pkcs8(bytes).map(Private::Ed25519).map_err(|_| ErrorKind::InvalidEddsaKey.into())
        }
        Algorithm::HS256 => Ok(Private::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, bytes)))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

fn parse_ecdsa(algorithm: &'static lc::EcdsaSigningAlgorithm, bytes: &[u8]) -> Result<Private, Error> {
    EcdsaKeyPair::from_pkcs8(algorithm, bytes).map(Private::Ecdsa).map_err(|_| ErrorKind::InvalidEcdsaKey.into())
}

fn parse_public(algorithm: Algorithm, key: &DecodingKey) -> Result<Public, Error> {
    let parsed = match (algorithm, key.kind()) {
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            RsaPublicKeyComponents { n, e }.to_parsed_public_key(&lc::RSA_PKCS1_2048_8192_SHA256)
        }
        (_, DecodingKeyKind::RsaModulusExponent { .. }) => return Err(ErrorKind::InvalidKeyFormat.into()),
        (Algorithm::RS256, DecodingKeyKind::SecretOrDer(der)) => {
            ParsedPublicKey::new(&lc::RSA_PKCS1_2048_8192_SHA256, der)
        }
        (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
            ParsedPublicKey::new(&lc::ECDSA_P256_SHA256_FIXED, point)
        }
        (Algorithm::ES384, DecodingKeyKind::SecretOrDer(point)) => {
            ParsedPublicKey::new(&lc::ECDSA_P384_SHA384_FIXED, point)
        }
        (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(point)) => ParsedPublicKey::new(&lc::ED25519, point),
        (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
            return Ok(Public::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))));
        }
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    parsed.map(Public::Asymmetric).map_err(|_| ErrorKind::InvalidKeyFormat.into())
}

impl signature::Signer<Vec<u8>> for CachedSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        match &*self.key {
            Private::Ecdsa(pair) => Ok(pair.sign(&SystemRandom::new(), message).map_err(failed)?.as_ref().to_vec()),
            Private::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&lc::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut out).map_err(failed)?;
                Ok(out)
            }
            Private::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            Private::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}

impl JwtSigner for CachedSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl signature::Verifier<Vec<u8>> for CachedVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        match &*self.key {
            Public::Asymmetric(key) => key.verify_sig(message, signature).map_err(failed),
            Public::Hmac(key) => hmac::verify(key, message, signature).map_err(failed),
        }
    }
}

impl JwtVerifier for CachedVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn failed(_: aws_lc_rs::error::Unspecified) -> SignatureError {
    SignatureError::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_twice_is_harmless() {
        install();
        install();
    }

    #[test]
    fn broken_keys_are_errors() {
        for (algorithm, key) in [
            (Algorithm::ES256, EncodingKey::from_ec_der(b"nonsense")),
            (Algorithm::ES384, EncodingKey::from_ec_der(b"")),
            (Algorithm::RS256, EncodingKey::from_rsa_der(&[0x30, 0x82])),
            (Algorithm::EdDSA, EncodingKey::from_ed_der(&[0; 32])),
            (Algorithm::ES256, EncodingKey::from_secret(&[7; 32])),
            (Algorithm::HS256, EncodingKey::from_ec_der(&[7; 32])),
        ] {
            assert!(cached_signer(&algorithm, &key).is_err(), "signing {algorithm:?}");
        }
        for (algorithm, key) in [
            (Algorithm::ES256, DecodingKey::from_ec_der(&[4; 65])),
            (Algorithm::EdDSA, DecodingKey::from_ed_der(&[0; 31])),
            (Algorithm::RS256, DecodingKey::from_rsa_raw_components(&[], &[])),
            (Algorithm::RS256, DecodingKey::from_rsa_der(b"nonsense")),
            (Algorithm::HS256, DecodingKey::from_ec_der(&[4; 65])),
        ] {
            assert!(cached_verifier(&algorithm, &key).is_err(), "verifying {algorithm:?}");
        }
    }

    #[test]
    fn the_same_bytes_under_another_algorithm_are_another_entry() {
        assert_ne!(key_digest(Algorithm::ES256, &[b"k"]), key_digest(Algorithm::HS256, &[b"k"]));
        assert_ne!(key_digest(Algorithm::RS256, &[b"ab", b"c"]), key_digest(Algorithm::RS256, &[b"a", b"bc"]));
    }

    #[test]
    fn a_cache_parses_once_and_stays_bounded() {
        let cache = Cache::<usize>::default();
        let id = |n: usize| key_digest(Algorithm::HS256, &[&n.to_be_bytes()]);
        for n in 0..CAPACITY * 2 + 3 {
            assert_eq!(*cache.get_or_parse(id(n), || Ok(n)).unwrap(), n);
            assert_eq!(*cache.get_or_parse(id(n), || panic!("parsed twice")).unwrap(), n);
            assert!(cache.0.read().unwrap().len() <= CAPACITY);
        }
        cache.clear();
        assert!(cache.0.read().unwrap().is_empty());
    }

    /// Without this, the library would silently fall back to its own provider, and only benchmarks would show it.
    #[test]
    fn the_signer_uses_this_provider() {
        use crate::tokens::keys::{Algorithm as Name, KeyMaterial, StoredKey, Use};
        use crate::tokens::ring::SigningKey;
        let material = KeyMaterial::generate(Name::ES256).unwrap();
        let at = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let id = key_digest(Algorithm::ES256, &[material.secret().expose()]);
        let stored = StoredKey {
            kid: material.thumbprint(),
            usage: Use::Tokens,
            algorithm: Name::ES256,
            material,
            published_at: at,
            signs_from: at,
            retired_at: None,
            verifies_until: None,
            revoked_at: None,
        };
        assert!(!SIGNERS.0.read().unwrap().contains_key(&id));
        let claims = serde_json::json!({});
        crate::tokens::signer::Signer::new().sign(&SigningKey::new(&stored), "x", &claims).unwrap();
        assert!(SIGNERS.0.read().unwrap().contains_key(&id));
    }
}
