//! Decoy credential IDs for e-mail addresses, so that a request does not reveal who has an account.
//!
//! They are derived from a secret of the installation and the address as the database folds it: the same on every
//! server and for every request, in forms that real passkeys have. With them, every address lists the same number of
//! passkeys, whoever claims it: somebody who claims an address finds their own passkeys among as many others as under
//! an address that nobody else has.

use aws_lc_rs::hmac;

use super::portable::PublicKey;
use crate::clock::Time;
use crate::domain::id::{PasskeyId, UserId};
use crate::storage::credentials::StoredPasskey;

/// The number of passkeys that an address lists: the real ones, and decoys for the rest. For a verified owner with more
/// passkeys, all of them are listed.
pub const LISTED: u8 = 20;

/// Creates decoys. A clone shares only the key.
#[derive(Clone)]
pub struct Decoys(hmac::Key);

/// A listed passkey, as visible from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The credential ID.
    pub id: Vec<u8>,
    /// The transports, as stored for real passkeys.
    pub transports: Vec<String>,
}

impl Decoys {
    /// `key` is a secret derived from the master key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The passkeys that an address lists: its real ones, filled up with decoys to the same number as for any other
    /// address. They are ordered by their IDs, which reveals nothing more than the IDs do.
    pub fn among(&self, real: Vec<Listed>, address: &str, rp_id: &str) -> Vec<Listed> {
        // All decoys are computed, however many are needed: the same steps for every address.
        let mut decoys: Vec<Listed> = (0..LISTED).map(|index| self.one(address, rp_id, index)).collect();
        decoys.truncate(usize::from(LISTED).saturating_sub(real.len()));
        let mut all = real;
        all.append(&mut decoys);
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// A passkey to verify an answer by a decoy against, so that the refusal takes as long as for a stored passkey: it
    /// has a key that nobody uses and a user handle that nobody sends, and is device-bound as often as real ones are.
    pub fn stand_in(&self, rp_id: &str, credential_id: &[u8]) -> StoredPasskey {
        let [synced, handle @ ..] = self.bytes(&[b"stand-in", rp_id.as_bytes(), credential_id]);
        let (key, synced) = (PublicKey::of_nobody(), synced >= 64);
        StoredPasskey {
            id: PasskeyId::random(),
            user: UserId::random(),
            rp_id: rp_id.to_owned(),
            credential_id: credential_id.to_vec(),
            user_handle: Some(handle[..16].to_vec()),
            document: key.document(credential_id, true),
            algorithm: key.algorithm(),
            sign_count: 0,
            user_verified: true,
            backup_eligible: synced,
            backup_state: synced,
            transports: Vec::new(),
            aaguid: None,
            resident: None,
            attested: false,
            name: String::new(),
            created_at: Time::UNIX_EPOCH,
            last_used_at: None,
            suspended_at: None,
            first_use_pending: false,
            backup_flags_known: true,
        }
    }

    fn one(&self, email: &str, rp_id: &str, index: u8) -> Listed {
        let shape = self.bytes(&[b"shape", rp_id.as_bytes(), email.as_bytes(), &[index]]);
        let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        // The lengths and transports of the common kinds: Apple 20, Google and Windows 32 or 16, security keys 48 or
        // 64. About one in seven was created by a browser or an app that reports no transports.
        let (length, transports) = match shape[0] {
            0..=71 => (20, text(&["hybrid", "internal"])),
            72..=139 => (16, text(&["hybrid", "internal"])),
            140..=183 => (32, text(&["internal"])),
            184..=207 => (48, text(&["nfc", "usb"])),
            208..=217 => (64, text(&["usb"])),
            218..=229 => (16, Vec::new()),
            230..=247 => (32, Vec::new()),
            _ => (64, Vec::new()),
        };
        let mut id = Vec::with_capacity(64);
        for block in 0..2 {
            id.extend(self.bytes(&[b"id", rp_id.as_bytes(), email.as_bytes(), &[index, block]]));
        }
        id.truncate(length);
        Listed { id, transports }
    }

    fn bytes(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn of(decoys: &Decoys, email: &str, rp_id: &str) -> Vec<Listed> {
        decoys.among(Vec::new(), email, rp_id)
    }

    #[test]
    fn decoys_are_stable_distinct_and_never_none() {
        let decoys = Decoys::new(&[7; 32]);
        let mut all = BTreeSet::new();
        for n in 0..100 {
            let email = format!("person{n}@example.test");
            let listed = of(&decoys, &email, "x.test");
            assert_eq!(listed, of(&decoys, &email, "x.test"), "the same at every question");
            assert_ne!(listed, of(&decoys, &email, "y.test"), "another RP id, other ids");
            assert_ne!(listed, of(&Decoys::new(&[8; 32]), &email, "x.test"), "another installation, other ids");
            assert_eq!(listed.len(), usize::from(LISTED));
            all.extend(listed.into_iter().map(|listed| listed.id));
        }
        assert_eq!(all.len(), 100 * usize::from(LISTED), "no two are alike");
    }

    /// Somebody who claims an address sees their own passkeys among as many others as if nobody else claimed it.
    #[test]
    fn real_passkeys_take_the_place_of_decoys() {
        let decoys = Decoys::new(&[7; 32]);
        let real = |n: u8| Listed { id: vec![n; 32], transports: vec!["internal".into()] };
        let unclaimed = of(&decoys, "a@example.test", "x.test");
        for count in 0..LISTED + 5 {
            let claimed: Vec<Listed> = (0..count).map(real).collect();
            let listed = decoys.among(claimed.clone(), "a@example.test", "x.test");
            assert_eq!(listed.len(), usize::from(LISTED.max(count)));
            assert!(claimed.iter().all(|own| listed.contains(own)), "none of {count} is left out");
            let others: Vec<&Listed> = listed.iter().filter(|one| !claimed.contains(one)).collect();
            assert_eq!(others.len(), usize::from(LISTED.saturating_sub(count)));
            assert!(others.iter().all(|one| unclaimed.contains(one)), "the rest are those that were there before");
            assert!(listed.is_sorted_by(|one, other| one.id < other.id), "the order tells nothing");
        }
    }

    #[test]
    fn a_stand_in_is_as_a_stored_passkey_that_nobody_has() {
        let decoys = Decoys::new(&[7; 32]);
        let of = |n: u8| decoys.stand_in("x.test", &[n; 32]);
        assert_eq!(PublicKey::of_document(&of(1).document), Some(PublicKey::of_nobody()));
        let cose = PublicKey::of_nobody().to_cose();
        assert_eq!(PublicKey::parse(&cose), Ok(PublicKey::of_nobody()), "a point of its curve");
        assert_eq!(of(1).user_handle, of(1).user_handle, "always the same");
        assert_ne!(of(1).user_handle, of(2).user_handle);
        assert_eq!(of(1).user_handle.map(|handle| handle.len()), Some(16));
        let synced = (0..=255).filter(|n| of(*n).backup_eligible).count();
        assert!((150..230).contains(&synced), "some of 256 are device-bound: {}", 256 - synced);
    }

    /// Some decoys must have every property that real passkeys have, such as reporting no transports; otherwise it
    /// would tell them apart.
    #[test]
    fn some_decoys_do_not_tell_transports() {
        let decoys = Decoys::new(&[7; 32]);
        let all: Vec<Listed> =
            (0..50).flat_map(|n| of(&decoys, &format!("person{n}@example.test"), "x.test")).collect();
        let silent = all.iter().filter(|listed| listed.transports.is_empty()).count();
        assert!((all.len() / 10..all.len() / 5).contains(&silent), "{silent} of {}", all.len());
    }
}
