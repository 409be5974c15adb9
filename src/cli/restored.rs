//! `passmint restored`: to be run after a backup was restored.

use clap::Args;
use serde_json::json;

use super::Outcome;
use super::print;
use super::settings::Settings;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::storage::{audit, restored};

/// After a restored backup: end every session, token, code, permission and request that it brought back.
#[derive(Args)]
pub struct Restored {
    /// Required: confirms that everybody has to sign in again.
    #[arg(long)]
    yes: bool,
}

impl Restored {
    /// Runs the command.
    pub fn run(&self, settings: &Settings) -> Outcome {
        if !self.yes {
            return Err("`restored` signs everybody out everywhere; if that is what you want, add --yes".to_owned());
        }
        let desk = settings.desk()?;
        let (newest, ended) = desk.write(|conn| {
            let newest = restored::newest_event(conn)?;
            let ended = restored::end_everything(conn, desk.now)?;
            let event = Event {
                detail: json!({ "sessions": ended.sessions, "refresh_families": ended.families, "action_tokens": ended.action_tokens }),
                ..Event::new(EventKind::DatabaseRestored, desk.now, &Provenance::default())
            };
            audit::insert(conn, &event)?;
            Ok((newest, ended))
        })?;
        print::facts(&[
            ("sessions ended", ended.sessions.to_string()),
            ("refresh tokens ended", ended.families.to_string()),
            ("action tokens ended", ended.action_tokens.to_string()),
            ("newest event", print::maybe(newest)),
        ]);
        print::line(
            "What happened after the newest event this database does not know: passkeys, clients, secrets and keys that were",
        );
        print::line(
            "removed, replaced or revoked then are valid again, and people who were disabled then are active. Repeat \
             that.",
        );
        Ok(())
    }
}
