//! Request values that are not accepted, each with its name, what is wrong and what to do.

use serde_json::{Value, json};

use super::error::{Failure, Kind};

/// A value that is not accepted.
#[derive(Clone, Debug)]
pub struct WrongField {
    /// The name of the value, as in the request.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub cure: String,
}

/// Refuses values, each with its name, what is wrong and what to do.
pub fn wrong_fields(fields: &[WrongField]) -> Failure {
    let sentence = fields.iter().map(|one| format!("`{}` {}; {}.", one.field, one.what, one.cure));
    let errors: Vec<Value> =
        fields.iter().map(|one| json!({ "field": one.field, "what": one.what, "cure": one.cure })).collect();
    let kind = Kind::InvalidField;
    Failure::new(kind, sentence.collect::<Vec<_>>().join(" ")).with("errors", Value::Array(errors))
}

/// Refuses one value.
pub fn wrong_field(field: &str, what: impl Into<String>, cure: impl Into<String>) -> Failure {
    wrong_fields(&[WrongField { field: field.to_owned(), what: what.into(), cure: cure.into() }])
}
