//! What people type: names and e-mail addresses, checked once. And how bytes are written for them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text was refused; the message is for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// Longer than allowed, in characters.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    /// A control character or one that changes the direction of the text around it.
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

    /// Trims and checks: 1–64 characters, none of them a control or a direction override (which could make a name lie
    /// about the text beside it).
    pub fn parse(text: &str) -> Result<Self, TextError> {
        shown(text, Self::LONGEST).map(|text| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Trims and checks a line that is shown to people: 1 to `longest` characters, all of which can be shown.
pub fn shown(text: &str, longest: usize) -> Result<&str, TextError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().count() > longest {
        return Err(TextError::TooLong(longest));
    }
    if text.chars().any(is_unprintable) {
        return Err(TextError::Unprintable);
    }
    Ok(text)
}

/// Whether a character is a control, shows nothing, or turns the direction of what stands beside it.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An e-mail address as somebody typed it. Whether it is theirs is another question (see `users.email_verified_at`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email(String);

impl Email {
    /// Checks the shape that mail can be sent to: one `@`, something before it, a host after it, no white space or
    /// control, at most 254 bytes (RFC 5321 §4.5.3.1.3). Whether mail arrives is only known by sending one.
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

    /// The form that two spellings of one address share: lower case throughout, so that "Alice@" and "alice@" are one
    /// person to the look-ups and to the decoys alike.
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
        ] {
            assert_eq!(DisplayName::parse(text), Err(error), "{text:?}");
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
