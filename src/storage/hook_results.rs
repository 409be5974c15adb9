//! What hooks said after a sign-in, for the person to read.

use diesel::prelude::*;
use diesel::sql_types::{Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;

use super::StorageError;
use super::schema::hook_results;
use crate::clock::Time;
use crate::domain::id::UserId;

/// Stores what a hook said about a sign-in, replacing what it said about an earlier one. Does nothing for a deleted
/// person.
pub fn put(conn: &mut PgConnection, user: UserId, hook: &str, result: &Value, at: Time) -> Result<(), StorageError> {
    diesel::sql_query(
        "INSERT INTO hook_results (user_id, hook, result, at) SELECT id, $2, $3, $4 FROM users WHERE id = $1 FOR SHARE
         ON CONFLICT (user_id, hook) DO UPDATE SET result = excluded.result, at = excluded.at
         WHERE hook_results.at <= excluded.at",
    )
    .bind::<SqlUuid, _>(user.uuid())
    .bind::<Text, _>(hook)
    .bind::<Jsonb, _>(result)
    .bind::<Timestamptz, _>(at)
    .execute(conn)?;
    Ok(())
}

/// Forgets what a hook said about sign-ins up to `at`.
pub fn remove(conn: &mut PgConnection, user: UserId, hook: &str, at: Time) -> Result<(), StorageError> {
    diesel::delete(hook_results::table.find((user.uuid(), hook)).filter(hook_results::at.le(at))).execute(conn)?;
    Ok(())
}

/// Forgets what a hook said about everybody.
pub fn remove_all_of(conn: &mut PgConnection, hook: &str) -> Result<(), StorageError> {
    diesel::delete(hook_results::table.filter(hook_results::hook.eq(hook))).execute(conn)?;
    Ok(())
}

/// What hooks said to a person, ordered by the hooks' names.
pub fn of_user(conn: &mut PgConnection, user: UserId) -> Result<Vec<(Value, Time)>, StorageError> {
    Ok(hook_results::table
        .filter(hook_results::user_id.eq(user.uuid()))
        .order(hook_results::hook)
        .select((hook_results::result, hook_results::at))
        .load(conn)?)
}
