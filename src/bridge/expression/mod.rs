//! One expression of a template: `{{ link('firebase') ?? user.id }}`, `{{ user.groups | only('app:') }}`.
//!
//! ```text
//! expression  = alternative *( "??" alternative ) [ "?" ]        the first that is not missing; `?` = leave out when none
//! alternative = source *( "|" filter )                           a filter binds tighter than `??`
//! source      = fact | "input." name | "link(" text ")" | text | number | "true" | "false"
//!             | "user.attr(" text [ "," text ] ")"              its name, and its kind where that is not text
//!             | "tmpl(" text 1*( "," alternative ) ")"          each `{}` of the text takes one alternative's text
//! filter      = name [ "(" text *( "," text ) ")" ]
//! text        = "'" … "'" or '"' … '"'                          no escapes: it ends at the next such quote
//! ```
//!
//! What must always hold: an expression is parsed once, when it is saved, and every mistake in it is found then; its
//! kind is then known and never changes. There are no loops, and text is composed only by `tmpl` and `each`, whose
//! values can contain no structure (`composition.rs`). To add a source: a `Source` and an arm in `Reader::source`
//! ([`reader`]) and `Alternative::evaluate`; filters are in `filter.rs`.

mod reader;

use self::reader::Reader;
use super::composition::Composition;
use super::facts::{Context, Datum, Fact, Kind, TooLong};
use super::filter::{Filter, FilterFailure, FilterProblem};
use super::input::Inputs;

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
    Attribute { name: String, kind: Kind },
    Input { name: String, listed: bool },
    Literal(Datum),
    Tmpl(Composition, Vec<Alternative>),
}

/// An attribute that an expression uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeUse<'a> {
    /// Its name.
    pub name: &'a str,
    /// The expected kind.
    pub kind: Kind,
    /// Values of it that the expression accepts; empty if it accepts any.
    pub examples: Vec<&'a str>,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionProblem {
    /// Braces that do not enclose the whole string.
    #[error("`{{{{ … }}}}` must be the whole value: nothing is pasted into text")]
    StrayBraces,
    /// Longer than any expression needs to be.
    #[error("an expression is at most {MAX_BYTES} bytes")]
    TooLong,
    /// Something that the grammar does not allow here.
    #[error("expected {expected} at character {at}")]
    Syntax {
        /// Position inside the braces, counted from 0.
        at: usize,
        /// What was expected there.
        expected: &'static str,
    },
    /// A name outside the closed list.
    #[error("no fact is named `{0}`")]
    UnknownFact(String),
    /// An input that the bridge does not declare.
    #[error("the bridge declares no input `{0}`")]
    UnknownInput(String),
    /// A name that no attribute can have.
    #[error("no attribute can be named `{0}`: 1 to 64 of A-Z, a-z, 0-9, _ and -, beginning with a letter")]
    AttributeName(String),
    /// A kind that no attribute can have.
    #[error("an attribute is `'text'`, `'number'`, `'flag'` or `'list'`, and not `'{0}'`")]
    AttributeKind(String),
    /// A composed text whose numbers of placeholders and values differ, or with a value that is not text.
    #[error("`tmpl` takes a text with `{{}}`, and for each of them one value that is text")]
    Tmpl,
    /// A filter problem.
    #[error(transparent)]
    Filter(#[from] FilterProblem),
    /// A filter that does not accept what precedes it.
    #[error("filter {position} does not take {}", kind.as_str())]
    FilterKind {
        /// Counted from 1 in its alternative.
        position: usize,
        /// What it was given.
        kind: Kind,
    },
    /// Alternatives of different kinds: the claim's type would depend on the user.
    #[error("the sides of `??` differ: {} and {}", .0.as_str(), .1.as_str())]
    Mixed(Kind, Kind),
}

