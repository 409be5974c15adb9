//! Reads the members of a JSON object one by one; problems are reported with the path of the field.

use serde_json::{Map, Value};

use crate::clock::Time;

/// Why a line is refused. It never quotes the file, which may contain secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", if field.is_empty() { String::new() } else { format!("{field} ") })]
pub struct Problem {
    /// The field as a path (`passkeys[0].publicKey`); empty for the line itself.
    pub field: String,
    /// What is wrong with it; follows its name in a message.
    pub reason: String,
}

impl Problem {
    /// A problem of one field.
    pub fn of(field: impl Into<String>, reason: impl ToString) -> Self {
        Self { field: field.into(), reason: reason.to_string() }
    }

    /// A problem of the line as a whole.
    pub fn of_line(reason: impl ToString) -> Self {
        Self::of("", reason)
    }
}

/// An object being read. Null counts as absent.
#[derive(Debug)]
pub struct Fields {
    path: String,
    members: Map<String, Value>,
}

impl Fields {
    /// The object of a whole line.
    pub const fn of_line(members: Map<String, Value>) -> Self {
        Self { path: String::new(), members }
    }

    /// A value that must be an object.
    pub fn of(value: Value, path: String) -> Result<Self, Problem> {
        match value {
            Value::Object(members) => Ok(Self { path, members }),
            _ => Err(Problem::of(path, "must be an object")),
        }
    }

    /// The path of a member.
    pub fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A problem with a member.
    pub fn problem(&self, name: &str, reason: impl ToString) -> Problem {
        Problem::of(self.path(name), reason)
    }

    /// Takes any value.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// Takes the first of several names that is present: names differ between code and SQL.
    pub fn any(&mut self, names: &[&'static str]) -> Option<(&'static str, Value)> {
        let mut found = None;
        for name in names {
            if let Some(value) = self.value(name) {
                found = found.or(Some((*name, value)));
            }
        }
        found
    }

    /// Takes a text without NUL, which PostgreSQL cannot store.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        self.value(name).map(|value| self.as_text(name, value)).transpose()
    }

    /// A value of this object that must be a text.
    pub fn as_text(&self, name: &str, value: Value) -> Result<String, Problem> {
        match value {
            Value::String(text) if text.contains('\0') => Err(self.problem(name, "holds a NUL character")),
            Value::String(text) => Ok(text),
            _ => Err(self.problem(name, "must be a text")),
        }
    }

    /// Takes a required text.
    pub fn required_text(&mut self, name: &str) -> Result<String, Problem> {
        self.text(name)?.ok_or_else(|| self.problem(name, "is missing"))
    }

    /// Takes `true` or `false`.
    pub fn switch(&mut self, name: &str) -> Result<Option<bool>, Problem> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(self.problem(name, "must be true or false")),
        }
    }

    /// Takes a 32-bit counter.
    pub fn counter(&mut self, name: &str) -> Result<Option<u32>, Problem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.map(Some).ok_or_else(|| self.problem(name, "must be a whole number from 0 to 4294967295"))
    }

    /// Takes a time in RFC 3339.
    pub fn time(&mut self, name: &str) -> Result<Option<Time>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let time = Time::parse_from_rfc3339_utc(&text);
        time.map(Some).ok_or_else(|| self.problem(name, "must be a time such as 2026-11-21T08:00:00Z"))
    }

    /// Takes a list.
    pub fn list(&mut self, name: &str) -> Result<Vec<Value>, Problem> {
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.problem(name, "must be a list")),
        }
    }

    /// Takes a list of texts.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, Problem> {
        let items = self.list(name)?;
        items.into_iter().enumerate().map(|(at, item)| self.as_text(&format!("{name}[{at}]"), item)).collect()
    }

    /// Takes a list of objects.
    pub fn objects(&mut self, name: &str) -> Result<Vec<Self>, Problem> {
        let path = self.path(name);
        self.list(name)?.into_iter().enumerate().map(|(at, item)| Self::of(item, format!("{path}[{at}]"))).collect()
    }

    /// Takes an object.
    pub fn object(&mut self, name: &str) -> Result<Option<Self>, Problem> {
        let path = self.path(name);
        self.value(name).map(|value| Self::of(value, path)).transpose()
    }

    /// The remaining members.
    pub fn members(self) -> Map<String, Value> {
        self.members
    }

    /// Checks that everything was read: a member that is left is an error, because it would be lost silently.
    pub fn end(self) -> Result<(), Problem> {
        match self.members.iter().find(|(_, value)| !value.is_null()) {
            None => Ok(()),
            Some((name, _)) => {
                let known: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
                Err(Problem::of(self.path(&known), "is no field of this form"))
            }
        }
    }
}

/// Reads times in the range that the database and people can show.
pub trait ParseTime: Sized {
    /// RFC 3339, in the years 1970 to 9999.
    fn parse_from_rfc3339_utc(text: &str) -> Option<Self>;
}

impl ParseTime for Time {
    fn parse_from_rfc3339_utc(text: &str) -> Option<Self> {
        let time = chrono::DateTime::parse_from_rfc3339(text).ok()?.to_utc();
        is_showable(time).then_some(time)
    }
}

/// Whether a time is in the years 1970 to 9999.
pub fn is_showable(time: Time) -> bool {
    (0..253_402_300_800).contains(&time.timestamp())
}
