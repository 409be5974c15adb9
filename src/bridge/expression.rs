//! One expression of a template: `{{ link('firebase') ?? user.id }}`, `{{ user.groups | only('app:') }}`.
//!
//! ```text
//! expression  = alternative *( "??" alternative ) [ "?" ]        the first that is not missing; `?` = leave out when none
//! alternative = source *( "|" filter )                           a filter binds tighter than `??`
//! source      = fact | "link(" text ")" | text | number | "true" | "false"
//! filter      = name [ "(" text *( "," text ) ")" ]
//! text        = "'" … "'" or '"' … '"'                          no escapes: it ends at the next such quote
//! ```
//!
//! What must always hold: an expression is read once, when it is saved, and every mistake in it is found there; its kind
//! is then known and never changes. There are no loops and nothing pastes text together. To add a source: a `Source`
//! and an arm in `Reader::source` and `Alternative::evaluate`; filters live in `filter.rs`.

use super::facts::{Context, Datum, Fact, Kind, TooLong};
use super::filter::{Filter, FilterFailure, FilterProblem};

const MAX_BYTES: usize = 512;

/// A parsed expression, of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    alternatives: Vec<Alternative>,
    optional: bool,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Alternative {
    source: Source,
    filters: Vec<Filter>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Fact(Fact),
    Link(String),
    Literal(Datum),
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionProblem {
    /// Braces that are not the whole string.
    #[error("`{{{{ … }}}}` must be the whole value: nothing is pasted into text")]
    StrayBraces,
    /// Longer than an expression needs to be.
    #[error("an expression is at most {MAX_BYTES} bytes")]
    TooLong,
    /// Something the grammar does not have here.
    #[error("expected {expected} at character {at}")]
    Syntax {
        /// Position inside the braces, counted from 0.
        at: usize,
        /// What could stand there.
        expected: &'static str,
    },
    /// A name outside the closed list.
    #[error("no fact is named `{0}`")]
    UnknownFact(String),
    /// A filter problem.
    #[error(transparent)]
    Filter(#[from] FilterProblem),
    /// A filter that does not take what stands before it.
    #[error("filter {position} does not take {}", kind.as_str())]
    FilterKind {
        /// Counted from 1 in its alternative.
        position: usize,
        /// What it was given.
        kind: Kind,
    },
    /// Alternatives whose kinds differ: the claim's type would depend on the user.
    #[error("the sides of `??` differ: {} and {}", .0.as_str(), .1.as_str())]
    Mixed(Kind, Kind),
}

/// Why an expression has no value for this sign-in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// Nothing there, and neither `??` nor `?` says what then.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A fact beyond the size of any fact.
    #[error("`{0}` is too long")]
    TooLong(String),
    /// A filter failed.
    #[error("`{0}`: {1}")]
    Filter(String, FilterFailure),
}

impl Expression {
    /// Reads a template's string: `Ok(None)` when it holds no braces and is plain text.
    ///
    /// # Errors
    /// Any mistake, see [`ExpressionProblem`].
    pub fn parse(text: &str) -> Result<Option<Self>, ExpressionProblem> {
        if !text.contains("{{") && !text.contains("}}") {
            return Ok(None);
        }
        let inner = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let inner = inner.filter(|inner| !inner.contains("{{") && !inner.contains("}}"));
        let inner = inner.ok_or(ExpressionProblem::StrayBraces)?;
        if inner.len() > MAX_BYTES {
            return Err(ExpressionProblem::TooLong);
        }
        Reader { text: inner, at: 0 }.expression().map(Some)
    }

    /// The kind of its value.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a missing value is left out (`?`) instead of failing.
    pub const fn is_optional(&self) -> bool {
        self.optional
    }

    /// Whether this is exactly one fact, unfiltered, without a default.
    pub fn is_just(&self, fact: Fact) -> bool {
        matches!(&*self.alternatives, [Alternative { source: Source::Fact(found), filters }]
            if *found == fact && filters.is_empty())
    }

    /// Whether it can only be an identifier of one user: no literal, and no fact outside `identifying`.
    pub fn is_only_of(&self, identifying: &[Fact]) -> bool {
        self.alternatives.iter().all(|alternative| match &alternative.source {
            Source::Fact(fact) => identifying.contains(fact),
            Source::Link(_) => true,
            Source::Literal(_) => false,
        })
    }

    /// The sources named by `link('…')`.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.alternatives.iter().filter_map(|alternative| match &alternative.source {
            Source::Link(source) => Some(source.as_str()),
            _ => None,
        })
    }

    /// The value for one sign-in; `Ok(None)` = leave it out.
    ///
    /// # Errors
    /// See [`EvaluationError`].
    pub fn evaluate(&self, context: &Context<'_>) -> Result<Option<Datum>, EvaluationError> {
        for alternative in &self.alternatives {
            if let Some(value) = alternative.evaluate(context)? {
                return Ok(Some(value));
            }
        }
        if self.optional {
            return Ok(None);
        }
        Err(EvaluationError::Missing(self.alternatives.last().map(Alternative::name).unwrap_or_default()))
    }
}