/// Why an expression has no value for this sign-in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The value is missing, and there is neither `??` nor `?`.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A fact longer than any fact may be.
    #[error("`{0}` is too long")]
    TooLong(String),
    /// An attribute of another kind than the template expects: an operator made a mistake in one of them.
    #[error("`{name}` is {} of this person, and the template takes {}", found.as_str(), wanted.as_str())]
    AttributeKind {
        /// As the template names it.
        name: String,
        /// The kind it has.
        found: Kind,
        /// The kind it should have.
        wanted: Kind,
    },
    /// A filter failed.
    #[error("`{0}`: {1}")]
    Filter(String, FilterFailure),
}

impl Expression {
    /// Parses a string of a template: `Ok(None)` if it contains no braces and is plain text.
    ///
    /// # Errors
    /// Any mistake, see [`ExpressionProblem`].
    pub fn parse(text: &str, inputs: &Inputs) -> Result<Option<Self>, ExpressionProblem> {
        if !text.contains("{{") && !text.contains("}}") {
            return Ok(None);
        }
        let inner = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let inner = inner.filter(|inner| !inner.contains("{{") && !inner.contains("}}"));
        let inner = inner.ok_or(ExpressionProblem::StrayBraces)?;
        if inner.len() > MAX_BYTES {
            return Err(ExpressionProblem::TooLong);
        }
        Reader::new(inner, inputs).expression().map(Some)
    }

    /// The kind of its value.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a missing value is omitted (`?`) instead of causing an error.
    pub const fn is_optional(&self) -> bool {
        self.optional
    }

    /// Whether it is exactly this fact, without filters or a default.
    pub fn is_just(&self, fact: Fact) -> bool {
        matches!(&*self.alternatives, [Alternative { source: Source::Fact(found), filters }]
            if *found == fact && filters.is_empty())
    }

    /// Whether it can only be an identifier of a single user: no literal, no fact outside `identifying`, and nothing
    /// that could map two users to the same value.
    pub fn is_only_of(&self, identifying: &[Fact]) -> bool {
        let mut sources: Vec<&str> = self.alternatives.iter().flat_map(Alternative::links).collect();
        sources.dedup();
        // The IDs of two sources may be the same text for two different people.
        sources.len() <= 1 && self.alternatives.iter().all(|alternative| alternative.is_only_of(identifying))
    }

    /// Whether a person, a client or a device can choose its value, other than from values that are written in it.
    pub fn is_chosen(&self) -> bool {
        self.alternatives.iter().any(Alternative::is_chosen)
    }

