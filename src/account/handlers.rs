//! One's own account over REST.

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

/// The room, as handlers are given it.
pub type Room = web::Data<Arc<Accounts>>;

/// Who am I?
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionResponse {
    /// The session; null when signed out.
    pub session: Option<SessionBrief>,
    /// Its owner; null when signed out.
    pub user: Option<UserView>,
}

/// Tells who is signed in: 200 with nulls when nobody is. With an access token it returns the claims of userinfo.
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

/// Signs out. The cookie goes in any case. An access token ends the session of its own client, and no browser's.
#[utoipa::path(delete, path = "/v1/session", tag = "Account", responses((status = 200, body = SessionResponse),
    (status = 403, description = "`forbidden`: by an access token, the session is not its client's own")))]
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

/// The person, as their own account has them; by an access token, what userinfo tells for its scopes.
#[utoipa::path(get, path = "/v1/me", tag = "Account", responses((status = 200, body = UserView), (status = 401, description = "`not_signed_in`")))]
pub async fn me(guard: web::Data<Guard>, identity: Identity) -> Result<web::Json<UserView>, Problem> {
    Ok(web::Json(seen_by(&guard, &identity)?))
}

/// A person as the caller knows them: an app learns no more here than from userinfo, and by the `sub` of its own tokens.
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

/// A session, as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// Its id.
    pub id: Uuid,
    /// The one that asks.
    pub current: bool,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
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
    /// The client it belongs to; none for a browser session here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

impl SessionView {
    /// For its owner.
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

/// One's own sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionsResponse {
    /// Last seen first.
    pub sessions: Vec<SessionView>,
}

/// Lists one's own live sessions.
#[utoipa::path(get, path = "/v1/me/sessions", tag = "Account", responses((status = 200, body = SessionsResponse), (status = 401, description = "`not_signed_in`")))]
pub async fn sessions(room: Room, identity: Identity) -> Result<web::Json<SessionsResponse>, Problem> {
    identity.require_cookie()?;
    let sessions = room.sessions_of(&identity.user).await?;
    let sessions = sessions.into_iter().map(|session| SessionView::new(session, identity.session.id)).collect();
    Ok(web::Json(SessionsResponse { sessions }))
}

/// How many sessions ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndedResponse {
    /// So many.
    pub ended: usize,
}

/// Ends one of one's own sessions.
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

/// Ends every other session.
#[utoipa::path(delete, path = "/v1/me/sessions", tag = "Account", responses((status = 200, body = EndedResponse)))]
pub async fn revoke_others(
    room: Room,
    identity: Identity,
    caller: Caller,
) -> Result<web::Json<EndedResponse>, Problem> {
    identity.require_cookie()?;
    Ok(web::Json(EndedResponse { ended: room.revoke_others(&identity.session, &caller.provenance).await? }))
}

/// One event of the account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// When.
    pub at: DateTime<Utc>,
    /// What: the audit trail's stable name.
    pub kind: &'static str,
    /// Name of the thing acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The client it went through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The network it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_class: Option<String>,
}

/// What happened lately.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActivityResponse {
    /// Newest first, at most 50.
    pub events: Vec<EventView>,
}

/// Lists what happened on one's own account lately.
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