impl Alternative {
    fn name(&self) -> String {
        match &self.source {
            Source::Fact(fact) => fact.name().to_owned(),
            Source::Link(source) => format!("link('{source}')"),
            Source::Literal(_) => "a literal".to_owned(),
        }
    }

    fn evaluate(&self, context: &Context<'_>) -> Result<Option<Datum>, EvaluationError> {
        let found = match &self.source {
            Source::Fact(fact) => context.look_up(*fact),
            Source::Link(source) => context.link(source),
            Source::Literal(datum) => Ok(Some(datum.clone())),
        };
        let mut value = found.map_err(|TooLong| EvaluationError::TooLong(self.name()))?;
        for filter in &self.filters {
            let Some(input) = value else { return Ok(None) };
            value = filter.apply(input).map_err(|failure| EvaluationError::Filter(self.name(), failure))?;
        }
        Ok(value)
    }
}

/// Reads left to right, never back.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    /// Takes `token` if it is next.
    fn take(&mut self, token: &str) -> bool {
        self.skip_spaces();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expected<T>(&self, expected: &'static str) -> Result<T, ExpressionProblem> {
        Err(ExpressionProblem::Syntax { at: self.text[..self.at].chars().count(), expected })
    }

    fn need(&mut self, token: &str, expected: &'static str) -> Result<(), ExpressionProblem> {
        if self.take(token) { Ok(()) } else { self.expected(expected) }
    }

    fn word(&mut self) -> &'a str {
        self.skip_spaces();
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-'));
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn expression(mut self) -> Result<Expression, ExpressionProblem> {
        let (first, kind) = self.alternative()?;
        let mut alternatives = vec![first];
        while self.take("??") {
            let (next, next_kind) = self.alternative()?;
            if next_kind != kind {
                return Err(ExpressionProblem::Mixed(kind, next_kind));
            }
            alternatives.push(next);
        }
        let optional = self.take("?");
        self.skip_spaces();
        if !self.rest().is_empty() {
            return self.expected("`|`, `??`, `?` or the end");
        }
        Ok(Expression { alternatives, optional, kind })
    }

    fn alternative(&mut self) -> Result<(Alternative, Kind), ExpressionProblem> {
        let (source, mut kind) = self.source()?;
        let mut filters = Vec::new();
        while self.take("|") {
            let name = self.word();
            if name.is_empty() {
                return self.expected("a filter");
            }
            let arguments = if self.take("(") { self.arguments()? } else { Vec::new() };
            let filter = Filter::parse(name, arguments)?;
            let position = filters.len() + 1;
            kind = filter.result(kind).ok_or(ExpressionProblem::FilterKind { position, kind })?;
            filters.push(filter);
        }
        Ok((Alternative { source, filters }, kind))
    }

    fn source(&mut self) -> Result<(Source, Kind), ExpressionProblem> {
        if let Some(text) = self.quoted()? {
            return Ok((Source::Literal(Datum::Text(text)), Kind::Text));
        }
        let start = self.at;
        let word = self.word();
        match word {
            "" => self.expected("a fact, `link('…')`, a quoted text or a number"),
            "true" | "false" => Ok((Source::Literal(Datum::Flag(word == "true")), Kind::Flag)),
            "link" => {
                self.need("(", "`(`")?;
                let Some(source) = self.quoted()?.filter(|source| !source.is_empty()) else {
                    return self.expected("the source's name in quotes");
                };
                self.need(")", "`)`")?;
                Ok((Source::Link(source), Kind::Text))
            }
            number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                if let Ok(number) = number.parse() {
                    return Ok((Source::Literal(Datum::Number(number)), Kind::Number));
                }
                self.at = start;
                self.expected("a whole number")
            }
            name => match Fact::find(name) {
                Some((fact, kind)) => Ok((Source::Fact(fact), kind)),
                None => Err(ExpressionProblem::UnknownFact(name.to_owned())),
            },
        }
    }

    fn arguments(&mut self) -> Result<Vec<String>, ExpressionProblem> {
        let mut arguments = Vec::new();
        loop {
            match self.quoted()? {
                Some(text) => arguments.push(text),
                None => return self.expected("a quoted text"),
            }
            if self.take(")") {
                return Ok(arguments);
            }
            self.need(",", "`,` or `)`")?;
        }
    }

    fn quoted(&mut self) -> Result<Option<String>, ExpressionProblem> {
        self.skip_spaces();
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '\'' | '"')) else { return Ok(None) };
        let body = &self.rest()[1..];
        match body.find(quote) {
            Some(end) => {
                self.at += end + 2;
                Ok(Some(body[..end].to_owned()))
            }
            None => self.expected("a closing quote for this text"),
        }
    }
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
