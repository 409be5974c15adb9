//! Converts given values to other formats: JSON for claims, TOML for descriptions.

use super::inputs::{Given, Value};
use super::problems::{Problem, Wrong};
use super::section::Kind;

/// A tree as JSON; a value that JSON cannot express becomes a problem, at its own place.
pub(super) fn json(path: &str, given: &Given, problems: &mut Vec<Problem>) -> serde_json::Value {
    let mut refuse = |what: &str, cure: &str| {
        let wrong = Wrong::new(what, cure);
        problems.push(Problem { key: path.to_owned(), place: given.place.clone(), wrong });
        serde_json::Value::Null
    };
    match &given.value {
        Value::Text(text) | Value::Word(text) => text.clone().into(),
        Value::Switch(switch) => (*switch).into(),
        Value::Integer(number) => match i64::try_from(*number) {
            Ok(number) => number.into(),
            Err(_) => refuse("a number is out of range", "write it as text"),
        },
        Value::Float(number) => match serde_json::Number::from_f64(*number) {
            Some(number) => number.into(),
            None => refuse("a number is infinite or none, which JSON cannot say", "write it as text"),
        },
        Value::Moment(_) => refuse("holds a date, which JSON cannot say", "write it in quotes"),
        Value::List(list) => list.iter().map(|element| json(path, element, problems)).collect(),
        Value::Table(table) => {
            let entry = |(name, value): (&String, &Given)| (name.clone(), json(path, value, problems));
            table.iter().map(entry).collect::<serde_json::Map<_, _>>().into()
        }
    }
}

/// A value as TOML.
pub(super) fn show(value: &Value, kind: &Kind) -> String {
    match (value, kind) {
        (_, Kind::Secret) => show_text("***"),
        (Value::Word(word), Kind::Switch | Kind::Integer(..)) => word.clone(),
        (Value::Word(words), Kind::List(_) | Kind::Choices(_)) => {
            let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
            format!("[{}]", words.map(show_text).collect::<Vec<_>>().join(", "))
        }
        (Value::Text(text) | Value::Word(text) | Value::Moment(text), _) => show_text(text),
        (Value::Integer(number), _) => number.to_string(),
        (Value::Float(number), _) => toml::Value::from(*number).to_string(),
        (Value::Switch(switch), _) => switch.to_string(),
        (Value::List(list), _) => {
            let elements: Vec<String> = list.iter().map(|element| show(&element.value, kind)).collect();
            format!("[{}]", elements.join(", "))
        }
        (Value::Table(table), _) => {
            let entry =
                |(name, given): (&String, &Given)| format!("{} = {}", show_text(name), show(&given.value, kind));
            format!("{{ {} }}", table.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Text as a TOML string on one line.
pub(super) fn show_text(text: &str) -> String {
    // JSON's escapes are valid in TOML, except that TOML also requires DEL to be escaped.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
