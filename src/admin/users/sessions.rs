//! `/v1/admin/users/{id}/sessions`: seen and ended.

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

/// A session, as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonSession {
    /// Also the `sid` of its tokens.
    pub id: Uuid,
    /// The client it belongs to; absent for a browser's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How the person signed in.
    pub acr: String,
    /// By which methods.
    pub amr: Vec<String>,
    /// When they did.
    pub auth_time: DateTime<Utc>,
    /// When it was last seen, to the hour.
    pub last_seen_at: DateTime<Utc>,
    /// When it ends unused.
    pub expires_at: DateTime<Utc>,
    /// Browser and system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    /// The network it was opened from.
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

/// A person's live sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonSessions {
    /// Last seen first.
    pub items: Vec<PersonSession>,
}

/// Lists a person's live sessions.
#[utoipa::path(get, path = "/v1/admin/users/{id}/sessions", tag = "Administration: people", params(("id" = String, Path)),
    responses((status = 200, body = PersonSessions), (status = 404, description = "`not_found`")))]
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

/// Ends a session, and with it everything that was issued in it.
#[utoipa::path(delete, path = "/v1/admin/users/{id}/sessions/{session}", tag = "Administration: people",
    params(("id" = String, Path), ("session" = String, Path)),
    responses((status = 204), (status = 404, description = "`not_found`")))]
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

/// Ends all sessions of a person.
#[utoipa::path(delete, path = "/v1/admin/users/{id}/sessions", tag = "Administration: people", params(("id" = String, Path)),
    responses((status = 204), (status = 404, description = "`not_found`")))]
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
