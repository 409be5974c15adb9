//! JSON without duplicate members.
//!
//! Some readers of `{"sub":"a","sub":"b"}` take the first value, some the last, and some fail (RFC 8259 §4), so two
//! readers might act on two different tokens. Here it fails, at every depth.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonFault {
    /// Not JSON, or not an object.
    Malformed,
    /// An object has a member twice.
    Duplicate,
}

/// Identifies our own error among serde's.
const DUPLICATE: &str = "duplicate member";

/// Reads exactly one JSON object.
///
/// # Errors
/// [`JsonFault`].
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonFault> {
    match serde_json::from_slice::<Strict>(bytes) {
        Ok(Strict(Value::Object(members))) => Ok(members),
        Err(error) if error.is_data() && error.to_string().starts_with(DUPLICATE) => Err(JsonFault::Duplicate),
        Ok(_) | Err(_) => Err(JsonFault::Malformed),
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(Strict(element)) = elements.next_element()? {
            out.push(element);
        }
        Ok(Value::Array(out))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Strict(value) = members.next_value()?;
            if out.insert(name, value).is_some() {
                return Err(de::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_strictly() {
        for (text, expected) in [
            (r#"{"a":1,"b":[{"a":1},{"a":2}]}"#, Ok(())),
            ("{}", Ok(())),
            (r#"{"a":1,"a":1}"#, Err(JsonFault::Duplicate)),
            (r#"{"a":1,"\u0061":2}"#, Err(JsonFault::Duplicate)),
            (r#"{"cnf":{"jkt":"a","jkt":"b"}}"#, Err(JsonFault::Duplicate)),
            (r#"[{"a":1,"a":1}]"#, Err(JsonFault::Duplicate)),
            ("[]", Err(JsonFault::Malformed)),
            ("null", Err(JsonFault::Malformed)),
            ("", Err(JsonFault::Malformed)),
            ("{} {}", Err(JsonFault::Malformed)),
            (r#"{"a":NaN}"#, Err(JsonFault::Malformed)),
            (r#"{"a":1e999}"#, Err(JsonFault::Malformed)),
            (r#"{"a":1,}"#, Err(JsonFault::Malformed)),
            (r#"{"duplicate member":}"#, Err(JsonFault::Malformed)),
        ] {
            assert_eq!(parse_object(text.as_bytes()).map(|_| ()), expected, "{text}");
        }
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert_eq!(parse_object(&deep), Err(JsonFault::Malformed), "depth does not overflow the stack");
        assert_eq!(parse_object(b"{\"a\":\"\xff\"}"), Err(JsonFault::Malformed), "not UTF-8");
    }
}
