//! An operation that a person signs with a passkey: what they are shown, and the hash that represents it.
//!
//! Invariant: what is hashed is what is shown. So every text is one line without control characters, invisible
//! characters or characters that change the direction of text; and there is one canonical form (RFC 8785), which anyone
//! can recompute from the same members.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::text::{is_hidden, is_unprintable};

/// The longest name of a kind of operation, in bytes.
pub const LONGEST_KIND: usize = 64;
/// The longest title, in characters.
pub const LONGEST_TITLE: usize = 120;
/// The most details.
pub const MOST_DETAILS: usize = 20;
/// The longest label of a detail, in characters.
pub const LONGEST_LABEL: usize = 40;
/// The longest value of a detail, in characters.
pub const LONGEST_VALUE: usize = 200;
/// The largest canonical form, in bytes: the proof contains the whole operation.
pub const LARGEST: usize = 4096;

/// One line of what the person is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    /// The label: "Amount".
    pub label: String,
    /// The value: "100.00 EUR".
    pub value: String,
}

/// An operation. Its members are declared in the order of RFC 8785 §3.2.3 and contain only texts and lists of them, so
/// that the compact JSON of this type is its canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// What the person reads, line by line. If omitted it is empty, and written as `[]` in the canonical form.
    #[serde(default)]
    pub details: Vec<Detail>,
    /// The app's name for this kind of operation: `payment`. Not shown.
    pub kind: String,
    /// What the person signs, as a sentence: "Pay 100.00 EUR to Acme".
    pub title: String,
}

/// Why an operation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// The kind is not a plain name.
    #[error("`kind` must be 1 to {LONGEST_KIND} letters, digits, dots, hyphens and underscores")]
    Kind,
    /// The title cannot be shown.
    #[error("`title` must be 1 to {LONGEST_TITLE} characters on one line that can all be seen")]
    Title,
    /// Too many lines.
    #[error("`details` may have at most {MOST_DETAILS} lines")]
    TooMany,
    /// A label cannot be shown.
    #[error("a label must be 1 to {LONGEST_LABEL} characters on one line that can all be seen")]
    Label,
    /// A label occurs twice, so that one value could hide behind the other.
    #[error("a label stands twice")]
    Twice,
    /// A value cannot be shown.
    #[error("a value must be 1 to {LONGEST_VALUE} characters on one line that can all be seen")]
    Value,
    /// The whole operation is too large.
    #[error("the operation is larger than {LARGEST} bytes")]
    TooLarge,
}

impl Operation {
    /// Whether it can be shown and signed.
    pub fn check(&self) -> Result<(), OperationError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if !(1..=LONGEST_KIND).contains(&self.kind.len()) || !self.kind.bytes().all(plain) {
            return Err(OperationError::Kind);
        }
        if !is_shown(&self.title, LONGEST_TITLE) {
            return Err(OperationError::Title);
        }
        if self.details.len() > MOST_DETAILS {
            return Err(OperationError::TooMany);
        }
        for (index, detail) in self.details.iter().enumerate() {
            if !is_shown(&detail.label, LONGEST_LABEL) {
                return Err(OperationError::Label);
            }
            if !is_shown(&detail.value, LONGEST_VALUE) {
                return Err(OperationError::Value);
            }
            if self.details[..index].iter().any(|before| before.label == detail.label) {
                return Err(OperationError::Twice);
            }
        }
        if self.canonical().len() > LARGEST { Err(OperationError::TooLarge) } else { Ok(()) }
    }

    /// The canonical form.
    pub fn canonical(&self) -> String {
        // Texts and lists of texts always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// SHA-256 of the canonical form, base64url: it represents the operation.
    pub fn hash(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.canonical().as_bytes()))
    }
}

