//! Which characters a value may contain before it becomes part of something structured: a topic, a path, a JID.

use serde::Deserialize;

use super::nkey::{self, Role};

/// A set of characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Charset {
    /// ASCII letters, digits, `-` and `_`: they have no special meaning in any topic, subject, path, pattern or
    /// quotation.
    #[default]
    Name,
    /// Those and `. : / @ + = ~`: for values whose structure is up to the caller.
    Path,
    /// The public key of a NATS user, `U…`, with its checksum.
    Nkey,
    /// Any text that is displayed as it is: no control characters, no line breaks, nothing invisible or bidirectional.
    Text,
}

impl Charset {
    /// Whether all characters of `text` are in the set.
    pub fn holds(self, text: &str) -> bool {
        let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match self {
            Self::Name => text.chars().all(name),
            Self::Path => text.chars().all(|c| name(c) || ".:/@+=~".contains(c)),
            Self::Nkey => nkey::is_public(Role::User, text),
            Self::Text => text.chars().all(is_shown),
        }
    }

    /// A text with characters of the set, of at most `length` bytes if the set allows short texts.
    pub fn sample(self, length: usize) -> String {
        match self {
            Self::Nkey => nkey::public(Role::User, &[7; 32]),
            Self::Name | Self::Path | Self::Text => "sample"[..length.min(6)].to_owned(),
        }
    }

    /// A description of the set.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Name => "letters, digits, `-` and `_`",
            Self::Path => "letters, digits and `-_.:/@+=~`",
            Self::Nkey => "a user's public nkey (U…)",
            Self::Text => "text without control or invisible characters",
        }
    }
}

/// Whether it is neither a control character nor a Unicode mark that is invisible or changes the order of others.
fn is_shown(c: char) -> bool {
    let invisible = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_keeps_out_what_would_become_structure() {
        for hostile in
            ["*", ">", "a b", "a\"b", "a'b", "a\nb", "a\\b", "%2F", "#", "$x", "{", "ü", "аdmin", "\u{202e}x"]
        {
            assert!(!Charset::Name.holds(hostile), "{hostile:?}");
            assert!(!Charset::Path.holds(hostile), "{hostile:?}");
        }
        for separator in [".", ":", "/", "@", "+", "=", "~"] {
            assert!(!Charset::Name.holds(separator) && Charset::Path.holds(separator), "{separator}");
        }
        for shown in ["Ada O'Brien", "אב", "*", "🔑"] {
            assert!(Charset::Text.holds(shown), "{shown}");
        }
        for hidden in ["\u{0}", "\n", "\u{85}", "\u{200b}", "\u{202e}", "\u{2066}", "\u{feff}", "\u{2028}", "\u{e0041}"]
        {
            assert!(!Charset::Text.holds(hidden), "{hidden:?}");
        }
    }
}
