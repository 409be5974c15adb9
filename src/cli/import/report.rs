//! The output of an import: refused lines at once, everything in the report file, the totals at the end.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::progress::Progress;
use crate::cli::{Outcome, print};
use crate::import::plan::{self, Decided};
use crate::import::run::{Mode, RunError, Summary, Watcher};
use crate::storage::error::in_one_line;

/// How many refused lines are shown on the terminal; the report file has all of them.
const TOLD: u64 = 20;

/// The report of one run.
pub(super) struct Report {
    file: Option<BufWriter<File>>,
    progress: Progress,
    form_assumed: bool,
    people: u64,
    refused: u64,
}

impl Report {
    /// Starts a report and creates its file, readable by its owner only. The file must not exist yet: it could be the
    /// import file, or the report of an earlier run. `form_assumed`: the format was not named on the command line.
    pub(super) fn new(file: Option<&Path>, progress: Progress, form_assumed: bool) -> Result<Self, String> {
        let made = |path: &Path| {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            file.map(BufWriter::new).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    format!("{} exists already: name another file, each run has a report of its own", path.display())
                }
                _ => format!("{} cannot be written: {error}", path.display()),
            })
        };
        Ok(Self { file: file.map(made).transpose()?, progress, form_assumed, people: 0, refused: 0 })
    }

    /// Ends with the totals. If a line was refused, the command fails.
    pub(super) fn finish(self, result: Result<Summary, RunError>, mode: Mode, json: bool) -> Outcome {
        self.progress.clear();
        let summary = result.map_err(|error| {
            let again = if self.file.is_some() { "run it again with another report file" } else { "run it again" };
            format!(
                "the import stopped after {} people: {}. What was written stays; {again} to go on",
                self.people,
                in_one_line(&error)
            )
        })?;
        if json {
            print::json(&document(&summary, mode))?;
        } else {
            self.tell(&summary, mode);
        }
        match summary.refused {
            0 => Ok(()),
            lines if lines == summary.read && self.form_assumed => Err("every line was refused: the file was read as \
                NDJSON, as `passmint export` writes it; name another form with --format"
                .to_owned()),
            1 => Err("1 line was refused; everything else was done".to_owned()),
            lines => Err(format!("{lines} lines were refused; everything else was done")),
        }
    }

    fn tell(&self, summary: &Summary, mode: Mode) {
        if mode == Mode::DryRun {
            print::line("a dry run: nothing was written");
        }
        let would = |done: &'static str, would: &'static str| if mode == Mode::DryRun { would } else { done };
        let mut facts = vec![
            ("people in the file", summary.read.to_string()),
            (would("created", "would be created"), summary.created.to_string()),
        ];
        for (name, count) in [
            (would("updated", "would be updated"), summary.updated),
            ("unchanged", summary.unchanged),
            ("known already and not compared, left as they are (--update changes them)", summary.known),
            ("known already and not the same, left as they are (--update changes them)", summary.differ),
            ("twice in the file, and the first time counts", summary.duplicates),
            ("deleted here and left out", summary.deleted),
            ("refused", summary.refused),
            ("lines about something else, passed over", summary.skipped),
            ("passkeys", summary.passkeys),
            ("passwords, for a later version", summary.passwords),
        ] {
            if count > 0 {
                facts.push((name, count.to_string()));
            }
        }
        facts.extend(summary.notes.iter().map(|(kind, count)| (*kind, count.to_string())));
        if mode == Mode::Write {
            let seconds = self.progress.elapsed().as_secs_f64();
            facts.push(("time", format!("{seconds:.1} s")));
        }
        print::facts(&facts);
        if summary.notes.contains_key("unknown RP ids") {
            print::line(
                "passkeys of RP ids that are not configured are stored and sign nobody in until they are: `passmint relying-parties list` shows them",
            );
        }
        if mode == Mode::Write && summary.read > 0 && summary.created + summary.updated == 0 && summary.refused == 0 {
            print::line("nothing was changed");
        }
    }
}

impl Watcher for Report {
    fn chunk(&mut self, decided: &[Decided], bytes: u64) -> io::Result<()> {
        self.people += decided.len() as u64;
        for line in decided {
            if let plan::Outcome::Refused(problem) = &line.outcome {
                self.refused += 1;
                if self.refused <= TOLD {
                    self.progress.clear();
                    print::note(format!("line {}: {}", line.line, print::printable(&problem.to_string())));
                } else if self.refused == TOLD + 1 {
                    print::note("… and more; --report FILE tells of every one");
                }
            }
            if let Some(file) = &mut self.file {
                write(file, line)?;
            }
        }
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        self.progress.show(self.people, bytes);
        Ok(())
    }
}

fn document(summary: &Summary, mode: Mode) -> Value {
    json!({
        "dryRun": mode == Mode::DryRun,
        "read": summary.read,
        "created": summary.created,
        "updated": summary.updated,
        "unchanged": summary.unchanged,
        "known": summary.known,
        "differ": summary.differ,
        "duplicates": summary.duplicates,
        "deleted": summary.deleted,
        "refused": summary.refused,
        "skipped": summary.skipped,
        "passkeys": summary.passkeys,
        "passwords": summary.passwords,
        "notes": summary.notes,
    })
}

/// Writes one line; nothing for a person with nothing to report.
fn write(file: &mut BufWriter<File>, decided: &Decided) -> io::Result<()> {
    let mut line = json!({ "line": decided.line });
    if let Some(id) = &decided.id {
        line["id"] = id.as_str().into();
    }
    let outcome = match &decided.outcome {
        plan::Outcome::Created(_)
        | plan::Outcome::Updated(_)
        | plan::Outcome::Unchanged(_)
        | plan::Outcome::Known(_)
            if decided.notes.is_empty() =>
        {
            return Ok(());
        }
        plan::Outcome::Created(person) => ("created", Some(person)),
        plan::Outcome::Updated(person) => ("updated", Some(person)),
        plan::Outcome::Unchanged(person) => ("unchanged", Some(person)),
        plan::Outcome::Known(person) => ("known", Some(person)),
        plan::Outcome::Differs(person) => ("differs", Some(person)),
        plan::Outcome::Duplicate => ("duplicate", None),
        plan::Outcome::Deleted => ("deleted", None),
        plan::Outcome::Refused(problem) => {
            line["field"] = problem.field.as_str().into();
            line["reason"] = problem.reason.as_str().into();
            ("refused", None)
        }
    };
    line["outcome"] = outcome.0.into();
    if let Some(person) = outcome.1 {
        line["sub"] = person.to_string().into();
    }
    if !decided.notes.is_empty() {
        line["notes"] = decided
            .notes
            .iter()
            .map(|note| json!({ "kind": note.kind, "field": note.field, "what": note.what }))
            .collect();
    }
    writeln!(file, "{line}")
}
