//! Shapes of claims: what a target can read, as a description and as a check.

use serde_json::Value;
use uuid::Uuid;

/// The required form of a value.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// A description that follows "must be".
    pub words: &'static str,
    /// Whether a value has this form.
    pub holds: fn(&Value) -> bool,
}

/// Anything: for a rule with another purpose.
pub const ANY: Shape = Shape { words: "a value", holds: |_| true };
/// A short text.
pub const TEXT: Shape = Shape { words: "text of 1 to 255 characters", holds: |value| text(value, 255) };
/// A text without a length limit of its own.
pub const LONG_TEXT: Shape = Shape { words: "text", holds: Value::is_string };
/// `true` or `false`.
pub const FLAG: Shape = Shape { words: "true or false", holds: Value::is_boolean };
/// A whole number.
pub const NUMBER: Shape = Shape { words: "a whole number", holds: Value::is_i64 };
/// An object.
pub const OBJECT: Shape = Shape { words: "an object", holds: Value::is_object };
/// A list with at least one member.
pub const SOME: Shape = Shape {
    words: "a list of at least one member",
    holds: |value| value.as_array().is_some_and(|items| !items.is_empty()),
};
/// A list of texts.
pub const TEXTS: Shape = Shape { words: "a list of texts", holds: |value| items(value, |item| text(item, 1024)) };
/// A list of texts with at least one member.
pub const SOME_TEXTS: Shape = Shape {
    words: "a list of at least one text",
    holds: |value| (TEXTS.holds)(value) && value.as_array().is_some_and(|items| !items.is_empty()),
};
/// A text or a list of texts.
pub const TEXT_OR_TEXTS: Shape =
    Shape { words: "text, or a list of texts", holds: |value| text(value, 4096) || (TEXTS.holds)(value) };
/// An object whose values are texts.
pub const TEXT_MAP: Shape = Shape {
    words: "an object whose values are text",
    holds: |value| value.as_object().is_some_and(|members| members.values().all(Value::is_string)),
};
/// A UUID in canonical form, so that each UUID has a single spelling.
pub const UUID: Shape = Shape {
    words: "a UUID in lower case (of any text: `{{ link('x') | uuid5('…') }}`)",
    holds: |value| value.as_str().is_some_and(|text| Uuid::parse_str(text).is_ok_and(|uuid| uuid.to_string() == text)),
};
/// The name of a database role: one that fits PostgreSQL's 63 bytes and needs no quoting.
pub const ROLE: Shape =
    Shape { words: "a role's name: 1 to 63 of letters, digits, `_` and `-`", holds: |value| word(value, 63, b"_-") };
/// An ID in the target system.
pub const ID: Shape = Shape { words: "1 to 255 of letters, digits and `_.-`", holds: |value| word(value, 255, b"_.-") };

/// Text of 1 to `max` characters.
pub fn text(value: &Value, max: usize) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty() && text.chars().count() <= max)
}

/// Text of 1 to `max` ASCII letters, digits and `others`.
pub fn word(value: &Value, max: usize, others: &[u8]) -> bool {
    value.as_str().is_some_and(|text| {
        (1..=max).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
    })
}

/// Whether every member of a list satisfies `holds`.
pub fn items(value: &Value, holds: impl Fn(&Value) -> bool) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(holds))
}
