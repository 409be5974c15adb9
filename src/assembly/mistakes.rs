//! Mistakes in what the configuration names: files and templates, which only the rooms can check.
//!
//! They are collected and reported together, in the same form as those found when loading the configuration. A
//! [`Fault`] is a mistake as a room sees it; [`Mistakes`] adds its place in the configuration.

use std::path::Path;
use std::{fmt, io};

use super::StartError;
use crate::config::{Config, Problem, Problems, Wrong};

/// A mistake in a setting, named by its key within the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    key: String,
    wrong: Wrong,
}

impl Fault {
    /// A mistake in a setting, and the remedy. Without a key it concerns the whole table.
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

/// Collects the mistakes of one configuration.
pub(super) struct Mistakes<'a> {
    config: &'a Config,
    found: Vec<Problem>,
}

impl<'a> Mistakes<'a> {
    /// Starts without mistakes.
    pub(super) const fn of(config: &'a Config) -> Self {
        Self { config, found: Vec::new() }
    }

    /// Adds a mistake in a table, such as `bridges.demo`.
    pub(super) fn add(&mut self, table: &str, fault: Fault) {
        let key = if fault.key.is_empty() { table.to_owned() } else { format!("{table}.{}", fault.key) };
        let place = self.config.place(&key);
        self.found.push(Problem { key, place, wrong: fault.wrong });
    }

    /// Returns a value, or adds the mistake.
    pub(super) fn take<T>(&mut self, table: &str, read: Result<T, Fault>) -> Option<T> {
        read.map_err(|fault| self.add(table, fault)).ok()
    }

    /// All mistakes.
    pub(super) fn into_list(self) -> Vec<Problem> {
        self.found
    }

    /// Fails with all mistakes at once, if there are any.
    pub(super) fn settle(self) -> Result<(), StartError> {
        Problems::of(self.found).map_or(Ok(()), |problems| Err(problems.into()))
    }
}
