//! The filters of the template language: `{{ user.email | lower | sha256 }}`.
//!
//! What must always hold: a filter's result kind depends only on its input kind, so a template's types are known when
//! it is saved; if a filter fails, the minting fails: a filter never invents a value.
//!
//! To add a filter: a variant, its arms in [`Filter::parse`], [`Filter::result`] and [`Filter::apply`], and a row in
//! the tests.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use uuid::Uuid;

use super::composition::Composition;
use super::facts::{Datum, Kind};
use crate::domain::text::hex;

/// One step of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Anything but a list, as text.
    Str,
    /// Text of decimal digits, as a number.
    Int,
    /// The text `true` or `false`, as a flag.
    Bool,
    /// A single text, as a list with one member.
    List,
    /// A list as one text. Fails if a member contains the separator: `a,b` must not become two members.
    Join(String),
    /// The first member; missing if the list is empty.
    First,
    /// The value written as JSON text.
    Json,
    /// Lower case (Unicode).
    Lower,
    /// SHA-256 of the text's UTF-8 bytes, in lower-case hexadecimal.
    Sha256,
    /// The text's UTF-8 bytes in base64url without padding.
    B64Url,
    /// Text: kept if it is one of these, otherwise missing. List: the members that are among these.
    In(Vec<String>),
    /// As [`Filter::In`], by prefixes.
    Only(Vec<String>),
    /// Text: replaced by its entry in the table, otherwise missing. List: each member replaced likewise, the others
    /// left out.
    Map(Vec<(String, String)>),
    /// A list: these, followed by its own members, without duplicates.
    With(Vec<String>),
    /// Each member inserted into a text at `{}`; see [`Composition`].
    Each(Composition),
    /// The name-based UUID (RFC 9562 §5.5) of the text in a namespace.
    Uuid5(Uuid),
}

/// Why a filter is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterProblem {
    /// No such filter.
    #[error("no filter is named `{0}`")]
    Unknown(String),
    /// Wrong number of arguments.
    #[error("`{0}` takes {1}")]
    Arguments(&'static str, &'static str),
}

/// Why a filter failed on a value at minting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterFailure {
    /// `int` on text that is not a 64-bit whole number.
    #[error("the text is not a whole number")]
    NotANumber,
    /// `bool` on any other text.
    #[error("the text is neither `true` nor `false`")]
    NotAFlag,
    /// `join` on a list with a member that contains the separator.
    #[error("a member of the list contains the separator")]
    SeparatorInside,
    /// A value that would have a special meaning inside a structured text.
    #[error(
        "only letters, digits, `-` and `_`, at most 255, can be put into a text; `sha256` or `b64url` makes them of anything"
    )]
    Unsafe,
    /// An unexpected kind; the check at save time makes this impossible.
    #[error("the value is of the wrong kind")]
    Kind,
}

impl Filter {
    /// The filter with this name and these arguments.
    ///
    /// # Errors
    /// An unknown name, or unsuitable arguments.
    pub fn parse(name: &str, arguments: Vec<String>) -> Result<Self, FilterProblem> {
        let plain = match name {
            "str" => Self::Str,
            "int" => Self::Int,
            "bool" => Self::Bool,
            "list" => Self::List,
            "first" => Self::First,
            "json" => Self::Json,
            "lower" => Self::Lower,
            "sha256" => Self::Sha256,
            "b64url" => Self::B64Url,
            "join" => return Self::parse_join(arguments),
            "in" if !arguments.is_empty() => return Ok(Self::In(arguments)),
            "in" => return Err(FilterProblem::Arguments("in", "one or more texts")),
            "only" if !arguments.is_empty() && arguments.iter().all(|a| !a.is_empty()) => {
                return Ok(Self::Only(arguments));
            }
            "only" => return Err(FilterProblem::Arguments("only", "one or more texts that are not empty")),
            "with" if !arguments.is_empty() => return Ok(Self::With(arguments)),
            "with" => return Err(FilterProblem::Arguments("with", "one or more texts")),
            "map" => return Self::parse_map(arguments),
            "each" => return Self::parse_each(arguments),
            "uuid5" => return Self::parse_uuid5(arguments),
            other => return Err(FilterProblem::Unknown(other.to_owned())),
        };
        if arguments.is_empty() { Ok(plain) } else { Err(FilterProblem::Arguments("this filter", "no arguments")) }
    }

