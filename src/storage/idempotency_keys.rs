//! Answers to requests that may be sent again: one row per caller, operation and key.

use diesel::prelude::*;
use serde_json::Value;

use super::StorageError;
use super::schema::idempotency_keys as keys;
use crate::clock::Time;
use crate::domain::secret::TokenDigest;

/// What is known of a key.
#[derive(Clone, Debug)]
#[must_use = "a request that was answered before is not done again"]
pub enum Claimed {
    /// Nobody used it: this transaction must do the work and [`keep`] its answer.
    First,
    /// The same request was answered with this.
    Answered(Value),
    /// A different request used it.
    Taken,
}

/// Claims a key. Waits for any other transaction that holds it. Call it in the transaction that does the work.
pub fn claim(
    conn: &mut PgConnection,
    key: &TokenDigest,
    request: &TokenDigest,
    (now, until): (Time, Time),
) -> Result<Claimed, StorageError> {
    let (key, request) = (key.as_bytes().as_slice(), request.as_bytes().as_slice());
    diesel::delete(keys::table.find(key).filter(keys::expires_at.le(now))).execute(conn)?;
    let claimed = diesel::insert_into(keys::table)
        .values((
            keys::digest.eq(key),
            keys::request_digest.eq(request),
            keys::answer.eq(Value::Null),
            keys::expires_at.eq(until),
        ))
        .on_conflict_do_nothing()
        .execute(conn)?;
    if claimed == 1 {
        return Ok(Claimed::First);
    }
    let (of, answer): (Vec<u8>, Value) =
        keys::table.find(key).select((keys::request_digest, keys::answer)).first(conn)?;
    Ok(if of == request { Claimed::Answered(answer) } else { Claimed::Taken })
}

/// Stores the answer to the request that claimed a key.
pub fn keep(conn: &mut PgConnection, key: &TokenDigest, answer: &Value) -> Result<(), StorageError> {
    diesel::update(keys::table.find(key.as_bytes().as_slice())).set(keys::answer.eq(answer)).execute(conn)?;
    Ok(())
}
