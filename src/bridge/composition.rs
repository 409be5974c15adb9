//! A text with structure and placeholders for values: `tmpl('usr.{}.>', user.id)`.
//!
//! What must always hold: an inserted value remains a single value. It may contain nothing that has a special meaning
//! in any topic, subject, path, pattern, quotation or permission, and it is never empty.

use super::charset::Charset;

/// Maximum length of a single value, in bytes.
const MAX_VALUE: usize = 255;

/// A text, split at its placeholders `{}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition {
    pieces: Vec<String>,
}

impl Composition {
    /// Parses a text with at least one placeholder; `None` if it has none.
    pub fn parse(text: &str) -> Option<Self> {
        let pieces: Vec<String> = text.split("{}").map(ToOwned::to_owned).collect();
        (pieces.len() > 1).then_some(Self { pieces })
    }

    /// The number of placeholders.
    pub const fn places(&self) -> usize {
        self.pieces.len() - 1
    }

    /// The text with one value for each placeholder; `None` if their numbers differ, or if a value is not harmless.
    pub fn fill(&self, values: &[impl AsRef<str>]) -> Option<String> {
        let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
        if values.len() != self.places() || !values.iter().all(|value| is_harmless(value)) {
            return None;
        }
        let mut filled = self.pieces[0].clone();
        for (value, piece) in values.iter().zip(&self.pieces[1..]) {
            filled.push_str(value);
            filled.push_str(piece);
        }
        Some(filled)
    }
}

fn is_harmless(value: &str) -> bool {
    (1..=MAX_VALUE).contains(&value.len()) && Charset::Name.holds(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_to_their_places() {
        let text = Composition::parse("a.{}.b.{}").unwrap();
        assert_eq!(text.places(), 2);
        assert_eq!(text.fill(&["x", "y"]).as_deref(), Some("a.x.b.y"));
        assert_eq!(text.fill(&["{}", "y"]), None, "a value is no text with places");
        assert_eq!(text.fill(&["x"]), None);
        assert_eq!(Composition::parse("no place"), None);
        assert_eq!(Composition::parse("{}").unwrap().fill(&["x"]).as_deref(), Some("x"));
    }

    #[test]
    fn nothing_with_a_meaning_is_put_in() {
        let text = Composition::parse("usr.{}.>").unwrap();
        let long = "x".repeat(256);
        for hostile in
            ["", "*", ">", "a.b", "a b", "a/b", "a:b", "a,b", "a\"b", "a'b", "a\nb", "a%2Fb", "ü", "\u{202e}", &long]
        {
            assert_eq!(text.fill(&[hostile]), None, "{hostile:?}");
        }
    }
}
