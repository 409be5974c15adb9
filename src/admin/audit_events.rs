//! `GET /v1/admin/audit-events`: what happened.

use actix_web::web;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::guard::{Admin, ReadAudit};
use super::pages::{Page, Query};
use super::{Room, wrong_field};
use crate::domain::audit::EventKind;
use crate::storage::audit::{self, Filter, Found, Recorded};
use crate::web::error::{Failure, Problem};

/// One event of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Its number; later events have greater ones.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// What: a stable name.
    pub kind: String,
    /// Whose account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Uuid>,
    /// In which session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// Through which client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Id of the thing acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its name at that moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_name: Option<String>,
    /// The network it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_class: Option<String>,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Further facts.
    #[schema(value_type = Object)]
    pub detail: Value,
}

impl From<Recorded> for AuditEvent {
    fn from(event: Recorded) -> Self {
        Self {
            id: event.id,
            at: event.at,
            kind: event.kind,
            user_id: event.user_id,
            session_id: event.session_id,
            client_id: event.client_id,
            subject: event.subject,
            subject_name: event.subject_name,
            address_class: event.address_class,
            request_id: event.request_id,
            detail: event.detail,
        }
    }
}

/// Lists events, the newest first. By kind or client a page looks through a part of the trail, so it may have few events, or
/// none, and a `next` that goes on.
#[utoipa::path(get, path = "/v1/admin/audit-events", tag = "Administration: audit",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query),
        ("user" = Option<String>, Query, description = "Only about this person, by id"),
        ("kind" = Option<String>, Query, description = "Only of this kind, such as `session.signed_in`"),
        ("client" = Option<String>, Query, description = "Only through this client")),
    responses((status = 200, body = Page<AuditEvent>), (status = 400, description = "`invalid_field`"),
        (status = 403, description = "`insufficient_scope`")))]
pub async fn list(_: Admin<ReadAudit>, room: Room, query: Query) -> Result<web::Json<Page<AuditEvent>>, Problem> {
    query.only(&["user", "kind", "client"])?;
    let (filter, after, most) = (filter(&query)?, query.after()?, query.limit()? + 1);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let Found { events, ended_at } = room.db.run(move |conn| audit::page(conn, &filter, after, most)).await?;
    let mut page = query.page(events, |event| event.id, Into::into)?;
    page.next = page.next.or_else(|| ended_at.map(|id| query.path_of_next(&id)));
    Ok(web::Json(page))
}

fn filter(query: &Query) -> Result<Filter, Failure> {
    let user = query.find("user").map(|text| {
        text.parse::<Uuid>().map_err(|_| wrong_field("user", "is no id of a person", "write the `sub` of their tokens"))
    });
    let kind = query.find("kind").map(|text| {
        let cure = "see the list of audit events in the reference";
        EventKind::parse(text).ok_or_else(|| wrong_field("kind", "is none that there is", cure))
    });
    Ok(Filter { user: user.transpose()?, kind: kind.transpose()?, client: query.find("client").map(ToOwned::to_owned) })
}
