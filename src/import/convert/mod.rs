//! Converters for the files of other systems, one file each, and the functions that they share.
//!
//! A converter reads what it knows, and reports with a [`Note`] what it leaves out of value; members without a meaning
//! here are skipped. An error in a passkey, a password or an id refuses the line. A claim that does not have the
//! standard's form is only left out, because nobody should lose an account over the spelling of a telephone number. The
//! same applies to a password if the system lets its operators choose the hash.

pub mod auth0;
pub mod better_auth;
pub mod firebase;
pub mod hanko;
#[cfg(test)]
mod kept_tests;
pub mod keycloak;
mod passkey;
pub mod simple_webauthn;
#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDateTime};
use serde_json::{Map, Value};

use super::fields::{Fields, ParseTime as _, Problem, is_showable};
use super::record::{Note, Record};
use crate::clock::Time;
use crate::domain::attributes::AttributeError;
use crate::domain::password_hash::PasswordHash;
use crate::domain::standard_claims::{self, StandardClaims};
use crate::domain::strict_json::parse_object;
use crate::domain::text::DisplayName;

/// Claims being collected; one that does not fit leaves a note.
#[derive(Default)]
struct Claims {
    claims: Map<String, Value>,
    notes: Vec<Note>,
}

impl Claims {
    /// Takes a claim from a member of the file. Many systems write an empty text for "none".
    fn put(&mut self, claim: &'static str, field: &str, value: Option<Value>) {
        let Some(value) = value.filter(|value| value != "") else { return };
        if standard_claims::fits(claim, &value) {
            self.claims.insert(claim.to_owned(), value);
        } else {
            self.notes.push(Note::new(
                "claims left out",
                field,
                format!("is no value that `{claim}` can have: left out"),
            ));
        }
    }

    /// Takes the e-mail address, and whether it is verified.
    fn put_email(&mut self, field: &str, address: Option<Value>, verified: Option<bool>) {
        self.put("email", field, address);
        if verified == Some(true) && self.claims.contains_key("email") {
            self.claims.insert("email_verified".to_owned(), true.into());
        }
    }

    /// Takes the telephone number, and whether it is verified.
    fn put_phone(&mut self, field: &str, number: Option<Value>, verified: Option<bool>) {
        self.put("phone_number", field, number);
        if verified == Some(true) && self.claims.contains_key("phone_number") {
            self.claims.insert("phone_number_verified".to_owned(), true.into());
        }
    }

    /// Puts claims and notes into a record.
    fn finish(self, record: &mut Record) -> Result<(), Problem> {
        record.claims = StandardClaims::parse(&self.claims).map_err(|error| Problem::of(error.claim, error.what))?;
        record.notes.extend(self.notes);
        Ok(())
    }
}

/// Why data that people can write themselves in another system is not an attribute here.
const OF_THEIR_OWN: &str = "people change it themselves there, and an attribute may decide what they are allowed";

/// The most members of one kind that are reported by name; the rest is reported as a number.
const TOLD_BY_NAME: usize = 20;

/// Takes attributes under their own names. One that does not fit, or was already given elsewhere, leaves a note.
fn take_attributes(record: &mut Record, kind: &'static str, field: &str, value: Option<Value>) {
    let members = match value {
        None | Some(Value::Null) => return,
        Some(Value::Object(members)) => members,
        // Some databases store it as text.
        Some(Value::String(text)) if text.is_empty() => return,
        Some(Value::String(text)) => match parse_object(text.as_bytes()) {
            Ok(members) => members,
            Err(_) => return leave_out(record, kind, field, 1, "it is no JSON object"),
        },
        Some(other) => return leave_out(record, kind, field, count(Some(&other)), "it is no JSON object"),
    };
    let mut left = Vec::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        if record.attributes.get(name).is_some() {
            left.push(Note::new(kind, format!("{field}.{name}"), "has the name of one that is there: left out"));
        } else if let Err(AttributeError { name, what }) = record.attributes.insert(name, value) {
            left.push(Note::new(kind, format!("{field}.{name}"), format!("{what}: left out")));
        }
    }
    let more = left.len().saturating_sub(TOLD_BY_NAME);
    left.truncate(TOLD_BY_NAME);
    record.notes.extend(left);
    leave_out(record, kind, field, more, "for reasons such as those of the others");
}

