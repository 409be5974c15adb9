//! Credential ids for addresses that nobody has a passkey under, so that asking does not tell who has an account.
//!
//! They follow from a secret of the installation and the normalised address: the same on every server and at every
//! question, in counts and shapes that real accounts have.

use aws_lc_rs::hmac;

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

    /// One to three decoys for an address: mostly one, as real accounts have.
    pub fn of(&self, normalised_email: &str, rp_id: &str) -> Vec<Listed> {
        let seed = self.bytes(&[b"count", rp_id.as_bytes(), normalised_email.as_bytes()]);
        let count = match seed[0] {
            0..=159 => 1,
            160..=223 => 2,
            _ => 3,
        };
        (0..count).map(|index: u8| self.one(normalised_email, rp_id, index)).collect()
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
    use super::*;

    #[test]
    fn decoys_are_stable_distinct_and_never_none() {
        let decoys = Decoys::new(&[7; 32]);
        let counts: Vec<usize> = (0..600)
            .map(|n| {
                let email = format!("person{n}@example.test");
                let listed = decoys.of(&email, "x.test");
                assert_eq!(listed, decoys.of(&email, "x.test"), "the same at every question");
                assert_ne!(listed, decoys.of(&email, "y.test"), "another RP id, other ids");
                assert_ne!(listed, Decoys::new(&[8; 32]).of(&email, "x.test"), "another installation, other ids");
                listed.len()
            })
            .collect();
        assert!(counts.iter().all(|count| (1..=3).contains(count)));
        assert!(counts.contains(&1) && counts.contains(&2) && counts.contains(&3));
    }

    /// What real passkeys have, some decoys have too, or it would tell them apart: whether transports are told or not.
    #[test]
    fn some_decoys_do_not_tell_transports() {
        let decoys = Decoys::new(&[7; 32]);
        let all: Vec<Listed> = (0..600).flat_map(|n| decoys.of(&format!("person{n}@example.test"), "x.test")).collect();
        let silent = all.iter().filter(|listed| listed.transports.is_empty()).count();
        assert!((all.len() / 10..all.len() / 5).contains(&silent), "{silent} of {}", all.len());
    }
}
