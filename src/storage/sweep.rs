//! Deletes what has expired or ended.
//!
//! Readers check the time themselves, so they do not depend on the sweep. The exception is a row that records that
//! something was used up or revoked: nothing else tells, so it stays until no server's clock can still accept what it
//! is about.

use chrono::Duration;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};

use super::StorageError;
use crate::clock::Time;
use crate::domain::session::LONGEST_SESSION;

/// How long ended sessions and families stay, so that a late replay is still recognised.
fn keep_ended() -> Duration {
    Duration::days(1)
}

/// How long messages that were given up stay, so that an operator can look at them and retry.
fn keep_given_up() -> Duration {
    Duration::days(30)
}

/// How far the clocks of servers may differ: a fast one must not forget what counts only once.
fn clocks() -> Duration {
    Duration::minutes(5)
}

/// How many rows one statement deletes: a backlog must neither exceed the statement timeout nor lock what others wait
/// for.
const PORTION: i64 = 1000;
/// The most portions of one table in one sweep: more than can end between two sweeps at thousands of sign-ins a second.
/// Each portion walks over the rows deleted before it again, until PostgreSQL reclaims them.
const MOST_PORTIONS: u32 = 2_000;

/// The rows of a table that have ended.
struct Ended {
    table: &'static str,
    /// Selects the rows, with the time as `$1`.
    condition: &'static str,
    before: Time,
}

/// Deletes what ended long enough before `now`, and audit events older than `keep_events`, in portions. Returns how
/// many rows were deleted. A fault in one table does not keep the others from being swept.
///
/// # Errors
/// The first fault, after all other tables were swept.
pub fn sweep(conn: &mut PgConnection, now: Time, keep_events: Option<Duration>) -> Result<usize, StorageError> {
    let (mut gone, mut fault) = (0, None);
    for ended in all_ended(now, keep_events) {
        if let Err(error) = ended.delete(conn, &mut gone) {
            tracing::warn!(error = %error, table = ended.table, "what has ended could not be deleted");
            fault = fault.or(Some(error));
        }
    }
    fault.map_or(Ok(gone), Err)
}

impl Ended {
    fn delete(&self, conn: &mut PgConnection, gone: &mut usize) -> Result<(), StorageError> {
        let Self { table, condition, before } = self;
        // By `ctid`, so that a portion is searched only once. Rows that somebody works with are left for the next
        // sweep.
        let portion = format!(
            "DELETE FROM {table} WHERE ctid = ANY(ARRAY(
                 SELECT ctid FROM {table} WHERE {condition} LIMIT $2 FOR UPDATE SKIP LOCKED))"
        );
        for _ in 0..MOST_PORTIONS {
            let delete = diesel::sql_query(portion.as_str());
            let rows = delete.bind::<Timestamptz, _>(*before).bind::<BigInt, _>(PORTION).execute(conn)?;
            *gone += rows;
            if i64::try_from(rows).unwrap_or(i64::MAX) < PORTION {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn all_ended(now: Time, keep_events: Option<Duration>) -> Vec<Ended> {
    let ended = now - keep_ended();
    let given_up = now - keep_given_up();
    let of = |table, condition, before| Ended { table, condition, before };
    let mut all = vec![
        of("ceremonies", "expires_at < $1", now),
        // A backend may still ask for a while what became of one.
        of("action_tokens", "expires_at < $1", ended),
        of("used_jti", "expires_at < $1", now - clocks()),
        // A device that still polls is told for a while longer that it has expired.
        of("device_codes", "expires_at < $1", ended),
        of("device_guesses", "at < $1", ended),
        of("interactions", "expires_at < $1", now),
        // If a person was asked about a pushed request in time, it is used up only when they have answered.
        of("pushed_requests", "expires_at < $1", ended),
        of("authorization_codes", "kept_until < $1", now - clocks()),
        of("revoked_tokens", "until < $1", now - clocks()),
        of("forward_codes", "expires_at < $1", now),
        of("forward_sessions", "expires_at < $1", now),
        // Refresh families go with their sessions.
        of("sessions", "ends_at < $1", ended),
        // Keys that no longer verify anything. Token keys stay longer, unless they were revoked: an ID token may come
        // back as a hint for as long as the session it was issued in may live.
        of("signing_keys", "verifies_until < $1 AND (purpose <> 'tokens' OR revoked_at IS NOT NULL)", ended),
        of("signing_keys", "verifies_until < $1", ended - LONGEST_SESSION),
        of("servers", "seen_at < $1", ended),
        of("changes", "at < $1", ended),
        of("idempotency_keys", "expires_at < $1", now),
        of("initial_access_tokens", "expires_at < $1", given_up),
        of("outbox", "delivered_at < $1", ended),
        of("outbox", "given_up_at < $1", given_up),
    ];
    all.extend(keep_events.map(|keep| of("audit_events", "at < $1", now - keep)));
    all
}
