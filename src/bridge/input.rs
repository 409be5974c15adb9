//! Inputs: values that the caller may give with a token request, such as the name of a room, each declared by the
//! bridge.
//!
//! What must always hold: a value that was not declared, has another kind, is too long, or contains a character outside
//! its character set never reaches a template. What an input may be is fixed when the bridge is saved.
//!
//! To add a kind of check: a member of [`Declaration`], and its part in [`Input::accepts`].

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::charset::Charset;
use super::facts::{Datum, Kind};

/// The maximum number of inputs of a bridge.
const MAX_INPUTS: usize = 16;
const MAX_LENGTH: usize = 1024;
const MAX_ITEMS: usize = 64;

/// The inputs of one bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<String, Input>);

/// One declared input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    kind: Kind,
    charset: Charset,
    one_of: Vec<String>,
    max_length: usize,
    max_items: usize,
    required: bool,
}

/// An input as an operator declares it: `room = { type = "text", charset = "name", max_length = 40 }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    #[serde(default, rename = "type")]
    kind: Word,
    #[serde(default)]
    charset: Charset,
    #[serde(default)]
    one_of: Vec<String>,
    #[serde(default = "Declaration::max_length")]
    max_length: usize,
    #[serde(default = "Declaration::max_items")]
    max_items: usize,
    #[serde(default = "Declaration::required")]
    required: bool,
}

impl Declaration {
    const fn max_length() -> usize {
        64
    }

    const fn max_items() -> usize {
        16
    }

    const fn required() -> bool {
        true
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    #[default]
    Text,
    Number,
    Flag,
    List,
}

/// What is wrong with a declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputProblem {
    /// The inputs must be a table of tables.
    #[error("inputs are a table, one entry for each name")]
    NotATable,
    /// More than any template uses.
    #[error("more than {MAX_INPUTS} inputs")]
    TooMany,
    /// A name that cannot be used as `input.NAME`.
    #[error("a name is 1 to 32 of a-z, 0-9 and _, beginning with a letter")]
    Name,
    /// Not a valid declaration.
    #[error("{0}")]
    Form(String),
    /// A limit of zero, or beyond the maximum of any input.
    #[error("`max_length` is 1 to {MAX_LENGTH}, `max_items` 1 to {MAX_ITEMS}")]
    Bounds,
    /// A listed value that violates the other rules.
    #[error("a value of `one_of` breaks the other rules of this input")]
    OneOf,
    /// Rules for text on a number or a flag.
    #[error("`one_of` belongs to text and lists")]
    NotText,
}

/// Why the given inputs are refused. Contains no values: they may be personal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputRefusal {
    /// A required input is missing.
    #[error("the input `{0}` is missing")]
    Missing(String),
    /// The bridge declares no input with this name.
    #[error("the bridge has no such input: `{0}`")]
    Unknown(String),
    /// A value that does not match the declaration.
    #[error("the input `{name}` must be {wanted}")]
    Value {
        /// The name of the input.
        name: String,
        /// What is allowed.
        wanted: String,
    },
}

