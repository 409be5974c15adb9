//! Which clients got an ID token in a browser session, and are notified when it ends.
//!
//! Back-channel notifications go through the outbox, which a trigger of the schema fills. The rows are written by the
//! statements that issue a code ([`authorization_codes`](super::authorization_codes)), redeem a code or a device's
//! grant ([`redemptions`](super::redemptions)), or sign somebody in for a client ([`sign_in`](super::sign_in),
//! [`first_sessions`](super::first_sessions)), and with the event of an exchange that gives an ID token ([`add`]).

use diesel::prelude::*;

use super::StorageError;
use super::schema::session_clients;
use super::sessions::hold_with_owner;
use crate::clock::Time;
use crate::domain::id::SessionId;

/// The clients of a session, by id.
pub fn of(conn: &mut PgConnection, session: SessionId) -> Result<Vec<String>, StorageError> {
    Ok(session_clients::table
        .filter(session_clients::session_id.eq(session.uuid()))
        .order(session_clients::client_id)
        .select(session_clients::client_id)
        .load(conn)?)
}

/// Records that a client gets an ID token of a session; `false` when the session has ended, because nothing would
/// notify the client of its end any more. Call it in the transaction that writes the event.
pub fn add(conn: &mut PgConnection, session: SessionId, client: &str, now: Time) -> Result<bool, StorageError> {
    if !hold_with_owner(conn, session, now)? {
        return Ok(false);
    }
    diesel::insert_into(session_clients::table)
        .values((
            session_clients::session_id.eq(session.uuid()),
            session_clients::client_id.eq(client),
            session_clients::first_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(true)
}