    fn parse_join(mut arguments: Vec<String>) -> Result<Self, FilterProblem> {
        match (arguments.pop(), arguments.is_empty()) {
            (Some(separator), true) if !separator.is_empty() => Ok(Self::Join(separator)),
            _ => Err(FilterProblem::Arguments("join", "one text that is not empty")),
        }
    }

    fn parse_map(arguments: Vec<String>) -> Result<Self, FilterProblem> {
        let (pairs, rest) = arguments.as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() {
            return Err(FilterProblem::Arguments("map", "pairs of texts: what is found, what it becomes"));
        }
        Ok(Self::Map(pairs.iter().map(|[from, to]| (from.clone(), to.clone())).collect()))
    }

    fn parse_each(arguments: Vec<String>) -> Result<Self, FilterProblem> {
        match &*arguments {
            [text] => Composition::parse(text).filter(|text| text.places() == 1).map(Self::Each),
            _ => None,
        }
        .ok_or(FilterProblem::Arguments("each", "one text with `{}` once"))
    }

    fn parse_uuid5(arguments: Vec<String>) -> Result<Self, FilterProblem> {
        match &*arguments {
            [namespace] => Uuid::parse_str(namespace).ok().map(Self::Uuid5),
            _ => None,
        }
        .ok_or(FilterProblem::Arguments("uuid5", "the UUID of a namespace"))
    }

    /// Whether two users with different values before this filter have different values after it, which a subject
    /// requires.
    pub const fn keeps_apart(&self) -> bool {
        match self {
            Self::Str
            | Self::Int
            | Self::Bool
            | Self::List
            | Self::Json
            | Self::Lower
            | Self::Sha256
            | Self::B64Url
            | Self::In(_)
            | Self::Only(_)
            | Self::Uuid5(_) => true,
            Self::Join(_) | Self::First | Self::Map(_) | Self::With(_) | Self::Each(_) => false,
        }
    }

