//! The mistakes in a configuration, reported all at once.
//!
//! Every [`Problem`] is one line: the key, the source of its value, what is wrong, and the remedy. It never contains a
//! secret.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use crate::domain::client::fields::Fault;

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of the configuration file, counted from 1.
    File(Arc<str>, usize),
    /// An environment variable.
    Variable(String),
    /// A file that holds a secret, and the place that names the file.
    SecretFile(PathBuf, Box<Place>),
    /// A flag: `--set`, or a shorthand for a setting.
    CommandLine,
    /// The built-in default, or a value derived from other settings.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.escape_debug()),
            Self::Variable(name) => f.write_str(name),
            Self::SecretFile(path, named_by) => {
                write!(f, "file {} named by {named_by}", quoted(&path.to_string_lossy()))
            }
            Self::CommandLine => f.write_str("command line"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key's path, such as `tokens.access_ttl`; for an unknown variable its name; empty if the file cannot be read.
    pub key: String,
    /// The source of the value.
    pub place: Place,
    /// What is wrong, and the remedy.
    pub wrong: Wrong,
}

impl Problem {
    /// Whether another problem may only be a consequence of the default that replaces this one's value.
    pub(super) fn may_cause(&self, other: &Self) -> bool {
        // A named table, such as `bridges.demo`, is considered as a whole.
        let is_beside = self.key.split('.').take(2).eq(other.key.split('.').take(2));
        is_beside || (self.key == "public_url" && other.key.ends_with(".issuer"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.escape_debug();
        match (&self.place, self.key.is_empty()) {
            (Place::Default, _) => write!(f, "{key}: {}", self.wrong),
            (place, true) => write!(f, "{place}: {}", self.wrong),
            // An unknown variable or secret file would otherwise be named twice.
            (Place::Variable(name), false) if *name == self.key => write!(f, "{key}: {}", self.wrong),
            (place, false) => write!(f, "{key} ({place}): {}", self.wrong),
        }
    }
}

/// What is wrong with a value, and the remedy; callers add the key and the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The mistake, worded to follow the key's name.
    pub what: String,
    /// What to do.
    pub cure: String,
}

impl Wrong {
    /// A mistake and its remedy.
    pub(crate) fn new(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what: what.into(), cure: cure.into() }
    }

    /// A file that cannot be read.
    pub(crate) fn unreadable(file: &Path, error: &io::Error) -> Self {
        let what = format!("the file {} cannot be read ({error})", quoted(&file.to_string_lossy()));
        Self::new(what, "make sure that the file exists and that the server may read it")
    }

    /// A value that violates a rule of the domain.
    pub(crate) fn in_value(text: &str, fault: Fault) -> Self {
        // An element that contains a secret is not quoted.
        let named = if fault.secret { "an element".to_owned() } else { quoted(text) };
        Self::new(format!("{named} {}", fault.what), fault.cure)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.cure)
    }
}

/// All mistakes of a configuration: one line each, then a line with their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Collects mistakes; `None` when there are none.
    pub(crate) fn of(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// The mistakes, in the order in which they were found.
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 mistake in the configuration: nothing was started"),
            count => write!(f, "{count} mistakes in the configuration: nothing was started"),
        }
    }
}

impl std::error::Error for Problems {}

/// A value as shown in messages: quoted, on one line, truncated.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("\"{}\"", shown.escape_debug())
}

/// The candidate that a misspelt word most likely means, if one is close enough.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words are not misspellings, and the comparison is quadratic.
    const LONGEST: usize = 120;
    if word.chars().count() > LONGEST {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 4).clamp(1, 4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The number of letters inserted, omitted, replaced or swapped with their neighbour (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for i in 1..=left.len() {
        let mut row = vec![i; right.len() + 1];
        for j in 1..=right.len() {
            let exchanged = last[j - 1] + usize::from(left[i - 1] != right[j - 1]);
            row[j] = exchanged.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        for (name, left, right, expected) in [
            ("same", "ttl", "ttl", 0),
            ("swapped", "tlt", "ttl", 1),
            ("left out", "acess", "access", 1),
            ("put in", "portt", "port", 1),
            ("empty", "", "abc", 3),
        ] {
            assert_eq!(distance(left, right), expected, "{name}");
        }
        let words = ["tokens.access_ttl", "tokens.id_ttl", "realm"];
        assert_eq!(nearest("tokens.acess_tll", words), Some("tokens.access_ttl"));
        assert_eq!(nearest("Realm", words), Some("realm"));
        assert_eq!(nearest("database", words), None);
        assert_eq!(nearest(&"x".repeat(100_000), words), None, "too long to compare");
    }

    #[test]
    fn a_default_in_place_of_a_mistake_makes_no_others() {
        let of = |key: &str| Problem { key: key.to_owned(), place: Place::Default, wrong: Wrong::new("is", "mend it") };
        for (name, known, other, expected) in [
            ("the same table", "bridges.demo.audience", "bridges.demo.claims.who", true),
            ("the table itself", "bridges.demo.audience", "bridges.demo", true),
            ("another table", "bridges.demo.audience", "bridges.other.audience", false),
            ("a stranger", "tokens.access_ttl", "bridges.demo.audience", false),
            ("the address decides the issuer", "public_url", "bridges.demo.issuer", true),
            ("and nothing else", "public_url", "bridges.demo.secret_file", false),
        ] {
            assert_eq!(of(known).may_cause(&of(other)), expected, "{name}");
        }
    }

    #[test]
    fn shown_values_stay_on_one_short_line() {
        assert_eq!(quoted("a\nb\"c"), r#""a\nb\"c""#);
        assert_eq!(quoted(&"ä".repeat(200)).chars().count(), 83);
    }
}