impl Inputs {
    /// Parses the declarations; every mistake is reported with its place.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(declared: &Value) -> Result<Self, Vec<(String, InputProblem)>> {
        let members = match declared {
            Value::Null => return Ok(Self::default()),
            Value::Object(members) => members,
            _ => return Err(vec![("inputs".to_owned(), InputProblem::NotATable)]),
        };
        let mut problems = Vec::new();
        if members.len() > MAX_INPUTS {
            problems.push(("inputs".to_owned(), InputProblem::TooMany));
        }
        let mut inputs = BTreeMap::new();
        for (name, declaration) in members {
            let input = if is_name(name) { Input::parse(declaration) } else { Err(InputProblem::Name) };
            match input {
                Ok(input) => drop(inputs.insert(name.clone(), input)),
                Err(problem) => problems.push((format!("inputs.{}", name.escape_default()), problem)),
            }
        }
        if problems.is_empty() { Ok(Self(inputs)) } else { Err(problems) }
    }

    /// The input with this name.
    pub fn find(&self, name: &str) -> Option<&Input> {
        self.0.get(name)
    }

    /// Every name, with a description of its values.
    pub fn described(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(name, input)| (name.as_str(), input.wanted()))
    }

    /// Validates the caller's inputs.
    ///
    /// # Errors
    /// The first input that is missing, unknown or not as declared.
    pub fn accept(&self, given: Option<&Map<String, Value>>) -> Result<BTreeMap<String, Datum>, InputRefusal> {
        if let Some(unknown) = given.into_iter().flat_map(Map::keys).find(|name| !self.0.contains_key(*name)) {
            return Err(InputRefusal::Unknown(unknown.chars().take(40).flat_map(char::escape_default).collect()));
        }
        let mut accepted = BTreeMap::new();
        for (name, input) in &self.0 {
            match given.and_then(|given| given.get(name)).filter(|value| !value.is_null()) {
                None if input.required => return Err(InputRefusal::Missing(name.clone())),
                None => {}
                Some(value) => {
                    let refusal = || InputRefusal::Value { name: name.clone(), wanted: input.wanted() };
                    accepted.insert(name.clone(), input.accepts(value).ok_or_else(refusal)?);
                }
            }
        }
        Ok(accepted)
    }

    /// A value for each input, or only for the required ones, for the samples.
    pub fn samples(&self, all: bool) -> BTreeMap<String, Datum> {
        let wanted = self.0.iter().filter(|(_, input)| all || input.required);
        wanted.map(|(name, input)| (name.clone(), input.sample())).collect()
    }
}

impl Input {
    fn parse(declaration: &Value) -> Result<Self, InputProblem> {
        let form = |error: serde_json::Error| InputProblem::Form(error.to_string());
        let Declaration { kind, charset, one_of, max_length, max_items, required } =
            Declaration::deserialize(declaration).map_err(form)?;
        let kind = match kind {
            Word::Text => Kind::Text,
            Word::Number => Kind::Number,
            Word::Flag => Kind::Flag,
            Word::List => Kind::List,
        };
        if !(1..=MAX_LENGTH).contains(&max_length) || !(1..=MAX_ITEMS).contains(&max_items) {
            return Err(InputProblem::Bounds);
        }
        if !one_of.is_empty() && !matches!(kind, Kind::Text | Kind::List) {
            return Err(InputProblem::NotText);
        }
        let input = Self { kind, charset, one_of: Vec::new(), max_length, max_items, required };
        if !one_of.iter().all(|value| input.takes(value)) {
            return Err(InputProblem::OneOf);
        }
        Ok(Self { one_of, ..input })
    }

    /// The kind of its values.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the operator listed every possible value.
    pub const fn is_listed(&self) -> bool {
        !self.one_of.is_empty()
    }

    /// The value, if this input allows it.
    fn accepts(&self, value: &Value) -> Option<Datum> {
        match (self.kind, value) {
            (Kind::Text, Value::String(text)) => self.takes(text).then(|| Datum::Text(text.clone())),
            (Kind::Number, Value::Number(number)) => number.as_i64().map(Datum::Number),
            (Kind::Flag, Value::Bool(flag)) => Some(Datum::Flag(*flag)),
            (Kind::List, Value::Array(items)) if items.len() <= self.max_items => {
                let text = |item: &Value| item.as_str().filter(|text| self.takes(text)).map(ToOwned::to_owned);
                items.iter().map(text).collect::<Option<Vec<_>>>().map(Datum::List)
            }
            _ => None,
        }
    }

    fn takes(&self, text: &str) -> bool {
        let listed = self.one_of.is_empty() || self.one_of.iter().any(|one| one == text);
        listed && (1..=self.max_length).contains(&text.len()) && self.charset.holds(text)
    }

    fn wanted(&self) -> String {
        let text = if self.one_of.is_empty() {
            format!("1 to {} bytes of {}", self.max_length, self.charset.words())
        } else {
            format!("one of {}", self.one_of.join(", "))
        };
        match self.kind {
            Kind::Text => text,
            Kind::Number => "a whole number".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::List => format!("a list of at most {} texts, each {text}", self.max_items),
        }
    }

    fn sample(&self) -> Datum {
        let text = || self.one_of.first().cloned().unwrap_or_else(|| self.charset.sample(self.max_length));
        match self.kind {
            Kind::Text => Datum::Text(text()),
            Kind::Number => Datum::Number(7),
            Kind::Flag => Datum::Flag(true),
            Kind::List => Datum::List(vec![text()]),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
