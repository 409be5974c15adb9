//! Which clients got an ID token in a browser session: those are told when it ends.
//!
//! Over the server itself they are told by the outbox, where a trigger of the schema writes. The rows are written by the
//! statements that give a code ([`authorization_codes`](super::authorization_codes)), redeem a device's
//! ([`device_codes`](super::device_codes)), or sign somebody in for a client ([`sign_in`](super::sign_in)), and with the event of an
//! exchange that gives an ID token ([`add`]).

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

/// Notes that a client gets an ID token of a session; `false` when the session has ended, and with it what could tell the client
/// of that. Call it in the transaction that writes the event.
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
