//! Public keys as `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7) in PEM (RFC 7468 §13), for systems that cannot read a JWK.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KeyError, PublicKey};

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
    /// The key as a `PUBLIC KEY` PEM block.
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

    /// Reads one `PUBLIC KEY` PEM block.
    ///
    /// # Errors
    /// [`KeyError::Form`] for anything else: another label, several blocks, a key type or curve that we do not use,
    /// another encoding of the same key; [`KeyError::Weak`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let spki = block(pem).ok_or(KeyError::Form)?;
        let key = if let Some(point) = spki.strip_prefix(P256_HEAD.as_slice()) {
            Self::p256_from_point(point)
        } else if let Some(x) = spki.strip_prefix(ED25519_HEAD.as_slice()) {
            Self::ed25519(x)
        } else {
            let (n, e) = rsa_numbers(&spki).ok_or(KeyError::Form)?;
            Self::rsa(n, e)
        }?;
        // A key has exactly one DER encoding: the input must equal what we would write.
        if key.to_spki() == spki { Ok(key) } else { Err(KeyError::Form) }
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

/// The content of the only `PUBLIC KEY` block in a text.
fn block(pem: &str) -> Option<Vec<u8>> {
    let (before, rest) = pem.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, after) = rest.split_once("-----END PUBLIC KEY-----")?;
    if before.contains("-----") || after.contains("-----") {
        return None;
    }
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok()
}

/// The content of an element with this tag, and the bytes after it.
fn content(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        _ => return None,
    };
    (found == tag && length <= rest.len()).then(|| rest.split_at(length))
}

/// The modulus and the exponent of an RSA key.
fn rsa_numbers(spki: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (outer, _) = content(0x30, spki)?;
    let (bits, _) = content(0x03, outer.strip_prefix(RSA_ALGORITHM.as_slice())?)?;
    let (key, _) = content(0x30, bits.strip_prefix(&[0])?)?;
    let (n, rest) = content(0x02, key)?;
    let (e, _) = content(0x02, rest)?;
    let bare = |number: &[u8]| number.strip_prefix(&[0]).unwrap_or(number).to_vec();
    Some((bare(n), bare(e)))
}

/// The bytes of a non-negative INTEGER.
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

    /// Compares each key type with the library's own encoding of the same key.
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
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let keys = [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA]
            .map(|algorithm| KeyMaterial::generate(algorithm).unwrap().public().cloned().unwrap());
        for key in &keys {
            let pem = key.to_pem();
            assert_eq!(&PublicKey::from_pem(&pem).unwrap(), key);
            assert_eq!(&PublicKey::from_pem(&format!("  {}\r\n", pem.replace('\n', "\r\n"))).unwrap(), key);
            for (name, spoilt) in [
                ("nothing", String::new()),
                ("another label", pem.replace("PUBLIC", "PRIVATE")),
                ("two blocks", format!("{pem}{pem}")),
                ("no end", pem.replace("-----END", "")),
                ("cut", pem.replacen('A', "", 1)),
                ("more bytes", pem.replace("-----END", "AAAA\n-----END")),
            ] {
                assert_eq!(PublicKey::from_pem(&spoilt), Err(KeyError::Form), "{name}");
            }
            // Any changed byte makes the input invalid or gives another key.
            let written = der(&pem);
            for at in 0..written.len() {
                let mut other = written.clone();
                other[at] ^= 1;
                let text = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(&other));
                assert_ne!(PublicKey::from_pem(&text).as_ref(), Ok(key), "byte {at}");
            }
        }
        let weak = PublicKey::Rsa { n: vec![0xc1; 128], e: vec![1, 0, 1] }.to_pem();
        assert_eq!(PublicKey::from_pem(&weak), Err(KeyError::Weak));
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
