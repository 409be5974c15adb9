//! `DELETE /v1/admin/users/{id}`.

use actix_web::{HttpResponse, web};
use diesel::PgConnection;

use super::{PersonView, id_of, lock};
use crate::admin::Room;
use crate::admin::guard::{Actor, Admin, ChangeUsers};
use crate::admin::versions::IfMatch;
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::domain::id::UserId;
use crate::storage::{StorageError, people};
use crate::web::error::Problem;

/// Deletes a user with their passkeys, sessions and tokens. This cannot be undone.
#[utoipa::path(delete, path = "/v1/admin/users/{id}", tag = "Administration: people",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204),
        (status = 409, description = "`managed_by_configuration`"), (status = 412, description = "`precondition_failed`")))]
pub async fn delete(
    admin: Admin<ChangeUsers>,
    room: Room,
    version: IfMatch,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (actor, id, now) = (admin.actor, id_of(&id)?, room.clock.now());
    room.change_at_length(move |conn| {
        let person = lock(conn, id, &actor)?;
        version.check(&PersonView::from(&person))?;
        Ok(erase(conn, &actor, id, now)?)
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Deletes a user whose row is locked and records the audit event.
pub fn erase(conn: &mut PgConnection, actor: &Actor, id: UserId, now: Time) -> Result<(), StorageError> {
    people::delete(conn, id, now)?;
    actor.witness_of(conn, (EventKind::UserDeleted, "deleted"), id, now)
}
