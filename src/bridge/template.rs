//! The claims of a bridge: a JSON tree whose strings may be expressions.
//!
//! What must always hold: the structure of the tree and the names in it are fixed when it is saved; only leaves vary
//! with the user. A name is visible ASCII, and no name occurs twice in one object, in any case: some parsers ignore the
//! case of names, and a similar name must not pass for another claim.

use serde_json::{Map, Value};

use super::expression::{AttributeUse, EvaluationError, Expression, ExpressionProblem};
use super::facts::{Context, Fact};
use super::input::Inputs;

/// The maximum depth of objects and lists, including the outermost.
const MAX_DEPTH: usize = 6;
const MAX_NODES: usize = 200;
const MAX_NAME: usize = 128;

/// A parsed claims tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    members: Vec<(String, Node)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Literal(Value),
    Expression(Expression),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// What is wrong with a claims tree, at one place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateProblem {
    /// The claims must be an object (a table).
    #[error("claims must be an object")]
    NotAnObject,
    /// `null` has no meaning as a claim.
    #[error("null is no claim: leave the name out")]
    Null,
    /// Deeper than any target needs.
    #[error("more than {MAX_DEPTH} levels")]
    TooDeep,
    /// More values than any token needs.
    #[error("more than {MAX_NODES} values")]
    TooMany,
    /// A name with characters other than visible ASCII, or with quotes, backslashes or braces.
    #[error("a name is 1 to {MAX_NAME} visible ASCII characters without quotes, backslash or braces")]
    Name,
    /// Two names that differ only in case.
    #[error("the name occurs twice (upper and lower case count as the same)")]
    Twice,
    /// A mistake in an expression.
    #[error(transparent)]
    Expression(#[from] ExpressionProblem),
}

impl Template {
    /// Parses a claims tree; every mistake is reported with its place (`claims.roles[2]`).
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(claims: &Value, inputs: &Inputs) -> Result<Self, Vec<(String, TemplateProblem)>> {
        let members = match claims {
            Value::Null => return Ok(Self { members: Vec::new() }),
            Value::Object(members) => members,
            _ => return Err(vec![("claims".to_owned(), TemplateProblem::NotAnObject)]),
        };
        let mut parser = Parser { problems: Vec::new(), nodes: 0, inputs };
        let members = parser.members(members, "claims", 1);
        if parser.problems.is_empty() { Ok(Self { members }) } else { Err(parser.problems) }
    }

    /// The names at the top level.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }

    /// The expression of a top-level claim, if the claim is a single expression.
    pub fn expression(&self, name: &str) -> Option<&Expression> {
        self.members.iter().find_map(|(found, node)| match node {
            Node::Expression(expression) if found == name => Some(expression),
            _ => None,
        })
    }

    /// Whether there is a value at a path of object members.
    pub fn has(&self, path: &[&str]) -> bool {
        self.find(path).is_some()
    }

    /// The name that is at the last position of `path`, but in another case.
    pub fn misspelt(&self, path: &[&str]) -> Option<&str> {
        let (last, parents) = path.split_last()?;
        let members = match self.find(parents) {
            Some(Node::Object(members)) => members,
            None if parents.is_empty() => &self.members,
            _ => return None,
        };
        members.iter().map(|(name, _)| name.as_str()).find(|name| name != last && name.eq_ignore_ascii_case(last))
    }

    /// Whether any expression at or below a path contains something that a person, a client or a device can choose.
    pub fn is_chosen(&self, path: &[&str]) -> bool {
        self.find(path).is_some_and(Node::is_chosen)
    }

    fn find(&self, path: &[&str]) -> Option<&Node> {
        let (first, rest) = path.split_first()?;
        let member = |members: &'_ [(String, Node)], wanted: &str| members.iter().position(|(name, _)| name == wanted);
        let mut node = &self.members[member(&self.members, first)?].1;
        for name in rest {
            let Node::Object(members) = node else { return None };
            node = &members[member(members, name)?].1;
        }
        Some(node)
    }

    /// All sources named by `link('…')` anywhere in the tree.
    pub fn links(&self) -> Vec<&str> {
        let mut links = Vec::new();
        for (_, node) in &self.members {
            node.collect_links(&mut links);
        }
        links
    }

