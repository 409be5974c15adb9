//! What a hook may show to the person after a sign-in: a title, a short text, and a few items with label and value.
//!
//! What must always hold: it is plain text. It is checked when it arrives and escaped when it is shown.

use serde::{Deserialize, Serialize};

use crate::domain::strict_json::{JsonFault, parse_object};
use crate::domain::text;

/// Maximum size of an answer, in bytes.
const MOST: usize = 16 * 1024;
/// Maximum number of items.
const MOST_ITEMS: usize = 10;

/// An item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The label, at most 40 characters.
    pub label: String,
    /// The value, at most 120 characters.
    pub value: String,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The heading, at most 60 characters.
    pub title: String,
    /// A short text, at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The items, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

/// Parses the answer of a hook; `None` if there is nothing to show.
///
/// # Errors
/// What is wrong with it, described for operators.
pub fn read(media_type: Option<&str>, body: &[u8]) -> Result<Option<Shown>, &'static str> {
    if body.is_empty() {
        return Ok(None);
    }
    if media_type != Some("application/json") {
        return Err("the answer is not application/json");
    }
    if body.len() > MOST {
        return Err("the answer is larger than 16 KiB");
    }
    let members = parse_object(body).map_err(|fault| match fault {
        JsonFault::Malformed => "the answer is no JSON object",
        JsonFault::Duplicate => "the answer has a member twice",
    })?;
    let shown: Shown = serde_json::from_value(members.into())
        .map_err(|_| "the answer is not made of title, text and items with label and value, all of them text")?;
    let fits = |words: &str, longest| text::shown(words, longest).is_ok();
    if !fits(&shown.title, 60) {
        return Err("title is empty, longer than 60 characters, or holds what cannot be shown");
    }
    if shown.text.as_deref().is_some_and(|words| !fits(words, 500)) {
        return Err("text is empty, longer than 500 characters, or holds what cannot be shown");
    }
    if shown.items.len() > MOST_ITEMS {
        return Err("there are more than 10 items");
    }
    if !shown.items.iter().all(|item| fits(&item.label, 40) && fits(&item.value, 120)) {
        return Err("a label (40 characters) or value (120) is empty, too long, or holds what cannot be shown");
    }
    Ok(Some(shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(answer: &serde_json::Value) -> Result<Option<Shown>, &'static str> {
        read(Some("application/json"), answer.to_string().as_bytes())
    }

    #[test]
    fn text_lines_or_nothing() {
        assert_eq!(read(None, b""), Ok(None));
        let answer =
            json!({ "title": "Your plan", "text": "<b>Pro</b>", "items": [{ "label": "Until", "value": "May" }] });
        let read = shown(&answer).unwrap().unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), answer);
        assert!(shown(&json!({ "title": "Hello" })).is_ok());
    }

    #[test]
    fn everything_else_by_name() {
        let item = |label: &str, value: &str| json!({ "title": "t", "items": [{ "label": label, "value": value }] });
        let many: Vec<_> = (0..11).map(|n| json!({ "label": "l", "value": n.to_string() })).collect();
        for (name, answer, expected) in [
            ("no title", json!({ "text": "x" }), "not made of"),
            ("an empty title", json!({ "title": " " }), "title is empty"),
            ("a long title", json!({ "title": "x".repeat(61) }), "title is empty"),
            ("a title that turns around", json!({ "title": "a\u{202e}b" }), "title is empty"),
            ("a number", json!({ "title": 7 }), "not made of"),
            ("markup by another name", json!({ "title": "t", "html": "<b>" }), "not made of"),
            ("a long text", json!({ "title": "t", "text": "x".repeat(501) }), "text is empty"),
            ("a line end", json!({ "title": "t", "text": "a\nb" }), "text is empty"),
            ("too many items", json!({ "title": "t", "items": many }), "more than 10"),
            (
                "an item with more",
                json!({ "title": "t", "items": [{ "label": "l", "value": "v", "href": "x" }] }),
                "not made of",
            ),
            ("an empty label", item("", "v"), "a label"),
            ("a long value", item("l", &"x".repeat(121)), "a label"),
        ] {
            let wrong = shown(&answer).expect_err(name);
            assert!(wrong.contains(expected), "{name}: {wrong}");
        }
        assert!(read(Some("application/json"), br#"{"title":"a","title":"b"}"#).is_err());
        assert!(read(Some("text/html"), br#"{"title":"a"}"#).is_err());
        assert!(read(Some("application/json"), &vec![b' '; MOST + 1]).is_err());
    }
}
