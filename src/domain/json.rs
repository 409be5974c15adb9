//! Checks on JSON that others send, before it is read or stored.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The nesting depth of objects and arrays; 0 for a text, a number, a boolean and null.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Reads a value that must be an object. serde alone would also accept a list with the elements in field order.
///
/// # Errors
/// The error of serde.
pub fn read_object<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    if value.is_object() { serde_json::from_value(value) } else { Err(serde::de::Error::custom("it is not an object")) }
}

/// Whether U+0000 occurs anywhere in it: some readers end a text there, and PostgreSQL cannot store it.
pub fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(elements) => elements.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// Whether objects and arrays are nested deeper than `most`, in a text that need not be valid JSON. Check this before
/// spending memory on parsing.
pub fn is_deeper_than(most: usize, text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > most {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_text_is_measured_without_being_read() {
        for (text, is_deeper) in [
            ("", false),
            ("[[[]]]", false),
            ("[[[[]]]]", true),
            ("[[[{", true),
            ("[[[]],[[]],{},{}]", false),
            (r#"["[[[[", "{{{{"]"#, false),
            (r#"["\"[[[["]"#, false),
            (r#"["\\",[[[1]]]]"#, true),
            ("]]]]]][[[[", true),
        ] {
            assert_eq!(super::is_deeper_than(3, text.as_bytes()), is_deeper, "{text}");
        }
    }

    #[test]
    fn the_deepest_place_counts() {
        for (value, depth) in
            [(json!("x"), 0), (json!({}), 1), (json!([]), 1), (json!({ "a": 1, "b": [{ "c": [] }] }), 4)]
        {
            assert_eq!(super::depth(&value), depth, "{value}");
        }
    }
}
