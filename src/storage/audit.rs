//! The audit trail.

use diesel::dsl::{max, min};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::batch::{Batch, Locked};
use super::schema::audit_events;
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind};
use crate::domain::id::{Id, UserId};
use crate::statement;

/// Writes one event. Call it in the transaction of the change that the event records; an event without such a change is
/// written with [`Db::ask`](super::Db::ask).
pub fn insert(conn: &mut PgConnection, event: &Event) -> Result<(), StorageError> {
    insert_all(conn, std::slice::from_ref(event))
}

// Arrays instead of the JSON of other batches: operations that change nothing else, such as issuing a bridge token,
// write events all the time.
statement! {
    InsertAll {
        at: Vec<Time> => Array<Timestamptz>, kind: Vec<&'static str> => Array<Text>,
        user_id: Vec<Option<Uuid>> => Array<Nullable<SqlUuid>>, session_id: Vec<Option<Uuid>> => Array<Nullable<SqlUuid>>,
        client_id: Vec<Option<String>> => Array<Nullable<Text>>, subject: Vec<Option<String>> => Array<Nullable<Text>>,
        subject_name: Vec<Option<String>> => Array<Nullable<Text>>,
        address_class: Vec<Option<String>> => Array<Nullable<Text>>,
        request_id: Vec<Option<String>> => Array<Nullable<Text>>, detail: Vec<Value> => Array<Jsonb>,
    } -> BigInt,
    ", written AS (
        INSERT INTO audit_events (at, kind, user_id, session_id, client_id, subject, subject_name, address_class, request_id, detail)
        SELECT at, kind, user_id, session_id, client_id, subject, subject_name, address_class, request_id, detail
        FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) WITH ORDINALITY AS event (at, kind, user_id, session_id, client_id,
            subject, subject_name, address_class, request_id, detail, n)
        ORDER BY n
        RETURNING id
    )
    SELECT count(*) FROM written"
}

impl Batch for Event {
    type Answer = ();
    const LOCKS: bool = false;
    // The refusal was sent, or the token issued, whether or not the caller still listens.
    const EVEN_IF_GONE: bool = true;

    fn all(conn: &mut PgConnection, all: &[Self], _: Locked) -> Result<Vec<Option<()>>, StorageError> {
        insert_all(conn, all)?;
        Ok(vec![Some(()); all.len()])
    }
}

/// Writes several events; see [`insert`].
pub fn insert_all(conn: &mut PgConnection, all: &[Event]) -> Result<(), StorageError> {
    let written = InsertAll {
        at: column(all, |event| event.at),
        kind: column(all, |event| event.kind.as_str()),
        user_id: column(all, |event| event.user.map(Id::uuid)),
        session_id: column(all, |event| event.session.map(Id::uuid)),
        client_id: column(all, |event| event.client.clone()),
        subject: column(all, |event| event.subject.clone()),
        subject_name: column(all, |event| event.subject_name.clone()),
        address_class: column(all, |event| event.origin.address_class.clone()),
        request_id: column(all, |event| event.origin.request_id.clone()),
        detail: column(all, |event| event.detail.clone()),
    };
    let _count: i64 = written.get_result(conn)?;
    Ok(())
}

fn column<T>(all: &[Event], of: impl Fn(&Event) -> T) -> Vec<T> {
    all.iter().map(of).collect()
}

/// One event as its owner may see it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub at: Time,
    /// What.
    pub kind: EventKind,
    /// Name of the thing acted on.
    pub subject_name: Option<String>,
    /// Client it went through.
    pub client: Option<String>,
    /// Network it came from.
    pub address_class: Option<String>,
    /// Further facts.
    pub detail: Value,
}

