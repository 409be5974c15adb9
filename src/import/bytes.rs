//! Reads bytes in all the encodings that systems use.
//!
//! The text shows which alphabet it uses. Whether the bytes are correct can only be verified by whoever reads them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(false);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The longest text that is read.
const LONGEST: usize = 64 * 1024;

/// Reads base64 in either alphabet, with or without padding, even on several lines, as databases print long values.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST {
        return None;
    }
    let engine = if text.contains(['+', '/']) { &STANDARD } else { &URL_SAFE };
    if text.contains(['\r', '\n']) {
        return engine.decode(text.replace(['\r', '\n'], "")).ok();
    }
    engine.decode(text).ok()
}

/// Reads base64, hexadecimal as PostgreSQL prints `bytea` (`\x…`), Node's `Buffer` and `Uint8Array` as JSON, or a list
/// of numbers.
pub fn of_value(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => text.strip_prefix("\\x").map_or_else(|| base64(text), hexadecimal),
        Value::Array(items) => numbers(items),
        Value::Object(members) if members.get("type").is_some_and(|kind| kind == "Buffer") => {
            numbers(members.get("data")?.as_array()?)
        }
        // `{"0":165,"1":1}`: each byte under its index, and nothing else.
        Value::Object(members) if !members.is_empty() => {
            (0..members.len()).map(|at| byte(members.get(&at.to_string())?)).collect()
        }
        _ => None,
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST || !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn numbers(items: &[Value]) -> Option<Vec<u8>> {
    items.iter().map(byte).collect()
}

fn byte(item: &Value) -> Option<u8> {
    item.as_u64().and_then(|number| u8::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_spelling_of_the_same_bytes() {
        let bytes = [0xfb, 0xef, 0xff, 0x00, 0x10];
        for value in [
            json!("++//ABA="),
            json!("++//ABA"),
            json!("--__ABA"),
            json!("--__ABA="),
            json!("\\xfbefff0010"),
            json!({"type": "Buffer", "data": [251, 239, 255, 0, 16]}),
            json!([251, 239, 255, 0, 16]),
            json!({"0": 251, "1": 239, "2": 255, "3": 0, "4": 16}),
            json!("++//\nABA=\n"),
            json!("--__\r\nABA"),
        ] {
            assert_eq!(of_value(&value).as_deref(), Some(&bytes[..]), "{value}");
        }
    }

    #[test]
    fn what_is_no_bytes() {
        for value in [
            json!("+-__ABA"),
            json!("a b"),
            json!("A"),
            json!("ABB"),
            json!("\\xf"),
            json!("\\xzz"),
            json!(1),
            json!([256]),
            json!([-1]),
            json!({"data": [1]}),
            json!({}),
            json!({"0": 1, "2": 1}),
            json!({"0": 1, "1": 256}),
            json!({"0": 1, "length": 1}),
            json!("A".repeat(70_000)),
        ] {
            assert_eq!(of_value(&value), None, "{}", value.to_string().chars().take(40).collect::<String>());
        }
    }
}
