//! `POST /oauth/introspect` (RFC 7662): may this token be relied on now?
//!
//! Only its client, and those its client or configuration lists, learn anything; to everybody else any token is inactive,
//! and an inactive answer has no other member, whatever the reason.

use actix_web::{HttpRequest, HttpResponse, web};

use super::client_auth::{AuthenticatedClient, authenticate_confidential};
use super::wire::Introspection;
use super::{Oidc, Room};
use crate::clock::Time;
use crate::domain::id::FamilyId;
use crate::domain::refresh::Standing;
use crate::domain::secret::TokenDigest;
use crate::storage::{StorageError, refresh_tokens, sessions};
use crate::tokens::claims::{AccessClaims, RefreshClaims};
use crate::tokens::verifier::places;
use crate::web::Caller;
use crate::web::error::{Failure, OAuthFailure};
use crate::web::form::OAuthForm;
use crate::web::limits::{Class, Limits};

/// Tells whether a token is active, and what it says.
#[utoipa::path(post, path = "/oauth/introspect", tag = "OAuth",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded", description = "`token`, and the client's authentication"),
    responses((status = 200, body = Introspection), (status = 401, description = "`invalid_client`")))]
pub async fn post(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    form: OAuthForm,
) -> Result<HttpResponse, OAuthFailure> {
    limits.check(Class::Token, caller.network)?;
    let form = form.0;
    let client = authenticate_confidential(request.headers(), &form, &room.clients)?;
    let answer = introspect(&room, &client, form.get("token")?).await?;
    Ok(HttpResponse::Ok().json(answer.unwrap_or_default()))
}

async fn introspect(room: &Oidc, client: &AuthenticatedClient, token: &str) -> Result<Option<Introspection>, Failure> {
    let now = room.clock.now();
    let (ring, issuer) = (room.mint.keys().ring(), room.mint.issuer());
    if let Ok(verified) = places::any_access_token(&ring, issuer, token, now) {
        let claims = verified.into_claims();
        let concerned = claims.client_id == client.id
            || client.definition.may_introspect.iter().any(|audience| claims.aud.contains(audience));
        return Ok(if concerned && session_lives(room, &claims, now).await? { Some(access(claims)) } else { None });
    }
    if let Ok(verified) = places::refresh_token(&ring, issuer, token, now) {
        let claims = verified.into_claims();
        let concerned = claims.client_id == client.id;
        return Ok(if concerned && is_leaf(room, &claims, now).await? { Some(refresh(claims)) } else { None });
    }
    Ok(None)
}

async fn session_lives(room: &Oidc, claims: &AccessClaims, now: Time) -> Result<bool, StorageError> {
    if room.clients.find(&claims.client_id).is_none() {
        return Ok(false);
    }
    let Some(ids) = claims.ids() else { return Ok(false) };
    let found = room.db.run(move |conn| sessions::find_live_of_token(conn, &ids, now)).await?;
    Ok(found.is_some_and(|(_, user)| user.id.to_string() == claims.sub))
}

async fn is_leaf(room: &Oidc, claims: &RefreshClaims, now: Time) -> Result<bool, StorageError> {
    let Ok(family) = claims.fid.parse::<FamilyId>() else { return Ok(false) };
    let digest = TokenDigest::of(&claims.jti);
    let found = room.db.run(move |conn| refresh_tokens::find(conn, family, now)).await?;
    Ok(found.is_some_and(|stored| {
        stored.standing == Standing::Good
            && stored.family.revoked_at.is_none()
            && stored.family.leaf.matches(&digest)
            && stored.family.ends_at > now
    }))
}

fn access(claims: AccessClaims) -> Introspection {
    Introspection {
        active: true,
        scope: Some(claims.scope),
        client_id: Some(claims.client_id),
        token_type: Some("Bearer"),
        exp: Some(claims.exp),
        iat: Some(claims.iat),
        sub: Some(claims.sub),
        aud: serde_json::to_value(&claims.aud).ok(),
        iss: Some(claims.iss),
        jti: Some(claims.jti),
        sid: claims.sid,
        auth_time: claims.authentication.auth_time,
        acr: claims.authentication.acr,
    }
}

fn refresh(claims: RefreshClaims) -> Introspection {
    Introspection {
        active: true,
        scope: Some(claims.scope),
        client_id: Some(claims.client_id),
        token_type: Some("refresh_token"),
        exp: Some(claims.exp),
        iat: Some(claims.iat),
        sub: Some(claims.sub),
        iss: Some(claims.iss),
        sid: claims.sid,
        ..Introspection::default()
    }
}
