//! Hostile tokens, each with the refusal expected.

mod forgery;
mod form;
mod rules;

use std::sync::LazyLock;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration};
use serde_json::{Map, Value, json};

use super::*;
use crate::tokens::claims::{AccessClaims, RefreshClaims};
use crate::tokens::keys::{KeyMaterial, StoredKey};
use crate::tokens::signer::Signer;

const ISSUER: &str = "https://id.example.com";
const API: &str = "https://api.example.com";
const NOW: i64 = 1_800_000_000;

fn now() -> Time {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

/// Keys of every kind, made only once because RSA keys are slow to generate.
struct World {
    keys: Vec<StoredKey>,
    ring: KeyRing,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = |usage: Use, algorithm| {
        let material = KeyMaterial::generate(algorithm).unwrap();
        StoredKey {
            kid: material.thumbprint(),
            usage,
            algorithm,
            material,
            published_at: now() - Duration::days(1),
            signs_from: now() - Duration::days(1),
            retired_at: None,
            verifies_until: None,
            revoked_at: None,
        }
    };
    let keys = vec![
        key(Use::Tokens, Algorithm::ES256),
        key(Use::Tokens, Algorithm::RS256),
        key(Use::Tokens, Algorithm::EdDSA),
        key(Use::Refresh, Algorithm::HS256),
        key(Use::Bridge("b".into()), Algorithm::ES256),
        key(Use::Bridge("b".into()), Algorithm::HS256),
    ];
    let ring = KeyRing::build(&keys, now()).unwrap();
    World { keys, ring }
});

impl World {
    fn stored(&self, usage: &Use, algorithm: Algorithm) -> &StoredKey {
        self.keys.iter().find(|key| key.usage == *usage && key.algorithm == algorithm).unwrap()
    }

    fn sign(&self, usage: &Use, algorithm: Algorithm, typ: &str, claims: &Value) -> String {
        Signer::new().sign(self.ring.signing(usage, algorithm).unwrap(), typ, claims).unwrap()
    }

    fn access(&self, claims: &Value) -> String {
        self.sign(&Use::Tokens, Algorithm::ES256, "at+jwt", claims)
    }

    fn refresh(&self, claims: &Value) -> String {
        self.sign(&Use::Refresh, Algorithm::HS256, "rt+jwt", claims)
    }

    /// A correctly signed ES256 token with any header and any claims text, as only a faulty signer could make it.
    fn raw(&self, header: &str, claims: &str) -> String {
        let key = self.stored(&Use::Tokens, Algorithm::ES256);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.material.secret().expose()).unwrap();
        let signed = format!("{}.{}", b64(header), b64(claims));
        let signature = pair.sign(&rand::SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", b64(signature))
    }

    fn header(&self) -> Map<String, Value> {
        let kid = &self.stored(&Use::Tokens, Algorithm::ES256).kid;
        json!({"alg": "ES256", "typ": "at+jwt", "kid": kid}).as_object().unwrap().clone()
    }

    /// As [`raw`](Self::raw), with one header member set.
    fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = self.header();
        header.insert(name.into(), value);
        self.raw(&Value::Object(header).to_string(), &access_claims().to_string())
    }

    fn check_access(&self, token: &str) -> Result<Verified<AccessClaims>, Refusal> {
        places::access_token(&self.ring, ISSUER, API, token, now())
    }

    fn check_refresh(&self, token: &str) -> Result<Verified<RefreshClaims>, Refusal> {
        places::refresh_token(&self.ring, ISSUER, token, now())
    }
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn hs256(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", b64(tag))
}

fn access_claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "018f3c9e-7b1a-7c3e-9d2f-0a1b2c3d4e5f", "aud": API, "client_id": "web",
        "iat": NOW - 60, "exp": NOW + 540, "jti": "j1", "scope": "openid", "sid": "s1", "auth_time": NOW - 60,
        "acr": "phr", "amr": ["pop", "user", "mfa"], "credential_class": "synced"
    })
}

fn refresh_claims() -> Value {
    json!({
        "v": 1, "iss": ISSUER, "sub": "u1", "aud": ISSUER, "client_id": "web", "jti": "r1", "fid": "f1",
        "iat": NOW - 60, "exp": NOW + 86_400, "scope": "openid"
    })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name).unwrap();
    claims
}
