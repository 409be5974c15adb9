//! `GET /v1/admin/audit-events`: the audit trail.

use actix_web::web;
use uuid::Uuid;

use super::Room;
use super::guard::{Admin, ReadAudit};
use crate::domain::audit::EventKind;
use crate::storage::audit::{self, Filter, Found};
use crate::web::audit_event::AuditEvent;
use crate::web::error::{Failure, Problem};
use crate::web::paging::{Page, Query};
use crate::web::wrong_field::wrong_field;

/// Lists audit events, newest first.
///
/// Filtering by `kind` or `client` without `user` searches the trail in portions: a page can contain few events, or
/// none, and still have a `next`.
#[utoipa::path(get, path = "/v1/admin/audit-events", tag = "Administration: audit",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query),
        ("user" = Option<String>, Query, description = "Only events about the user with this ID"),
        ("kind" = Option<String>, Query, description = "Only events of this kind, for example `session.signed_in`"),
        ("client" = Option<String>, Query, description = "Only events that involve the client with this `client_id`")),
    responses((status = 200, body = Page<AuditEvent>), (status = 400, description = "`invalid_field`")))]
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
        let cure = "write the `id` that the list of people shows";
        text.parse::<Uuid>().map_err(|_| wrong_field("user", "is no id of a person", cure))
    });
    let kind = query.find("kind").map(|text| {
        let cure = "see the list of audit events in the reference";
        EventKind::parse(text).ok_or_else(|| wrong_field("kind", "is none that there is", cure))
    });
    Ok(Filter { user: user.transpose()?, kind: kind.transpose()?, client: query.find("client").map(ToOwned::to_owned) })
}
