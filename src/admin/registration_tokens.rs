//! `/v1/admin/registration-tokens`: initial access tokens for client registration (RFC 7591 §3).

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Duration, Utc};
use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::guard::{Actor, Admin, ChangeClients, ReadClients};
use super::idempotency::{Answer, IdempotencyKey, WithSecret};
use super::{Room, missing};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::domain::client::fields;
use crate::domain::secret::{TokenDigest, TokenKind};
use crate::storage::initial_access_tokens::{self as tokens, InitialAccessToken};
use crate::web::error::Problem;
use crate::web::json::Json;
use crate::web::paging::{Page, Query};
use crate::web::refusal::Refusal;
use crate::web::wrong_field::wrong_field;

/// Maximum lifetime of a token, in seconds: 400 days.
const LONGEST: i64 = 400 * 86_400;

/// A registration token (initial access token), without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationToken {
    /// The ID of the registration token.
    pub id: Uuid,
    /// The name that its creator chose.
    pub name: String,
    /// How many more clients can be registered with it. Absent if unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<i32>,
    /// When it expires. Absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<DateTime<Utc>>,
}

impl From<InitialAccessToken> for RegistrationToken {
    fn from(token: InitialAccessToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            uses_left: token.uses_left,
            expires_at: token.expires_at,
            created_at: token.created_at,
            revoked_at: token.revoked_at,
        }
    }
}

/// Request to create a registration token.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateRegistrationToken {
    /// A name to recognize the token by.
    pub name: String,
    /// How many clients can be registered with it, 1–10000. Default: 1.
    #[serde(default = "once")]
    pub uses: i32,
    /// Its lifetime in seconds, from 60 to 34560000 (400 days). Default: 604800 (7 days).
    #[serde(default = "a_week")]
    pub lifetime: i64,
}

const fn once() -> i32 {
    1
}

const fn a_week() -> i64 {
    7 * 86_400
}

/// Lists registration tokens, newest first.
#[utoipa::path(get, path = "/v1/admin/registration-tokens", tag = "Administration: clients",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<RegistrationToken>)))]
pub async fn list(
    _: Admin<ReadClients>,
    room: Room,
    query: Query,
) -> Result<web::Json<Page<RegistrationToken>>, Problem> {
    query.only(&[])?;
    let (after, most) = (query.after()?, query.limit()? + 1);
    let found = room.db.run(move |conn| tokens::page(conn, after, most)).await?;
    Ok(web::Json(query.page(found, |token| (token.created_at, token.id), Into::into)?))
}

/// Creates a registration token (initial access token) for client registration.
///
/// The token itself is in `secret`. It is shown only in this answer.
#[utoipa::path(post, path = "/v1/admin/registration-tokens", tag = "Administration: clients",
    request_body = CreateRegistrationToken, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = WithSecret<RegistrationToken>), (status = 400, description = "`invalid_field`")))]
pub async fn create(
    admin: Admin<ChangeClients>,
    room: Room,
    key: IdempotencyKey,
    body: Json<CreateRegistrationToken>,
) -> Result<HttpResponse, Problem> {
    let (actor, now, asked) = (admin.actor, room.clock.now(), body.0);
    let (witness, new) = (actor.clone(), asked.clone());
    let response = room
        .once(&actor, "create registration token", key, &asked, move |conn, seed| {
            let digest = seed.secret(TokenKind::InitialAccess).digest();
            let view = RegistrationToken::from(insert(conn, &witness, &new, &digest, now)?);
            let location = format!("/v1/admin/registration-tokens/{}", view.id);
            Ok(Answer::created(location, &view).with_secret(TokenKind::InitialAccess, seed))
        })
        .await?;
    Ok(response)
}

/// Stores a new token and records the audit event.
pub fn insert(
    conn: &mut PgConnection,
    actor: &Actor,
    new: &CreateRegistrationToken,
    digest: &TokenDigest,
    now: Time,
) -> Result<InitialAccessToken, Refusal> {
    if let Err(fault) = fields::display_name(&new.name) {
        return Err(wrong_field("name", fault.what, fault.cure).into());
    }
    if !(1..=10_000).contains(&new.uses) {
        return Err(wrong_field("uses", "is out of range", "choose from 1 to 10000").into());
    }
    if !(60..=LONGEST).contains(&new.lifetime) {
        return Err(wrong_field("lifetime", "is out of range", format!("choose from 60 to {LONGEST} seconds")).into());
    }
    let token = InitialAccessToken {
        id: crate::random::uuid(),
        name: new.name.clone(),
        uses_left: Some(new.uses),
        expires_at: Some(now + Duration::seconds(new.lifetime)),
        created_at: now,
        revoked_at: None,
    };
    tokens::insert(conn, &token, digest)?;
    let subject = (token.id.to_string(), token.name.clone());
    let kind = EventKind::RegistrationTokenChanged;
    actor.witness(conn, (kind, "created"), (&subject.0, Some(&subject.1)), now)?;
    Ok(token)
}

/// Revokes a registration token. Clients already registered with it are not affected.
#[utoipa::path(delete, path = "/v1/admin/registration-tokens/{id}", tag = "Administration: clients",
    params(("id" = String, Path)), responses((status = 204)))]
pub async fn revoke(admin: Admin<ChangeClients>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id: Uuid = id.parse().map_err(|_| missing("permission"))?;
    let (actor, now) = (admin.actor, room.clock.now());
    room.change(move |conn| take_back(conn, &actor, id, now)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Revokes a token and records the audit event.
pub fn take_back(conn: &mut PgConnection, actor: &Actor, id: Uuid, now: Time) -> Result<(), Refusal> {
    let name = tokens::revoke(conn, id, now)?.ok_or_else(|| missing("permission"))?;
    let kind = EventKind::RegistrationTokenChanged;
    Ok(actor.witness(conn, (kind, "revoked"), (&id.to_string(), Some(&name)), now)?)
}
