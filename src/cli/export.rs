//! `passmint export`: everything that people would need to leave.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Outcome;
use super::desk::Refusal;
use super::progress::Progress;
use super::settings::Settings;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::import::{export, form};
use crate::storage::consents::{self, StoredConsent};
use crate::storage::{audit, clients};

/// People read at a time.
const PAGE: i64 = 500;

/// Everybody, in our own form.
#[derive(Args)]
pub struct Export {
    /// The file to write, readable by its owner only; `-` for standard output.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Add what people allowed apps, and the apps as they are registered (without their secrets).
    #[arg(long)]
    with_clients: bool,
}

impl Export {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        let desk = settings.desk()?;
        let to_output = self.file == Path::new("-");
        let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(if to_output {
            Box::new(io::stdout())
        } else {
            Box::new(create(&self.file).map_err(|error| format!("{} cannot be written: {error}", self.file.display()))?)
        });
        let mixed = to_output && io::stdout().is_terminal();
        let mut progress = if mixed { Progress::silent() } else { Progress::new(None) };
        let result = desk.read(|conn| {
            // Witnessed before a byte is out.
            let event = Event {
                detail: json!({ "withClients": self.with_clients }),
                ..Event::new(EventKind::UsersExported, desk.now, &Provenance::default())
            };
            audit::insert(conn, &event)?;
            conn.transaction(|conn| write(conn, &mut out, &mut progress, self.with_clients))
        });
        progress.clear();
        let people = result?;
        out.flush().map_err(|error| format!("the export cannot be written: {error}"))?;
        eprintln!("passmint: {people} people were exported");
        Ok(())
    }
}

/// A new file: an export is never mixed with an older one by accident.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Writes everybody as of one moment; gives how many.
fn write(
    conn: &mut PgConnection,
    out: &mut impl Write,
    progress: &mut Progress,
    with_clients: bool,
) -> Result<u64, Refusal> {
    // A slow reader at the other end of a pipe must not end the transaction.
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
            writeln!(out, "{line}").map_err(unwritable)?;
            count += 1;
        }
        progress.show(count, 0);
    }
    if with_clients {
        for client in clients::all(conn)? {
            let line = json!({ form::CLIENT: { "id": client.client.id, "definition": client.client.definition } });
            writeln!(out, "{line}").map_err(unwritable)?;
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

fn unwritable(error: io::Error) -> Refusal {
    Refusal(format!("the export cannot be written: {error}"))
}
