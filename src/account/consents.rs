//! What people allowed apps: listed, and taken back.
//!
//! Taking it back ends everything that the app has of the person at once: refresh tokens, access tokens, codes on their way.

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
    /// Everything that a person allowed, the latest first.
    pub async fn consents_of(&self, user: &User) -> Result<Vec<StoredConsent>, StorageError> {
        let owner = user.id;
        self.db.run(move |conn| consents::all_of(conn, owner)).await
    }

    /// Takes back what a person allowed a client; `false` when there was nothing.
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
                // What is redeemed or begun for a person holds their row: it is done before this, or finds nothing any more.
                if users::lock(conn, owner)?.is_none() || !consents::remove(conn, owner, &client)? {
                    return Ok(false);
                }
                let codes = authorization_codes::end_all_of(conn, owner, &client, now)?;
                let devices = device_codes::end_all_of(conn, owner, &client, now)?;
                for grant in codes.into_iter().chain(devices) {
                    revoked_tokens::insert(conn, Id::uuid(grant), now + chrono::Duration::days(1))?;
                    refresh_tokens::revoke_descendants(conn, grant, now)?;
                }
                // Last: what the codes gave until the lock was had is among them.
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

/// Something that was allowed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentView {
    /// The app's `client_id`.
    pub client_id: String,
    /// Its name; none when the app is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// Resources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Claims asked for one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// Since when.
    pub granted_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What was allowed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentsResponse {
    /// The latest first.
    pub consents: Vec<ConsentView>,
}

/// Lists what one allowed apps.
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

/// What was taken back.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakenBackResponse {
    /// From this app.
    pub client_id: String,
}

/// Takes back what one allowed an app, and ends everything it has.
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
