//! Proof Key for Code Exchange, S256 only (RFC 7636).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

/// A `code_challenge` of method S256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Challenge(String);

impl Challenge {
    /// Reads the 43 characters of a base64url-encoded SHA-256.
    pub fn parse(text: &str) -> Option<Self> {
        is_digest(text).then(|| Self(text.to_owned()))
    }

    /// Whether a `code_verifier` (43 to 128 unreserved characters, §4.1) matches the challenge, in constant time.
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
            return false;
        }
        let digest = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        digest.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

/// Whether a text is the canonical base64url form of 32 bytes.
pub(super) fn is_digest(text: &str) -> bool {
    text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    #[test]
    fn the_example_of_the_standard_and_its_neighbours() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.is_met_by(verifier));
        for bad in ["", &verifier[..42], &format!("{verifier}A"), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"] {
            assert!(!challenge.is_met_by(bad), "{bad:?}");
        }
        for length in [42, 129] {
            let verifier = "a".repeat(length);
            let digest = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
            assert!(!Challenge::parse(&digest).unwrap().is_met_by(&verifier), "{length} characters");
        }
        let spaced = format!("{} ", "a".repeat(43));
        let digest = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, spaced.as_bytes()));
        assert!(!Challenge::parse(&digest).unwrap().is_met_by(&spaced), "a space is not unreserved");
    }

    #[test]
    fn a_challenge_is_a_digest() {
        let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        for bad in
            ["", &good[..42], &format!("{good}A"), &format!("{good}="), &good.replace('-', "+"), &"a".repeat(128)]
        {
            assert!(Challenge::parse(bad).is_none(), "{bad:?}");
        }
    }
}
