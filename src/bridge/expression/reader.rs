//! Parses the text between the braces into an [`Expression`].
//!
//! What must always hold: the whole text is read, the kind of each part is known as soon as it is read, and an error
//! contains its position. The grammar is documented in the parent module.

use super::{Alternative, Expression, ExpressionProblem, Source};
use crate::bridge::composition::Composition;
use crate::bridge::facts::{Datum, Fact, Kind};
use crate::bridge::filter::Filter;
use crate::bridge::input::Inputs;
use crate::domain::attributes;

/// Reads from left to right, without going back.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    inputs: &'a Inputs,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of the text between the braces.
    pub const fn new(text: &'a str, inputs: &'a Inputs) -> Self {
        Self { text, at: 0, inputs }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    /// Consumes `token` if it is next.
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

    /// Parses the whole expression, up to the end.
    pub fn expression(mut self) -> Result<Expression, ExpressionProblem> {
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
            "" => self.expected("a fact, `user.attr('…')`, `link('…')`, a quoted text or a number"),
            "true" | "false" => Ok((Source::Literal(Datum::Flag(word == "true")), Kind::Flag)),
            "link" => {
                self.need("(", "`(`")?;
                let Some(source) = self.quoted()?.filter(|source| !source.is_empty()) else {
                    return self.expected("the source's name in quotes");
                };
                self.need(")", "`)`")?;
                Ok((Source::Link(source), Kind::Text))
            }
            "user.attr" => self.attribute(),
            "tmpl" => self.composed(),
            number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                if let Ok(number) = number.parse() {
                    return Ok((Source::Literal(Datum::Number(number)), Kind::Number));
                }
                self.at = start;
                self.expected("a whole number")
            }
            name => match (name.strip_prefix("input."), Fact::find(name)) {
                (Some(name), _) => match self.inputs.find(name) {
                    Some(input) => {
                        Ok((Source::Input { name: name.to_owned(), listed: input.is_listed() }, input.kind()))
                    }
                    None => Err(ExpressionProblem::UnknownInput(name.to_owned())),
                },
                (None, Some((fact, kind))) => Ok((Source::Fact(fact), kind)),
                (None, None) => Err(ExpressionProblem::UnknownFact(name.to_owned())),
            },
        }
    }

    fn attribute(&mut self) -> Result<(Source, Kind), ExpressionProblem> {
        self.need("(", "`(`")?;
        let Some(name) = self.quoted()? else { return self.expected("the attribute's name in quotes") };
        if !attributes::is_name(&name) {
            return Err(ExpressionProblem::AttributeName(name.escape_default().to_string()));
        }
        let mut kind = Kind::Text;
        if self.take(",") {
            let Some(word) = self.quoted()? else { return self.expected("the attribute's kind in quotes") };
            let unknown = || ExpressionProblem::AttributeKind(word.escape_default().to_string());
            kind = Kind::find(&word).ok_or_else(unknown)?;
        }
        self.need(")", "`,` or `)`")?;
        Ok((Source::Attribute { name, kind }, kind))
    }

    fn composed(&mut self) -> Result<(Source, Kind), ExpressionProblem> {
        self.need("(", "`(`")?;
        let Some(text) = self.quoted()? else { return self.expected("a quoted text with `{}`") };
        let text = Composition::parse(&text).ok_or(ExpressionProblem::Tmpl)?;
        let mut values = Vec::new();
        while self.take(",") {
            let (value, kind) = self.alternative()?;
            if kind != Kind::Text {
                return Err(ExpressionProblem::Tmpl);
            }
            values.push(value);
        }
        self.need(")", "`,` or `)`")?;
        if values.len() != text.places() {
            return Err(ExpressionProblem::Tmpl);
        }
        Ok((Source::Tmpl(text, values), Kind::Text))
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
