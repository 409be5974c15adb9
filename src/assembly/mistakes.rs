//! What is wrong with what the configuration names: files and templates, which only the rooms can judge.
//!
//! Such mistakes are gathered and told together, in the form of those that loading the configuration finds. A [`Fault`] is one
//! as a room sees it; [`Mistakes`] knows where in the configuration it stands.

use std::path::Path;
use std::{fmt, io};

use super::StartError;
use crate::config::{Config, Problem, Problems, Wrong};

/// One thing wrong with a setting, which is named within its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    key: String,
    wrong: Wrong,
}

impl Fault {
    /// What is wrong with a setting, and the cure. Without a key it is the whole table.
    pub(super) fn new(key: impl Into<String>, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { key: key.into(), wrong: Wrong::new(what, cure) }
    }

    /// The file that a setting names cannot be read.
    pub(super) fn unreadable(key: &str, file: &Path, error: &io::Error) -> Self {
        Self { key: key.to_owned(), wrong: Wrong::unreadable(file, error) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.wrong)
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

/// The mistakes of one configuration, as they are found.
pub(super) struct Mistakes<'a> {
    config: &'a Config,
    found: Vec<Problem>,
}

impl<'a> Mistakes<'a> {
    /// None so far.
    pub(super) const fn of(config: &'a Config) -> Self {
        Self { config, found: Vec::new() }
    }

    /// Adds what is wrong in a table, such as `bridges.demo`.
    pub(super) fn add(&mut self, table: &str, fault: Fault) {
        let key = if fault.key.is_empty() { table.to_owned() } else { format!("{table}.{}", fault.key) };
        let place = self.config.place(&key);
        self.found.push(Problem { key, place, wrong: fault.wrong });
    }

    /// Gives what is good, adds what is not.
    pub(super) fn take<T>(&mut self, table: &str, read: Result<T, Fault>) -> Option<T> {
        read.map_err(|fault| self.add(table, fault)).ok()
    }

    /// All of them.
    pub(super) fn into_list(self) -> Vec<Problem> {
        self.found
    }

    /// Refuses when there was any: all of them at once.
    pub(super) fn settle(self) -> Result<(), StartError> {
        Problems::of(self.found).map_or(Ok(()), |problems| Err(problems.into()))
    }
}
