//! Imports a whole file, chunk by chunk: one thread reads and converts while the other writes, and neither holds more
//! than a few chunks.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead};
use std::sync::mpsc::{self, SyncSender};

use super::apply;
use super::plan::{Decided, Line, Options, Outcome, Seen};
use super::split::Splitter;
use super::{Context, Format};
use crate::storage::{Db, StorageError};

/// How many chunks may wait between the two threads.
const WAITING: usize = 2;

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Writes chunk by chunk.
    Write,
    /// Only reports what would be written.
    DryRun,
}

/// Why a run ended before the end of the file. What was written stays: importing the same file again continues from
/// there.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file could not be read further.
    #[error("the file cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The watcher could not report a chunk, which is written nevertheless.
    #[error("the report cannot be written: {0}")]
    Report(#[source] io::Error),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The totals of a run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// People in the file, readable or not.
    pub read: u64,
    /// New people.
    pub created: u64,
    /// People who were changed.
    pub updated: u64,
    /// People who are the same as in the file: either imported like this before, or compared.
    pub unchanged: u64,
    /// People who are known but were not compared.
    pub known: u64,
    /// People who differ from the file and were not changed.
    pub differ: u64,
    /// People who occur in the file twice.
    pub duplicates: u64,
    /// People who were deleted here.
    pub deleted: u64,
    /// People who were refused.
    pub refused: u64,
    /// Lines about something else.
    pub skipped: u64,
    /// Passkeys of those who were created or changed.
    pub passkeys: u64,
    /// Their passwords.
    pub passwords: u64,
    /// What was left out or changed by the import: the number of each kind.
    pub notes: BTreeMap<&'static str, u64>,
}

impl Summary {
    fn add(&mut self, decided: &Decided) {
        self.read += 1;
        let counter = match decided.outcome {
            Outcome::Created(_) => &mut self.created,
            Outcome::Updated(_) => &mut self.updated,
            Outcome::Unchanged(_) => &mut self.unchanged,
            Outcome::Known(_) => &mut self.known,
            Outcome::Differs(_) => &mut self.differ,
            Outcome::Duplicate => &mut self.duplicates,
            Outcome::Deleted => &mut self.deleted,
            Outcome::Refused(_) => &mut self.refused,
        };
        *counter += 1;
        self.passkeys += decided.passkeys as u64;
        self.passwords += u64::from(decided.password);
        for note in &decided.notes {
            *self.notes.entry(note.kind).or_default() += 1;
        }
    }
}

/// Receives the progress of a run.
pub trait Watcher {
    /// A chunk is done: its lines, and how many bytes of the file have been read.
    fn chunk(&mut self, decided: &[Decided], bytes: u64) -> io::Result<()>;
}

/// The parameters of a run.
pub struct Run<'a> {
    /// The database to write to.
    pub db: &'a Db,
    /// The file's format.
    pub format: Format,
    /// What the file does not contain itself.
    pub context: &'a Context,
    /// The options of the import.
    pub options: &'a Options,
    /// The most people in one transaction.
    pub chunk: usize,
    /// Whether anything is written.
    pub mode: Mode,
}

/// Some people of the file, nobody twice.
struct Chunk {
    lines: Vec<Line>,
    skipped: u64,
    bytes: u64,
}

impl Run<'_> {
    /// Runs to the end of the file.
    pub fn run(&self, input: impl BufRead + Send, watcher: &mut dyn Watcher) -> Result<Summary, RunError> {
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel(WAITING);
            scope.spawn(move || {
                if let Err(error) = self.read(input, &sender) {
                    let _ = sender.send(Err(error));
                }
            });
            let (mut summary, mut people, mut seen) = (Summary::default(), Seen::default(), Seen::default());
            for chunk in receiver {
                let Chunk { lines, skipped, bytes } = chunk.map_err(RunError::Read)?;
                let decided = match self.mode {
                    Mode::Write => apply::write(self.db, &lines, &people, self.options)?,
                    Mode::DryRun => apply::rehearse(self.db, &lines, (&people, &mut seen), self.options)?,
                };
                people.take_people(&decided);
                summary.skipped += skipped;
                for line in &decided {
                    summary.add(line);
                }
                watcher.chunk(&decided, bytes).map_err(RunError::Report)?;
            }
            Ok(summary)
        })
    }

    /// Fills chunks. A person who occurs again starts a new chunk, so that the earlier line is decided first.
    fn read(&self, input: impl BufRead, sender: &SyncSender<io::Result<Chunk>>) -> io::Result<()> {
        let mut splitter = Splitter::new(input, self.format.list_member(), self.format.other_list_member());
        let (mut lines, mut skipped, mut names) = (Vec::new(), 0, HashSet::new());
        let source = self.options.source.as_deref();
        while let Some(piece) = splitter.next_piece()? {
            let record = match piece.text.and_then(|text| self.format.read(&text, self.context)) {
                Ok(None) => {
                    skipped += 1;
                    continue;
                }
                Ok(Some(record)) => Ok(record),
                Err(problem) => Err(problem),
            };
            let name = record.as_ref().ok().map(|record| (record.name_in(source).ok().flatten(), record.sub));
            let again = name.is_some_and(|name| !names.insert(name));
            let line = Line { line: piece.line, record };
            if again || lines.len() >= self.chunk {
                let full = Chunk { lines: std::mem::take(&mut lines), skipped, bytes: splitter.bytes_read() };
                if sender.send(Ok(full)).is_err() {
                    return Ok(());
                }
                skipped = 0;
                names.clear();
                if let Ok(record) = &line.record {
                    names.insert((record.name_in(source).ok().flatten(), record.sub));
                }
            }
            lines.push(line);
        }
        let _ = sender.send(Ok(Chunk { lines, skipped, bytes: splitter.bytes_read() }));
        Ok(())
    }
}
