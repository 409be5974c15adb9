//! JSON that others send, measured before it is kept.

use serde_json::Value;

/// How many objects and arrays stand within each other at the deepest place; 0 for a text, a number, a boolean and null.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn the_deepest_place_counts() {
        for (value, depth) in
            [(json!("x"), 0), (json!({}), 1), (json!([]), 1), (json!({ "a": 1, "b": [{ "c": [] }] }), 4)]
        {
            assert_eq!(super::depth(&value), depth, "{value}");
        }
    }
}
