//! Which servers are alive on this database.

use chrono::Duration;
use diesel::prelude::*;
use diesel::sql_types::Timestamptz;
use uuid::Uuid;

use super::StorageError;
use super::schema::servers;
use crate::clock::Time;

/// A server that was seen within this long counts as alive.
fn alive_within() -> Duration {
    Duration::seconds(15)
}

/// Reports that a server is alive; repeat it every few seconds.
pub fn beat(conn: &mut PgConnection, id: Uuid, challenge_store: &str, now: Time) -> Result<(), StorageError> {
    diesel::insert_into(servers::table)
        .values((
            servers::id.eq(id),
            servers::challenge_store.eq(challenge_store),
            servers::started_at.eq(now),
            servers::seen_at.eq(now),
        ))
        .on_conflict(servers::id)
        .do_update()
        .set(servers::seen_at.eq(now))
        .execute(conn)?;
    Ok(())
}

/// What the database's own clock says.
pub fn time(conn: &mut PgConnection) -> Result<Time, StorageError> {
    Ok(diesel::select(diesel::dsl::sql::<Timestamptz>("clock_timestamp()")).get_result(conn)?)
}

/// How many other live servers there are, and whether any of them keeps challenges in its own memory.
pub fn others(conn: &mut PgConnection, id: Uuid, now: Time) -> Result<(usize, bool), StorageError> {
    let stores: Vec<String> = servers::table
        .filter(servers::id.ne(id))
        .filter(servers::seen_at.gt(now - alive_within()))
        .select(servers::challenge_store)
        .load(conn)?;
    Ok((stores.len(), stores.iter().any(|store| store == "memory")))
}

/// Removes a server that is stopping.
pub fn leave(conn: &mut PgConnection, id: Uuid) -> Result<(), StorageError> {
    diesel::delete(servers::table.find(id)).execute(conn)?;
    Ok(())
}
