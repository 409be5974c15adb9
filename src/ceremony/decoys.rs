//! Credential ids for addresses that nobody has a passkey under, so that asking does not tell who has an account.
//!
//! They follow from a secret of the installation and the address as the database folds it: the same on every server and at every
//! question, in shapes that real passkeys have. With them every address lists as many passkeys as any other, whoever claims it:
//! somebody who claims an address themselves finds their own among as many others as under one that nobody else has.

use aws_lc_rs::hmac;

use super::portable::PublicKey;
use crate::clock::Time;
use crate::domain::id::{PasskeyId, UserId};
use crate::storage::credentials::StoredPasskey;

/// So many passkeys an address lists: the real ones, and decoys for the rest. A verified owner who has more still has all theirs
/// listed.
pub const LISTED: u8 = 20;

/// Makes decoys. Cloning shares nothing but the key.
#[derive(Clone)]
pub struct Decoys(hmac::Key);

/// What a listed passkey looks like from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Credential id.
    pub id: Vec<u8>,
    /// Transports, as they are kept for real ones.
    pub transports: Vec<String>,
}

impl Decoys {
    /// From a secret derived from the master key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// What an address lists: its real passkeys, and decoys that make them as many as under any other address. In the order of
    /// their ids, which tells nothing that the ids do not.
    pub fn among(&self, real: Vec<Listed>, address: &str, rp_id: &str) -> Vec<Listed> {
        // All are made, however many are wanted: the same steps for every address.
        let mut decoys: Vec<Listed> = (0..LISTED).map(|index| self.one(address, rp_id, index)).collect();
        decoys.truncate(usize::from(LISTED).saturating_sub(real.len()));
        let mut all = real;
        all.append(&mut decoys);
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// What an answer by a decoy is verified against, so that its refusal takes as long as that of a stored passkey's: the key of
    /// nobody, under a handle that nobody sends, device-bound as often as real ones are.
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
        // The lengths and transports of the common kinds: Apple 20, Google and Windows 32 or 16, security keys 48 or 64. One
        // in seven or so was made by a browser or an app that does not tell transports.
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

    /// Whoever claims an address sees their own passkeys among as many others as if nobody else did.
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

    /// What real passkeys have, some decoys have too, or it would tell them apart: whether transports are told or not.
    #[test]
    fn some_decoys_do_not_tell_transports() {
        let decoys = Decoys::new(&[7; 32]);
        let all: Vec<Listed> =
            (0..50).flat_map(|n| of(&decoys, &format!("person{n}@example.test"), "x.test")).collect();
        let silent = all.iter().filter(|listed| listed.transports.is_empty()).count();
        assert!((all.len() / 10..all.len() / 5).contains(&silent), "{silent} of {}", all.len());
    }
}
