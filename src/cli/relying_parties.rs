//! `passmint relying-parties …`: for stored passkeys of a domain that is no longer configured.
//!
//! These commands work while the server refuses to start for that reason.

use clap::Subcommand;
use serde_json::json;

use super::Outcome;
use super::desk::{Desk, Refusal};
use super::print;
use super::settings::Settings;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::storage::db::patiently;
use crate::storage::relying_parties::ALL_PASSKEYS;
use crate::storage::{StorageError, audit, relying_parties};

/// The domains that passkeys are bound to.
#[derive(Subcommand)]
pub enum RelyingParties {
    /// Show the configured RP IDs and those for which passkeys are stored.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give up the passkeys of an RP ID: they stay stored, but no longer prevent the server from starting.
    Retire {
        /// The RP id.
        rp_id: String,
    },
    /// File the passkeys of one RP ID under another. They work only if browsers accept them for the new one.
    Move {
        /// The RP id they are filed under now, no longer configured.
        from: String,
        /// The configured RP id they belong under.
        to: String,
    },
}

impl RelyingParties {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        match self {
            Self::List { json } => list(settings, json),
            Self::Retire { rp_id } => retire(settings, &rp_id),
            Self::Move { from, to } => rename(settings, &from, &to),
        }
    }
}

/// An RP id with everything known about it.
struct Row {
    rp_id: String,
    configured: bool,
    passkeys: i64,
    retired: Option<crate::clock::Time>,
    imported: bool,
}

fn rows(desk: &Desk) -> Result<Vec<Row>, String> {
    let (stored, retired) = desk.read(|conn| {
        patiently(conn, ALL_PASSKEYS, |conn| Ok((relying_parties::stored(conn)?, relying_parties::retired(conn)?)))
    })?;
    let configured = desk.config.relying_parties.iter().map(|party| party.rp_id.clone());
    let mut ids: Vec<String> = configured.chain(stored.iter().map(|(rp_id, _)| rp_id.clone())).collect();
    ids.sort();
    ids.dedup();
    let row = |rp_id: String| Row {
        configured: is_configured(desk, &rp_id),
        passkeys: stored.iter().find(|(id, _)| *id == rp_id).map_or(0, |(_, count)| *count),
        retired: retired.iter().find(|(id, ..)| *id == rp_id).map(|(_, at, _)| *at),
        imported: retired.iter().any(|(id, _, imported)| *id == rp_id && *imported),
        rp_id,
    };
    Ok(ids.into_iter().map(row).collect())
}

fn is_configured(desk: &Desk, rp_id: &str) -> bool {
    desk.config.relying_parties.iter().any(|party| party.rp_id == rp_id)
}

fn list(settings: &Settings, json: bool) -> Outcome {
    let desk = settings.desk()?;
    let rows = rows(&desk)?;
    if json {
        let document = |row: &Row| json!({ "rpId": row.rp_id, "configured": row.configured, "passkeys": row.passkeys, "retiredAt": row.retired, "imported": row.imported });
        return print::json(&rows.iter().map(document).collect::<Vec<_>>());
    }
    let state = |row: &Row| match (row.configured, row.retired) {
        (true, _) => "configured",
        (false, Some(_)) if row.imported => "imported, waits to be configured",
        (false, Some(_)) => "retired",
        (false, None) if row.rp_id == "localhost" => "left from a quick start",
        (false, None) => "NOT CONFIGURED: stops the start",
    };
    let cells = |row: &Row| vec![row.rp_id.clone(), row.passkeys.to_string(), state(row).to_owned()];
    print::table(&["RP ID", "PASSKEYS", "STATE"], &rows.iter().map(cells).collect::<Vec<_>>());
    Ok(())
}

fn retire(settings: &Settings, rp_id: &str) -> Outcome {
    let desk = settings.desk()?;
    let row = orphaned(&desk, rp_id)?;
    if let Some(at) = row.retired.filter(|_| !row.imported) {
        return Err(format!("{rp_id} was retired at {} already", print::time(at)));
    }
    desk.write(|conn| {
        relying_parties::retire(conn, rp_id, desk.now)?;
        let detail = json!({ "change": "retired", "passkeys": row.passkeys });
        Ok(audit::insert(conn, &event(&desk, rp_id, detail))?)
    })?;
    print::line(format!(
        "{rp_id} is retired: its {} passkeys sign nobody in and no longer prevent the start",
        row.passkeys
    ));
    Ok(())
}

fn rename(settings: &Settings, from: &str, to: &str) -> Outcome {
    let desk = settings.desk()?;
    orphaned(&desk, from)?;
    if !is_configured(&desk, to) {
        let known: Vec<&str> = desk.config.relying_parties.iter().map(|party| party.rp_id.as_str()).collect();
        return Err(format!("{to} is not configured; there is {}", known.join(", ")));
    }
    let moved = desk.write(|conn| {
        let moved = patiently(conn, ALL_PASSKEYS, |conn| relying_parties::rename(conn, from, to));
        let moved = moved.map_err(|error| match error {
            StorageError::Conflict { .. } => Refusal(format!(
                "a passkey of {from} exists under {to} already: nothing was moved; `passmint relying-parties retire {from}` gives the old ones up"
            )),
            other => other.into(),
        })?;
        let detail = json!({ "change": "moved", "to": to, "passkeys": moved });
        audit::insert(conn, &event(&desk, from, detail))?;
        Ok(moved)
    })?;
    print::line(format!("{moved} passkeys of {from} are filed under {to} now"));
    print::line(format!("a browser uses them there only if they were created for {to}: authenticators sign the RP ID"));
    Ok(())
}

/// An RP id that has passkeys but is not configured. Changing a configured one would lock its people out.
fn orphaned(desk: &Desk, rp_id: &str) -> Result<Row, String> {
    let row = rows(desk)?.into_iter().find(|row| row.rp_id == rp_id);
    match row {
        Some(row) if row.configured => Err(format!(
            "{rp_id} is configured, and people sign in with its passkeys: take it out of the configuration first, if they really should not any more"
        )),
        Some(row) => Ok(row),
        None => Err(format!("no passkeys are stored for {rp_id}; `passmint relying-parties list` shows what is")),
    }
}

fn event(desk: &Desk, rp_id: &str, detail: serde_json::Value) -> Event {
    Event {
        subject: Some(rp_id.to_owned()),
        detail,
        ..Event::new(EventKind::RelyingPartyChanged, desk.now, &Provenance::default())
    }
}
