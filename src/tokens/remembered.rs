//! Tokens whose signature was found good before. An app shows the same token with every request, and to verify it again would
//! be half of what the request costs.
//!
//! What must always hold: remembered is only that *this key* signed *these bytes*, the signature among them. All else about a
//! token (whether its key still counts, its dates, whom it is for, whether it was revoked) is asked every time. A memory lives
//! and ends with its key, has one size, and learns nothing from a signature that is refused, so that nobody can fill it with
//! forgeries.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::domain::secret::TokenDigest;

/// Tokens remembered for a key, at 40 bytes each.
pub const PLACES: usize = 8192;

/// The memory of one key. Each token has one place, by its digest, and takes it from whoever had it.
#[derive(Debug, Default)]
pub struct Remembered(OnceLock<Box<[Place]>>);

type Place = Mutex<Option<TokenDigest>>;

impl Remembered {
    /// Whether this very token was found good before.
    pub fn knows(&self, token: &TokenDigest) -> bool {
        // A key that verified nothing yet, as most never do, has no places.
        self.0.get().is_some_and(|places| *place(places, token) == Some(*token))
    }

    /// Remembers a token that was found good.
    pub fn add(&self, token: &TokenDigest) {
        let places = self.0.get_or_init(|| std::iter::repeat_with(Place::default).take(PLACES).collect());
        *place(places, token) = Some(*token);
    }
}

fn place<'a>(places: &'a [Place], token: &TokenDigest) -> MutexGuard<'a, Option<TokenDigest>> {
    let [a, b, ..] = *token.as_bytes();
    // What is in a place is written whole, so it is good also where a thread died beside it.
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

    /// Two tokens of one place are never taken for each other, and the memory does not grow.
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
        // 64 of 8192 places: hardly two of one place, and of two the later is known.
        assert!(tokens.iter().filter(|token| remembered.knows(token)).count() >= 60);
    }
}
