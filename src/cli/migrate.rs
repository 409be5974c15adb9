//! `passmint migrate`.

use clap::Args;

use super::Outcome;
use super::desk::Desk;
use super::print;
use super::settings::Settings;
use crate::assembly::Missing;
use crate::storage::migrations;

/// Bring the database's tables up to date, or take them away.
#[derive(Args)]
pub struct Migrate {
    /// Take every table away, and all data with them.
    #[arg(long)]
    down: bool,
    /// Yes, really.
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
            desk.read(|conn| Ok(migrations::locked(conn, migrations::revert_all)?))?;
            print::line("every table was taken away");
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
