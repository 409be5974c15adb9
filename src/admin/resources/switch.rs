//! `POST /v1/admin/resources/{id}/disable` and `/enable`, and the commands of the same names.

use actix_web::{HttpResponse, web};
use diesel::PgConnection;

use super::{ResourceView, lock, show};
use crate::admin::guard::{Actor, Admin, ChangeResources};
use crate::admin::{Room, missing};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::storage::resources::{self, StoredResource};
use crate::web::error::Problem;
use crate::web::refusal::Refusal;

/// Disables a resource, so that no more tokens are issued for it.
///
/// Tokens already issued stay valid until they expire. Disabling a disabled resource changes nothing.
#[utoipa::path(post, path = "/v1/admin/resources/{id}/disable", tag = "Administration: resources",
    params(("id" = String, Path)),
    responses((status = 200, body = ResourceView),
        (status = 409, description = "`managed_by_configuration`")))]
pub async fn disable(
    admin: Admin<ChangeResources>,
    room: Room,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    answer(room, admin.actor, id.into_inner(), false).await
}

/// Enables a disabled resource, so that tokens are issued for it again.
#[utoipa::path(post, path = "/v1/admin/resources/{id}/enable", tag = "Administration: resources",
    params(("id" = String, Path)),
    responses((status = 200, body = ResourceView),
        (status = 409, description = "`managed_by_configuration`")))]
pub async fn enable(admin: Admin<ChangeResources>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    answer(room, admin.actor, id.into_inner(), true).await
}

async fn answer(room: Room, actor: Actor, id: String, on: bool) -> Result<HttpResponse, Problem> {
    let now = room.clock.now();
    let view = room.change(move |conn| Ok(ResourceView::from(&switch(conn, &actor, &id, on, now)?))).await?;
    room.follow_resources().await?;
    Ok(show::answer(&view))
}

/// Enables or disables a resource. Records the audit event if that changes anything.
pub fn switch(
    conn: &mut PgConnection,
    actor: &Actor,
    id: &str,
    on: bool,
    now: Time,
) -> Result<StoredResource, Refusal> {
    let stored = lock(conn, id)?;
    let changed = if on { resources::enable(conn, id, now)? } else { resources::disable(conn, id, now)? };
    if changed {
        let change = if on { "enabled" } else { "disabled" };
        let name = Some(stored.resource.definition.name.as_str());
        actor.witness(conn, (EventKind::ResourceChanged, change), (id, name), now)?;
    }
    Ok(resources::find(conn, id)?.ok_or_else(|| missing("resource"))?)
}
