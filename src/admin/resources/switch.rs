//! `POST /v1/admin/resources/{id}/disable` and `/enable`, and what the commands of these names do.

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

/// Makes no more tokens for a resource. One that is disabled already stays so; tokens that were made live to their end.
#[utoipa::path(post, path = "/v1/admin/resources/{id}/disable", tag = "Administration: resources",
    params(("id" = String, Path)),
    responses((status = 200, body = ResourceView), (status = 404, description = "`not_found`"),
        (status = 409, description = "`managed_by_configuration`")))]
pub async fn disable(
    admin: Admin<ChangeResources>,
    room: Room,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    answer(room, admin.actor, id.into_inner(), false).await
}

/// Makes tokens for a disabled resource again.
#[utoipa::path(post, path = "/v1/admin/resources/{id}/enable", tag = "Administration: resources",
    params(("id" = String, Path)),
    responses((status = 200, body = ResourceView), (status = 404, description = "`not_found`"),
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

/// Switches a resource on or off, and writes it down when that is news.
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
