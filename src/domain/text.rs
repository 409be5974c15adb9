//! Texts that people type: names and e-mail addresses, checked once. Also the hexadecimal form of bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text was refused, as a message for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// Longer than allowed, in characters.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    /// A control character, one that changes the direction of text, or no visible character at all.
    #[error("holds a character that cannot be shown")]
    Unprintable,
    /// Not an address.
    #[error("is not an e-mail address")]
    NotAnEmail,
}

/// Bytes as hexadecimal digits, in lower case.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A name that is shown to people: a person's, or a passkey's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisplayName(String);

impl DisplayName {
    /// Longest name, in characters.
    pub const LONGEST: usize = 64;

    /// Trims and checks: 1–64 characters, at least one of them visible, and no control characters or direction
    /// overrides (which could misrepresent the text around the name).
    pub fn parse(text: &str) -> Result<Self, TextError> {
        shown(text, Self::LONGEST).map(|text| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Trims and checks a line shown to people: 1 to `longest` characters, all of which can be shown.
pub fn shown(text: &str, longest: usize) -> Result<&str, TextError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().count() > longest {
        return Err(TextError::TooLong(longest));
    }
    let all: Vec<char> = text.chars().collect();
    if (0..all.len()).any(|at| is_unprintable(all[at]) && !is_joined(&all, at)) || !all.iter().any(|c| is_seen(*c)) {
        return Err(TextError::Unprintable);
    }
    Ok(text)
}

/// Whether a joiner affects the characters around it, as inside a Persian or Sinhala word or an emoji. Between plain
/// letters it has no effect, and two names could look alike.
fn is_joined(all: &[char], at: usize) -> bool {
    let is_shaped = |c: &char| !c.is_ascii() && !c.is_whitespace() && !is_unprintable(*c);
    let before = at.checked_sub(1).and_then(|before| all.get(before));
    matches!(all[at], '\u{200c}' | '\u{200d}')
        && before.is_some_and(is_shaped)
        && all.get(at + 1).is_some_and(is_shaped)
}

fn is_seen(c: char) -> bool {
    !c.is_whitespace() && !is_unprintable(c) && !is_hidden(c)
}

/// Whether a character is a control, is invisible, or changes the direction of the text around it.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether a character, in addition to those of [`is_unprintable`], is invisible or only controls its surroundings:
/// soft hyphen, Arabic letter mark, joiners and fillers, variation selectors, tags, controls for shorthand, hieroglyphs
/// and musical notation, and code points that Unicode reserves for more of these.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fffc}'
        | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An e-mail address as typed. Whether it belongs to the person is recorded elsewhere (`users.email_verified_at`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email(String);

impl Email {
    /// Checks the form: one `@` with something before it and a host after it, no white space or control characters, at
    /// most 254 bytes (RFC 5321 §4.5.3.1.3). Whether mail arrives is only known by sending one.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.len() > 254 {
            return Err(TextError::TooLong(254));
        }
        if text
            .chars()
            .any(|c| c.is_whitespace() || is_unprintable(c) || matches!(c, '<' | '>' | '"' | ',' | ';' | '\\'))
        {
            return Err(TextError::NotAnEmail);
        }
        match text.split_once('@') {
            Some((local, host))
                if !local.is_empty()
                    && local.len() <= 64
                    && !host.contains('@')
                    && !host.starts_with(['.', '-'])
                    && !host.ends_with(['.', '-'])
                    && !host.is_empty()
                    && !host.contains("..") =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(TextError::NotAnEmail),
        }
    }

    /// The address as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address in lower case, for comparisons in memory. The database folds some letters differently (a capital
    /// sigma at the end of a word, a dotted I), so lookups pass the address unchanged and let it fold both sides.
    pub fn normalised(&self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***@***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(DisplayName::parse("  Ana  ").unwrap().as_str(), "Ana");
        for (text, error) in [
            ("   ", TextError::Empty),
            (&"x".repeat(65), TextError::TooLong(64)),
            ("a\u{202e}b", TextError::Unprintable),
            ("a\nb", TextError::Unprintable),
            ("a\u{0}", TextError::Unprintable),
            ("\u{3164}", TextError::Unprintable),
            ("\u{2800} \u{fe0f}", TextError::Unprintable),
            ("a\u{200b}b", TextError::Unprintable),
            ("a\u{200d}b", TextError::Unprintable),
            ("\u{200c}\u{645}\u{6cc}", TextError::Unprintable),
            ("\u{645}\u{6cc}\u{200c}", TextError::Unprintable),
            ("\u{645}\u{200c}\u{200c}\u{6cc}", TextError::Unprintable),
            ("\u{645}\u{200c} \u{6cc}", TextError::Unprintable),
        ] {
            assert_eq!(DisplayName::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn joiners_belong_to_words_and_emoji() {
        for (language, name) in [
            ("Persian", "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}"),
            ("Sinhala", "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}"),
            ("a family", "Us \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}"),
            ("a flag", "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}"),
        ] {
            assert_eq!(DisplayName::parse(name).unwrap().as_str(), name, "{language}");
        }
    }

    #[test]
    fn emails() {
        assert_eq!(Email::parse(" Ana@Example.test ").unwrap().normalised(), "ana@example.test");
        for text in
            ["ana", "@host", "ana@", "a@b@c", "a b@c.d", "a@.b", "a@b..c", "a@b.", "<a@b.c>", "a@b,c", "a\"@b.c"]
        {
            assert_eq!(Email::parse(text), Err(TextError::NotAnEmail), "{text}");
        }
        assert_eq!(Email::parse(&format!("a@{}", "x".repeat(253))), Err(TextError::TooLong(254)));
        assert_eq!(format!("{:?}", Email::parse("a@b.c").unwrap()), "***@***", "an address never reaches a log");
    }
}
