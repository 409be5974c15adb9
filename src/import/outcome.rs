//! A line of a file, its outcome, and the lines before it.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, RandomState};

use uuid::Uuid;

use super::fields::Problem;
use super::record::{Note, Record};

/// One person of a file.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its line number.
    pub line: u64,
    /// The record, or why it could not be read.
    pub record: Result<Record, Problem>,
}

/// The outcome of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new person.
    Created(Uuid),
    /// Known, and changed as requested.
    Updated(Uuid),
    /// Known, and the same as in the file: either imported like this before, or compared.
    Unchanged(Uuid),
    /// Known, but not compared: without a source it is not recorded what was imported.
    Known(Uuid),
    /// Known, but different from the import before; not changed.
    Differs(Uuid),
    /// The same person occurs earlier in the file, and that line counts.
    Duplicate,
    /// The person with this id in the source was deleted here, and is not created again.
    Deleted,
    /// Not imported.
    Refused(Problem),
}

/// A line with its outcome.
#[derive(Debug)]
pub struct Decided {
    /// Its line number.
    pub line: u64,
    /// The person's id in the file.
    pub id: Option<String>,
    /// The key that identifies them if they occur again; `None` where nothing could be decided.
    pub(super) key: Option<u64>,
    /// Its outcome.
    pub outcome: Outcome,
    /// What is left out or changed by the import.
    pub notes: Vec<Note>,
    /// How many passkeys are imported.
    pub passkeys: usize,
    /// Whether a password is imported.
    pub password: bool,
}

impl Decided {
    /// A line without a decision.
    pub(super) fn of(line: u64) -> Self {
        let outcome = Outcome::Duplicate;
        Self { line, id: None, key: None, outcome, notes: Vec::new(), passkeys: 0, password: false }
    }

    /// A line that is refused.
    pub fn refused(line: &Line, problem: Problem) -> Self {
        let id = line.record.as_ref().ok().and_then(Record::own_id);
        Self { id, outcome: Outcome::Refused(problem), ..Self::of(line.line) }
    }
}

/// Keys that were used before: in this chunk, or, in a dry run, in the whole file; and the people of the whole file.
/// Only hashes are stored.
#[derive(Debug, Default)]
pub struct Seen {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Seen {
    pub(super) fn key(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(super) fn has(&self, key: u64) -> bool {
        self.hashes.contains(&key)
    }

    pub(super) fn contains(&self, key: impl Hash) -> bool {
        self.has(self.key(key))
    }

    pub(super) fn insert(&mut self, key: impl Hash) {
        self.hashes.insert(self.key(key));
    }

    /// Records the people of a finished chunk, so that a later line about them counts as a duplicate. A refused line
    /// does not count, because a better one may follow.
    pub fn take_people(&mut self, decided: &[Decided]) {
        let counts = |line: &&Decided| !matches!(line.outcome, Outcome::Refused(_));
        self.hashes.extend(decided.iter().filter(counts).filter_map(|line| line.key));
    }
}
