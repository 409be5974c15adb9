//! Ends what a restored backup brought back: everything that was used up or ended since the backup would be valid
//! again.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use super::StorageError;
use super::schema::{
    action_tokens, audit_events, authorization_codes, ceremonies, device_codes, forward_codes, forward_sessions,
    initial_access_tokens, interactions, pushed_requests, refresh_tokens, sessions, users,
};
use crate::clock::Time;

/// The reason recorded for refresh families that a backup brought back.
const REASON: &str = "restored from a backup";

/// How much ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Sessions, and with them the access tokens of people.
    pub sessions: usize,
    /// Refresh families.
    pub families: usize,
    /// Action tokens.
    pub action_tokens: usize,
}

/// When the newest event was written. The database does not know what happened after it.
pub fn newest_event(conn: &mut PgConnection) -> Result<Option<Time>, StorageError> {
    Ok(audit_events::table.order(audit_events::id.desc()).select(audit_events::at).first(conn).optional()?)
}

/// Ends every session, everything that could still become a session or a token, the results that backends have yet to
/// fetch, and the permissions to register. Call it in the transaction that writes the event. It takes as long as the
/// number of rows requires; meanwhile a running server can read, but its writes are refused.
pub fn end_everything(conn: &mut PgConnection, now: Time) -> Result<Ended, StorageError> {
    // All tables at once, before any row is touched. Whoever holds one of them and waits for another gives up before
    // this does.
    conn.batch_execute(
        "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s';
         LOCK TABLE users, sessions, refresh_tokens, authorization_codes, device_codes, action_tokens, forward_codes,
             forward_sessions, interactions, pushed_requests, ceremonies, initial_access_tokens IN EXCLUSIVE MODE",
    )?;
    // Decisions in progress, based on what was read before, are no longer written.
    diesel::update(users::table).set((users::epoch.eq(users::epoch + 1), users::updated_at.eq(now))).execute(conn)?;
    diesel::delete(forward_codes::table).execute(conn)?;
    diesel::delete(forward_sessions::table).execute(conn)?;
    diesel::delete(interactions::table).execute(conn)?;
    diesel::delete(pushed_requests::table).execute(conn)?;
    diesel::delete(device_codes::table).execute(conn)?;
    diesel::delete(ceremonies::table).execute(conn)?;
    diesel::update(authorization_codes::table.filter(authorization_codes::used_at.is_null()))
        .set(authorization_codes::used_at.eq(now))
        .execute(conn)?;
    diesel::update(initial_access_tokens::table.filter(initial_access_tokens::revoked_at.is_null()))
        .set(initial_access_tokens::revoked_at.eq(now))
        .execute(conn)?;
    let untold = action_tokens::table.filter(action_tokens::used_at.is_not_null());
    diesel::update(untold.filter(action_tokens::redeemed_at.is_null()))
        .set(action_tokens::redeemed_at.eq(now))
        .execute(conn)?;
    let alive = sessions::table.filter(sessions::revoked_at.is_null()).filter(sessions::ends_at.gt(now));
    let unused =
        action_tokens::table.filter(action_tokens::used_at.is_null()).filter(action_tokens::expires_at.gt(now));
    Ok(Ended {
        sessions: diesel::update(alive).set(sessions::revoked_at.eq(now)).execute(conn)?,
        families: diesel::update(refresh_tokens::table.filter(refresh_tokens::revoked_at.is_null()))
            .set((refresh_tokens::revoked_at.eq(now), refresh_tokens::revoked_reason.eq(REASON)))
            .execute(conn)?,
        action_tokens: diesel::update(unused.filter(action_tokens::revoked_at.is_null()))
            .set(action_tokens::revoked_at.eq(now))
            .execute(conn)?,
    })
}
