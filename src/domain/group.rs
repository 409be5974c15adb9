//! Limits of groups: their names, and how many a person may be in. They are the same for the administration API,
//! commands and imports, so that every export can be imported.

use super::text::{self, TextError};

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 100;
/// The most groups of one person.
pub const MOST_OF_A_PERSON: usize = 200;

/// Trims and checks a name. It may contain a `/`, because other systems name groups by their path.
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