/// The first of these members that is present.
fn any(fields: &mut Fields, names: &[&'static str]) -> Option<Value> {
    fields.any(names).map(|(_, value)| value)
}

/// A text, or a number as text: ids can be either.
fn id(fields: &mut Fields, names: &[&'static str]) -> Result<Option<String>, Problem> {
    match fields.any(names) {
        None => Ok(None),
        Some((name, Value::Number(number))) if number.is_u64() => {
            super::form::external_id(name, number.to_string()).map(Some)
        }
        Some((name, value)) => {
            let text = fields.as_text(name, value)?;
            super::form::external_id(name, text).map(Some)
        }
    }
}

/// A boolean as JSON, databases and their drivers write it.
fn truth(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => number.as_u64().map(|number| number != 0),
        Value::String(text) => match text.as_str() {
            "true" | "t" | "1" => Some(true),
            "false" | "f" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A boolean that decides whether a person may sign in: an unreadable one is an error, so that nobody is let in by
/// mistake.
fn switch(fields: &mut Fields, name: &str) -> Result<Option<bool>, Problem> {
    let Some(value) = fields.value(name) else { return Ok(None) };
    truth(Some(&value)).map(Some).ok_or_else(|| fields.problem(name, "must be true or false"))
}

/// A password hash that may have any form; an unknown one is noted and left out.
fn known_hash(text: &str, field: String, notes: &mut Vec<Note>) -> Option<PasswordHash> {
    match PasswordHash::parse(text) {
        Ok(hash) => Some(hash),
        Err(problem) => {
            notes.push(Note::new("passwords left out", field, format!("{problem}: left out")));
            None
        }
    }
}

/// A time as JSON, databases and their drivers write it: RFC 3339, the same without a zone (UTC), seconds or
/// milliseconds since 1970, MongoDB's `$date`, Firestore's `_seconds`.
fn time(value: Option<&Value>) -> Option<Time> {
    let time = match value? {
        Value::String(text) => match text.parse::<i64>() {
            Ok(number) => since_1970(number),
            Err(_) => of_text(text),
        },
        Value::Number(number) => since_1970(number.as_i64().or_else(|| whole(number.as_f64()?))?),
        Value::Object(members) => {
            if let Some(date) = members.get("$date") {
                return time(Some(date));
            }
            let seconds = members.get("_seconds").or_else(|| members.get("seconds"))?;
            DateTime::from_timestamp(seconds.as_i64()?, 0)
        }
        _ => None,
    };
    time.filter(|time| is_showable(*time))
}

/// A number written with fractions of a millisecond.
fn whole(number: f64) -> Option<i64> {
    format!("{:.0}", number.trunc()).parse().ok()
}

fn since_1970(number: i64) -> Option<Time> {
    // As seconds this is the year 5138, as milliseconds 1973.
    if number < 100_000_000_000 { DateTime::from_timestamp(number, 0) } else { DateTime::from_timestamp_millis(number) }
}

fn of_text(text: &str) -> Option<Time> {
    if let Some(time) = Time::parse_from_rfc3339_utc(text) {
        return Some(time);
    }
    let zoned = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"];
    if let Some(time) = zoned.iter().find_map(|form| DateTime::parse_from_str(text, form).ok()) {
        return Some(time.to_utc());
    }
    let bare = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
    bare.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(|time| time.and_utc())
}

/// A display name, cut to the length that we show; `None` if nothing of it can be shown.
fn display_name(value: Option<&Value>) -> Option<String> {
    let text: String = value?.as_str()?.chars().filter(|c| !c.is_control()).take(DisplayName::LONGEST).collect();
    DisplayName::parse(&text).ok().map(|name| name.as_str().to_owned())
}

/// A list as JSON, as JSON in a text, as PostgreSQL's `{a,b}`, or as words separated by commas.
fn words(value: Option<Value>) -> Vec<String> {
    let texts = |items: Vec<Value>| -> Vec<String> {
        let word = |item: Value| match item {
            Value::String(text) => Some(text),
            Value::Object(mut members) => members.remove("name")?.as_str().map(ToOwned::to_owned),
            _ => None,
        };
        items.into_iter().filter_map(word).collect()
    };
    match value {
        Some(Value::Array(items)) => texts(items),
        Some(Value::String(text)) => serde_json::from_str::<Vec<Value>>(&text).map_or_else(
            |_| text.trim_matches(['{', '}']).split(',').map(|word| word.trim().to_owned()).collect(),
            texts,
        ),
        _ => Vec::new(),
    }
}

/// Notes how many items of a kind are left out.
fn leave_out(record: &mut Record, kind: &'static str, field: &str, count: usize, why: &str) {
    if count > 0 {
        record.notes.push(Note::new(kind, field, format!("{count} left out: {why}")));
    }
}

/// The number of items in a list, an object, or a single value.
fn count(value: Option<&Value>) -> usize {
    match value {
        None | Some(Value::Null) => 0,
        Some(Value::Array(items)) => items.len(),
        Some(Value::Object(members)) => members.len(),
        Some(Value::String(text)) => usize::from(!text.is_empty() && text != "{}"),
        Some(Value::Bool(value)) => usize::from(*value),
        Some(Value::Number(_)) => 1,
    }
}

/// The objects of a list that has one of these names.
fn objects(fields: &mut Fields, names: &[&'static str]) -> Result<Vec<Fields>, Problem> {
    let Some((name, value)) = fields.any(names) else { return Ok(Vec::new()) };
    let Value::Array(items) = value else { return Err(fields.problem(name, "must be a list")) };
    let path = fields.path(name);
    items.into_iter().enumerate().map(|(at, item)| Fields::of(item, format!("{path}[{at}]"))).collect()
}

/// A required id: it identifies the person permanently.
fn required_id(fields: &mut Fields, names: &[&'static str]) -> Result<String, Problem> {
    id(fields, names)?.ok_or_else(|| fields.problem(names.first().copied().unwrap_or("id"), "is missing"))
}
