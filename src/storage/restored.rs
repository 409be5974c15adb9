//! What comes back with a backup that was restored: everything that was used up or ended since is good again, and ends here.

use diesel::prelude::*;

use super::StorageError;
use super::schema::{
    action_tokens, audit_events, authorization_codes, ceremonies, device_codes, forward_codes, forward_sessions,
    interactions, pushed_requests, refresh_tokens, sessions, users,
};
use crate::clock::Time;

/// Why a refresh family ended that a backup brought back.
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

/// When the newest event was written: what happened after it, the database does not know.
pub fn newest_event(conn: &mut PgConnection) -> Result<Option<Time>, StorageError> {
    Ok(audit_events::table.order(audit_events::id.desc()).select(audit_events::at).first(conn).optional()?)
}

/// Ends every session and everything that could still become one or a token. Call it in the transaction that writes the event.
pub fn end_everything(conn: &mut PgConnection, now: Time) -> Result<Ended, StorageError> {
    // What is decided at this moment by what was read before is not written any more.
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
    Ok(Ended {
        sessions: diesel::update(sessions::table.filter(sessions::revoked_at.is_null()))
            .set(sessions::revoked_at.eq(now))
            .execute(conn)?,
        families: diesel::update(refresh_tokens::table.filter(refresh_tokens::revoked_at.is_null()))
            .set((refresh_tokens::revoked_at.eq(now), refresh_tokens::revoked_reason.eq(REASON)))
            .execute(conn)?,
        action_tokens: diesel::update(action_tokens::table.filter(action_tokens::revoked_at.is_null()))
            .set(action_tokens::revoked_at.eq(now))
            .execute(conn)?,
    })
}
