//! Consents that users gave to apps: listing and revoking.
//!
//! Revoking a consent at once ends everything that the app holds for the user: refresh tokens, access tokens, and codes
//! not yet redeemed.

use actix_web::web;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Accounts;
use super::guards::{Guard, Identity};
use super::handlers::Room;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::id::Id;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::storage::consents::{self, StoredConsent};
use crate::storage::{StorageError, audit, authorization_codes, device_codes, refresh_tokens, revoked_tokens, users};
use crate::web::Caller;
use crate::web::error::{Failure, Kind, Problem};

impl Accounts {
    /// All consents of a user, latest first.
    pub async fn consents_of(&self, user: &User) -> Result<Vec<StoredConsent>, StorageError> {
        let owner = user.id;
        self.db.run(move |conn| consents::all_of(conn, owner)).await
    }

    /// Revokes a user's consent for a client. Returns `false` if there was none.
    pub async fn take_back(&self, session: &Session, client: &str, origin: &Provenance) -> Result<bool, StorageError> {
        let (now, owner, client) = (self.clock.now(), session.user, client.to_owned());
        let event = Event {
            user: Some(owner),
            session: Some(session.id),
            client: Some(client.clone()),
            ..Event::new(EventKind::ConsentRevoked, now, origin)
        };
        self.db
            .tx(move |conn| {
                // Whatever is redeemed or begun for a user locks their row. It is therefore complete by now, or will no
                // longer find the consent.
                if users::lock(conn, owner)?.is_none() || !consents::remove(conn, owner, &client)? {
                    return Ok(false);
                }
                let codes = authorization_codes::end_all_of(conn, owner, &client, now)?;
                let devices = device_codes::end_all_of(conn, owner, &client, now)?;
                for grant in codes.into_iter().chain(devices) {
                    revoked_tokens::insert(conn, Id::uuid(grant), now + chrono::Duration::days(1))?;
                    refresh_tokens::revoke_descendants(conn, grant, now)?;
                }
                // Last, so that refresh tokens issued for the codes before the lock was taken are included.
                let families = consents::families_of(conn, owner, &client)?;
                for family in &families {
                    refresh_tokens::revoke(conn, *family, Some(&client), "consent taken back", now)?;
                }
                audit::insert(conn, &Event { detail: json!({ "grants": families.len() }), ..event })?;
                Ok(true)
            })
            .await
    }
}

/// A consent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentView {
    /// The `client_id` of the app.
    pub client_id: String,
    /// The name of the app. Absent if the app no longer exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The scopes that were allowed, separated by spaces.
    pub scope: String,
    /// The resources that access was allowed to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The claims that were allowed individually.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// When the consent was first given.
    pub granted_at: DateTime<Utc>,
    /// When the consent was last changed.
    pub updated_at: DateTime<Utc>,
}

/// The consents of the signed-in user.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentsResponse {
    /// The consents, latest first.
    pub consents: Vec<ConsentView>,
}

/// Lists the consents that the signed-in user gave to apps.
#[utoipa::path(get, path = "/v1/me/consents", tag = "Account", responses((status = 200, body = ConsentsResponse), (status = 401, description = "`not_signed_in`")))]
pub async fn list(
    room: Room,
    guard: web::Data<Guard>,
    identity: Identity,
) -> Result<web::Json<ConsentsResponse>, Problem> {
    identity.require_cookie()?;
    let stored = room.consents_of(&identity.user).await?;
    let view = |stored: StoredConsent| ConsentView {
        name: guard.clients.find(&stored.client).map(|client| client.definition.name.clone()),
        client_id: stored.client,
        scope: stored.consent.scopes.to_string(),
        resources: stored.consent.resources.into_iter().collect(),
        claims: stored.consent.claims.into_iter().collect(),
        granted_at: stored.granted_at,
        updated_at: stored.updated_at,
    };
    Ok(web::Json(ConsentsResponse { consents: stored.into_iter().map(view).collect() }))
}

/// The consent that was revoked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakenBackResponse {
    /// The `client_id` of the app.
    pub client_id: String,
}

/// Revokes the consent for an app and everything that was issued to it for the user.
#[utoipa::path(delete, path = "/v1/me/consents/{client}", tag = "Account", params(("client" = String, Path)),
    responses((status = 200, body = TakenBackResponse), (status = 404, description = "`not_found`")))]
pub async fn remove(
    room: Room,
    identity: Identity,
    caller: Caller,
    client: web::Path<String>,
) -> Result<web::Json<TakenBackResponse>, Problem> {
    identity.require_cookie()?;
    if room.take_back(&identity.session, &client, &caller.provenance).await? {
        Ok(web::Json(TakenBackResponse { client_id: client.into_inner() }))
    } else {
        Err(Failure::new(Kind::NotFound, "You have not allowed this app anything.").into())
    }
}
