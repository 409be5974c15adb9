//! Attributes: facts about a person that no standard claim covers, such as their tenant, plan or roles in a backend.
//! Operators and the trusted issuers that they name set them, bridges put them into tokens, clients that the operator
//! names claims for receive them, and imports bring them along.
//!
//! Invariants: an attribute is one of four kinds, each of which a template can name in advance; all attributes of a
//! person together are small, because they are loaded for a token. People never set attributes themselves: whoever
//! writes an attribute decides about rights. To add a kind: a variant, its arm in [`Attribute::parse`], and one in
//! [`Attribute::to_json`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The most attributes that a person can have.
pub const MOST: usize = 64;
/// The longest JSON text of all of them, in bytes, without spaces.
pub const LONGEST_WHOLE: usize = 4096;
/// Longest name, in characters.
pub const LONGEST_NAME: usize = 64;
/// Longest text, in characters.
pub const LONGEST_TEXT: usize = 1000;
/// The most texts in one list.
pub const MOST_OF_A_LIST: usize = 100;
/// The largest safe integer: JavaScript and many JSON parsers change larger numbers (RFC 8259 §6).
pub const LARGEST_NUMBER: i64 = (1 << 53) - 1;

const NAME: &str = "has a name that is not 1 to 64 of A-Z, a-z, 0-9, _ and -, beginning with a letter";
const KIND: &str = "must be a text, a whole number, true, false or a list of texts";
const TEXT: &str = "must be at most 1000 characters on one line";
const NUMBER: &str = "must be a whole number of at most 2^53-1 either way";
const LIST: &str = "must be at most 100 texts, each of at most 1000 characters on one line";
const TOO_MANY: &str = "would be one of more than 64";
const TOO_LONG: &str = "would make them longer than 4096 bytes of JSON";

/// One attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A text without control characters.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Flag(bool),
    /// A list of such texts.
    List(Vec<String>),
}

/// Why an attribute was refused; `what` follows its place in a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {what}", self.place())]
pub struct AttributeError {
    /// The attribute's name, as far as a message may show it.
    pub name: String,
    /// What is wrong with it.
    pub what: &'static str,
}

impl AttributeError {
    fn new(name: &str, what: &'static str) -> Self {
        Self { name: name.chars().take(LONGEST_NAME).flat_map(char::escape_default).collect(), what }
    }

    /// Its place in a document about the person: `attributes.plan`.
    pub fn place(&self) -> String {
        format!("attributes.{}", self.name)
    }
}

/// Whether an attribute may have this name.
pub fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

impl Attribute {
    /// Checks a value.
    ///
    /// # Errors
    /// What the value must be.
    pub fn parse(value: &Value) -> Result<Self, &'static str> {
        match value {
            Value::String(text) if is_line(text) => Ok(Self::Text(text.clone())),
            Value::String(_) => Err(TEXT),
            Value::Number(number) => {
                let number = number.as_i64().filter(|number| number.unsigned_abs() <= LARGEST_NUMBER.unsigned_abs());
                number.map(Self::Number).ok_or(NUMBER)
            }
            Value::Bool(flag) => Ok(Self::Flag(*flag)),
            Value::Array(items) => list(items).map(Self::List).ok_or(LIST),
            Value::Null | Value::Object(_) => Err(KIND),
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Number(number) => (*number).into(),
            Self::Flag(flag) => (*flag).into(),
            Self::List(items) => items.as_slice().into(),
        }
    }
}

fn list(items: &[Value]) -> Option<Vec<String>> {
    let text = |item: &Value| item.as_str().filter(|text| is_line(text)).map(ToOwned::to_owned);
    if items.len() <= MOST_OF_A_LIST { items.iter().map(text).collect() } else { None }
}

fn is_line(text: &str) -> bool {
    text.chars().count() <= LONGEST_TEXT && !text.chars().any(char::is_control)
}

/// A person's attributes: each checked, and together within the limits. Values written to the database by other means
/// are kept and shown until they are corrected, but never count as attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    sound: BTreeMap<String, Attribute>,
    unreadable: Map<String, Value>,
}

