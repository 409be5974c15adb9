//! The minimum authentication context class that a bridge or a protected host requires.

use super::problems::{Wrong, quoted};
use crate::bridge::MinAcr;

/// The values that can be required: those that a sign-in can reach.
pub(super) const WORDS: &[&str] = &["phr"];

const CURE: &str = "write \"phr\", or leave it out";

/// Reads a value. One that no ceremony reaches would lock everybody out permanently, so it is a mistake.
pub(super) fn parse(text: &str) -> Result<MinAcr, Wrong> {
    match MinAcr::parse(text) {
        Some(acr) if acr.is_reachable() => Ok(acr),
        Some(_) => {
            let what = format!("is {}, which nobody reaches: attestation is not verified yet", quoted(text));
            Err(Wrong::new(what, CURE))
        }
        None => Err(Wrong::new(format!("is {}, which is none", quoted(text)), CURE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_that_a_sign_in_reaches() {
        let reachable: Vec<&str> =
            MinAcr::ALL.iter().filter(|acr| acr.is_reachable()).map(|acr| acr.as_str()).collect();
        assert_eq!(WORDS, reachable);
        for acr in MinAcr::ALL {
            assert_eq!(parse(acr.as_str()).is_ok(), acr.is_reachable(), "{}", acr.as_str());
        }
        assert!(parse("high").is_err());
    }
}
