//! Groups: how they may be called and how many somebody may be in, whoever says so: the administration API, a command, or an
//! import. What one of them takes the others take, so that every export can be imported.

use super::text::{self, TextError};

/// Longest name, in characters.
pub const LONGEST_NAME: usize = 100;
/// Most groups of one person.
pub const MOST_OF_A_PERSON: usize = 200;

/// Trims and checks a name. It may hold a `/`: other systems call groups by their path.
pub fn name(text: &str) -> Result<&str, TextError> {
    text::shown(text, LONGEST_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["staff", "staff/engines", "Größe 1", &"ä".repeat(LONGEST_NAME)] {
            assert_eq!(name(good), Ok(good));
        }
        assert_eq!(name(" staff "), Ok("staff"));
        for (bad, error) in [
            (" ", TextError::Empty),
            (&*"ä".repeat(LONGEST_NAME + 1), TextError::TooLong(LONGEST_NAME)),
            ("a\0", TextError::Unprintable),
            ("a\nb", TextError::Unprintable),
            ("a\u{202e}b", TextError::Unprintable),
        ] {
            assert_eq!(name(bad), Err(error), "{bad:?}");
        }
    }
}