impl Attributes {
    /// Checks attributes by name. Null counts as absent.
    ///
    /// # Errors
    /// The first attribute that is wrong or exceeds a limit.
    pub fn parse(members: &Map<String, Value>) -> Result<Self, AttributeError> {
        Self::default().changed(members)
    }

    /// Reads stored attributes. They were checked when written; an invalid one hides neither the others nor the person.
    pub fn from_stored(members: Map<String, Value>) -> Self {
        let mut stored = Self::default();
        for (name, value) in members {
            match Attribute::parse(&value) {
                Ok(attribute) if is_name(&name) => drop(stored.sound.insert(name, attribute)),
                _ => drop(stored.unreadable.insert(name, value)),
            }
        }
        stored
    }

    /// Applies changes: given values are set, nulls are removed (RFC 7396).
    ///
    /// # Errors
    /// As [`Attributes::parse`].
    pub fn changed(&self, changes: &Map<String, Value>) -> Result<Self, AttributeError> {
        let mut whole = self.clone();
        for (name, value) in changes {
            let was_unreadable = whole.unreadable.remove(name).is_some();
            if value.is_null() && was_unreadable {
                continue;
            }
            require_name(name)?;
            if value.is_null() {
                whole.sound.remove(name);
            } else {
                let attribute = Attribute::parse(value).map_err(|what| AttributeError::new(name, what))?;
                whole.sound.insert(name.clone(), attribute);
            }
        }
        let given = changes.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str());
        whole.bounded(self, given)
    }

    /// Merges other attributes into these. The others take precedence.
    ///
    /// # Errors
    /// One of the others that exceeds a limit.
    pub fn with(&self, others: &Self) -> Result<Self, AttributeError> {
        let mut whole = self.clone();
        whole.sound.extend(others.sound.clone());
        whole.unreadable.retain(|name, _| !others.sound.contains_key(name));
        whole.bounded(self, others.names())
    }

    /// Sets one attribute, or changes nothing on an error.
    ///
    /// # Errors
    /// What is wrong with it, or that there is no room for it.
    pub fn insert(&mut self, name: &str, value: &Value) -> Result<(), AttributeError> {
        *self = self.changed(&std::iter::once((name.to_owned(), value.clone())).collect())?;
        Ok(())
    }

    /// Checks the limits on the result, because one change may make room for another. The error names the last `given`
    /// attribute, or the last new one (not in `before`) if there are too many.
    fn bounded<'a>(self, before: &Self, given: impl Iterator<Item = &'a str>) -> Result<Self, AttributeError> {
        let (last, what) = if self.count() > MOST {
            (given.filter(|name| before.get(name).is_none()).last(), TOO_MANY)
        } else if self.text_length() > LONGEST_WHOLE {
            (given.last(), TOO_LONG)
        } else {
            return Ok(self);
        };
        match last {
            Some(last) => Err(AttributeError::new(last, what)),
            // It was too large before; removing attributes must be possible.
            None => Ok(self),
        }
    }

    fn count(&self) -> usize {
        self.sound.len() + self.unreadable.len()
    }

    /// The size of their JSON text in bytes.
    fn text_length(&self) -> usize {
        Value::Object(self.to_map()).to_string().len()
    }

    /// Whether there are no attributes.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// One attribute.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.sound.get(name)
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sound.keys().map(String::as_str)
    }

    /// All of them as JSON.
    pub fn to_map(&self) -> Map<String, Value> {
        let sound = self.sound.iter().map(|(name, attribute)| (name.clone(), attribute.to_json()));
        sound.chain(self.unreadable.clone()).collect()
    }
}

impl IntoIterator for Attributes {
    type Item = (String, Attribute);
    type IntoIter = std::collections::btree_map::IntoIter<String, Attribute>;

    fn into_iter(self) -> Self::IntoIter {
        self.sound.into_iter()
    }
}

