//! `/v1/admin/users/{id}/passkeys`: listing and removing.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use diesel::PgConnection;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{id_of, lock};
use crate::admin::guard::{Actor, Admin, ChangeUsers, ReadUsers};
use crate::admin::{Room, missing};
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind};
use crate::domain::id::{PasskeyId, UserId};
use crate::storage::credentials::{self, StoredPasskey};
use crate::storage::{audit, people, sessions, users};
use crate::web::error::Problem;
use crate::web::paging::Query;
use crate::web::refusal::Refusal;

/// A passkey of a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonPasskey {
    /// The ID of the passkey.
    pub id: Uuid,
    /// The name of the passkey, chosen by its owner.
    pub name: String,
    /// The RP ID (domain) that the passkey is bound to.
    pub rp_id: String,
    /// Whether the passkey is backed up, as of its last use.
    pub synced: bool,
    /// Whether the passkey is suspended because a copy is suspected. A suspended passkey cannot be used to sign in.
    pub suspended: bool,
    /// When the passkey was added.
    pub created_at: DateTime<Utc>,
    /// When the passkey was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<DateTime<Utc>>,
}

impl From<StoredPasskey> for PersonPasskey {
    fn from(passkey: StoredPasskey) -> Self {
        Self {
            id: passkey.id.uuid(),
            name: passkey.name,
            rp_id: passkey.rp_id,
            synced: passkey.backup_state,
            suspended: passkey.suspended_at.is_some(),
            created_at: passkey.created_at,
            last_used_at: passkey.last_used_at,
        }
    }
}

/// The passkeys of a user.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonPasskeys {
    /// The passkeys, oldest first.
    pub items: Vec<PersonPasskey>,
}

/// Lists a user's passkeys.
#[utoipa::path(get, path = "/v1/admin/users/{id}/passkeys", tag = "Administration: people", params(("id" = String, Path)),
    responses((status = 200, body = PersonPasskeys)))]
pub async fn list(
    _: Admin<ReadUsers>,
    room: Room,
    id: web::Path<String>,
    query: Query,
) -> Result<web::Json<PersonPasskeys>, Problem> {
    query.none()?;
    let id = id_of(&id)?;
    let found = room
        .db
        .run(move |conn| match people::find(conn, id)? {
            Some(_) => Ok(Some(credentials::of_users(conn, &[id], None)?)),
            None => Ok(None),
        })
        .await?;
    let items = found.ok_or_else(|| missing("person"))?.into_iter().map(Into::into).collect();
    Ok(web::Json(PersonPasskeys { items }))
}

/// Removes a user's passkey and ends the sessions that it opened.
///
/// The user's only passkey can be removed, too.
#[utoipa::path(delete, path = "/v1/admin/users/{id}/passkeys/{passkey}", tag = "Administration: people",
    params(("id" = String, Path), ("passkey" = String, Path)),
    responses((status = 204), (status = 409, description = "`managed_by_configuration`")))]
pub async fn remove(
    admin: Admin<ChangeUsers>,
    room: Room,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (id, passkey) = path.into_inner();
    let (id, passkey) = (id_of(&id)?, passkey.parse::<PasskeyId>().map_err(|_| missing("passkey"))?);
    let (actor, now) = (admin.actor, room.clock.now());
    room.change_at_length(move |conn| {
        lock(conn, id, &actor)?;
        take_away(conn, &actor, id, passkey, now)?.ok_or_else(|| missing("passkey"))?;
        Ok(())
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Removes a passkey of a user whose row is locked, ends the sessions that it opened, and records the audit event.
/// Returns its name and the number of sessions ended; `None` if the user has no such passkey.
pub fn take_away(
    conn: &mut PgConnection,
    actor: &Actor,
    id: UserId,
    passkey: PasskeyId,
    now: Time,
) -> Result<Option<(String, usize)>, Refusal> {
    let all = credentials::of_users(conn, &[id], None)?;
    let Some(gone) = all.into_iter().find(|one| one.id == passkey) else { return Ok(None) };
    credentials::delete(conn, id, passkey, now)?;
    let ended = sessions::revoke_opened_by(conn, passkey, id, None, now)?;
    users::raise_epoch(conn, id, now)?;
    let event = Event {
        user: Some(id),
        subject: Some(passkey.to_string()),
        subject_name: Some(gone.name.clone()),
        detail: actor.detail("removed by administration", json!({ "sessionsEnded": ended })),
        ..actor.event(EventKind::PasskeyRemoved, now, "removed by administration")
    };
    audit::insert(conn, &event)?;
    Ok(Some((gone.name, ended)))
}
