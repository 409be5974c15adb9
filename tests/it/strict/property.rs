//! The fuzz property on stable Rust: seeds, every truncation, every flipped bit, and a second of mutations.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::ORIGIN;
use crate::authenticator::{Authenticator, Key, cbor, decode};

#[path = "../../../fuzz/src/oracle.rs"]
pub mod oracle;

type Oracle = fn(&[u8]) -> bool;

fn seeds_of(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

/// The committed seeds, in the order of their names.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut seeds: Vec<_> = std::fs::read_dir(seeds_of(target))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
        })
        .collect();
    seeds.sort();
    seeds
}

#[test]
fn genuine_seeds_are_accepted() {
    for (target, oracle) in [("registration", oracle::registration as Oracle), ("assertion", oracle::assertion)] {
        let seeds = seeds(target);
        assert!(seeds.len() >= 4, "{target} has seeds");
        for (name, seed) in seeds.iter().filter(|(name, _)| name.starts_with("genuine")) {
            assert!(oracle(seed), "{target}/{name}");
        }
        for (_, seed) in &seeds {
            oracle(seed);
        }
    }
}

/// N26. A truncated object is refused, and so is a complete one around truncated authenticator data. A flipped bit
/// never makes the two readers differ (the oracle asserts this).
#[test]
fn truncations_and_flipped_bits_of_the_attestation_object() {
    let genuine = |wanted: &str| seeds("registration").into_iter().find(|(name, _)| name == wanted).unwrap().1;
    for name in ["genuine-object", "genuine-auth-data"] {
        let seed = genuine(name);
        assert!(oracle::registration(&seed), "{name}");
        for length in 1..seed.len() {
            assert!(!oracle::registration(&seed[..length]), "{name}: {length} of {} bytes", seed.len());
        }
    }
    let seed = genuine("genuine-object");
    let mut accepted = 0;
    for bit in 8..seed.len() * 8 {
        let mut flipped = seed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        accepted += usize::from(oracle::registration(&flipped));
    }
    // AAGUID, counter, credential id, key coordinates and RP id hash are opaque to the reader: about 161 of 194 bytes.
    assert!((1..seed.len() * 8 - 200).contains(&accepted), "{accepted} accepted");
}

#[test]
fn mutated_registrations_read_alike() {
    mutate("registration", oracle::registration);
}

#[test]
fn mutated_assertions_read_alike() {
    mutate("assertion", oracle::assertion);
}

/// Half a second of mutations, always the same sequence.
fn mutate(target: &str, oracle: Oracle) {
    let seeds = seeds(target);
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    let (start, mut runs, mut accepted) = (Instant::now(), 0, 0);
    while start.elapsed() < Duration::from_millis(500) || runs < 500 {
        let mut input = seeds[random.below(seeds.len())].1.clone();
        for _ in 0..=random.below(3) {
            random.mutate(&mut input);
        }
        runs += 1;
        accepted += usize::from(oracle(&input));
    }
    assert!(accepted > runs / 100 && accepted < runs, "{accepted} of {runs} accepted: the mutations teach something");
}

/// A deterministic generator, so that a failure can be repeated.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// Makes one change anywhere but in the first byte, which selects the kind of input.
    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = 1 + self.below(input.len() - 1);
        let byte = self.next().to_be_bytes()[0];
        match self.below(6) {
            0 => input[at] ^= 1 << self.below(8),
            1 => input[at] = byte,
            2 => input.insert(at, byte),
            3 if input.len() > 2 => drop(input.remove(at)),
            4 => {
                let end = (at + 1 + self.below(16)).min(input.len());
                let copied = input[at..end].to_vec();
                input.splice(at..at, copied);
            }
            _ => input[at] = input[at].wrapping_add(1),
        }
    }
}

/// Rewrites the committed seeds, using the software authenticator.
#[test]
#[ignore = "writes files: run it after the authenticator or the oracle changed"]
fn write_the_fuzz_seeds() {
    let challenge = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let create =
        json!({ "challenge": challenge, "rp": { "id": oracle::RP_ID }, "user": { "id": "AQEBAQEBAQEBAQEBAQEBAQ" } });
    let get = json!({ "challenge": challenge, "rpId": oracle::RP_ID });
    let write = |target: &str, name: &str, choice: Option<u8>, bytes: &[u8]| {
        std::fs::create_dir_all(seeds_of(target)).unwrap();
        let content: Vec<u8> = choice.into_iter().chain(bytes.iter().copied()).collect();
        std::fs::write(seeds_of(target).join(name), content).unwrap();
    };
    let mut extended = Authenticator::synchronised(ORIGIN);
    extended.extensions = Some(cbor::map(&[
        (cbor::text("credProtect"), cbor::int(2)),
        (cbor::text("x"), cbor::array(&[cbor::int(-300), cbor::text("é"), cbor::map(&[]), vec![0xf6]])),
    ]));
    let makes = [
        ("genuine-es256", Authenticator::new(ORIGIN)),
        ("genuine-es384", Authenticator::with_key(ORIGIN, Key::es384())),
        ("genuine-rs256", Authenticator::with_key(ORIGIN, Key::rs256())),
        ("genuine-extended", extended),
    ];
    for (name, mut passkey) in makes {
        write("registration", name, Some(0), passkey.create(&create).to_string().as_bytes());
        write("assertion", name, Some(0), passkey.get(&get).to_string().as_bytes());
    }
    let mut passkey = Authenticator::new(ORIGIN);
    let created = passkey.create(&create)["response"].take();
    let got = passkey.get(&get)["response"].take();
    let client_data = decode(&created["clientDataJSON"]);
    write("registration", "genuine-client-data", Some(1), &client_data);
    write("registration", "genuine-object", Some(2), &decode(&created["attestationObject"]));
    write("registration", "genuine-auth-data", Some(3), &decode(&created["authenticatorData"]));
    write("honest", "registration.auth_data", None, &decode(&created["authenticatorData"]));
    write("assertion", "genuine-client-data", Some(1), &decode(&got["clientDataJSON"]));
    write("assertion", "genuine-auth-data", Some(2), &decode(&got["authenticatorData"]));
    write("honest", "assertion.auth_data", None, &decode(&got["authenticatorData"]));
}
