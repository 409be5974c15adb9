//! Randomness, from one cryptographic generator.

use aws_lc_rs::rand;
use uuid::Uuid;

/// `N` random bytes.
///
/// # Panics
/// If the operating system provides no randomness: nothing could be done safely without it.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    rand::fill(&mut out).expect("the operating system's random generator works");
    out
}

/// A random (version 4) UUID.
pub fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(bytes()).into_uuid()
}
