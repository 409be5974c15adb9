//! A line of a file, what becomes of it, and which lines came before it.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, RandomState};

use uuid::Uuid;

use super::fields::Problem;
use super::record::{Note, Record};

/// One person of a file.
#[derive(Clone, Debug)]
pub struct Line {
    /// Where they stand.
    pub line: u64,
    /// What was read, or why not.
    pub record: Result<Record, Problem>,
}

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new person.
    Created(Uuid),
    /// Known, and changed as asked.
    Updated(Uuid),
    /// Known, and as the file tells: imported as this before, or compared.
    Unchanged(Uuid),
    /// Known, and not compared: without a source nothing says what somebody was imported as.
    Known(Uuid),
    /// Known, but not imported as this before; left as it is.
    Differs(Uuid),
    /// The same person stands further up in the file, and that counts.
    Duplicate,
    /// Whom the source knows by this id was deleted here, and is not made anew.
    Deleted,
    /// Not taken over.
    Refused(Problem),
}

/// A line with its outcome.
#[derive(Debug)]
pub struct Decided {
    /// Where it stands.
    pub line: u64,
    /// The person's id in the file.
    pub id: Option<String>,
    /// What they are known by if they come again; none where nothing could be decided.
    pub(super) key: Option<u64>,
    /// What becomes of it.
    pub outcome: Outcome,
    /// What is left out or taken over otherwise.
    pub notes: Vec<Note>,
    /// Passkeys that are taken over.
    pub passkeys: usize,
    /// Whether a password is.
    pub password: bool,
}

impl Decided {
    /// A line that nothing is decided on yet.
    pub(super) fn of(line: u64) -> Self {
        let outcome = Outcome::Duplicate;
        Self { line, id: None, key: None, outcome, notes: Vec::new(), passkeys: 0, password: false }
    }

    /// A line that is not taken over.
    pub fn refused(line: &Line, problem: Problem) -> Self {
        let id = line.record.as_ref().ok().and_then(Record::own_id);
        Self { id, outcome: Outcome::Refused(problem), ..Self::of(line.line) }
    }
}

/// Keys that were given away before: in this chunk, or, in a dry run, in the whole file; and the people of the whole file.
/// Only their hashes are kept.
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

    /// Takes the people of a chunk that is done: whoever of them stands further down as well stands there twice. Who was
    /// refused does not, because a better line may follow.
    pub fn take_people(&mut self, decided: &[Decided]) {
        let counts = |line: &&Decided| !matches!(line.outcome, Outcome::Refused(_));
        self.hashes.extend(decided.iter().filter(counts).filter_map(|line| line.key));
    }
}
