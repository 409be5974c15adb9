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

/// Refuses a person everything at once, and ends their sessions. One who is disabled already stays so.
#[utoipa::path(post, path = "/v1/admin/users/{id}/disable", tag = "Administration: people", params(("id" = String, Path)),
    responses((status = 200, body = PersonView), (status = 404, description = "`not_found`")))]
pub async fn disable(admin: Admin<ChangeUsers>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    answer(room, admin.actor, id_of(&id)?, UserStatus::Disabled).await
}

/// Lets a disabled person sign in again.
#[utoipa::path(post, path = "/v1/admin/users/{id}/enable", tag = "Administration: people", params(("id" = String, Path)),
    responses((status = 200, body = PersonView), (status = 404, description = "`not_found`")))]
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

/// Gives a person whose row is locked this status, and writes that down; `false` when they have it already.
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
