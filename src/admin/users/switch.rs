//! `POST /v1/admin/users/{id}/disable` and `/enable`.

use actix_web::{HttpResponse, web};
use diesel::PgConnection;

use super::{PersonView, id_of, lock, show};
use crate::admin::guard::{Actor, Admin, ChangeUsers};
use crate::admin::{Room, missing};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::domain::id::UserId;
use crate::domain::user::UserStatus;
use crate::storage::{StorageError, people};
use crate::web::error::Problem;

/// Disables a user and ends their sessions.
///
/// The user is refused everything from now on. Disabling a disabled user changes nothing.
#[utoipa::path(post, path = "/v1/admin/users/{id}/disable", tag = "Administration: people", params(("id" = String, Path)),
    responses((status = 200, body = PersonView), (status = 409, description = "`managed_by_configuration`")))]
pub async fn disable(admin: Admin<ChangeUsers>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    answer(room, admin.actor, id_of(&id)?, UserStatus::Disabled).await
}

/// Enables a disabled user, who can then sign in again.
#[utoipa::path(post, path = "/v1/admin/users/{id}/enable", tag = "Administration: people", params(("id" = String, Path)),
    responses((status = 200, body = PersonView), (status = 409, description = "`managed_by_configuration`")))]
pub async fn enable(admin: Admin<ChangeUsers>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    answer(room, admin.actor, id_of(&id)?, UserStatus::Active).await
}

async fn answer(room: Room, actor: Actor, id: UserId, status: UserStatus) -> Result<HttpResponse, Problem> {
    let now = room.clock.now();
    let view = room
        .change_at_length(move |conn| {
            lock(conn, id, &actor)?;
            switch(conn, &actor, id, status, now)?;
            Ok(PersonView::from(&people::find(conn, id)?.ok_or_else(|| missing("person"))?))
        })
        .await?;
    Ok(show::answer(&view))
}

/// Sets the status of a user whose row is locked and records the audit event. Returns `false` if they have that status
/// already.
pub fn switch(
    conn: &mut PgConnection,
    actor: &Actor,
    id: UserId,
    status: UserStatus,
    now: Time,
) -> Result<bool, StorageError> {
    if !people::set_status(conn, id, status, now)? {
        return Ok(false);
    }
    let (kind, change) = match status {
        UserStatus::Active => (EventKind::UserEnabled, "enabled"),
        UserStatus::Disabled => (EventKind::UserDisabled, "disabled"),
    };
    actor.witness_of(conn, (kind, change), id, now)?;
    Ok(true)
}
