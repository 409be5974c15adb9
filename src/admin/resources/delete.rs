//! `DELETE /v1/admin/resources/{id}`, and what `passmint resources delete` does.

use actix_web::{HttpResponse, web};
use diesel::PgConnection;

use super::{ResourceView, lock};
use crate::admin::Room;
use crate::admin::guard::{Actor, Admin, ChangeResources};
use crate::admin::versions::IfMatch;
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::storage::resources::{self, StoredResource};
use crate::web::error::Problem;
use crate::web::refusal::Refusal;

/// Deletes a resource.
///
/// Clients that have its identifier as an audience can still request tokens for it. The API then has no settings of its
/// own.
#[utoipa::path(delete, path = "/v1/admin/resources/{id}", tag = "Administration: resources",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204),
        (status = 409, description = "`managed_by_configuration`"), (status = 412, description = "`precondition_failed`")))]
pub async fn delete(
    admin: Admin<ChangeResources>,
    room: Room,
    version: IfMatch,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (actor, id, now) = (admin.actor, id.into_inner(), room.clock.now());
    room.change(move |conn| {
        let stored = lock(conn, &id)?;
        version.check(&ResourceView::from(&stored))?;
        remove(conn, &actor, &stored, now)
    })
    .await?;
    room.follow_resources().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Deletes a resource whose row is locked and records the audit event.
pub fn remove(conn: &mut PgConnection, actor: &Actor, stored: &StoredResource, now: Time) -> Result<(), Refusal> {
    let resource = &stored.resource;
    resources::delete(conn, &resource.identifier)?;
    let name = Some(resource.definition.name.as_str());
    Ok(actor.witness(conn, (EventKind::ResourceChanged, "deleted"), (&resource.identifier, name), now)?)
}
