//! `POST /v1/admin/bridges/{name}/disable` and `/enable`, and the commands of the same names: the emergency stop.
//!
//! It also works for a bridge that the configuration declares, because an emergency cannot wait for a restart. It is
//! stored separately from the declaration, so neither a restart nor a changed declaration ends it.

use actix_web::{HttpResponse, web};
use diesel::PgConnection;

use super::{BridgeView, ShownBridge, show};
use crate::admin::guard::{Actor, Admin, ChangeBridges};
use crate::admin::{Room, missing, unknown};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::storage::bridges::{self, StoredBridge};
use crate::web::error::{Failure, Kind, Problem};
use crate::web::refusal::Refusal;

/// Stops a bridge: within seconds, no server mints tokens for it until it is enabled again.
///
/// Its public keys are withdrawn, too. Tokens already minted remain valid until they expire. Stopping a stopped bridge
/// changes nothing.
#[utoipa::path(post, path = "/v1/admin/bridges/{name}/disable", tag = "Administration: bridges",
    params(("name" = String, Path)),
    responses((status = 200, body = ShownBridge)))]
pub async fn disable(
    admin: Admin<ChangeBridges>,
    room: Room,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    answer(room, admin.actor, name.into_inner(), false).await
}

/// Enables a stopped bridge, so that it mints tokens again.
#[utoipa::path(post, path = "/v1/admin/bridges/{name}/enable", tag = "Administration: bridges",
    params(("name" = String, Path)),
    responses((status = 200, body = ShownBridge),
        (status = 409, description = "`managed_by_configuration`: the configuration disables the bridge, or no longer declares it")))]
pub async fn enable(admin: Admin<ChangeBridges>, room: Room, name: web::Path<String>) -> Result<HttpResponse, Problem> {
    answer(room, admin.actor, name.into_inner(), true).await
}

async fn answer(room: Room, actor: Actor, name: String, on: bool) -> Result<HttpResponse, Problem> {
    let now = room.clock.now();
    let view = room.change(move |conn| Ok(BridgeView::from(&switch(conn, &actor, &name, on, now)?))).await?;
    room.follow_bridges().await?;
    Ok(show::answer(&room, view))
}

/// Stops a bridge, or ends the stop. Records the audit event if that changes anything.
pub fn switch(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &str,
    on: bool,
    now: Time,
) -> Result<StoredBridge, Refusal> {
    let old = bridges::lock(conn, name)?.ok_or_else(|| unknown("bridge", name))?;
    if let Some(file) = old.managed_by.as_deref().filter(|_| on && !old.enabled) {
        let detail =
            format!("It is switched off, or no longer declared, by {file}: change that and restart the server.");
        return Err(Failure::new(Kind::ManagedByConfiguration, detail).with("managedBy", file.into()).into());
    }
    let changed = if on { bridges::resume(conn, name, now)? } else { bridges::stop(conn, name, &actor.subject, now)? };
    if changed {
        let change = if on { "enabled" } else { "disabled" };
        actor.witness(conn, (EventKind::BridgeChanged, change), (name, None), now)?;
    }
    Ok(bridges::find(conn, name)?.ok_or_else(|| missing("bridge"))?)
}
