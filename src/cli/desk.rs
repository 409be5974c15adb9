//! What a command works with: the configuration, the current time and the database, including that of a running server.

use std::time::{Duration, Instant};

use diesel::PgConnection;

use super::print;
use super::settings::{Loaded, Settings};
use crate::assembly::{self, Database, Missing, StartError};
use crate::clock::{Clock, Time};
use crate::config::Config;
use crate::storage::cluster::Cluster;
use crate::storage::db::{AT_LENGTH, patiently};
use crate::storage::error::in_one_line;
use crate::storage::{Db, StorageError, migrations};
use crate::tokens::KeysError;

/// Why a command changed nothing, as a line for the operator.
#[derive(Debug)]
pub struct Refusal(pub String);

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self(message)
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Self(format!("the database cannot be used: {}", in_one_line(&error)))
    }
}

impl From<diesel::result::Error> for Refusal {
    fn from(error: diesel::result::Error) -> Self {
        StorageError::from(error).into()
    }
}

impl From<KeysError> for Refusal {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Storage(error) => error.into(),
            other => Self(other.to_string()),
        }
    }
}

impl From<crate::web::refusal::Refusal> for Refusal {
    fn from(refusal: crate::web::refusal::Refusal) -> Self {
        match refusal {
            crate::web::refusal::Refusal::Failure(failure) => Self(failure.detail().to_owned()),
            crate::web::refusal::Refusal::Storage(error) => error.into(),
        }
    }
}

impl From<StartError> for Refusal {
    fn from(error: StartError) -> Self {
        Self(error.to_string())
    }
}

/// How long to keep a private cluster running for other commands after this one is done.
const PATIENCE: Duration = Duration::from_secs(600);

/// The configuration, the current time and the database.
pub struct Desk {
    /// The configuration.
    pub config: Config,
    /// The file it came from.
    pub source: String,
    /// The time at which the command acts.
    pub now: Time,
    /// The database.
    pub db: Db,
    /// The cluster to stop at the end; `None` if a server runs it.
    cluster: Option<Cluster>,
}

impl Settings {
    /// Opens the database that a server with these settings uses, and checks that its tables are up to date.
    pub fn desk(&self) -> Result<Desk, String> {
        let desk = Desk::open(self.load()?, Missing::Refuse)?;
        let pending = desk.read(|conn| Ok(migrations::pending(conn)?))?;
        if pending.is_empty() {
            return Ok(desk);
        }
        Err(format!(
            "the database's tables are not up to date ({} to apply): run `passmint migrate`, or start the server, which does the same",
            pending.join(", ")
        ))
    }
}

impl Desk {
    /// Opens the database, whatever the state of its tables.
    pub fn open(loaded: Loaded, missing: Missing) -> Result<Self, String> {
        let Loaded { config, source } = loaded;
        let Database { db, cluster } =
            assembly::open_for_command(&config, missing).map_err(|error| error.to_string())?;
        Ok(Self { config, source, now: Clock::system().now(), db, cluster })
    }

    /// Whether this command runs the private cluster itself, because no server does.
    pub const fn runs_cluster(&self) -> bool {
        self.cluster.is_some()
    }

    /// Runs a read-only query.
    pub fn read<T>(&self, work: impl FnOnce(&mut PgConnection) -> Result<T, Refusal>) -> Result<T, String> {
        flat(self.db.blocking(|conn| Ok(work(conn))))
    }

    /// Writes in one transaction; a refusal rolls it back. Only the operator waits for it, so it may take its time.
    pub fn write<T>(&self, work: impl FnOnce(&mut PgConnection) -> Result<T, Refusal>) -> Result<T, String> {
        flat(self.db.blocking(|conn| Ok(patiently(conn, AT_LENGTH, work))))
    }

    /// Like [`write`](Self::write), under the lock that servers take at their start: for keys and clients, which
    /// servers change as well.
    pub fn write_locked<T>(&self, work: impl FnOnce(&mut PgConnection) -> Result<T, Refusal>) -> Result<T, String> {
        flat(self.db.blocking(|conn| migrations::locked(conn, |conn| Ok(patiently(conn, AT_LENGTH, work)))))
    }
}

impl Drop for Desk {
    /// Waits for other commands that use the cluster started by this one: they would be cut off.
    fn drop(&mut self) {
        let others = || self.db.blocking(assembly::is_used_by_others).unwrap_or(false);
        if self.cluster.is_none() || !others() {
            return;
        }
        print::note("another command uses the private database that this one started: waiting for its end");
        let begun = Instant::now();
        while others() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn flat<T>(result: Result<Result<T, Refusal>, StorageError>) -> Result<T, String> {
    result.map_err(Refusal::from).and_then(|inner| inner).map_err(|refusal| refusal.0)
}
