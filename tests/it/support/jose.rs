//! Clients' keys in the tests, and what they sign: assertions and DPoP proofs, honest or not.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use passmint::clock::Time;
use passmint::tokens::keys::PublicKey;
use serde_json::{Value, json};

use crate::authenticator::encode;

/// `client_assertion_type` (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Somebody else's key.
pub enum Key {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    pub fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    pub fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    /// Its public half.
    pub fn jwk(&self) -> Value {
        match self {
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
            }
            Self::Ed25519(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) }),
            Self::Rsa(pair) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": encode(&parts.n), "e": encode(&parts.e) })
            }
        }
    }

    /// Its public half with a `kid`.
    pub fn named(&self, kid: &str) -> Value {
        let mut jwk = self.jwk();
        jwk["kid"] = json!(kid);
        jwk
    }

    pub fn thumbprint(&self) -> String {
        PublicKey::from_jwk(&self.jwk()).unwrap().thumbprint()
    }

    /// The algorithm it signs with by default.
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
            Self::Rsa(_) => "PS256",
        }
    }

    /// Signs anything; with RS256 if the header says so.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let random = SystemRandom::new();
        let signature = match self {
            Self::P256(pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if header["alg"] == "RS256" { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, signed.as_bytes(), &mut out).unwrap();
                out
            }
        };
        format!("{signed}.{}", encode(&signature))
    }

    /// An honest DPoP proof.
    pub fn proof(&self, method: &str, url: &str, now: Time) -> String {
        let (header, claims) = self.proof_parts(method, url, now);
        self.sign(&header, &claims)
    }

    /// An honest DPoP proof to accompany an access token.
    pub fn proof_with(&self, method: &str, url: &str, token: &str, now: Time) -> String {
        let (header, mut claims) = self.proof_parts(method, url, now);
        claims["ath"] = json!(passmint::tokens::dpop::access_token_hash(token));
        self.sign(&header, &claims)
    }

    /// Header and claims of an honest proof, to be altered.
    pub fn proof_parts(&self, method: &str, url: &str, now: Time) -> (Value, Value) {
        let header = json!({ "typ": "dpop+jwt", "alg": self.algorithm(), "jwk": self.jwk() });
        (header, json!({ "jti": fresh(), "htm": method, "htu": url, "iat": now.timestamp() }))
    }

    /// An honest signed request.
    pub fn request_object(&self, client: &str, issuer: &str, now: Time, asked: &[(&str, &str)]) -> String {
        let (header, claims) = self.request_parts(client, issuer, now, asked);
        self.sign(&header, &claims)
    }

    /// Header and claims of an honest signed request, to be altered.
    pub fn request_parts(&self, client: &str, issuer: &str, now: Time, asked: &[(&str, &str)]) -> (Value, Value) {
        let header = json!({ "typ": "oauth-authz-req+jwt", "alg": self.algorithm(), "kid": "k1" });
        let mut claims: Value = asked.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let iat = now.timestamp();
        for (name, value) in [
            ("iss", json!(client)),
            ("client_id", json!(client)),
            ("aud", json!(issuer)),
            ("nbf", json!(iat)),
            ("exp", json!(iat + 300)),
            ("jti", json!(fresh())),
        ] {
            claims[name] = value;
        }
        (header, claims)
    }

    /// An honest client assertion.
    pub fn assertion(&self, client: &str, issuer: &str, now: Time) -> String {
        let (header, claims) = self.assertion_parts(client, issuer, now);
        self.sign(&header, &claims)
    }

    /// Header and claims of an honest client assertion, to be altered.
    pub fn assertion_parts(&self, client: &str, issuer: &str, now: Time) -> (Value, Value) {
        let iat = now.timestamp();
        let claims =
            json!({ "iss": client, "sub": client, "aud": issuer, "jti": fresh(), "iat": iat, "exp": iat + 60 });
        (json!({ "alg": self.algorithm(), "kid": "k1" }), claims)
    }
}

/// An id that was never used before.
pub fn fresh() -> String {
    encode(&passmint::random::bytes::<16>())
}

/// A JWK Set as the configuration takes it.
pub fn as_toml(keys: &[Value]) -> String {
    let set = toml::Value::try_from(json!({ "keys": keys })).unwrap();
    format!("jwks = {set}")
}
