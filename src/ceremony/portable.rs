//! Public keys that are imported from and exported to other systems, as COSE; and the library's document for such a
//! key.
//!
//! What must always hold: an imported key has the form that the strict parser requires, and its point lies on its
//! curve, so that the holder of the private key can sign in with it; an exported key is the canonical encoding of the
//! same key (CTAP2: integers ascending by their encoding), whatever form it was imported in.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ParsedPublicKey};
use serde_json::Value;
use webauthn_rs::prelude::{Credential, Passkey};
use webauthn_rs_core::proto::{
    AttestationFormat, COSEAlgorithm, COSEEC2Key, COSEKey, COSEKeyType, COSERSAKey, ECDSACurve, ParsedAttestation,
    RegisteredExtensions, UserVerificationPolicy,
};

use super::strict::Reason;
use super::strict::cbor::Reader;
use super::strict::cose::{self, Parts};

const ES256: i32 = -7;
const ES384: i32 = -35;
const RS256: i32 = -257;

/// Why a public key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// Not a single COSE_Key.
    #[error("is no COSE key ({0})")]
    Malformed(Reason),
    /// A well-formed key that the verifier does not support: another algorithm, curve or size.
    #[error("is a key of an algorithm that is not supported ({0})")]
    Unsupported(i32),
    /// The coordinates are not a point on the curve.
    #[error("is no point of its curve")]
    NotOnCurve,
}

/// A public key that can verify signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: i32,
    first: Vec<u8>,
    second: Vec<u8>,
}