/// Whether a text is shown exactly as it is: one line, every character visible, and only single plain spaces inside
/// (pages collapse several into one, and other spaces vary in width).
fn is_shown(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count())
        && text.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace))
        && !text.chars().any(|c| is_unprintable(c) || is_hidden(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(label: &str, value: &str) -> Detail {
        Detail { label: label.into(), value: value.into() }
    }

    fn payment() -> Operation {
        Operation {
            details: vec![detail("To", "Acme"), detail("Amount", "100.00 EUR")],
            kind: "payment".into(),
            title: "Pay 100.00 EUR to Acme".into(),
        }
    }

    #[test]
    fn the_canonical_form_is_that_of_rfc_8785() {
        let text = r#"{"details":[{"label":"To","value":"Acme"},{"label":"Amount","value":"100.00 EUR"}],"kind":"payment","title":"Pay 100.00 EUR to Acme"}"#;
        assert_eq!(payment().canonical(), text);
        assert_eq!(payment().hash(), "2FCQ_TLygsauf9uzrb_3DufKOEGpwJZD3Xg6J9v-GYA");
        // RFC 8785 §3.2.2.2: a quote and a backslash are escaped; every other character that can be shown is written
        // literally.
        let odd = Operation { title: "“€” \"x\" \\ ü".into(), details: vec![], ..payment() };
        assert_eq!(odd.canonical(), "{\"details\":[],\"kind\":\"payment\",\"title\":\"“€” \\\"x\\\" \\\\ ü\"}");
    }

    /// The operation and the hash in `docs/flows/signed-transactions.md`, and in its curl call.
    #[test]
    fn details_that_are_left_out_count_as_an_empty_list() {
        let sent = r#"{"kind": "payment", "title": "Pay 100.00 EUR to Acme"}"#;
        let read: Operation = serde_json::from_str(sent).unwrap();
        assert_eq!(read.canonical(), r#"{"details":[],"kind":"payment","title":"Pay 100.00 EUR to Acme"}"#);
        assert_eq!(read.hash(), "ezzdACWB-M2d0q7zZnjEaHZeNcPuH5tiK_PhEiIPSQk");
        let page = include_str!("../../docs/flows/signed-transactions.md");
        for said in [sent, &read.canonical(), &read.hash()] {
            assert!(page.contains(said), "{said}");
        }
    }

    #[test]
    fn whatever_differs_has_another_hash() {
        let base = payment().hash();
        for (name, other) in [
            ("kind", Operation { kind: "transfer".into(), ..payment() }),
            ("title", Operation { title: "Pay 100.00 EUR to Acme.".into(), ..payment() }),
            ("order", Operation { details: payment().details.into_iter().rev().collect(), ..payment() }),
            (
                "cut elsewhere",
                Operation { details: vec![detail("ToAcme", "Amount"), detail("x", "100.00 EUR")], ..payment() },
            ),
            ("fewer", Operation { details: vec![], ..payment() }),
        ] {
            assert_ne!(other.hash(), base, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_shown_is_refused_by_name() {
        let with = |label: &str, value: &str| Operation { details: vec![detail(label, value)], ..payment() };
        let titled = |title: &str| Operation { title: title.into(), ..payment() };
        for (name, operation, verdict) in [
            ("sound", payment(), Ok(())),
            ("no details", Operation { details: vec![], ..payment() }, Ok(())),
            ("no kind", Operation { kind: String::new(), ..payment() }, Err(OperationError::Kind)),
            ("a kind with a space", Operation { kind: "a b".into(), ..payment() }, Err(OperationError::Kind)),
            ("no title", titled(""), Err(OperationError::Title)),
            ("a long title", titled(&"x".repeat(121)), Err(OperationError::Title)),
            ("the longest title", titled(&"é".repeat(120)), Ok(())),
            ("space around", titled(" Pay"), Err(OperationError::Title)),
            ("two lines", titled("Pay\n1"), Err(OperationError::Title)),
            ("turned round", titled("Pay \u{202e}001"), Err(OperationError::Title)),
            ("isolated", titled("Pay \u{2066}1"), Err(OperationError::Title)),
            ("nothing to see", titled("Pay\u{200b}1"), Err(OperationError::Title)),
            ("a filler", titled("Pay\u{3164}1"), Err(OperationError::Title)),
            ("a soft hyphen", titled("Pay\u{ad}1"), Err(OperationError::Title)),
            ("musical notation", titled("Pay\u{1d173}1"), Err(OperationError::Title)),
            ("shorthand", titled("Pay\u{1bca0}1"), Err(OperationError::Title)),
            ("hieroglyphs", titled("Pay\u{13430}1"), Err(OperationError::Title)),
            ("kept free", titled("Pay\u{fff0}1"), Err(OperationError::Title)),
            ("a wide space", titled("Pay\u{3000}1"), Err(OperationError::Title)),
            ("a space that does not break", titled("Pay\u{a0}1"), Err(OperationError::Title)),
            ("two spaces", titled("Pay  1"), Err(OperationError::Title)),
            ("a tag", titled("Pay\u{e0041}1"), Err(OperationError::Title)),
            ("Arabic letter mark", titled("Pay\u{61c}1"), Err(OperationError::Title)),
            ("no label", with("", "1"), Err(OperationError::Label)),
            ("a long label", with(&"x".repeat(41), "1"), Err(OperationError::Label)),
            ("no value", with("To", ""), Err(OperationError::Value)),
            ("a long value", with("To", &"x".repeat(201)), Err(OperationError::Value)),
            ("a control", with("To", "a\u{7}"), Err(OperationError::Value)),
            (
                "twice",
                Operation { details: vec![detail("To", "a"), detail("To", "b")], ..payment() },
                Err(OperationError::Twice),
            ),
            (
                "21 lines",
                Operation { details: (0..21).map(|n| detail(&n.to_string(), "x")).collect(), ..payment() },
                Err(OperationError::TooMany),
            ),
            (
                "4 KiB",
                Operation {
                    details: (0..20).map(|n| detail(&n.to_string(), &"é".repeat(200))).collect(), ..payment()
                },
                Err(OperationError::TooLarge),
            ),
        ] {
            assert_eq!(operation.check(), verdict, "{name}");
        }
    }
}
