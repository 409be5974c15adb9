//! Remembers tokens whose signature has been verified. An app sends the same token with every request, and verifying it
//! again would be half of the request's cost.
//!
//! Invariants: the only fact remembered is that *this key* signed *these bytes*, including the signature. Everything
//! else about a token (whether its key still counts, its dates, its audience, whether it was revoked) is checked every
//! time. A memory lives and ends with its key and has a fixed size. A refused signature is never stored, so nobody can
//! fill it with forgeries.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::domain::secret::TokenDigest;

/// Tokens remembered for each key, at 40 bytes each.
pub const PLACES: usize = 8192;

/// The memory of one key. Each token has one place, given by its digest, and overwrites the token that was there.
#[derive(Debug, Default)]
pub struct Remembered(OnceLock<Box<[Place]>>);

type Place = Mutex<Option<TokenDigest>>;

impl Remembered {
    /// Whether this exact token was verified before.
    pub fn knows(&self, token: &TokenDigest) -> bool {
        // A key that has verified nothing yet, as most never do, has no places.
        self.0.get().is_some_and(|places| *place(places, token) == Some(*token))
    }

    /// Remembers a verified token.
    pub fn add(&self, token: &TokenDigest) {
        let places = self.0.get_or_init(|| std::iter::repeat_with(Place::default).take(PLACES).collect());
        *place(places, token) = Some(*token);
    }
}

fn place<'a>(places: &'a [Place], token: &TokenDigest) -> MutexGuard<'a, Option<TokenDigest>> {
    let [a, b, ..] = *token.as_bytes();
    // A place is always written as a whole, so it stays valid after a panic of another thread.
    places[usize::from(u16::from_be_bytes([a, b])) % places.len()].lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_added_is_known() {
        let (remembered, other) = (Remembered::default(), Remembered::default());
        let [first, second] = ["a", "b"].map(TokenDigest::of);
        assert!(!remembered.knows(&first));
        remembered.add(&first);
        assert!(remembered.knows(&first) && !remembered.knows(&second));
        assert!(!other.knows(&first), "each key has its own");
    }

    /// Two tokens that share a place are never confused, and the memory does not grow.
    #[test]
    fn a_newer_token_takes_the_place_of_an_older_one() {
        let remembered = Remembered::default();
        let tokens: Vec<_> = (0..4 * PLACES).map(|number| TokenDigest::of(&number.to_string())).collect();
        for token in &tokens {
            assert!(!remembered.knows(token), "nobody else is taken for it");
            remembered.add(token);
            assert!(remembered.knows(token));
        }
        let known = tokens.iter().filter(|token| remembered.knows(token)).count();
        assert!((PLACES / 2..=PLACES).contains(&known), "{known}");
    }

    #[test]
    fn many_threads_remember_at_once() {
        let remembered = Remembered::default();
        let tokens: Vec<_> = (0..64).map(|number| TokenDigest::of(&number.to_string())).collect();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| tokens.iter().for_each(|token| remembered.add(token)));
            }
        });
        // 64 tokens in 8192 places: collisions are rare, and of two colliding tokens the later one is known.
        assert!(tokens.iter().filter(|token| remembered.knows(token)).count() >= 60);
    }
}