    /// Whether it only produces values that the operator wrote down.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::In(_) | Self::Map(_))
    }

    /// Whether it produces texts that differ from the input.
    pub const fn rewrites(&self) -> bool {
        match self {
            Self::Str
            | Self::Int
            | Self::Bool
            | Self::List
            | Self::First
            | Self::Lower
            | Self::In(_)
            | Self::Only(_) => false,
            Self::Join(_)
            | Self::Map(_)
            | Self::Json
            | Self::Sha256
            | Self::B64Url
            | Self::With(_)
            | Self::Each(_)
            | Self::Uuid5(_) => true,
        }
    }

    /// Example texts that it accepts, if it does not accept everything.
    pub fn examples(&self) -> Vec<&str> {
        match self {
            Self::Int => vec!["7"],
            Self::Bool => vec!["true"],
            Self::In(names) => names.iter().map(String::as_str).collect(),
            Self::Only(beginnings) => beginnings.iter().map(String::as_str).collect(),
            Self::Map(table) => table.iter().map(|(from, _)| from.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// The kind of the result for an `input` kind; `None` if this filter does not accept that kind.
    pub fn result(&self, input: Kind) -> Option<Kind> {
        match (self, input) {
            (Self::Str, Kind::Text | Kind::Number | Kind::Flag)
            | (
                Self::Lower | Self::Sha256 | Self::B64Url | Self::In(_) | Self::Only(_) | Self::Map(_) | Self::Uuid5(_),
                Kind::Text,
            )
            | (Self::Join(_) | Self::First, Kind::List)
            | (Self::Json, _) => Some(Kind::Text),
            (Self::Int, Kind::Text | Kind::Number) => Some(Kind::Number),
            (Self::Bool, Kind::Text | Kind::Flag) => Some(Kind::Flag),
            (Self::List, Kind::Text | Kind::List)
            | (Self::In(_) | Self::Only(_) | Self::Map(_) | Self::With(_) | Self::Each(_), Kind::List) => {
                Some(Kind::List)
            }
            _ => None,
        }
    }

    /// Applies the filter; `Ok(None)` if nothing is left.
    ///
    /// # Errors
    /// See [`FilterFailure`].
    pub fn apply(&self, input: Datum) -> Result<Option<Datum>, FilterFailure> {
        Ok(Some(match (self, input) {
            (Self::Str, Datum::Number(number)) => Datum::Text(number.to_string()),
            (Self::Str, Datum::Flag(flag)) => Datum::Text(flag.to_string()),
            (Self::Int, Datum::Text(text)) => Datum::Number(whole_number(&text)?),
            (Self::Bool, Datum::Text(text)) => Datum::Flag(text.parse().map_err(|_| FilterFailure::NotAFlag)?),
            (Self::List, Datum::Text(text)) => Datum::List(vec![text]),
            (Self::Str, same @ Datum::Text(_))
            | (Self::Int, same @ Datum::Number(_))
            | (Self::Bool, same @ Datum::Flag(_))
            | (Self::List, same @ Datum::List(_)) => same,
            (Self::Join(separator), Datum::List(items)) => Datum::Text(join(&items, separator)?),
            (Self::First, Datum::List(items)) => return Ok(items.into_iter().next().map(Datum::Text)),
            (Self::Json, any) => Datum::Text(Value::from(any).to_string()),
            (Self::Lower, Datum::Text(text)) => Datum::Text(text.to_lowercase()),
            (Self::Sha256, Datum::Text(text)) => Datum::Text(sha256_hex(&text)),
            (Self::B64Url, Datum::Text(text)) => Datum::Text(URL_SAFE_NO_PAD.encode(text)),
            (Self::In(_) | Self::Only(_), Datum::Text(text)) => {
                return Ok(self.keeps(&text).then_some(Datum::Text(text)));
            }
            (Self::In(_) | Self::Only(_), Datum::List(items)) => {
                Datum::List(items.into_iter().filter(|item| self.keeps(item)).collect())
            }
            (Self::Map(table), Datum::Text(text)) => return Ok(mapped(table, &text).map(Datum::Text)),
            (Self::Map(table), Datum::List(items)) => {
                Datum::List(items.iter().filter_map(|item| mapped(table, item)).collect())
            }
            (Self::With(first), Datum::List(items)) => Datum::List(with(first, items)),
            (Self::Each(text), Datum::List(items)) => {
                let filled = items.iter().map(|item| text.fill(&[item]));
                Datum::List(filled.collect::<Option<Vec<_>>>().ok_or(FilterFailure::Unsafe)?)
            }
            (Self::Uuid5(namespace), Datum::Text(text)) => Datum::Text(uuid5(*namespace, &text).to_string()),
            _ => return Err(FilterFailure::Kind),
        }))
    }

    fn keeps(&self, text: &str) -> bool {
        match self {
            Self::In(names) => names.iter().any(|name| name == text),
            Self::Only(beginnings) => beginnings.iter().any(|beginning| text.starts_with(beginning.as_str())),
            _ => false,
        }
    }
}

fn with(first: &[String], items: Vec<String>) -> Vec<String> {
    let mut whole: Vec<String> = Vec::with_capacity(first.len() + items.len());
    for item in first.iter().cloned().chain(items) {
        if !whole.contains(&item) {
            whole.push(item);
        }
    }
    whole
}

fn mapped(table: &[(String, String)], text: &str) -> Option<String> {
    table.iter().find(|(from, _)| from == text).map(|(_, to)| to.clone())
}

/// RFC 9562 §5.5, which requires SHA-1; nothing here depends on its strength.
fn uuid5(namespace: Uuid, name: &str) -> Uuid {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(namespace.as_bytes());
    hash.update(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finish().as_ref()[..16]);
    uuid::Builder::from_sha1_bytes(bytes).into_uuid()
}

/// `i64::from_str` also accepts `+5` and `007`; a number given as text is accepted in one spelling only.
fn whole_number(text: &str) -> Result<i64, FilterFailure> {
    let number: i64 = text.parse().map_err(|_| FilterFailure::NotANumber)?;
    if number.to_string() == text { Ok(number) } else { Err(FilterFailure::NotANumber) }
}

fn join(items: &[String], separator: &str) -> Result<String, FilterFailure> {
    if items.iter().any(|item| item.contains(separator)) {
        return Err(FilterFailure::SeparatorInside);
    }
    let joined = items.join(separator);
    // A separator longer than one character can also arise across a boundary: `a-` joined by `--` with `b`.
    if items.is_empty() || joined.split(separator).eq(items.iter().map(String::as_str)) {
        Ok(joined)
    } else {
        Err(FilterFailure::SeparatorInside)
    }
}

fn sha256_hex(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Datum {
        Datum::Text(value.to_owned())
    }
    fn list(items: &[&str]) -> Datum {
        Datum::List(items.iter().map(|item| (*item).to_owned()).collect())
    }
    fn filter(name: &str, arguments: &[&str]) -> Filter {
        Filter::parse(name, arguments.iter().map(|a| (*a).to_owned()).collect()).unwrap()
    }

    #[test]
    fn filters_do_what_they_say() {
        for (name, arguments, input, output) in [
            ("str", &[][..], Datum::Number(-5), Some(text("-5"))),
            ("str", &[], Datum::Flag(true), Some(text("true"))),
            ("int", &[], text("42"), Some(Datum::Number(42))),
            ("bool", &[], text("false"), Some(Datum::Flag(false))),
            ("list", &[], text("a"), Some(list(&["a"]))),
            ("join", &[","], list(&["a", "b"]), Some(text("a,b"))),
            ("join", &[","], list(&[]), Some(text(""))),
            ("first", &[], list(&["a", "b"]), Some(text("a"))),
            ("first", &[], list(&[]), None),
            ("json", &[], list(&["a\"", "b"]), Some(text("[\"a\\\"\",\"b\"]"))),
            ("lower", &[], text("ÀB"), Some(text("àb"))),
            (
                "sha256",
                &[],
                text("abc"),
                Some(text("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
            ),
            ("b64url", &[], text("??>"), Some(text("Pz8-"))),
            ("in", &["a", "b"], text("b"), Some(text("b"))),
            ("in", &["a", "b"], text("B"), None),
            ("in", &["a"], list(&["a", "admin"]), Some(list(&["a"]))),
            ("only", &["app:"], list(&["app:x", "*", "sys:y"]), Some(list(&["app:x"]))),
            ("only", &["app:"], text("sys:y"), None),
            ("with", &["user"], list(&["editor"]), Some(list(&["user", "editor"]))),
            ("with", &["user", "me"], list(&["me", "x", "user", "x"]), Some(list(&["user", "me", "x"]))),
            ("with", &["user"], list(&[]), Some(list(&["user"]))),
        ] {
            assert_eq!(filter(name, arguments).apply(input.clone()), Ok(output), "{name} {arguments:?} {input:?}");
        }
    }

    #[test]
    fn filters_fail_rather_than_guess() {
        for (name, arguments, input, failure) in [
            ("int", &[][..], text("1e3"), FilterFailure::NotANumber),
            ("int", &[], text("+5"), FilterFailure::NotANumber),
            ("int", &[], text("007"), FilterFailure::NotANumber),
            ("int", &[], text("99999999999999999999"), FilterFailure::NotANumber),
            ("bool", &[], text("yes"), FilterFailure::NotAFlag),
            ("join", &[","], list(&["a,admin"]), FilterFailure::SeparatorInside),
            ("join", &["--"], list(&["a-", "b"]), FilterFailure::SeparatorInside),
            ("lower", &[], Datum::Number(1), FilterFailure::Kind),
        ] {
            assert_eq!(filter(name, arguments).apply(input), Err(failure), "{name}");
        }
    }

    #[test]
    fn wrong_names_and_arguments_are_refused() {
        assert_eq!(Filter::parse("eval", vec![]), Err(FilterProblem::Unknown("eval".to_owned())));
        for (name, arguments) in [
            ("join", vec![]),
            ("join", vec![""]),
            ("in", vec![]),
            ("only", vec![""]),
            ("with", vec![]),
            ("lower", vec!["x"]),
        ] {
            let arguments = arguments.into_iter().map(str::to_owned).collect();
            assert!(matches!(Filter::parse(name, arguments), Err(FilterProblem::Arguments(..))), "{name}");
        }
    }
}
