//! Which receivers are notified of which audit events. A trigger of the schema reads this table and fills the outbox.

use diesel::prelude::*;
use diesel::sql_types::{Text, Timestamptz};

use super::StorageError;
use super::hook_results;
use super::schema::event_receivers;
use super::texts::Texts;
use crate::clock::Time;
use crate::domain::webhook::Receiver;

#[derive(Queryable)]
struct Row {
    kind: String,
    name: String,
    #[diesel(deserialize_as = Texts)]
    events: Vec<String>,
}

/// Makes the table agree with the configuration: declared receivers are notified from now on. Others no longer are, and
/// their waiting messages are given up. Call it under the start-up lock.
pub fn apply(conn: &mut PgConnection, declared: &[Receiver], source: &str, now: Time) -> Result<(), StorageError> {
    let live = event_receivers::table.filter(event_receivers::disabled_at.is_null());
    let stored: Vec<Row> =
        live.select((event_receivers::kind, event_receivers::name, event_receivers::events)).load(conn)?;
    for receiver in declared {
        let same = stored
            .iter()
            .any(|row| row.kind == receiver.kind && row.name == receiver.name && row.events == receiver.events);
        if !same {
            put(conn, receiver, source, now)?;
        }
    }
    for row in &stored {
        if !declared.iter().any(|receiver| receiver.kind == row.kind && receiver.name == row.name) {
            disable(conn, &row.kind, &row.name, now)?;
        }
    }
    give_up(conn, now)
}

fn put(conn: &mut PgConnection, receiver: &Receiver, source: &str, now: Time) -> Result<(), StorageError> {
    let values = (
        event_receivers::events.eq(&receiver.events),
        event_receivers::managed_by.eq(source),
        event_receivers::updated_at.eq(now),
    );
    diesel::insert_into(event_receivers::table)
        .values((
            event_receivers::kind.eq(receiver.kind),
            event_receivers::name.eq(&receiver.name),
            event_receivers::created_at.eq(now),
            values,
        ))
        .on_conflict((event_receivers::kind, event_receivers::name))
        .do_update()
        .set((values, event_receivers::disabled_at.eq(None::<Time>)))
        .execute(conn)?;
    Ok(())
}

fn disable(conn: &mut PgConnection, kind: &str, name: &str, now: Time) -> Result<(), StorageError> {
    diesel::update(event_receivers::table.find((kind, name)))
        .set((event_receivers::disabled_at.eq(now), event_receivers::updated_at.eq(now)))
        .execute(conn)?;
    // What a hook said is no longer shown either.
    if kind == "after_sign_in" { hook_results::remove_all_of(conn, name) } else { Ok(()) }
}

/// Gives up the messages that wait for receivers no longer notified. This covers all of them, not only those just
/// removed: an event whose transaction began before its receiver was removed leaves its message afterwards.
fn give_up(conn: &mut PgConnection, now: Time) -> Result<(), StorageError> {
    diesel::sql_query(
        "UPDATE outbox SET given_up_at = $1, last_error = 'its receiver is not configured any more'
         FROM event_receivers AS receiver
         WHERE receiver.disabled_at IS NOT NULL AND lane = receiver.kind || '/' || receiver.name
           AND delivered_at IS NULL AND given_up_at IS NULL",
    )
    .bind::<Timestamptz, _>(now)
    .execute(conn)?;
    Ok(())
}

/// Whether a receiver is currently notified of events.
pub fn is_told(conn: &mut PgConnection, kind: &str, name: &str) -> Result<bool, StorageError> {
    let row = event_receivers::table.find((kind, name)).filter(event_receivers::disabled_at.is_null());
    Ok(diesel::select(diesel::dsl::exists(row)).get_result(conn)?)
}

/// Notifies a receiver again of those events it subscribes to that happened at or after `from` and before `to`. Returns
/// how many.
pub fn replay(
    conn: &mut PgConnection,
    (kind, name): (&str, &str),
    (from, to): (Time, Time),
    now: Time,
) -> Result<usize, StorageError> {
    // The same selection as the trigger's.
    let again = diesel::sql_query(
        "INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
         SELECT receiver.kind, receiver.kind || '/' || name,
             jsonb_build_object('to', name, 'event', to_jsonb(event)), $5, $5
         FROM event_receivers AS receiver, audit_events AS event
         WHERE receiver.kind = $1 AND name = $2 AND disabled_at IS NULL AND event.at >= $3 AND event.at < $4
           AND events && ARRAY[event.kind, split_part(event.kind, '.', 1) || '.*', '*']
           AND event.kind <> 'delivery.retried'
           AND (event.kind <> 'delivery.failed' OR event.detail->>'kind' NOT IN ('webhook', 'after_sign_in'))
         ORDER BY event.id",
    );
    Ok(again
        .bind::<Text, _>(kind)
        .bind::<Text, _>(name)
        .bind::<Timestamptz, _>(from)
        .bind::<Timestamptz, _>(to)
        .bind::<Timestamptz, _>(now)
        .execute(conn)?)
}
