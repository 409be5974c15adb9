//! A rule for one claim: its place, its shape, and its forbidden values. Checked when a bridge is saved and at each
//! minting.

use serde_json::Value;

use super::rules::{Plan, Problems, Violation};
use super::shape::Shape;
use crate::bridge::spec::Problem;
use crate::bridge::template::Template;

/// The rule.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The path: names from the top level.
    pub path: &'static [&'static str],
    /// The required shape, if it is present.
    pub shape: Shape,
    /// Whether the target does not work without it.
    pub needed: bool,
    /// Whether it decides what the token allows: then it must contain no text that a person, a client or a device
    /// chooses.
    pub rights: bool,
    /// Whether only the preset can set it.
    pub locked: bool,
    /// Values that grant more than a user should have; only with `dangerous = true`. A `*` at one end matches anything;
    /// `true` is the flag.
    pub powerful: &'static [&'static str],
}

/// A rule for the claim at `path`.
pub const fn claim(path: &'static [&'static str], shape: Shape) -> Claim {
    Claim { path, shape, needed: false, rights: false, locked: false, powerful: &[] }
}

impl Claim {
    /// The target does not work without it.
    pub const fn needed(self) -> Self {
        Self { needed: true, ..self }
    }

    /// It decides what the token allows.
    pub const fn rights(self) -> Self {
        Self { rights: true, ..self }
    }

    /// Only the preset can set it.
    pub const fn locked(self) -> Self {
        Self { locked: true, ..self }
    }

    /// These values require `dangerous = true`.
    pub const fn powerful(self, powerful: &'static [&'static str]) -> Self {
        Self { powerful, rights: true, ..self }
    }

    /// Its place, for messages.
    pub fn place(&self) -> String {
        self.path.join(".")
    }

    /// The first powerful value in `value`.
    pub fn too_powerful(&self, value: &Value) -> Option<String> {
        if self.powerful.is_empty() { None } else { find_text(value, &|text| self.is_powerful(text)) }
    }

    fn is_powerful(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.powerful.iter().any(|pattern| {
            let pattern = pattern.to_ascii_lowercase();
            match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
                _ if pattern.len() == 1 => text == pattern,
                (Some(end), _) => text.ends_with(end),
                (None, Some(beginning)) => text.starts_with(beginning),
                (None, None) => text == pattern,
            }
        })
    }
}

/// The value at a path.
pub fn at<'a>(claims: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(claims, |value, name| value.get(name))
}

/// The first text at or below a value that matches. Many targets read a text with spaces or commas as a list.
fn find_text(value: &Value, wanted: &impl Fn(&str) -> bool) -> Option<String> {
    match value {
        Value::String(text) => {
            let words = text.split([' ', ',']).map(str::trim);
            std::iter::once(text.as_str()).chain(words).find(|text| wanted(text)).map(ToOwned::to_owned)
        }
        Value::Bool(true) => wanted("true").then(|| "true".to_owned()),
        Value::Array(items) => items.iter().find_map(|item| find_text(item, wanted)),
        Value::Object(members) => members.values().find_map(|member| find_text(member, wanted)),
        _ => None,
    }
}

/// Checks, when a bridge is saved, that required claims are present and spelt correctly, and that nobody chooses what
/// the token allows.
pub fn vet_claims(rules: &[Claim], template: &Template, problems: &mut Problems) {
    for rule in rules {
        let place = format!("claims.{}", rule.place());
        if let Some(found) = template.misspelt(rule.path) {
            problems.add(&place, Problem::Misspelt(found.to_owned()));
        } else if rule.needed && !template.has(rule.path) {
            problems.add(&place, Problem::Required(rule.shape.words));
        } else if rule.rights && template.is_chosen(rule.path) {
            problems.add(&place, Problem::Chosen);
        }
    }
}

/// Checks the finished claims.
pub fn check_claims(rules: &[Claim], plan: &Plan, claims: &Value, broken: &mut Vec<Violation>) {
    for rule in rules {
        check_claim(rule, plan, claims, broken);
    }
}

fn check_claim(rule: &Claim, plan: &Plan, claims: &Value, broken: &mut Vec<Violation>) {
    match at(claims, rule.path) {
        None if rule.needed => broken.push(Violation::Shape(rule.place(), rule.shape.words)),
        Some(value) if !(rule.shape.holds)(value) => broken.push(Violation::Shape(rule.place(), rule.shape.words)),
        Some(value) if !plan.dangerous => {
            broken.extend(rule.too_powerful(value).map(|value| Violation::Powerful(rule.place(), value)));
        }
        None | Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bridge::preset::shape;

    #[test]
    fn powerful_values_are_found_however_they_are_written() {
        let rule = claim(&["x"], shape::ANY).powerful(&["admin", "system:*", "*.tag:administrator", "*", "true"]);
        for value in [
            json!("admin"),
            json!("ADMIN"),
            json!("read Admin"),
            json!("read,admin"),
            json!(["user", "admin"]),
            json!({ "a": { "b": ["system:masters"] } }),
            json!("rabbitmq.tag:administrator"),
            json!("*"),
            json!(["*"]),
            json!(true),
        ] {
            assert!(rule.too_powerful(&value).is_some(), "{value}");
        }
        for value in [json!("administrator"), json!("a*"), json!("systems"), json!(false), json!(1), json!([])] {
            assert_eq!(rule.too_powerful(&value), None, "{value}");
        }
    }
}
