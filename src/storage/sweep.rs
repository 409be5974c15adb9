//! Deletes what has ended. Nothing relies on it but what was used up or revoked: of that only the row tells, so it stays until
//! no server's clock takes what it is about for good any more. Every other reader checks the time itself.

use chrono::Duration;
use diesel::prelude::*;

use super::StorageError;
use super::schema::{
    action_tokens, audit_events, authorization_codes, ceremonies, changes, device_codes, device_guesses, forward_codes,
    forward_sessions, idempotency_keys, initial_access_tokens, interactions, outbox, pushed_requests, revoked_tokens,
    servers, sessions, signing_keys, used_jti,
};
use crate::clock::Time;
use crate::domain::session::LONGEST_SESSION;

/// How long ended sessions and families stay, so that a late replay is still recognised as one.
fn keep_ended() -> Duration {
    Duration::days(1)
}

/// How long messages stay that were given up, so that an operator can look at them and try again.
fn keep_given_up() -> Duration {
    Duration::days(30)
}

/// How far apart the clocks of servers may be: what counts once must not be forgotten by a fast one.
fn clocks() -> Duration {
    Duration::minutes(5)
}

/// Most audit events that one sweep deletes: a trail that was kept for ever must not stop the server when it is to be cut.
const MOST_EVENTS: i64 = 10_000;

/// Deletes what ended long enough before `now`, and audit events that are older than `keep_events`; gives how many rows
/// went.
pub fn sweep(conn: &mut PgConnection, now: Time, keep_events: Option<Duration>) -> Result<usize, StorageError> {
    let ended = now - keep_ended();
    let mut gone = diesel::delete(ceremonies::table.filter(ceremonies::expires_at.lt(now))).execute(conn)?;
    // A backend may still ask for a while what became of one.
    gone += diesel::delete(action_tokens::table.filter(action_tokens::expires_at.lt(ended))).execute(conn)?;
    gone += diesel::delete(used_jti::table.filter(used_jti::expires_at.lt(now - clocks()))).execute(conn)?;
    // A device that still polls is told a while longer that its time is over.
    gone += diesel::delete(device_codes::table.filter(device_codes::expires_at.lt(ended))).execute(conn)?;
    gone += diesel::delete(device_guesses::table.filter(device_guesses::at.lt(ended))).execute(conn)?;
    gone += diesel::delete(interactions::table.filter(interactions::expires_at.lt(now))).execute(conn)?;
    // A pushed request that a person was asked about in time is used up only when they have answered.
    gone += diesel::delete(pushed_requests::table.filter(pushed_requests::expires_at.lt(ended))).execute(conn)?;
    gone += diesel::delete(authorization_codes::table.filter(authorization_codes::kept_until.lt(now - clocks())))
        .execute(conn)?;
    gone += diesel::delete(revoked_tokens::table.filter(revoked_tokens::until.lt(now - clocks()))).execute(conn)?;
    gone += diesel::delete(forward_codes::table.filter(forward_codes::expires_at.lt(now))).execute(conn)?;
    gone += diesel::delete(forward_sessions::table.filter(forward_sessions::expires_at.lt(now))).execute(conn)?;
    // Refresh families go with their sessions.
    gone += diesel::delete(sessions::table.filter(sessions::ends_at.lt(ended))).execute(conn)?;
    gone += sweep_keys(conn, ended)?;
    gone += diesel::delete(servers::table.filter(servers::seen_at.lt(ended))).execute(conn)?;
    gone += diesel::delete(changes::table.filter(changes::at.lt(ended))).execute(conn)?;
    gone += diesel::delete(idempotency_keys::table.filter(idempotency_keys::expires_at.lt(now))).execute(conn)?;
    gone += diesel::delete(
        initial_access_tokens::table.filter(initial_access_tokens::expires_at.lt(now - keep_given_up())),
    )
    .execute(conn)?;
    gone += diesel::delete(outbox::table.filter(outbox::delivered_at.lt(ended))).execute(conn)?;
    gone += diesel::delete(outbox::table.filter(outbox::given_up_at.lt(now - keep_given_up()))).execute(conn)?;
    if let Some(keep) = keep_events {
        gone += sweep_events(conn, now - keep)?;
    }
    Ok(gone)
}

/// Deletes keys that verify nothing any more. Those of our tokens stay longer, unless they were revoked: an ID token comes
/// back as a hint as long as a session may live that it was given in.
fn sweep_keys(conn: &mut PgConnection, ended: Time) -> Result<usize, StorageError> {
    let without_hints = signing_keys::purpose.ne("tokens").or(signing_keys::revoked_at.is_not_null());
    let expired = signing_keys::table.filter(signing_keys::verifies_until.lt(ended)).filter(without_hints);
    let forgotten = signing_keys::table.filter(signing_keys::verifies_until.lt(ended - LONGEST_SESSION));
    Ok(diesel::delete(expired).execute(conn)? + diesel::delete(forgotten).execute(conn)?)
}

fn sweep_events(conn: &mut PgConnection, before: Time) -> Result<usize, StorageError> {
    let old: Vec<i64> = audit_events::table
        .filter(audit_events::at.lt(before))
        .select(audit_events::id)
        .limit(MOST_EVENTS)
        .load(conn)?;
    Ok(diesel::delete(audit_events::table.filter(audit_events::id.eq_any(old))).execute(conn)?)
}