fn require_name(name: &str) -> Result<(), AttributeError> {
    if is_name(name) { Ok(()) } else { Err(AttributeError::new(name, NAME)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object") };
        map
    }

    fn parse(value: Value) -> Result<Attributes, AttributeError> {
        Attributes::parse(&map(value))
    }

    #[test]
    fn every_kind_is_kept_as_it_was_given() {
        let given = json!({
            "a": "", "plan": "pro \u{1f511} \"x\"", "seats": 9_007_199_254_740_991_i64, "owed": -9_007_199_254_740_991_i64,
            "trial": false, "roles": ["editor", ""], "none": [], "x_1": "ä".repeat(1000), "many": vec!["r"; 100],
        });
        let attributes = parse(given.clone()).unwrap();
        assert_eq!(Value::Object(attributes.to_map()), given);
        assert_eq!(attributes.get("trial"), Some(&Attribute::Flag(false)));
        assert_eq!(attributes.names().next(), Some("a"));
        assert_eq!(attributes.text_length(), given.to_string().len());
        assert_eq!(Attributes::default().text_length(), 2);
        assert!(parse(json!({ "plan": null })).unwrap().is_empty(), "null counts as left out");
    }

    #[test]
    fn what_does_not_read_hides_nothing_else() {
        let given = json!({ "plan": "pro", "a.b": 1, "seats": 1.5, "limits": {}, "trial": null, "vip": true });
        let stored = Attributes::from_stored(map(given.clone()));
        assert_eq!(Value::Object(stored.to_map()), given, "it is shown");
        assert_eq!(stored.names().collect::<Vec<_>>(), ["plan", "vip"], "and no attribute");
        assert_eq!((stored.get("seats"), stored.get("limits")), (None, None));
        // A change to another attribute loses nothing. The named one is corrected, or removed whatever its name.
        let change = |change: Value| stored.changed(&map(change)).map(|changed| Value::Object(changed.to_map()));
        let mut other = given;
        other["plan"] = json!("free");
        assert_eq!(change(json!({ "plan": "free" })), Ok(other));
        let mended = change(json!({ "seats": 2, "a.b": null, "limits": null, "trial": null }));
        assert_eq!(mended, Ok(json!({ "plan": "pro", "seats": 2, "vip": true })));
        assert_eq!(change(json!({ "a.b": "x" })).unwrap_err().what, NAME);
        let imported = parse(json!({ "limits": "none" })).unwrap();
        assert_eq!(stored.with(&imported).unwrap().to_map()["limits"], json!("none"));
        // Attributes beyond the limit can be removed.
        let many = (0..70).map(|at| (format!("a{at}"), json!("x".repeat(10)))).collect();
        let many = Attributes::from_stored(many);
        assert_eq!(many.changed(&map(json!({ "a1": null }))).unwrap().names().count(), 69);
        assert_eq!(many.changed(&map(json!({ "b": 1 }))).unwrap_err().what, TOO_MANY);
    }

    #[test]
    fn each_refusal_names_its_member() {
        for (name, value, what) in [
            ("", json!("x"), NAME),
            ("tenant.id", json!("x"), NAME),
            ("1st", json!("x"), NAME),
            ("_x", json!("x"), NAME),
            ("-a", json!("x"), NAME),
            ("a b", json!("x"), NAME),
            ("a.b", json!(null), NAME),
            (&"x".repeat(65), json!("x"), NAME),
            ("plan", json!({ "name": "pro" }), KIND),
            ("plan", json!("x".repeat(1001)), TEXT),
            ("plan", json!("a\u{0}"), TEXT),
            ("plan", json!("a\nb"), TEXT),
            ("plan", json!("a\u{85}"), TEXT),
            ("seats", json!(1.5), NUMBER),
            ("seats", json!(1.0), NUMBER),
            ("seats", json!(9_007_199_254_740_992_i64), NUMBER),
            ("seats", json!(-9_007_199_254_740_992_i64), NUMBER),
            ("seats", json!(u64::MAX), NUMBER),
            ("seats", json!(i64::MIN), NUMBER),
            ("roles", json!([1]), LIST),
            ("roles", json!([["a"]]), LIST),
            ("roles", json!(["a", null]), LIST),
            ("roles", json!(["a\n"]), LIST),
            ("roles", json!(["x".repeat(1001)]), LIST),
            ("roles", json!(vec!["x"; 101]), LIST),
        ] {
            let error = parse(json!({ "good": 1, name: value })).unwrap_err();
            assert_eq!((error.what, error.place()), (what, format!("attributes.{}", &name[..name.len().min(64)])));
        }
        let hostile = parse(json!({ "\u{202e}\u{1b}[2J": 1 })).unwrap_err();
        assert_eq!(hostile.to_string(), format!("attributes.\\u{{202e}}\\u{{1b}}[2J {NAME}"));
    }

    #[test]
    fn all_together_are_bounded() {
        let members =
            |count: usize| -> Map<String, Value> { (0..count).map(|n| (format!("a{n:02}"), json!(n))).collect() };
        let full = Attributes::parse(&members(64)).unwrap();
        assert_eq!(Attributes::parse(&members(65)).unwrap_err(), AttributeError::new("a64", TOO_MANY));
        assert!(full.changed(&map(json!({ "a00": "another" }))).is_ok());
        for exchange in [json!({ "a00": null, "a99": 1 }), json!({ "a": 1, "a63": null })] {
            assert!(full.changed(&map(exchange)).is_ok(), "one goes, one comes");
        }
        assert_eq!(
            full.changed(&map(json!({ "a99": 1, "a00": 2 }))).unwrap_err(),
            AttributeError::new("a99", TOO_MANY)
        );
        assert_eq!(full.with(&parse(json!({ "b": 1 })).unwrap()).unwrap_err().what, TOO_MANY);

        let of_bytes = |bytes: usize| {
            let rest = bytes - r#"{"a":"","b":"","c":"","d":"","e":""}"#.len() - 4 * 1000;
            let long = "x".repeat(1000);
            parse(json!({ "a": long, "b": long, "c": long, "d": long, "e": "x".repeat(rest) }))
        };
        let longest = of_bytes(LONGEST_WHOLE).unwrap();
        assert_eq!(Value::Object(longest.to_map()).to_string().len(), LONGEST_WHOLE);
        assert_eq!(of_bytes(LONGEST_WHOLE + 1).unwrap_err(), AttributeError::new("e", TOO_LONG));
        let mut whole = longest.clone();
        assert_eq!(whole.insert("e", &json!("x".repeat(900))).unwrap_err().what, TOO_LONG);
        assert_eq!(whole.insert("f", &json!(1)).unwrap_err().what, TOO_LONG);
        assert_eq!(whole, longest, "what is refused changes nothing");
        let other_way_round = map(json!({ "a": "x", "f": "x".repeat(900) }));
        assert!(
            longest.changed(&other_way_round).is_ok()
                && longest.with(&Attributes::parse(&other_way_round).unwrap()).is_ok()
        );
        assert_eq!(parse(json!({ "a": vec!["é\"".repeat(400); 4] })).unwrap_err().what, TOO_LONG, "escapes count");
    }

    #[test]
    fn a_change_sets_takes_away_and_leaves_the_rest() {
        let before = parse(json!({ "plan": "free", "seats": 3, "roles": ["a"] })).unwrap();
        let after =
            before.changed(&map(json!({ "plan": "pro", "seats": null, "new": true, "nothing": null }))).unwrap();
        assert_eq!(Value::Object(after.to_map()), json!({ "plan": "pro", "roles": ["a"], "new": true }));
        assert!(before.changed(&map(json!({ "plan": "pro", "seats": {} }))).is_err());
        let with = before.with(&parse(json!({ "plan": "pro", "x": 1 })).unwrap()).unwrap();
        assert_eq!(Value::Object(with.to_map()), json!({ "plan": "pro", "seats": 3, "roles": ["a"], "x": 1 }));
    }
}