    /// The sources named by `link('…')`.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.alternatives.iter().flat_map(Alternative::links)
    }

    /// The attributes named by `user.attr('…')`.
    pub fn attributes(&self) -> impl Iterator<Item = AttributeUse<'_>> {
        self.alternatives.iter().flat_map(Alternative::attributes)
    }

    /// Whether it uses any fact for which `wanted` is true.
    pub fn asks_for(&self, wanted: fn(Fact) -> bool) -> bool {
        self.alternatives.iter().any(|alternative| alternative.asks_for(wanted))
    }

    /// The value for one sign-in; `Ok(None)` means that it is omitted.
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
            Source::Attribute { name, .. } => format!("user.attr('{name}')"),
            Source::Input { name, .. } => format!("input.{name}"),
            Source::Literal(_) => "a literal".to_owned(),
            Source::Tmpl(_, values) => values.iter().map(Self::name).collect::<Vec<_>>().join(", "),
        }
    }

    /// Only a single value may be composed: `tmpl('{}{}', a, b)` could be the same text for two users.
    fn is_only_of(&self, identifying: &[Fact]) -> bool {
        self.filters.iter().all(Filter::keeps_apart)
            && match &self.source {
                Source::Fact(fact) => identifying.contains(fact),
                // External IDs may differ only in case.
                Source::Link(_) => !self.filters.contains(&Filter::Lower),
                // Whoever writes attributes may give two users the same value.
                Source::Attribute { .. } | Source::Input { .. } | Source::Literal(_) => false,
                Source::Tmpl(_, values) => matches!(&**values, [value] if value.is_only_of(identifying)),
            }
    }

    fn is_chosen(&self) -> bool {
        !self.filters.iter().any(Filter::is_closed)
            && match &self.source {
                Source::Fact(fact) => fact.is_chosen(),
                Source::Input { listed, .. } => !listed,
                Source::Link(_) | Source::Attribute { .. } | Source::Literal(_) => false,
                Source::Tmpl(_, values) => values.iter().any(Self::is_chosen),
            }
    }

    fn asks_for(&self, wanted: fn(Fact) -> bool) -> bool {
        match &self.source {
            Source::Fact(fact) => wanted(*fact),
            Source::Tmpl(_, values) => values.iter().any(|value| value.asks_for(wanted)),
            Source::Link(_) | Source::Attribute { .. } | Source::Input { .. } | Source::Literal(_) => false,
        }
    }

    fn attributes(&self) -> Vec<AttributeUse<'_>> {
        match &self.source {
            Source::Attribute { name, kind } => vec![AttributeUse { name, kind: *kind, examples: self.examples() }],
            Source::Tmpl(_, values) => values.iter().flat_map(Self::attributes).collect(),
            Source::Fact(_) | Source::Link(_) | Source::Input { .. } | Source::Literal(_) => Vec::new(),
        }
    }

    /// Texts of the source that the filters accept, up to the first filter that rewrites them.
    fn examples(&self) -> Vec<&str> {
        let decides = |filter: &&Filter| filter.rewrites() || !filter.examples().is_empty();
        self.filters.iter().find(decides).map(Filter::examples).unwrap_or_default()
    }

    fn links(&self) -> Vec<&str> {
        match &self.source {
            Source::Link(source) => vec![source.as_str()],
            Source::Tmpl(_, values) => values.iter().flat_map(Self::links).collect(),
            Source::Fact(_) | Source::Attribute { .. } | Source::Input { .. } | Source::Literal(_) => Vec::new(),
        }
    }

    fn evaluate(&self, context: &Context<'_>) -> Result<Option<Datum>, EvaluationError> {
        let found = match &self.source {
            Source::Fact(fact) => context.look_up(*fact),
            Source::Link(source) => context.link(source),
            Source::Attribute { name, .. } => context.attribute(name),
            Source::Input { name, .. } => Ok(context.input(name)),
            Source::Literal(datum) => Ok(Some(datum.clone())),
            Source::Tmpl(text, values) => Ok(self.compose(text, values, context)?),
        };
        let mut value = found.map_err(|TooLong| EvaluationError::TooLong(self.name()))?;
        self.require_kind(value.as_ref())?;
        for filter in &self.filters {
            let Some(input) = value else { return Ok(None) };
            value = filter.apply(input).map_err(|failure| EvaluationError::Filter(self.name(), failure))?;
        }
        Ok(value)
    }
}

impl Alternative {
    /// Refuses an attribute of another kind than was expected when the template was saved. All other values always have
    /// their kind.
    fn require_kind(&self, found: Option<&Datum>) -> Result<(), EvaluationError> {
        match (&self.source, found.map(Datum::kind)) {
            (Source::Attribute { kind, .. }, Some(found)) if found != *kind => {
                Err(EvaluationError::AttributeKind { name: self.name(), found, wanted: *kind })
            }
            _ => Ok(()),
        }
    }

    /// The text with its values; missing if one of them is missing.
    fn compose(
        &self,
        text: &Composition,
        values: &[Self],
        context: &Context<'_>,
    ) -> Result<Option<Datum>, EvaluationError> {
        let mut found = Vec::with_capacity(values.len());
        for value in values {
            match value.evaluate(context)? {
                Some(Datum::Text(value)) => found.push(value),
                Some(_) => return Err(EvaluationError::Filter(self.name(), FilterFailure::Kind)),
                None => return Ok(None),
            }
        }
        let filled = text.fill(&found).map(Datum::Text).map(Some);
        filled.ok_or_else(|| EvaluationError::Filter(self.name(), FilterFailure::Unsafe))
    }
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