    /// All attributes named by `user.attr('…')` anywhere in the tree.
    pub fn attributes(&self) -> Vec<AttributeUse<'_>> {
        let mut attributes = Vec::new();
        for (_, node) in &self.members {
            node.collect_attributes(&mut attributes);
        }
        attributes
    }

    /// Whether any expression uses a fact for which `wanted` is true.
    pub fn asks_for(&self, wanted: fn(Fact) -> bool) -> bool {
        self.members.iter().any(|(_, node)| node.asks_for(wanted))
    }

    /// The claims for one sign-in.
    ///
    /// # Errors
    /// The first leaf without a value, with its place.
    pub fn render(&self, context: &Context<'_>) -> Result<Map<String, Value>, (String, EvaluationError)> {
        render_members(&self.members, context, "claims")
    }
}

impl Node {
    fn collect_links<'a>(&'a self, links: &mut Vec<&'a str>) {
        match self {
            Self::Literal(_) => {}
            Self::Expression(expression) => links.extend(expression.links()),
            Self::List(items) => items.iter().for_each(|item| item.collect_links(links)),
            Self::Object(members) => members.iter().for_each(|(_, node)| node.collect_links(links)),
        }
    }

    fn collect_attributes<'a>(&'a self, attributes: &mut Vec<AttributeUse<'a>>) {
        match self {
            Self::Literal(_) => {}
            Self::Expression(expression) => attributes.extend(expression.attributes()),
            Self::List(items) => items.iter().for_each(|item| item.collect_attributes(attributes)),
            Self::Object(members) => members.iter().for_each(|(_, node)| node.collect_attributes(attributes)),
        }
    }

    fn asks_for(&self, wanted: fn(Fact) -> bool) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Expression(expression) => expression.asks_for(wanted),
            Self::List(items) => items.iter().any(|item| item.asks_for(wanted)),
            Self::Object(members) => members.iter().any(|(_, node)| node.asks_for(wanted)),
        }
    }

    fn is_chosen(&self) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Expression(expression) => expression.is_chosen(),
            Self::List(items) => items.iter().any(Self::is_chosen),
            Self::Object(members) => members.iter().any(|(_, node)| node.is_chosen()),
        }
    }

    fn render(&self, context: &Context<'_>, place: &str) -> Result<Option<Value>, (String, EvaluationError)> {
        match self {
            Self::Literal(value) => Ok(Some(value.clone())),
            Self::Expression(expression) => match expression.evaluate(context) {
                Ok(datum) => Ok(datum.map(Value::from)),
                Err(error) => Err((place.to_owned(), error)),
            },
            Self::List(items) => {
                let mut rendered = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    rendered.extend(item.render(context, &format!("{place}[{index}]"))?);
                }
                Ok(Some(Value::Array(rendered)))
            }
            Self::Object(members) => Ok(Some(Value::Object(render_members(members, context, place)?))),
        }
    }
}

fn render_members(
    members: &[(String, Node)],
    context: &Context<'_>,
    place: &str,
) -> Result<Map<String, Value>, (String, EvaluationError)> {
    let mut rendered = Map::new();
    for (name, node) in members {
        if let Some(value) = node.render(context, &format!("{place}.{name}"))? {
            rendered.insert(name.clone(), value);
        }
    }
    Ok(rendered)
}

struct Parser<'a> {
    problems: Vec<(String, TemplateProblem)>,
    nodes: usize,
    inputs: &'a Inputs,
}

impl Parser<'_> {
    fn report(&mut self, place: &str, problem: TemplateProblem) {
        self.problems.push((place.to_owned(), problem));
    }

    fn members(&mut self, members: &Map<String, Value>, place: &str, depth: usize) -> Vec<(String, Node)> {
        let mut seen: Vec<String> = Vec::new();
        let mut parsed = Vec::with_capacity(members.len());
        for (name, value) in members {
            let inner = format!("{place}.{}", printable(name));
            if !is_name(name) {
                self.report(&inner, TemplateProblem::Name);
                continue;
            }
            let folded = name.to_ascii_lowercase();
            if seen.contains(&folded) {
                self.report(&inner, TemplateProblem::Twice);
            }
            seen.push(folded);
            if let Some(node) = self.node(value, &inner, depth) {
                parsed.push((name.clone(), node));
            }
        }
        parsed
    }

    fn node(&mut self, value: &Value, place: &str, depth: usize) -> Option<Node> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            if self.nodes == MAX_NODES + 1 {
                self.report(place, TemplateProblem::TooMany);
            }
            return None;
        }
        if depth >= MAX_DEPTH && (value.is_array() || value.is_object()) {
            self.report(place, TemplateProblem::TooDeep);
            return None;
        }
        match value {
            Value::Null => {
                self.report(place, TemplateProblem::Null);
                None
            }
            Value::Bool(_) | Value::Number(_) => Some(Node::Literal(value.clone())),
            Value::String(text) => match Expression::parse(text, self.inputs) {
                Ok(Some(expression)) => Some(Node::Expression(expression)),
                Ok(None) => Some(Node::Literal(value.clone())),
                Err(problem) => {
                    self.report(place, problem.into());
                    None
                }
            },
            Value::Array(items) => Some(Node::List(
                items
                    .iter()
                    .enumerate()
                    .filter_map(|(index, item)| self.node(item, &format!("{place}[{index}]"), depth + 1))
                    .collect(),
            )),
            Value::Object(members) => Some(Node::Object(self.members(members, place, depth + 1))),
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'{' | b'}'))
}

