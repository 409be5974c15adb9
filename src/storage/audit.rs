//! The audit trail.

use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::schema::audit_events;
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind};
use crate::domain::id::{Id, UserId};

#[derive(Insertable)]
#[diesel(table_name = audit_events)]
struct NewRow<'a> {
    at: Time,
    kind: &'static str,
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    client_id: Option<&'a str>,
    subject: Option<&'a str>,
    subject_name: Option<&'a str>,
    address_class: Option<&'a str>,
    request_id: Option<&'a str>,
    detail: &'a Value,
}

/// Writes one event. Call it in the transaction of its cause.
pub fn insert(conn: &mut PgConnection, event: &Event) -> Result<(), StorageError> {
    let row = NewRow {
        at: event.at,
        kind: event.kind.as_str(),
        user_id: event.user.map(Id::uuid),
        session_id: event.session.map(Id::uuid),
        client_id: event.client.as_deref(),
        subject: event.subject.as_deref(),
        subject_name: event.subject_name.as_deref(),
        address_class: event.origin.address_class.as_deref(),
        request_id: event.origin.request_id.as_deref(),
        detail: &event.detail,
    };
    diesel::insert_into(audit_events::table).values(row).execute(conn)?;
    Ok(())
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
