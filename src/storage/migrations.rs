//! The embedded migrations, applied under an advisory lock (diesel takes none of its own).

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::StorageError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Any number will do, as long as every server of one database uses the same.
const LOCK: &str = "SELECT pg_advisory_lock(7276700107)";
const LOCK_IF_FREE: &str = "SELECT pg_try_advisory_lock(7276700107) AS got";
const UNLOCK: &str = "SELECT pg_advisory_unlock(7276700107)";

/// Runs `work` under the lock that start-up changes (migrations, keys, configured clients) share between servers.
pub fn locked<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    // Waiting for another server's migration may take longer than a request is allowed to.
    unhurried(conn, |conn| {
        conn.batch_execute(LOCK)?;
        let result = work(conn);
        release(conn)?;
        result
    })
}

/// [`locked`] without waiting for the lock: none when somebody else holds it.
pub fn locked_if_free<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, StorageError>,
) -> Result<Option<T>, StorageError> {
    unhurried(conn, |conn| {
        let taken: Taken = diesel::sql_query(LOCK_IF_FREE).get_result(conn)?;
        if !taken.got {
            return Ok(None);
        }
        let result = work(conn);
        release(conn)?;
        result.map(Some)
    })
}

fn release(conn: &mut PgConnection) -> Result<(), StorageError> {
    let released = conn.batch_execute(UNLOCK);
    if released.is_err() {
        give_up(conn);
    }
    Ok(released?)
}

/// Ends a connection that could not be restored to its previous state: in the pool it would keep a lock or have no
/// timeouts.
fn give_up(conn: &mut PgConnection) {
    // If it no longer answers, it is gone as well.
    let _ = conn.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())");
}

#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = Bool)]
    got: bool,
}

/// Runs `work` without timeouts. The values that the pool had set are restored explicitly: RESET would restore the
/// server's own setting, which is no limit at all.
fn unhurried<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    let before = Timeouts::of(conn)?;
    Timeouts { lock: "0".to_owned(), statement: "0".to_owned() }.set(conn)?;
    let result = work(conn);
    let restored = before.set(conn);
    if restored.is_err() {
        give_up(conn);
    }
    restored.and(result)
}

#[derive(QueryableByName)]
struct Timeouts {
    #[diesel(sql_type = Text)]
    lock: String,
    #[diesel(sql_type = Text)]
    statement: String,
}

impl Timeouts {
    fn of(conn: &mut PgConnection) -> Result<Self, StorageError> {
        let sql = "SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement";
        Ok(diesel::sql_query(sql).get_result(conn)?)
    }

    fn set(&self, conn: &mut PgConnection) -> Result<(), StorageError> {
        let sql = "SELECT set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false)";
        diesel::sql_query(sql).bind::<Text, _>(&self.lock).bind::<Text, _>(&self.statement).execute(conn)?;
        Ok(())
    }
}

/// Applies pending migrations. Returns their names.
pub fn migrate(conn: &mut PgConnection) -> Result<Vec<String>, StorageError> {
    let applied =
        conn.run_pending_migrations(MIGRATIONS).map_err(|error| StorageError::Migration(error.to_string()))?;
    Ok(applied.iter().map(ToString::to_string).collect())
}

/// Reverts every migration. Loses all data: for the tests and for `passmint migrate --down`.
pub fn revert_all(conn: &mut PgConnection) -> Result<(), StorageError> {
    conn.revert_all_migrations(MIGRATIONS).map(drop).map_err(|error| StorageError::Migration(error.to_string()))
}

/// Names of the migrations that are not applied yet.
pub fn pending(conn: &mut PgConnection) -> Result<Vec<String>, StorageError> {
    let pending = conn.pending_migrations(MIGRATIONS).map_err(|error| StorageError::Migration(error.to_string()))?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}
