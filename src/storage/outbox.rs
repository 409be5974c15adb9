//! Messages to other systems: written with the change they report, delivered afterwards, at least once.
//!
//! What must always hold: only the oldest waiting message of a lane is claimed, except in lanes without an order. A
//! claim is a lease, so another server delivers what a crashed one had claimed. Only the holder of a claim records the
//! outcome of its attempt.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Jsonb, Text, Timestamptz};
use serde_json::Value;

use super::StorageError;
use super::schema::outbox;
use crate::clock::Time;
use crate::statement;

/// A message that this server holds until its lease ends.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its number.
    pub id: i64,
    /// What it is.
    pub kind: String,
    /// What it says.
    pub payload: Value,
    /// The number of this attempt, from 1.
    pub attempt: i32,
    /// When it was written.
    pub created_at: Time,
}

/// What to claim.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The kind of message.
    pub kind: &'a str,
    /// A prefix of lanes that hold few of the waiting messages; none for all lanes.
    pub lanes: Option<&'a str>,
    /// How many at most.
    pub most: usize,
    /// The time of the claim.
    pub now: Time,
    /// Until when nobody else may deliver them.
    pub leased_until: Time,
}

// Looks at the first 1000 due messages and keeps those that are the oldest of their lane. If that leaves too few
// because some lanes are long, it also looks at the oldest messages of up to 1000 lanes. Both walk along an index and
// stop, so the cost of a claim does not grow with the backlog. The oldest message of a lane is looked up as the first
// in (lane, id) at or after the lane, a question that only that index can answer.
statement! {
    Claim {
        now: Time => Timestamptz, leased_until: Time => Timestamptz, most: i64 => BigInt, kind: String => Text,
    } -> (BigInt, Text, Jsonb, Integer, Timestamptz),
    ", candidates AS MATERIALIZED (
        SELECT id, lane FROM outbox
        WHERE kind = $4 AND next_try_at <= $1 AND delivered_at IS NULL AND given_up_at IS NULL
        ORDER BY next_try_at, id LIMIT 1000
    ), oldest AS MATERIALIZED (
        SELECT id FROM candidates WHERE id = (
            SELECT first.id FROM outbox AS first
            WHERE first.lane ~>=~ candidates.lane AND first.delivered_at IS NULL AND first.given_up_at IS NULL
            ORDER BY first.lane USING ~<~, first.id LIMIT 1)
    ), heads AS (
        WITH RECURSIVE head AS (
            (SELECT lane, id, 1 AS n FROM outbox
             WHERE delivered_at IS NULL AND given_up_at IS NULL
               AND (SELECT count(*) FROM candidates) = 1000 AND (SELECT count(*) FROM oldest) < $3
             ORDER BY lane USING ~<~, id LIMIT 1)
            UNION ALL
            SELECT next.lane, next.id, n + 1 FROM head CROSS JOIN LATERAL (
                SELECT lane, id FROM outbox
                WHERE lane ~>~ head.lane AND delivered_at IS NULL AND given_up_at IS NULL
                ORDER BY lane USING ~<~, id LIMIT 1) AS next
            WHERE n < 1000
        )
        SELECT id FROM head
    ), due AS (
        SELECT id FROM outbox
        WHERE id = ANY(ARRAY(SELECT id FROM oldest UNION SELECT id FROM heads))
          AND kind = $4 AND next_try_at <= $1 AND delivered_at IS NULL AND given_up_at IS NULL
        ORDER BY next_try_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox SET attempts = attempts + 1, next_try_at = $2 WHERE id = ANY(ARRAY(SELECT id FROM due))
    RETURNING id, kind, payload, attempts, created_at"
}

// Looks at everything that waits in the lanes from `from` up to, but excluding, `to`, compared by bytes.
statement! {
    ClaimOfLanes {
        now: Time => Timestamptz, leased_until: Time => Timestamptz, most: i64 => BigInt, kind: String => Text,
        from: String => Text, to: String => Text,
    } -> (BigInt, Text, Jsonb, Integer, Timestamptz),
    ", waiting AS MATERIALIZED (
        SELECT id, lane FROM outbox WHERE lane ~>=~ $5 AND lane ~<~ $6 AND delivered_at IS NULL AND given_up_at IS NULL
    ), due AS (
        SELECT id FROM outbox
        WHERE id = ANY(ARRAY(SELECT min(id) FROM waiting GROUP BY lane))
          AND kind = $4 AND next_try_at <= $1 AND delivered_at IS NULL AND given_up_at IS NULL
        ORDER BY next_try_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox SET attempts = attempts + 1, next_try_at = $2 WHERE id = ANY(ARRAY(SELECT id FROM due))
    RETURNING id, kind, payload, attempts, created_at"
}

/// Claims due messages, oldest first.
pub fn claim(conn: &mut PgConnection, wanted: &Wanted<'_>) -> Result<Vec<Claimed>, StorageError> {
    let Wanted { now, leased_until, .. } = *wanted;
    let (most, kind) = (i64::try_from(wanted.most).unwrap_or(i64::MAX), wanted.kind.to_owned());
    Ok(claimed(match wanted.lanes {
        None => Claim { now, leased_until, most, kind }.get_results(conn)?,
        Some(lanes) => {
            let (from, to) = (lanes.to_owned(), behind(lanes));
            ClaimOfLanes { now, leased_until, most, kind, from, to }.get_results(conn)?
        }
    }))
}

/// The first text that sorts, by bytes, after all texts with this prefix.
fn behind(beginning: &str) -> String {
    let mut text = beginning.to_owned();
    let last = text.pop().and_then(|last| char::from_u32(u32::from(last) + 1));
    text.push(last.unwrap_or(char::MAX));
    text
}

