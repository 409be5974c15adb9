//! The embedded migrations, applied under an advisory lock (diesel takes none of its own).

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::StorageError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Any number will do, as long as every server of one database uses the same.
const LOCK: &str = "SELECT pg_advisory_lock(7276700107)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(7276700107)";

/// Runs `work` under the lock that start-up changes (migrations, keys, configured clients) share between servers.
pub fn locked<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    let limits: Limits = diesel::sql_query(LIMITS).get_result(conn)?;
    // Waiting for another server's migration may take longer than a request is allowed to.
    conn.batch_execute("SET lock_timeout = 0; SET statement_timeout = 0")?;
    conn.batch_execute(LOCK)?;
    let result = work(conn);
    conn.batch_execute(UNLOCK)?;
    limits.put_back(conn)?;
    result
}

const LIMITS: &str =
    "SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement";

/// How long a connection waits. `RESET` would give it the database's defaults, which are to wait for ever, instead of the
/// pool's.
#[derive(QueryableByName)]
struct Limits {
    #[diesel(sql_type = Text)]
    lock: String,
    #[diesel(sql_type = Text)]
    statement: String,
}

impl Limits {
    fn put_back(&self, conn: &mut PgConnection) -> Result<(), StorageError> {
        diesel::sql_query("SELECT set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false)")
            .bind::<Text, _>(&self.lock)
            .bind::<Text, _>(&self.statement)
            .execute(conn)?;
        Ok(())
    }
}

/// Applies what is pending; gives the names of what was applied.
pub fn migrate(conn: &mut PgConnection) -> Result<Vec<String>, StorageError> {
    let applied =
        conn.run_pending_migrations(MIGRATIONS).map_err(|error| StorageError::Migration(error.to_string()))?;
    Ok(applied.iter().map(ToString::to_string).collect())
}

/// Takes every migration back. Loses all data: for the tests and for `passmint migrate --down`.
pub fn revert_all(conn: &mut PgConnection) -> Result<(), StorageError> {
    conn.revert_all_migrations(MIGRATIONS).map(drop).map_err(|error| StorageError::Migration(error.to_string()))
}

/// Names of the migrations that are not applied yet.
pub fn pending(conn: &mut PgConnection) -> Result<Vec<String>, StorageError> {
    let pending = conn.pending_migrations(MIGRATIONS).map_err(|error| StorageError::Migration(error.to_string()))?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}
