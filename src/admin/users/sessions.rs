//! `/v1/admin/users/{id}/sessions`: listing and ending.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{id_of, lock};
use crate::admin::guard::{Actor, Admin, ChangeUsers, ReadUsers};
use crate::admin::{Room, missing};
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind};
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::Session;
use crate::storage::{audit, people, sessions};
use crate::web::error::Problem;
use crate::web::paging::Query;

/// A session of a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonSession {
    /// The ID of the session. Also the `sid` of its tokens.
    pub id: Uuid,
    /// The `client_id` of the client that the session belongs to. Absent for a browser session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The authentication context class reference (`acr`) of the sign-in.
    pub acr: String,
    /// The authentication methods (`amr`) of the sign-in.
    pub amr: Vec<String>,
    /// When the user signed in.
    pub auth_time: DateTime<Utc>,
    /// When the session was last used, accurate to the hour.
    pub last_seen_at: DateTime<Utc>,
    /// When the session expires unless it is used.
    pub expires_at: DateTime<Utc>,
    /// The browser and operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    /// The network from which the session was opened (/24 or /56).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_class: Option<String>,
}

impl From<Session> for PersonSession {
    fn from(session: Session) -> Self {
        Self {
            id: session.id.uuid(),
            client_id: session.client,
            acr: session.acr,
            amr: session.amr,
            auth_time: session.auth_time,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            browser: session.user_agent,
            address_class: session.address_class,
        }
    }
}

/// The active sessions of a user.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonSessions {
    /// The sessions, most recently used first.
    pub items: Vec<PersonSession>,
}

/// Lists a user's active sessions.
#[utoipa::path(get, path = "/v1/admin/users/{id}/sessions", tag = "Administration: people", params(("id" = String, Path)),
    responses((status = 200, body = PersonSessions)))]
pub async fn list(
    _: Admin<ReadUsers>,
    room: Room,
    id: web::Path<String>,
    query: Query,
) -> Result<web::Json<PersonSessions>, Problem> {
    query.none()?;
    let (id, now) = (id_of(&id)?, room.clock.now());
    let found = room
        .db
        .run(move |conn| match people::find(conn, id)? {
            Some(_) => Ok(Some(sessions::live_of(conn, id, now)?)),
            None => Ok(None),
        })
        .await?;
    let items = found.ok_or_else(|| missing("person"))?.into_iter().map(Into::into).collect();
    Ok(web::Json(PersonSessions { items }))
}

/// Ends a session of a user and revokes everything that was issued in it.
#[utoipa::path(delete, path = "/v1/admin/users/{id}/sessions/{session}", tag = "Administration: people",
    params(("id" = String, Path), ("session" = String, Path)),
    responses((status = 204), (status = 409, description = "`managed_by_configuration`")))]
pub async fn revoke(
    admin: Admin<ChangeUsers>,
    room: Room,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (id, session) = path.into_inner();
    let (id, session) = (id_of(&id)?, session.parse::<SessionId>().map_err(|_| missing("session"))?);
    let (actor, now) = (admin.actor, room.clock.now());
    room.change(move |conn| {
        lock(conn, id, &actor)?;
        if !sessions::revoke(conn, id, session, now)? {
            return Err(missing("session").into());
        }
        Ok(audit::insert(conn, &ended(&actor, id, session, now))?)
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends all sessions of a user.
#[utoipa::path(delete, path = "/v1/admin/users/{id}/sessions", tag = "Administration: people", params(("id" = String, Path)),
    responses((status = 204), (status = 409, description = "`managed_by_configuration`")))]
pub async fn revoke_all(admin: Admin<ChangeUsers>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let (id, actor, now) = (id_of(&id)?, admin.actor, room.clock.now());
    room.change_at_length(move |conn| {
        lock(conn, id, &actor)?;
        let all = sessions::revoke_others(conn, id, None, now)?;
        let events: Vec<Event> = all.into_iter().map(|session| ended(&actor, id, session, now)).collect();
        Ok(audit::insert_all(conn, &events)?)
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

fn ended(actor: &Actor, person: UserId, session: SessionId, now: Time) -> Event {
    let event = actor.event(EventKind::SessionRevoked, now, "ended by administration");
    Event { user: Some(person), subject: Some(session.to_string()), ..event }
}
