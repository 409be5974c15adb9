//! Public keys, our own and foreign ones: conversion from and to JWK (RFC 7517, RFC 7518 §6, RFC 8037), and RFC 7638
//! thumbprints.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Value, json};

use super::{Algorithm, KeyError};

/// A public key, checked for form and strength.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// P-256: the affine coordinates.
    P256 {
        /// Big-endian x.
        x: [u8; 32],
        /// Big-endian y.
        y: [u8; 32],
    },
    /// RSA of 2,048 to 8,192 bits; both numbers are big-endian without leading zeros.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
    /// Ed25519: the encoded point.
    Ed25519 {
        /// The 32 bytes.
        x: [u8; 32],
    },
}

impl PublicKey {
    /// The algorithm that a key of this kind is used with here.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256 { .. } => Algorithm::ES256,
            Self::Rsa { .. } => Algorithm::RS256,
            Self::Ed25519 { .. } => Algorithm::EdDSA,
        }
    }

    /// The algorithms that a signature by such a key may use. An RSA key fits two, unless its JWK names one.
    pub const fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::P256 { .. } => &[Algorithm::ES256],
            Self::Rsa { .. } => &[Algorithm::RS256, Algorithm::PS256],
            Self::Ed25519 { .. } => &[Algorithm::EdDSA],
        }
    }

    /// Reads the public members of a JWK and ignores all others. Symmetric keys are refused: a published secret is not
    /// secret.
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] for a key type or curve that we do not use, or an `alg` that does not fit;
    /// [`KeyError::Form`]; [`KeyError::Weak`].
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let key = match (text("kty"), text("crv")) {
            (Some("EC"), Some("P-256")) => Self::p256(member(jwk, "x")?, member(jwk, "y")?)?,
            (Some("RSA"), _) => Self::rsa(member(jwk, "n")?, member(jwk, "e")?)?,
            (Some("OKP"), Some("Ed25519")) => Self::ed25519(&member(jwk, "x")?)?,
            _ => return Err(KeyError::Algorithm),
        };
        match jwk.get("alg") {
            None => Ok(key),
            Some(alg) if key.algorithms().iter().any(|fits| alg.as_str() == Some(fits.as_str())) => Ok(key),
            Some(_) => Err(KeyError::Algorithm),
        }
    }

    fn p256(x: Vec<u8>, y: Vec<u8>) -> Result<Self, KeyError> {
        let key =
            Self::P256 { x: x.try_into().map_err(|_| KeyError::Form)?, y: y.try_into().map_err(|_| KeyError::Form)? };
        key.must_parse()
    }

    pub(super) fn p256_from_point(point: &[u8]) -> Result<Self, KeyError> {
        match point.split_first() {
            Some((4, xy)) if xy.len() == 64 => Self::p256(xy[..32].to_vec(), xy[32..].to_vec()),
            _ => Err(KeyError::Form),
        }
    }

    pub(super) fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Self, KeyError> {
        if n.first().is_none_or(|first| *first == 0) || e.first().is_none_or(|first| *first == 0) {
            return Err(KeyError::Form);
        }
        // 256 bytes with the top bit set: exactly 2,048 bits.
        let bits = n.len() * 8 - n[0].leading_zeros() as usize;
        if !(2048..=8192).contains(&bits) || e.len() > 4 || e == [1] {
            return Err(KeyError::Weak);
        }
        Self::Rsa { n, e }.must_parse()
    }

    pub(super) fn ed25519(x: &[u8]) -> Result<Self, KeyError> {
        let x: [u8; 32] = x.try_into().map_err(|_| KeyError::Form)?;
        if is_small_order(&x) {
            return Err(KeyError::Weak);
        }
        Self::Ed25519 { x }.must_parse()
    }

    /// Refuses a key that the library cannot parse (such as a point off its curve) here, not at the first token.
    fn must_parse(self) -> Result<Self, KeyError> {
        use aws_lc_rs::signature as lc;
        let parsed = match &self {
            Self::P256 { .. } => lc::ParsedPublicKey::new(&lc::ECDSA_P256_SHA256_FIXED, self.point()),
            Self::Ed25519 { x } => lc::ParsedPublicKey::new(&lc::ED25519, x),
            Self::Rsa { n, e } => {
                lc::RsaPublicKeyComponents { n, e }.to_parsed_public_key(&lc::RSA_PKCS1_2048_8192_SHA256)
            }
        };
        parsed.map_err(|_| KeyError::Form)?;
        Ok(self)
    }

    fn point(&self) -> Vec<u8> {
        match self {
            Self::P256 { x, y } => [&[4], x.as_slice(), y.as_slice()].concat(),
            Self::Ed25519 { x } => x.to_vec(),
            Self::Rsa { .. } => Vec::new(),
        }
    }

    /// The key as the verifier takes it.
    pub(in crate::tokens) fn decoding_key(&self) -> DecodingKey {
        match self {
            Self::P256 { .. } => DecodingKey::from_ec_der(&self.point()),
            Self::Ed25519 { x } => DecodingKey::from_ed_der(x),
            Self::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
        }
    }

    /// Only the required members, in the order of their names, as RFC 7638 §3.2 hashes them.
    fn required_members(&self) -> Value {
        match self {
            Self::P256 { x, y } => json!({"crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y)}),
            Self::Rsa { n, e } => json!({"e": encode(e), "kty": "RSA", "n": encode(n)}),
            Self::Ed25519 { x } => json!({"crv": "Ed25519", "kty": "OKP", "x": encode(x)}),
        }
    }

    /// The key as a JWK with `use` and `alg`, without `kid`.
    pub fn jwk(&self) -> Value {
        let mut jwk = self.required_members();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm().as_str().into();
        jwk
    }

    /// RFC 7638 with SHA-256, base64url: 43 characters. Also the `jkt` of DPoP (RFC 9449 §6.1).
    pub fn thumbprint(&self) -> String {
        let required: std::collections::BTreeMap<String, Value> = match self.required_members() {
            Value::Object(members) => members.into_iter().collect(),
            _ => std::collections::BTreeMap::new(),
        };
        let text = json_text(&required);
        encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
    }
}

fn json_text(members: &std::collections::BTreeMap<String, Value>) -> String {
    serde_json::to_string(members).expect("a map of strings is JSON")
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A member as canonical base64url.
pub(super) fn member(jwk: &Value, name: &str) -> Result<Vec<u8>, KeyError> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or(KeyError::Form)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::Form)
}

