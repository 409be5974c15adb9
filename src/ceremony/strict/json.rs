//! JSON that can be read in only one way.
//!
//! A small tree that borrows from the input. Beyond RFC 8259 it refuses: duplicate members in an object, at any level
//! and whether known or not (RFC 8259 §4 leaves their meaning open, so two parsers may differ), nesting deeper than
//! [`MAX_DEPTH`], and objects with more than [`MAX_MEMBERS`] members.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Maximum nesting of objects and arrays.
pub const MAX_DEPTH: u8 = 16;
/// Maximum number of members in an object. It bounds the search for duplicate names, which compares every pair.
pub const MAX_MEMBERS: usize = 128;

/// Why a document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not UTF-8 JSON, or has trailing bytes.
    #[error("not JSON")]
    Syntax,
    /// The document is JSON, but not an object.
    #[error("not an object")]
    NotAnObject,
    /// A member occurs twice.
    #[error("a member is repeated")]
    Duplicate,
    /// Too many levels.
    #[error("nested too deeply")]
    Depth,
    /// Too many members in one object.
    #[error("too many members")]
    Members,
}

/// A value. Numbers are validated and discarded: no member that we read is a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number.
    Number,
    /// A string, without its escapes.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object.
    Object(Object<'a>),
}

/// The members of an object, in order, without duplicate names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// The value of a member, `None` when it is absent. `null` is a value.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The value of an optional member: absent and `null` are the same.
    pub fn get_non_null(&self, name: &str) -> Option<&Json<'a>> {
        self.get(name).filter(|value| **value != Json::Null)
    }
}

impl<'a> Json<'a> {
    /// The string, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }
}

/// Parses one object, with only white space around it.
pub fn object(document: &[u8]) -> Result<Object<'_>, Fault> {
    // serde's errors contain only text, so our error is passed separately.
    let fault = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(document);
    let read = Level { remaining: MAX_DEPTH, fault: &fault }.deserialize(&mut reader);
    match read.and_then(|value| reader.end().map(|()| value)) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(Fault::NotAnObject),
        Err(_) => Err(fault.get().unwrap_or(Fault::Syntax)),
    }
}

/// A value at some depth; `remaining` levels may still be opened.
#[derive(Clone, Copy)]
struct Level<'f> {
    remaining: u8,
    fault: &'f Cell<Option<Fault>>,
}

impl Level<'_> {
    fn fail<E: serde::de::Error>(self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom(fault)
    }

    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let remaining = self.remaining.checked_sub(1).ok_or_else(|| self.fail(Fault::Depth))?;
        Ok(Self { remaining, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Json::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Json::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Json::Number)
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Object(Vec::with_capacity(8));
        while let Some(key) = members.next_key_seed(inner)? {
            let Json::Text(key) = key else { return Err(A::Error::custom("a member's name is a string")) };
            if object.0.len() == MAX_MEMBERS {
                return Err(self.fail(Fault::Members));
            }
            if object.get(&key).is_some() {
                return Err(self.fail(Fault::Duplicate));
            }
            let value = members.next_value_seed(inner)?;
            object.0.push((key, value));
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reading_or_none() {
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        let wide = |members: usize| {
            let members: Vec<_> = (0..members).map(|n| format!("\"m{n}\":{n}")).collect();
            format!("{{{}}}", members.join(","))
        };
        let table: &[(&str, String, Result<(), Fault>)] = &[
            ("empty object", "{}".into(), Ok(())),
            ("white space around", " {} \n".into(), Ok(())),
            ("every type", r#"{"a":null,"b":true,"c":-1.5e3,"d":"x","e":[1,{}],"f":{}}"#.into(), Ok(())),
            ("repeated", r#"{"a":1,"a":1}"#.into(), Err(Fault::Duplicate)),
            ("repeated by escape", r#"{"a":1,"\u0061":1}"#.into(), Err(Fault::Duplicate)),
            ("repeated inside", r#"{"x":[{"a":1,"b":2,"a":1}]}"#.into(), Err(Fault::Duplicate)),
            ("16 levels", deep(16), Ok(())),
            ("17 levels", deep(17), Err(Fault::Depth)),
            ("100,000 levels", deep(100_000), Err(Fault::Depth)),
            ("128 members", wide(128), Ok(())),
            ("129 members", wide(129), Err(Fault::Members)),
            ("trailing text", "{}{}".into(), Err(Fault::Syntax)),
            ("BOM", "\u{feff}{}".into(), Err(Fault::Syntax)),
            ("number too large", r#"{"a":1e999}"#.into(), Err(Fault::Syntax)),
            ("lone surrogate", r#"{"a":"\ud800"}"#.into(), Err(Fault::Syntax)),
            ("array", "[]".into(), Err(Fault::NotAnObject)),
            ("nothing", String::new(), Err(Fault::Syntax)),
        ];
        for (name, document, verdict) in table {
            assert_eq!(object(document.as_bytes()).map(drop), *verdict, "{name}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}").map(drop), Err(Fault::Syntax), "invalid UTF-8");
    }

    #[test]
    fn null_is_a_value_and_counts_as_absent_only_where_asked() {
        let document = object(br#"{"a":null,"b":"x"}"#).unwrap();
        assert_eq!(document.get("a"), Some(&Json::Null));
        assert_eq!(document.get_non_null("a"), None);
        assert_eq!(document.get_non_null("b").and_then(Json::as_text), Some("x"));
    }
}
