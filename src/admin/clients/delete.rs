//! `DELETE /v1/admin/clients/{id}`, and what `passmint clients delete` does.

use actix_web::{HttpResponse, web};
use diesel::PgConnection;

use super::{ClientView, lock};
use crate::admin::Room;
use crate::admin::guard::{Actor, Admin, ChangeClients};
use crate::admin::versions::IfMatch;
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::storage::client_records::{self, ClientRecord};
use crate::web::error::Problem;
use crate::web::refusal::Refusal;

/// Deletes a client and everything that was issued to it, including tokens and consents.
#[utoipa::path(delete, path = "/v1/admin/clients/{id}", tag = "Administration: clients",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204),
        (status = 409, description = "`managed_by_configuration`"), (status = 412, description = "`precondition_failed`")))]
pub async fn delete(
    admin: Admin<ChangeClients>,
    room: Room,
    version: IfMatch,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (actor, id, now) = (admin.actor, id.into_inner(), room.clock.now());
    room.change_at_length(move |conn| {
        let record = lock(conn, &id, &actor)?;
        version.check(&ClientView::from(&record))?;
        remove(conn, &actor, &record, now)
    })
    .await?;
    room.follow_clients().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Deletes a client whose row is locked and records the audit event.
pub fn remove(conn: &mut PgConnection, actor: &Actor, record: &ClientRecord, now: Time) -> Result<(), Refusal> {
    client_records::delete(conn, &record.id, now)?;
    let name = Some(record.definition.name.as_str());
    Ok(actor.witness(conn, (EventKind::ClientChanged, "deleted"), (&record.id, name), now)?)
}