/// The newest events of one account, newest first. Kinds written by a newer server are passed over.
pub fn newest_of(conn: &mut PgConnection, user: UserId, most: i64) -> Result<Vec<Seen>, StorageError> {
    type Row = (Time, String, Option<String>, Option<String>, Option<String>, Value);
    let rows: Vec<Row> = audit_events::table
        .filter(audit_events::user_id.eq(user.uuid()))
        .order(audit_events::id.desc())
        .limit(most)
        .select((
            audit_events::at,
            audit_events::kind,
            audit_events::subject_name,
            audit_events::client_id,
            audit_events::address_class,
            audit_events::detail,
        ))
        .load(conn)?;
    Ok(rows
        .into_iter()
        .filter_map(|(at, kind, subject_name, client, address_class, detail)| {
            Some(Seen { at, kind: EventKind::parse(&kind)?, subject_name, client, address_class, detail })
        })
        .collect())
}

/// Which events are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those about this person.
    pub user: Option<Uuid>,
    /// Those of this kind.
    pub kind: Option<EventKind>,
    /// Those through this client.
    pub client: Option<String>,
}

impl Filter {
    /// Whether the search has to read one event after the other, because no index helps.
    const fn walks(&self) -> bool {
        self.user.is_none() && (self.kind.is_some() || self.client.is_some())
    }
}

/// One complete event. It can also be read from the `to_jsonb` form of its row.
#[derive(Clone, Debug, Queryable, Selectable, serde::Deserialize)]
#[diesel(table_name = audit_events, check_for_backend(diesel::pg::Pg))]
pub struct Recorded {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Time,
    /// What.
    pub kind: String,
    /// Whose account.
    pub user_id: Option<Uuid>,
    /// In which session.
    pub session_id: Option<Uuid>,
    /// Through which client.
    pub client_id: Option<String>,
    /// Id of the thing acted on.
    pub subject: Option<String>,
    /// Its name at that moment.
    pub subject_name: Option<String>,
    /// The network it came from.
    pub address_class: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
    /// Further facts.
    pub detail: Value,
}

/// How many event numbers one page searches for a kind or a client. Neither has an index, which would slow down every
/// sign-in, and a rare event may be years back.
const LOOKED_THROUGH: i64 = 200_000;

/// The events that were found, and where to continue if the search ended early.
pub struct Found {
    /// The events, newest first.
    pub events: Vec<Recorded>,
    /// The number before which to continue the search; none when the page is full or nothing older is left.
    pub ended_at: Option<i64>,
}

/// A page of events, newest first, older than number `before`; at most `most`.
pub fn page(conn: &mut PgConnection, filter: &Filter, before: Option<i64>, most: usize) -> Result<Found, StorageError> {
    let mut query =
        audit_events::table.order(audit_events::id.desc()).limit(i64::try_from(most).unwrap_or(i64::MAX)).into_boxed();
    if let Some(before) = before {
        query = query.filter(audit_events::id.lt(before));
    }
    if let Some(user) = filter.user {
        query = query.filter(audit_events::user_id.eq(user));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(audit_events::kind.eq(kind.as_str()));
    }
    if let Some(client) = &filter.client {
        query = query.filter(audit_events::client_id.eq(client));
    }
    let floor = if filter.walks() { floor(conn, before)? } else { None };
    if let Some(floor) = floor {
        query = query.filter(audit_events::id.ge(floor));
    }
    let events = query.select(Recorded::as_select()).load(conn)?;
    let ended_at = floor.filter(|_| events.len() < most);
    Ok(Found { events, ended_at })
}

/// The lowest number that a search looks at; none when there is nothing below it.
fn floor(conn: &mut PgConnection, before: Option<i64>) -> Result<Option<i64>, StorageError> {
    let (oldest, newest): (Option<i64>, Option<i64>) =
        audit_events::table.select((min(audit_events::id), max(audit_events::id))).first(conn)?;
    let floor = before.or(newest).unwrap_or_default().saturating_sub(LOOKED_THROUGH);
    Ok(oldest.filter(|oldest| *oldest < floor).map(|_| floor))
}
