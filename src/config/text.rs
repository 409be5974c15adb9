//! Parsers for single values: durations (`10m`), sizes (`32KiB`), names.
//!
//! Each parser takes the text and returns the typed value or what is [`Wrong`]. To add a form of value: a function
//! here, and a [`super::section::Kind`] that describes it in the documentation.

use chrono::Duration;

use super::problems::{Wrong, quoted};
use crate::domain::client::fields;
use crate::domain::duration::{self, number_and_unit};

/// Reads a whole number with a unit: `500ms`, `90s`, `10m`, `24h`, `30d`.
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    duration::parse(text).map_err(|_| Wrong::new(format!("{} is not a duration", quoted(text)), duration::FORM))
}

/// Reads a whole number of bytes with a unit: `512B`, `32KiB`, `1MiB`.
pub(super) fn size(text: &str) -> Result<u64, Wrong> {
    let wrong = || {
        let what = format!("{} is not a size", quoted(text));
        Wrong::new(what, "write a whole number and a unit (B, KiB, MiB), for example \"32KiB\"")
    };
    let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// Reads `true` or `false`, as variables and flags write them.
pub(super) fn switch(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Reads the name of a relying party, client or bridge: `[a-z0-9][a-z0-9_-]{0,62}`, so that it can be used unchanged in
/// URLs, scopes and file names.
pub(super) fn name(text: &str) -> Result<String, Wrong> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = text.len() <= 63 && text.starts_with(good) && text.chars().all(|c| good(c) || c == '_' || c == '-');
    fits.then(|| text.to_owned()).ok_or_else(|| {
        let what = format!("{} is not a name", quoted(text));
        Wrong::new(what, "use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit")
    })
}

/// Reads text shown to people: not blank, one line, at most 100 characters.
pub(super) fn display_name(text: &str) -> Result<String, Wrong> {
    fields::display_name(text).map(|()| text.to_owned()).map_err(|fault| Wrong::in_value(text, fault))
}

/// Reads a word without spaces or control characters, at most 512 bytes: an audience, an issuer, an identifier.
pub(super) fn identifier(text: &str) -> Result<String, Wrong> {
    fields::identifier(text).map(|()| text.to_owned()).map_err(|fault| Wrong::in_value(text, fault))
}

/// Reads one scope (RFC 6749 §3.3: printable ASCII without space, `"` and `\`).
pub(super) fn scope(text: &str) -> Result<String, Wrong> {
    let fits =
        !text.is_empty() && text.len() <= 128 && text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\');
    fits.then(|| text.to_owned()).ok_or_else(|| {
        let what = format!("{} is not a scope", quoted(text));
        Wrong::new(what, "write one scope in each element, in printable ASCII without space, \" and \\")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("512B"), Ok(512));
        assert_eq!(size("32KiB"), Ok(32 * 1024));
        assert_eq!(size("1MiB"), Ok(1024 * 1024));
        for bad in ["", "32", "32KB", "32kib", "-1B", "18446744073709551615MiB"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_and_scopes() {
        for good in ["a", "0", "web-app_2", &"x".repeat(63)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "A", "a.b", "a b", "ä", &"x".repeat(64)] {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert!(scope("bridge:*").is_ok());
        for bad in ["", "openid email", "a\"b", "a\\b", "ä"] {
            assert!(scope(bad).is_err(), "{bad}");
        }
    }
}
