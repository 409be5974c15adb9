//! Deletes what has ended. Nothing relies on it: every reader checks the time itself.

use chrono::Duration;
use diesel::prelude::*;

use super::StorageError;
use super::schema::{ceremonies, changes, servers, sessions, signing_keys, used_jti};
use crate::clock::Time;

/// How long ended sessions and families stay, so that a late replay is still recognised as one.
fn keep_ended() -> Duration {
    Duration::days(1)
}

/// How far apart the clocks of servers may be: what counts once must not be forgotten by a fast one.
fn clocks() -> Duration {
    Duration::minutes(5)
}

/// Deletes what ended long enough before `now`; gives how many rows went.
pub fn sweep(conn: &mut PgConnection, now: Time) -> Result<usize, StorageError> {
    let ended = now - keep_ended();
    let mut gone = diesel::delete(ceremonies::table.filter(ceremonies::expires_at.lt(now))).execute(conn)?;
    gone += diesel::delete(used_jti::table.filter(used_jti::expires_at.lt(now - clocks()))).execute(conn)?;
    // Refresh families go with their sessions.
    gone += diesel::delete(sessions::table.filter(sessions::ends_at.lt(ended))).execute(conn)?;
    gone += diesel::delete(signing_keys::table.filter(signing_keys::verifies_until.lt(ended))).execute(conn)?;
    gone += diesel::delete(servers::table.filter(servers::seen_at.lt(ended))).execute(conn)?;
    gone += diesel::delete(changes::table.filter(changes::at.lt(ended))).execute(conn)?;
    Ok(gone)
}
