//! `passmint migrate`.

use clap::Args;
use diesel::PgConnection;
use uuid::Uuid;

use super::Outcome;
use super::desk::{Desk, Refusal};
use super::print;
use super::settings::Settings;
use crate::assembly::Missing;
use crate::clock::Time;
use crate::storage::{StorageError, migrations, servers};

/// Bring the database's tables up to date, or take them away.
#[derive(Args)]
pub struct Migrate {
    /// Drop every table, with all data.
    #[arg(long)]
    down: bool,
    /// Required: confirms that this cannot be undone.
    #[arg(long, requires = "down")]
    yes: bool,
}

impl Migrate {
    /// Runs the command.
    pub fn run(&self, settings: &Settings) -> Outcome {
        if self.down && !self.yes {
            return Err("`migrate --down` deletes every person, passkey, key and client of this database; if that is what you want, add --yes".to_owned());
        }
        let missing = if self.down { Missing::Refuse } else { Missing::Create };
        let desk = Desk::open(settings.load()?, missing)?;
        if self.down {
            desk.read(|conn| {
                migrations::locked(conn, |conn| {
                    Ok(match live_servers(conn, desk.now)? {
                        0 => Ok(migrations::revert_all(conn)?),
                        live => Err(Refusal(format!(
                            "{live} live server(s) use this database: stop them first, and give them 15 seconds"
                        ))),
                    })
                })?
            })?;
            print::line("every table was dropped");
            return Ok(());
        }
        let applied = desk.read(|conn| {
            Ok(migrations::locked(conn, |conn| {
                let names = migrations::pending(conn)?;
                migrations::migrate(conn)?;
                Ok(names)
            })?)
        })?;
        for name in &applied {
            print::line(format!("applied {name}"));
        }
        if applied.is_empty() {
            print::line("the tables were up to date");
        }
        Ok(())
    }
}

/// How many servers have recently reported to be alive; none if the table does not exist.
fn live_servers(conn: &mut PgConnection, now: Time) -> Result<usize, StorageError> {
    if !migrations::pending(conn)?.is_empty() {
        return Ok(0);
    }
    Ok(servers::others(conn, Uuid::nil(), now)?.0)
}