statement! {
    ClaimAnyOf {
        now: Time => Timestamptz, leased_until: Time => Timestamptz, most: i64 => BigInt, lane: String => Text,
    } -> (BigInt, Text, Jsonb, Integer, Timestamptz),
    ", due AS (
        SELECT id FROM outbox
        WHERE lane = $4 AND delivered_at IS NULL AND given_up_at IS NULL AND next_try_at <= $1
        ORDER BY next_try_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox SET attempts = attempts + 1, next_try_at = $2 WHERE id = ANY(ARRAY(SELECT id FROM due))
    RETURNING id, kind, payload, attempts, created_at"
}

/// Claims due messages in a lane whose messages need no order.
pub fn claim_any_of(
    conn: &mut PgConnection,
    lane: &str,
    most: usize,
    now: Time,
    leased_until: Time,
) -> Result<Vec<Claimed>, StorageError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    Ok(claimed(ClaimAnyOf { now, leased_until, most, lane: lane.to_owned() }.get_results(conn)?))
}

fn claimed(rows: Vec<(i64, String, Value, i32, Time)>) -> Vec<Claimed> {
    let mut claimed: Vec<Claimed> = rows
        .into_iter()
        .map(|(id, kind, payload, attempt, created_at)| Claimed { id, kind, payload, attempt, created_at })
        .collect();
    claimed.sort_by_key(|message| message.id);
    claimed
}

/// Records that a message was delivered.
pub fn delivered(conn: &mut PgConnection, id: i64, now: Time) -> Result<(), StorageError> {
    // It does not matter who holds the claim by now: the message did arrive.
    diesel::update(outbox::table.find(id).filter(outbox::delivered_at.is_null()).filter(outbox::given_up_at.is_null()))
        .set((outbox::delivered_at.eq(now), outbox::last_error.eq(None::<String>)))
        .execute(conn)?;
    Ok(())
}

/// Records that an attempt failed and when the next is due; without a next one, the message is given up. `false` when
/// the lease had ended and somebody else holds the message.
pub fn failed(
    conn: &mut PgConnection,
    message: &Claimed,
    error: &str,
    next_try_at: Option<Time>,
    now: Time,
) -> Result<bool, StorageError> {
    let held = outbox::table
        .find(message.id)
        .filter(outbox::attempts.eq(message.attempt))
        // An operator's retry resets the count of attempts, but it changes `created_at` as well.
        .filter(outbox::created_at.eq(message.created_at))
        .filter(outbox::delivered_at.is_null())
        .filter(outbox::given_up_at.is_null());
    let given_up_at = if next_try_at.is_none() { Some(now) } else { None };
    let changed = diesel::update(held)
        .set((
            outbox::last_error.eq(error),
            outbox::next_try_at.eq(next_try_at.unwrap_or(now)),
            outbox::given_up_at.eq(given_up_at),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// A message as an operator sees it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = outbox, check_for_backend(diesel::pg::Pg))]
pub struct Stored {
    /// Its number.
    pub id: i64,
    /// What it is.
    pub kind: String,
    /// Its lane.
    pub lane: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried next, unless it was given up.
    pub next_try_at: Time,
    /// Why it did not arrive.
    pub last_error: Option<String>,
    /// When it was written.
    pub created_at: Time,
    /// When it was given up.
    pub given_up_at: Option<Time>,
}

/// Which messages are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of this kind.
    pub kind: Option<String>,
    /// Those that were given up, or those that wait.
    pub given_up: Option<bool>,
}

/// A page of undelivered messages, newest first, older than number `before`; at most `most`.
pub fn undelivered(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<i64>,
    most: i64,
) -> Result<Vec<Stored>, StorageError> {
    let mut query =
        outbox::table.filter(outbox::delivered_at.is_null()).order(outbox::id.desc()).limit(most).into_boxed();
    if let Some(before) = before {
        query = query.filter(outbox::id.lt(before));
    }
    if let Some(kind) = &filter.kind {
        query = query.filter(outbox::kind.eq(kind));
    }
    query = match filter.given_up {
        Some(true) => query.filter(outbox::given_up_at.is_not_null()),
        Some(false) => query.filter(outbox::given_up_at.is_null()),
        None => query,
    };
    Ok(query.select(Stored::as_select()).load(conn)?)
}

/// How many wait, and how many were given up.
pub fn count(conn: &mut PgConnection) -> Result<(i64, i64), StorageError> {
    let undelivered = outbox::table.filter(outbox::delivered_at.is_null());
    let waiting = undelivered.filter(outbox::given_up_at.is_null()).count().get_result(conn)?;
    Ok((waiting, undelivered.filter(outbox::given_up_at.is_not_null()).count().get_result(conn)?))
}

/// Makes messages due at once, with all attempts of new ones: the one with this number, or all that were given up, but
/// none for a receiver that is no longer notified. Returns how many. An attempt in flight continues, and its failure is
/// ignored.
pub fn retry(conn: &mut PgConnection, id: Option<i64>, now: Time) -> Result<usize, StorageError> {
    let undelivered = outbox::table.filter(outbox::delivered_at.is_null()).filter(sql::<Bool>(
        "lane NOT IN (SELECT receiver.kind || '/' || receiver.name FROM event_receivers AS receiver \
         WHERE receiver.disabled_at IS NOT NULL)",
    ));
    let anew = (
        outbox::given_up_at.eq(None::<Time>),
        outbox::attempts.eq(0),
        outbox::next_try_at.eq(now),
        outbox::created_at.eq(now),
    );
    Ok(match id {
        Some(id) => diesel::update(undelivered.filter(outbox::id.eq(id))).set(anew).execute(conn)?,
        None => diesel::update(undelivered.filter(outbox::given_up_at.is_not_null())).set(anew).execute(conn)?,
    })
}