/// Whether the point has order 1, 2, 4 or 8, in any of its encodings (ignoring the sign bit). Under such a key one
/// signature fits every message. RFC 8032 §8.9 leaves this check to us, and the library does not make it.
fn is_small_order(point: &[u8; 32]) -> bool {
    const fn low(first: u8) -> [u8; 32] {
        let mut out = [0; 32];
        out[0] = first;
        out
    }
    const fn near_p(first: u8) -> [u8; 32] {
        let mut out = [0xff; 32];
        out[0] = first;
        out[31] = 0x7f;
        out
    }
    const SMALL: [[u8; 32]; 7] = [
        low(0),
        low(1),
        near_p(0xec),
        near_p(0xed),
        near_p(0xee),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut unsigned = *point;
    unsigned[31] &= 0x7f;
    SMALL.contains(&unsigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7638 §3.1.
    #[test]
    fn the_thumbprint_is_the_one_of_the_rfc() {
        let jwk = json!({
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"
        });
        assert_eq!(PublicKey::from_jwk(&jwk).unwrap().thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    /// The example of RFC 8037 appendix A.3.
    #[test]
    fn an_ed25519_thumbprint_is_the_one_of_the_rfc() {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        assert_eq!(PublicKey::from_jwk(&jwk).unwrap().thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn weak_and_malformed_keys_are_refused_by_name() {
        let point = |byte: u8| encode(&[byte; 32]);
        let rsa = |length: usize| encode(&[&[0xc1], vec![0x55; length - 1].as_slice()].concat());
        let mut high = [0; 32];
        (high[0], high[31]) = (1, 0x80);
        for (name, jwk, expected) in [
            ("symmetric", json!({"kty": "oct", "k": point(7)}), KeyError::Algorithm),
            ("another curve", json!({"kty": "EC", "crv": "P-384", "x": point(1), "y": point(1)}), KeyError::Algorithm),
            ("off the curve", json!({"kty": "EC", "crv": "P-256", "x": point(1), "y": point(1)}), KeyError::Form),
            ("no y", json!({"kty": "EC", "crv": "P-256", "x": point(1)}), KeyError::Form),
            ("short RSA", json!({"kty": "RSA", "n": rsa(128), "e": "AQAB"}), KeyError::Weak),
            (
                "RSA of 2047 bits",
                json!({"kty": "RSA", "n": encode(&[&[0x41], [0x55; 255].as_slice()].concat()), "e": "AQAB"}),
                KeyError::Weak,
            ),
            ("exponent 1", json!({"kty": "RSA", "n": rsa(256), "e": "AQ"}), KeyError::Weak),
            (
                "leading zero",
                json!({"kty": "RSA", "n": encode(&[&[0], [0xc1; 256].as_slice()].concat()), "e": "AQAB"}),
                KeyError::Form,
            ),
            ("small order", json!({"kty": "OKP", "crv": "Ed25519", "x": point(0)}), KeyError::Weak),
            ("small order, sign bit", json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&high)}), KeyError::Weak),
            ("padded", json!({"kty": "OKP", "crv": "Ed25519", "x": format!("{}=", point(9))}), KeyError::Form),
            ("X25519", json!({"kty": "OKP", "crv": "X25519", "x": point(9)}), KeyError::Algorithm),
            ("number", json!({"kty": "OKP", "crv": "Ed25519", "x": 9}), KeyError::Form),
            ("not an object", json!([]), KeyError::Algorithm),
        ] {
            assert_eq!(PublicKey::from_jwk(&jwk), Err(expected), "{name}");
        }
    }

    /// RFC 8032 §8.9: every encoding of the points of small order, including non-canonical ones, with either sign bit.
    #[test]
    fn no_encoding_of_a_point_of_small_order_is_a_key() {
        for y in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            let mut x: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&y[2 * at..2 * at + 2], 16).unwrap()).collect();
            for sign in [0, 0x80] {
                x[31] |= sign;
                let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&x)});
                assert_eq!(PublicKey::from_jwk(&jwk), Err(KeyError::Weak), "{y}, sign {sign}");
            }
        }
    }

    #[test]
    fn an_alg_that_does_not_fit_is_refused() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        for alg in [json!("ES256"), json!("none"), json!("HS256"), json!(1), json!(null)] {
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": alg});
            assert_eq!(PublicKey::from_jwk(&jwk), Err(KeyError::Algorithm), "{alg}");
        }
    }
}
