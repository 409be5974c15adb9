//! Derives the successor of a refresh token.
//!
//! A client that lost a response presents its old token again. Within the retry window it must get the *same* successor
//! from any replica, without anything readable being stored. So the successor's `jti` is computed, not random. With
//! `iat`, `exp` and the signing key's id stored at rotation, the whole token repeats byte for byte (HS256 is
//! deterministic).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::id::FamilyId;

/// The `jti` that follows `jti` in `family`: 43 characters of base64url.
///
/// `key` is the purpose key `refresh-successor`, so that a token does not reveal its successor. The framing (a label,
/// the length of `jti`, `jti`, sixteen bytes of family) is unambiguous.
pub fn successor_jti(key: &[u8], jti: &str, family: FamilyId) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut mac = hmac::Context::with_key(&key);
    mac.update(b"passmint refresh successor v1\0");
    mac.update(&(jti.len() as u64).to_be_bytes());
    mac.update(jti.as_bytes());
    mac.update(family.uuid().as_bytes());
    URL_SAFE_NO_PAD.encode(mac.sign())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_replica_computes_the_same_successor() {
        let family = FamilyId::random();
        assert_eq!(successor_jti(&[1; 32], "a", family), successor_jti(&[1; 32], "a", family));
        assert_eq!(successor_jti(&[1; 32], "a", family).len(), 43);
    }

    #[test]
    fn another_key_token_or_family_has_another_successor() {
        let family = FamilyId::random();
        let base = successor_jti(&[1; 32], "a", family);
        for (name, other) in [
            ("key", successor_jti(&[2; 32], "a", family)),
            ("jti", successor_jti(&[1; 32], "b", family)),
            ("empty jti", successor_jti(&[1; 32], "", family)),
            ("family", successor_jti(&[1; 32], "a", FamilyId::random())),
        ] {
            assert_ne!(base, other, "{name}");
        }
    }

    /// The derivation is part of the stored state of running installations: changing it would fork families at an
    /// upgrade.
    #[test]
    fn the_derivation_does_not_change() {
        let family: FamilyId = "018f3c9e-7b1a-7c3e-9d2f-0a1b2c3d4e5f".parse().unwrap();
        assert_eq!(successor_jti(&[7; 32], "first", family), "bVlvb4TE21JXfinOGjOm05gwdHH7H-vnOerHVBLbwCg");
    }
}