impl PublicKey {
    /// Parses and validates a COSE_Key.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyProblem> {
        let mut reader = Reader::new(bytes);
        let read = cose::parts(&mut reader).and_then(|parts| Ok(reader.end().map(|()| parts)?));
        match read {
            Ok(parts) => Self::prove(parts),
            Err(Reason::KeyAlgorithm | Reason::RsaModulus | Reason::RsaExponent) => Err(unsupported(bytes)),
            Err(reason) => Err(KeyProblem::Malformed(reason)),
        }
    }

    fn prove(Parts { algorithm, first, second }: Parts<'_>) -> Result<Self, KeyProblem> {
        let algorithm = i32::try_from(algorithm).map_err(|_| KeyProblem::Malformed(Reason::KeyAlgorithm))?;
        // The uncompressed point of SEC 1 §2.3.3.
        let point = || [&[4], first, second].concat();
        match algorithm {
            ES256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point()).map(drop),
            ES384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, point()).map(drop),
            _ => Ok(()),
        }
        .map_err(|_| KeyProblem::NotOnCurve)?;
        Ok(Self { algorithm, first: first.to_vec(), second: second.to_vec() })
    }

    /// A key that nobody signs in with: it stands in for keys that are not stored, where their absence must not be
    /// visible. It is the key from the examples in RFC 6979 (§A.2.5), whose private half is public.
    pub fn of_nobody() -> Self {
        let first = [
            0x60, 0xfe, 0xd4, 0xba, 0x25, 0x5a, 0x9d, 0x31, 0xc9, 0x61, 0xeb, 0x74, 0xc6, 0x35, 0x6d, 0x68, 0xc0, 0x49,
            0xb8, 0x92, 0x3b, 0x61, 0xfa, 0x6c, 0xe6, 0x69, 0x62, 0x2e, 0x60, 0xf2, 0x9f, 0xb6,
        ];
        let second = [
            0x79, 0x03, 0xfe, 0x10, 0x08, 0xb8, 0xbc, 0x99, 0xa4, 0x1a, 0xe9, 0xe9, 0x56, 0x28, 0xbc, 0x64, 0xf2, 0xf1,
            0xb2, 0x0c, 0x2d, 0x7e, 0x9f, 0x51, 0x77, 0xa3, 0xc2, 0x94, 0xd4, 0x46, 0x22, 0x99,
        ];
        Self { algorithm: ES256, first: first.to_vec(), second: second.to_vec() }
    }

    /// The COSE algorithm identifier.
    pub const fn algorithm(&self) -> i32 {
        self.algorithm
    }

    /// The canonical COSE_Key.
    pub fn to_cose(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(300);
        let curve: u8 = if self.algorithm == ES384 { 2 } else { 1 };
        match self.algorithm {
            RS256 => {
                out.extend([0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20]);
                byte_string(&mut out, &self.first);
                out.push(0x21);
            }
            algorithm => {
                out.extend([0xa5, 0x01, 0x02, 0x03]);
                out.extend(if algorithm == ES384 { &[0x38, 0x22][..] } else { &[0x26] });
                out.extend([0x20, curve, 0x21]);
                byte_string(&mut out, &self.first);
                out.push(0x22);
            }
        }
        byte_string(&mut out, &self.second);
        out
    }

    /// The library's document of a passkey with this key. Counter and flags are stored separately.
    ///
    /// # Panics
    /// Never: the library's own document can be serialized.
    pub fn document(&self, credential_id: &[u8], user_verified: bool) -> Value {
        let policy = if user_verified { UserVerificationPolicy::Required } else { UserVerificationPolicy::Preferred };
        let passkey = Passkey::from(Credential {
            cred_id: credential_id.to_vec(),
            cred: self.for_library(),
            counter: 0,
            transports: None,
            user_verified,
            backup_eligible: false,
            backup_state: false,
            registration_policy: policy,
            extensions: RegisteredExtensions::none(),
            attestation: ParsedAttestation::default(),
            attestation_format: AttestationFormat::None,
        });
        serde_json::to_value(passkey).expect("the library's own document is JSON")
    }

    /// The key in the library's document; `None` if the document contains another kind of key.
    pub fn of_document(document: &Value) -> Option<Self> {
        let passkey: Passkey = serde_json::from_value(document.clone()).ok()?;
        let key = passkey.get_public_key();
        let (algorithm, first, second) = match (&key.type_, &key.key) {
            (COSEAlgorithm::ES256, COSEKeyType::EC_EC2(key)) => (ES256, key.x.clone(), key.y.clone()),
            (COSEAlgorithm::ES384, COSEKeyType::EC_EC2(key)) => (ES384, key.x.clone(), key.y.clone()),
            (COSEAlgorithm::RS256, COSEKeyType::RSA(key)) => (RS256, key.n.clone(), key.e.to_vec()),
            _ => return None,
        };
        Some(Self { algorithm, first, second })
    }

    fn for_library(&self) -> COSEKey {
        let elliptic = |curve| COSEKeyType::EC_EC2(COSEEC2Key { curve, x: self.first.clone(), y: self.second.clone() });
        match self.algorithm {
            ES384 => COSEKey { type_: COSEAlgorithm::ES384, key: elliptic(ECDSACurve::SECP384R1) },
            RS256 => {
                let mut exponent = [0; 3];
                exponent.copy_from_slice(&self.second);
                let key = COSEKeyType::RSA(COSERSAKey { n: self.first.clone(), e: exponent });
                COSEKey { type_: COSEAlgorithm::RS256, key }
            }
            _ => COSEKey { type_: COSEAlgorithm::ES256, key: elliptic(ECDSACurve::SECP256R1) },
        }
    }
}

/// Reports a complete key with an unknown algorithm, which may be supported some day, as unsupported; anything else as
/// malformed.
fn unsupported(bytes: &[u8]) -> KeyProblem {
    let mut reader = Reader::new(bytes);
    let read = cose::algorithm(&mut reader).and_then(|algorithm| Ok(reader.end().map(|()| algorithm)?));
    match read.map(i32::try_from) {
        Ok(Ok(algorithm)) => KeyProblem::Unsupported(algorithm),
        Ok(Err(_)) => KeyProblem::Malformed(Reason::KeyAlgorithm),
        Err(reason) => KeyProblem::Malformed(reason),
    }
}

/// RFC 8949 §3.1: a byte string of at most 65,535 bytes in its shortest form.
fn byte_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let [high, low] = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    match (high, low) {
        (0, 0..24) => out.push(0x40 | low),
        (0, _) => out.extend([0x58, low]),
        _ => out.extend([0x59, high, low]),
    }
    out.extend(bytes);
}

#[cfg(test)]
#[path = "portable_tests.rs"]
mod tests;
