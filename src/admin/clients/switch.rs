//! `POST /v1/admin/clients/{id}/disable` and `/enable`, and the commands of the same names.

use actix_web::{HttpResponse, web};
use diesel::PgConnection;

use super::{ClientView, lock, show};
use crate::admin::guard::{Actor, Admin, ChangeClients};
use crate::admin::{Room, missing};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::storage::client_records::{self, ClientRecord};
use crate::storage::clients;
use crate::web::error::Problem;
use crate::web::refusal::Refusal;

/// Disables a client.
///
/// Every request of the client is refused from now on. Disabling a disabled client changes nothing.
#[utoipa::path(post, path = "/v1/admin/clients/{id}/disable", tag = "Administration: clients", params(("id" = String, Path)),
    responses((status = 200, body = ClientView),
        (status = 409, description = "`managed_by_configuration`")))]
pub async fn disable(admin: Admin<ChangeClients>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    answer(room, admin.actor, id.into_inner(), false).await
}

/// Enables a disabled client.
#[utoipa::path(post, path = "/v1/admin/clients/{id}/enable", tag = "Administration: clients", params(("id" = String, Path)),
    responses((status = 200, body = ClientView),
        (status = 409, description = "`managed_by_configuration`")))]
pub async fn enable(admin: Admin<ChangeClients>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    answer(room, admin.actor, id.into_inner(), true).await
}

async fn answer(room: Room, actor: Actor, id: String, on: bool) -> Result<HttpResponse, Problem> {
    let now = room.clock.now();
    let view = room.change(move |conn| Ok(ClientView::from(&switch(conn, &actor, &id, on, now)?))).await?;
    room.follow_clients().await?;
    Ok(show::answer(&view))
}

/// Enables or disables a client. Records the audit event if that changes anything.
pub fn switch(conn: &mut PgConnection, actor: &Actor, id: &str, on: bool, now: Time) -> Result<ClientRecord, Refusal> {
    let record = lock(conn, id, actor)?;
    let changed = if on { clients::enable(conn, id, now)? } else { clients::disable(conn, id, now)? };
    if changed {
        let change = if on { "enabled" } else { "disabled" };
        let name = Some(record.definition.name.as_str());
        actor.witness(conn, (EventKind::ClientChanged, change), (id, name), now)?;
    }
    Ok(client_records::find(conn, id)?.ok_or_else(|| missing("client"))?)
}
