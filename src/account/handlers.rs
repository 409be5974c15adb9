//! The signed-in user's own account over REST.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Accounts;
use super::views::{SessionBrief, UserView};
use crate::account::guards::{Guard, Identity, MaybeIdentity, Via};
use crate::domain::id::SessionId;
use crate::domain::session::Session;
use crate::web::Caller;
use crate::web::error::{Failure, Kind, Problem};

/// The state of this room, as handlers receive it.
pub type Room = web::Data<Arc<Accounts>>;

/// The current session and its user.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionResponse {
    /// The session, or null if no one is signed in.
    pub session: Option<SessionBrief>,
    /// The user, or null if no one is signed in.
    pub user: Option<UserView>,
}

/// Returns the current session and its user.
///
/// If no one is signed in, the status is still 200, and both are null. With an access token, `user` has only the claims
/// that userinfo returns for its scopes.
#[utoipa::path(get, path = "/v1/session", tag = "Account", responses((status = 200, body = SessionResponse)))]
pub async fn session(guard: web::Data<Guard>, identity: MaybeIdentity) -> Result<web::Json<SessionResponse>, Problem> {
    Ok(web::Json(match identity.0 {
        None => SessionResponse { session: None, user: None },
        Some(identity) => SessionResponse {
            user: Some(seen_by(&guard, &identity)?),
            session: Some(SessionBrief {
                id: identity.session.id.uuid(),
                auth_time: identity.session.auth_time,
                acr: identity.session.acr,
                amr: identity.session.amr,
                expires_at: identity.session.expires_at,
            }),
        },
    }))
}

/// Signs out.
///
/// The session cookie is always cleared. An access token ends the session of its own client, never a browser session.
#[utoipa::path(delete, path = "/v1/session", tag = "Account", responses((status = 200, body = SessionResponse),
    (status = 403, description = "`forbidden`: the session of the access token does not belong to its client")))]
pub async fn sign_out(
    room: Room,
    guard: web::Data<Guard>,
    identity: MaybeIdentity,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    if let Some(identity) = identity.0 {
        identity.require_own_session()?;
        room.sign_out_and_tell(&identity.session, &caller.provenance).await?;
    }
    let mut answer = HttpResponse::Ok();
    for cookie in guard.forgetting() {
        answer.cookie(cookie);
    }
    Ok(answer.json(SessionResponse { session: None, user: None }))
}

/// Returns the signed-in user.
///
/// With an access token, the answer has only the claims that userinfo returns for its scopes.
#[utoipa::path(get, path = "/v1/me", tag = "Account", responses((status = 200, body = UserView), (status = 401, description = "`not_signed_in`")))]
pub async fn me(guard: web::Data<Guard>, identity: Identity) -> Result<web::Json<UserView>, Problem> {
    Ok(web::Json(seen_by(&guard, &identity)?))
}

/// The user as the caller may see them: an app learns no more than from userinfo, and gets the `sub` of its own tokens.
fn seen_by(guard: &Guard, identity: &Identity) -> Result<UserView, Failure> {
    match &identity.via {
        Via::Cookie => Ok(UserView::from(&identity.user)),
        Via::Bearer { client, scopes, .. } => {
            let gone = || Failure::new(Kind::InvalidToken, "The client of this access token no longer exists.");
            let client = guard.clients.find(client).ok_or_else(gone)?;
            Ok(UserView::within(&identity.user, &client, scopes, &guard.mint))
        }
    }
}

/// A session of the signed-in user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// The ID of the session.
    pub id: Uuid,
    /// Whether it is the session of this request.
    pub current: bool,
    /// When the session was opened.
    pub created_at: DateTime<Utc>,
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
    /// The `client_id` of the client that the session belongs to. Absent for a browser session of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

impl SessionView {
    /// The view of a session for its owner.
    pub fn new(session: Session, current: SessionId) -> Self {
        Self {
            id: session.id.uuid(),
            current: session.id == current,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            browser: session.user_agent,
            address_class: session.address_class,
            client_id: session.client,
        }
    }
}

/// The active sessions of the signed-in user.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionsResponse {
    /// The sessions, most recently used first.
    pub sessions: Vec<SessionView>,
}

/// Lists the active sessions of the signed-in user.
#[utoipa::path(get, path = "/v1/me/sessions", tag = "Account", responses((status = 200, body = SessionsResponse), (status = 401, description = "`not_signed_in`")))]
pub async fn sessions(room: Room, identity: Identity) -> Result<web::Json<SessionsResponse>, Problem> {
    identity.require_cookie()?;
    let sessions = room.sessions_of(&identity.user).await?;
    let sessions = sessions.into_iter().map(|session| SessionView::new(session, identity.session.id)).collect();
    Ok(web::Json(SessionsResponse { sessions }))
}

/// The result of ending sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndedResponse {
    /// The number of sessions that were ended.
    pub ended: usize,
}

/// Ends a session of the signed-in user.
#[utoipa::path(delete, path = "/v1/me/sessions/{id}", tag = "Account", params(("id" = String, Path)),
    responses((status = 200, body = EndedResponse), (status = 404, description = "`not_found`")))]
pub async fn revoke_session(
    room: Room,
    identity: Identity,
    caller: Caller,
    id: web::Path<String>,
) -> Result<web::Json<EndedResponse>, Problem> {
    identity.require_cookie()?;
    let missing = || Failure::new(Kind::NotFound, "There is no such session on this account.");
    let id: SessionId = id.parse().map_err(|_| missing())?;
    if room.revoke(&identity.session, id, &caller.provenance).await? {
        Ok(web::Json(EndedResponse { ended: 1 }))
    } else {
        Err(missing().into())
    }
}

/// Ends all sessions of the signed-in user except the current one.
#[utoipa::path(delete, path = "/v1/me/sessions", tag = "Account", responses((status = 200, body = EndedResponse)))]
pub async fn revoke_others(
    room: Room,
    identity: Identity,
    caller: Caller,
) -> Result<web::Json<EndedResponse>, Problem> {
    identity.require_cookie()?;
    Ok(web::Json(EndedResponse { ended: room.revoke_others(&identity.session, &caller.provenance).await? }))
}

/// An event on the account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// When the event happened.
    pub at: DateTime<Utc>,
    /// The kind of event: its stable name in the audit trail.
    pub kind: &'static str,
    /// The name of the object that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The `client_id` of the client involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The network of the caller (/24 or /56).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_class: Option<String>,
}

/// The recent events on the account.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActivityResponse {
    /// The events, newest first, at most 50.
    pub events: Vec<EventView>,
}

/// Lists recent events on the signed-in user's account.
#[utoipa::path(get, path = "/v1/me/activity", tag = "Account", responses((status = 200, body = ActivityResponse), (status = 401, description = "`not_signed_in`")))]
pub async fn activity(room: Room, identity: Identity) -> Result<web::Json<ActivityResponse>, Problem> {
    identity.require_cookie()?;
    let events = room.activity_of(&identity.user, 50).await?;
    Ok(web::Json(ActivityResponse {
        events: events
            .into_iter()
            .map(|event| EventView {
                at: event.at,
                kind: event.kind.as_str(),
                name: event.subject_name,
                client_id: event.client,
                address_class: event.address_class,
            })
            .collect(),
    }))
}
