//! Which clients got an ID token in a browser session: those are told when it ends.
//!
//! Over the server itself they are told by the outbox, where a trigger of the schema writes; here is what the
//! authorization endpoint adds, and what pages need.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::StorageError;
use super::schema::session_clients;
use crate::clock::Time;
use crate::domain::id::SessionId;
use crate::statement;

statement! {
    Remember { session: Uuid => SqlUuid, client: String => Text, now: Time => Timestamptz } -> BigInt,
    // The session is locked, so that it does not end between this look and the row: its client would never be told.
    ", alive AS (
        SELECT id FROM sessions WHERE id = $1 AND revoked_at IS NULL FOR SHARE
    ), remembered AS (
        INSERT INTO session_clients (session_id, client_id, first_at) SELECT id, $2, $3 FROM alive
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) FROM alive"
}

/// Remembers that a client gets an ID token in a session; `false` when the session has ended, and nothing may be issued.
/// Call it in the transaction that decides to issue.
pub fn remember(conn: &mut PgConnection, session: SessionId, client: &str, now: Time) -> Result<bool, StorageError> {
    let statement = Remember { session: session.uuid(), client: client.to_owned(), now };
    Ok(statement.get_result::<i64>(conn)? == 1)
}

/// The clients of a session, by id.
pub fn of(conn: &mut PgConnection, session: SessionId) -> Result<Vec<String>, StorageError> {
    Ok(session_clients::table
        .filter(session_clients::session_id.eq(session.uuid()))
        .order(session_clients::client_id)
        .select(session_clients::client_id)
        .load(conn)?)
}