/// A name for use in a message: short, and without control or bidirectional characters.
fn printable(name: &str) -> String {
    name.chars().take(40).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bridge::sample;

    #[test]
    fn a_tree_is_rendered_leaf_by_leaf() {
        let template = Template::parse(&json!({
            "role": "{{ user.groups | only('ed') | first }}",
            "literal": "plain", "number": 5, "flag": true,
            "https://hasura.io/jwt/claims": { "x-hasura-allowed-roles": ["user", "{{ link('none') ? }}"], "x": "{{ user.email? }}" },
        }), &Inputs::default())
        .unwrap();
        let facts = sample::full(&[]);
        let context = Context { facts: &facts, now: 1, exp: 2 };
        assert_eq!(
            Value::Object(template.render(&context).unwrap()),
            json!({
                "role": "editors", "literal": "plain", "number": 5, "flag": true,
                "https://hasura.io/jwt/claims": { "x-hasura-allowed-roles": ["user"], "x": "ada@example.com" },
            })
        );
        assert_eq!(template.links(), ["none"]);
    }

    #[test]
    fn a_leaf_without_a_value_names_its_place() {
        let template =
            Template::parse(&json!({ "a": { "b": ["x", "{{ user.email }}"] } }), &Inputs::default()).unwrap();
        let facts = sample::bare();
        let error = template.render(&Context { facts: &facts, now: 1, exp: 2 }).unwrap_err();
        assert_eq!(error, ("claims.a.b[1]".to_owned(), EvaluationError::Missing("user.email".to_owned())));
    }

    #[test]
    fn every_mistake_is_reported_with_its_place() {
        let problems = Template::parse(&json!({
            "a": null, "b": "x {{ user.id }}", "c": ["ok", "{{ nobody }}"], "d": { "e": { "f": { "g": { "h": { "i": {} } } } } },
            "Role": 1, "role": 2, "ｒole": 3, "sp ace": 4, "": 5, "{{ user.id }}": 6, "\u{202e}bus": 7,
        }), &Inputs::default())
        .unwrap_err();
        let mut found: Vec<(&str, String)> =
            problems.iter().map(|(place, problem)| (place.as_str(), format!("{problem:?}"))).collect();
        found.sort_unstable();
        let expected = [
            ("claims.", "Name"),
            ("claims.\\u{202e}bus", "Name"),
            ("claims.\\u{ff52}ole", "Name"),
            ("claims.a", "Null"),
            ("claims.b", "Expression(StrayBraces)"),
            ("claims.c[1]", "Expression(UnknownFact(\"nobody\"))"),
            ("claims.d.e.f.g.h.i", "TooDeep"),
            ("claims.role", "Twice"),
            ("claims.sp ace", "Name"),
            ("claims.{{ user.id }}", "Name"),
        ];
        assert_eq!(found, expected.map(|(place, problem)| (place, problem.to_owned())));
    }

    #[test]
    fn only_an_object_of_bounded_size_is_a_tree() {
        for claims in [json!([]), json!("x"), json!(1)] {
            assert_eq!(
                Template::parse(&claims, &Inputs::default()).unwrap_err()[0].1,
                TemplateProblem::NotAnObject,
                "{claims}"
            );
        }
        assert_eq!(Template::parse(&Value::Null, &Inputs::default()).unwrap().names().count(), 0);
        let wide = Value::Array(vec![json!(1); 300]);
        assert_eq!(
            Template::parse(&json!({ "w": wide }), &Inputs::default()).unwrap_err()[0].1,
            TemplateProblem::TooMany
        );
    }
}
