//! `DELETE /v1/admin/bridges/{name}`, and what `passmint bridges delete` does.

use actix_web::{HttpResponse, web};
use diesel::PgConnection;

use super::{BridgeView, lock};
use crate::admin::Room;
use crate::admin::guard::{Actor, Admin, ChangeBridges};
use crate::admin::versions::IfMatch;
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::storage::bridges::{self, StoredBridge};
use crate::tokens::keys::Use;
use crate::tokens::rotate;
use crate::web::error::Problem;
use crate::web::refusal::Refusal;

/// Deletes a bridge and revokes its own keys.
///
/// A new bridge with the same name gets new keys, and creating it requires a fresh sign-in.
#[utoipa::path(delete, path = "/v1/admin/bridges/{name}", tag = "Administration: bridges",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204),
        (status = 409, description = "`managed_by_configuration`"), (status = 412, description = "`precondition_failed`")))]
pub async fn delete(
    admin: Admin<ChangeBridges>,
    room: Room,
    version: IfMatch,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (actor, name, now) = (admin.actor, name.into_inner(), room.clock.now());
    room.change(move |conn| {
        let stored = lock(conn, &name)?;
        version.check(&BridgeView::from(&stored))?;
        remove(conn, &actor, &stored, now)
    })
    .await?;
    room.follow_bridges().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Deletes a bridge whose row is locked and records the audit event.
pub fn remove(conn: &mut PgConnection, actor: &Actor, stored: &StoredBridge, now: Time) -> Result<(), Refusal> {
    bridges::delete(conn, &stored.name, now)?;
    rotate::withdraw(conn, &Use::Bridge(stored.name.clone()), now)?;
    Ok(actor.witness(conn, (EventKind::BridgeChanged, "deleted"), (&stored.name, None), now)?)
}
