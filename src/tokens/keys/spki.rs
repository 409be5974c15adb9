//! Public keys as `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7) in PEM (RFC 7468 §13): for those who cannot read a JWK.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::PublicKey;

/// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of an uncompressed point } (RFC 5480 §2).
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// SEQUENCE { SEQUENCE { id-Ed25519 }, BIT STRING of 32 bytes } (RFC 8410 §4).
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// SEQUENCE { rsaEncryption, NULL } (RFC 3279 §2.3.1).
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

impl PublicKey {
    /// The key as a PEM block `PUBLIC KEY`.
    pub fn to_pem(&self) -> String {
        let body = STANDARD.encode(self.to_spki());
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = more;
        }
        pem + "-----END PUBLIC KEY-----\n"
    }

    fn to_spki(&self) -> Vec<u8> {
        match self {
            Self::P256 { x, y } => [&P256_HEAD, [4].as_slice(), x, y].concat(),
            Self::Ed25519 { x } => [ED25519_HEAD.as_slice(), x].concat(),
            Self::Rsa { n, e } => {
                let key = element(0x30, &[unsigned(n), unsigned(e)].concat());
                let bits = element(0x03, &[[0].as_slice(), &key].concat());
                element(0x30, &[RSA_ALGORITHM.as_slice(), &bits].concat())
            }
        }
    }
}

/// An INTEGER that is not negative.
fn unsigned(number: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if number.first().is_some_and(|first| first & 0x80 != 0) { &[0] } else { &[] };
    element(0x02, &[sign, number].concat())
}

/// Tag, length, content (X.690 §8.1).
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut out = vec![tag];
    if content.len() < 0x80 {
        out.push(significant[0]);
    } else {
        out.push(0x80 | u8::try_from(significant.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(significant);
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    };

    use super::*;
    use crate::tokens::keys::{Algorithm, KeyMaterial};

    fn der(pem: &str) -> Vec<u8> {
        let body = pem.strip_prefix("-----BEGIN PUBLIC KEY-----\n").unwrap();
        let body = body.strip_suffix("-----END PUBLIC KEY-----\n").unwrap();
        assert!(body.lines().all(|line| line.len() <= 64), "RFC 7468 §2");
        STANDARD.decode(body.replace('\n', "")).unwrap()
    }

    /// The library's own encoding of the same key, for each kind.
    #[test]
    fn each_kind_is_what_the_library_writes() {
        for algorithm in [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA] {
            let key = KeyMaterial::generate(algorithm).unwrap();
            let pkcs8 = key.secret().expose();
            let expected: PublicKeyX509Der<'_> = match algorithm {
                Algorithm::ES256 => {
                    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).unwrap();
                    pair.public_key().as_der().unwrap()
                }
                Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8(pkcs8).unwrap().public_key().as_der().unwrap(),
                _ => RsaKeyPair::from_pkcs8(pkcs8).unwrap().public_key().as_der().unwrap(),
            };
            assert_eq!(der(&key.public().unwrap().to_pem()), expected.as_ref(), "{algorithm}");
        }
    }

    #[test]
    fn an_rsa_key_of_any_size_has_its_lengths_right() {
        for size in [KeySize::Rsa3072, KeySize::Rsa4096] {
            let pair = RsaKeyPair::generate(size).unwrap();
            let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
            let key = KeyMaterial::from_stored(Algorithm::RS256, pkcs8.as_ref().to_vec()).unwrap();
            let expected: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            assert_eq!(der(&key.public().unwrap().to_pem()), expected.as_ref());
        }
    }
}
