//! Which clients got an ID token in a browser session: those are told when it ends.
//!
//! Over the server itself they are told by the outbox, where a trigger of the schema writes. The rows are written by the
//! statements that give a code ([`authorization_codes`](super::authorization_codes)), redeem a device's
//! ([`device_codes`](super::device_codes)), or sign somebody in for a client ([`sign_in`](super::sign_in)).

use diesel::prelude::*;

use super::StorageError;
use super::schema::session_clients;
use crate::domain::id::SessionId;

/// The clients of a session, by id.
pub fn of(conn: &mut PgConnection, session: SessionId) -> Result<Vec<String>, StorageError> {
    Ok(session_clients::table
        .filter(session_clients::session_id.eq(session.uuid()))
        .order(session_clients::client_id)
        .select(session_clients::client_id)
        .load(conn)?)
}
