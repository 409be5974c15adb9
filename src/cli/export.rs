//! `passmint export`: everything that people need to move elsewhere.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use serde_json::{Value, json};
use uuid::Uuid;

use super::desk::{Desk, Refusal};
use super::progress::Progress;
use super::settings::Settings;
use super::{Outcome, print};
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::import::{export, form};
use crate::storage::consents::{self, StoredConsent};
use crate::storage::{audit, clients};

/// The number of people read at a time.
const PAGE: i64 = 500;

/// Everybody, in our own form.
#[derive(Args)]
pub struct Export {
    /// The file to write, readable by its owner only; `-` for standard output.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Also export people's consents and the registered apps (without their secrets).
    #[arg(long)]
    with_clients: bool,
}

impl Export {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        let desk = settings.desk()?;
        let people = if self.file == Path::new("-") {
            let mixed = io::stdout().is_terminal();
            self.to(&desk, io::stdout(), if mixed { Progress::silent() } else { Progress::new(None) })?
        } else {
            self.to_file(&desk)?
        };
        print::note(format!("{people} people were exported"));
        Ok(())
    }

    /// Writes to a temporary name until everything is on disk, so that a file with its final name is complete.
    fn to_file(&self, desk: &Desk) -> Result<u64, String> {
        let part = part_of(&self.file);
        refuse_existing(&self.file)?;
        let file = create(&part)?;
        let written = self.to(desk, &file, Progress::new(None)).and_then(|people| {
            file.sync_all().map_err(|error| unwritable(&error))?;
            // Created while we wrote, so not ours to replace. Another export cannot have done it: it has no `part`
            // file.
            refuse_existing(&self.file)?;
            fs::rename(&part, &self.file).map_err(|error| unwritable(&error))?;
            Ok(people)
        });
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written
    }

    /// Writes all people; returns their number.
    fn to(&self, desk: &Desk, out: impl Write, mut progress: Progress) -> Result<u64, String> {
        let mut out = BufWriter::new(out);
        let result = desk.read(|conn| {
            // The audit event is written before any output.
            let event = Event {
                detail: json!({ "withClients": self.with_clients }),
                ..Event::new(EventKind::UsersExported, desk.now, &Provenance::default())
            };
            audit::insert(conn, &event)?;
            conn.transaction(|conn| write(conn, &mut out, &mut progress, self.with_clients))
        });
        progress.clear();
        let people = result?;
        out.flush().map_err(|error| unwritable(&error))?;
        Ok(people)
    }
}

/// The name of the file until it is complete.
fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Refuses an existing file, so that an export never replaces an older one by accident. A dangling link counts as
/// existing.
fn refuse_existing(file: &Path) -> Outcome {
    match fs::symlink_metadata(file) {
        Ok(_) => Err(format!("{} exists already: name another file", file.display())),
        Err(_) => Ok(()),
    }
}

fn create(part: &Path) -> Result<File, String> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part);
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!(
            "{} exists already: another export is writing it, or was broken off; delete it then, or name another file",
            part.display()
        ),
        _ => format!("{} cannot be written: {error}", part.display()),
    })
}

/// Writes all people as of one moment; returns their number.
fn write(
    conn: &mut PgConnection,
    out: &mut impl Write,
    progress: &mut Progress,
    with_clients: bool,
) -> Result<u64, Refusal> {
    // A slow reader at the other end of a pipe must not cause the transaction to be aborted.
    conn.batch_execute(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0; \
         SET LOCAL statement_timeout = '60s'",
    )?;
    let (mut after, mut count) = (None, 0);
    loop {
        let page = export::page(conn, after, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        let ids: Vec<Uuid> = page.iter().map(|(id, _)| *id).collect();
        let mut consents = if with_clients { consents::of_users(conn, &ids)? } else { HashMap::new() };
        for (id, record) in page {
            let mut line = form::write(&record);
            if let Some(consents) = consents.remove(&id) {
                line["consents"] = consents.iter().map(consent).collect();
            }
            writeln!(out, "{line}").map_err(|error| unwritable(&error))?;
            count += 1;
        }
        progress.show(count, 0);
    }
    if with_clients {
        for client in clients::all(conn)? {
            let line = json!({ form::CLIENT: { "id": client.client.id, "definition": client.client.definition } });
            writeln!(out, "{line}").map_err(|error| unwritable(&error))?;
        }
    }
    Ok(count)
}

fn consent(stored: &StoredConsent) -> Value {
    json!({
        "clientId": stored.client,
        "scope": stored.consent.scopes.to_string(),
        "grantedAt": stored.granted_at,
        "updatedAt": stored.updated_at,
    })
}

fn unwritable(error: &io::Error) -> String {
    format!("the export cannot be written: {error}")
}
