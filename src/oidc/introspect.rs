//! `POST /oauth/introspect` (RFC 7662): whether a token is active now.
//!
//! Only the token's own client, and the clients that its configuration allows, learn anything; for everybody else any
//! token is inactive. A response for an inactive token has no other member, whatever the reason. A caller that asks for
//! it gets the response signed (RFC 9701).

use actix_web::http::header::{ACCEPT, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Duration;
use serde_json::Value;

use super::client_auth::{AuthenticatedClient, authenticate_confidential};
use super::wire::Introspection;
use super::{Oidc, Room};
use crate::clock::Time;
use crate::domain::claims::claims_for;
use crate::domain::client::Client;
use crate::domain::id::FamilyId;
use crate::domain::refresh::Decision;
use crate::domain::scope::Scopes;
use crate::domain::secret::TokenDigest;
use crate::domain::user::User;
use crate::storage::sessions::LiveOfToken;
use crate::storage::{StorageError, refresh_tokens, revoked_tokens};
use crate::tokens::claims::{AccessClaims, RefreshClaims};
use crate::tokens::verifier::places;
use crate::web::Caller;
use crate::web::error::{Failure, OAuthFailure};
use crate::web::form::OAuthForm;
use crate::web::limits::{Class, Limits};

/// The media type of a signed response (RFC 9701 §5).
const SIGNED: &str = "application/token-introspection+jwt";

/// Returns whether a token is active and, if so, its properties.
///
/// The response is a signed JWT if the request accepts `application/token-introspection+jwt` (RFC 9701).
#[utoipa::path(post, path = "/oauth/introspect", tag = "OAuth",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded", description = "`token`, and the client authentication"),
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
    let client = authenticate_confidential(&room, request.headers(), &form).await?;
    let answer = introspect(&room, &client, form.get("token")?).await?;
    let answer = answer.unwrap_or_default();
    if !wants_signed(request.headers()) {
        return Ok(HttpResponse::Ok().json(answer));
    }
    let answer = serde_json::to_value(answer).map_err(Failure::unavailable)?;
    let signed = room.mint.introspection(&client, &answer, room.clock.now()).map_err(Failure::unavailable)?;
    Ok(HttpResponse::Ok().content_type(SIGNED).body(signed))
}

fn wants_signed(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).any(|one| {
        let media_type = one.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case(SIGNED)
    })
}

async fn introspect(room: &Oidc, client: &AuthenticatedClient, token: &str) -> Result<Option<Introspection>, Failure> {
    let now = room.clock.now();
    let (ring, issuer) = (room.mint.keys().ring(), room.mint.issuer());
    if let Ok(verified) = places::any_access_token(&ring, issuer, token, now) {
        let claims = verified.into_claims();
        let concerned = claims.client_id == client.id
            || client.definition.may_introspect.iter().any(|audience| claims.aud.contains(audience));
        if !concerned {
            return Ok(None);
        }
        return Ok(holder(room, &claims, now).await?.map(|holder| access(claims, &holder)));
    }
    if let Ok(verified) = places::refresh_token(&ring, issuer, token, now) {
        let claims = verified.into_claims();
        if claims.client_id != client.id {
            return Ok(None);
        }
        return Ok(end_of_leaf(room, &claims, now).await?.map(|end| refresh(claims, end)));
    }
    Ok(None)
}

/// The holder of a live access token.
enum Holder {
    Person(Box<User>),
    /// The client itself.
    Client,
}

/// The holder of an access token, if everything the token depends on is alive: its client, and its session with the
/// session's owner.
async fn holder(room: &Oidc, claims: &AccessClaims, now: Time) -> Result<Option<Holder>, StorageError> {
    let Some(client) = room.clients.holder(&claims.client_id, claims.iat) else { return Ok(None) };
    match claims.sid.as_deref() {
        None => of_client(room, &client, claims).await,
        Some(_) => person(room, &client, claims, now).await,
    }
}

async fn of_client(room: &Oidc, client: &Client, claims: &AccessClaims) -> Result<Option<Holder>, StorageError> {
    let (true, Ok(id)) = (claims.sub == client.id, claims.jti.parse()) else { return Ok(None) };
    let revoked = room.db.run(move |conn| revoked_tokens::contains(conn, id)).await?;
    Ok((!revoked).then_some(Holder::Client))
}

async fn person(
    room: &Oidc,
    client: &Client,
    claims: &AccessClaims,
    now: Time,
) -> Result<Option<Holder>, StorageError> {
    let Some(token) = claims.ids() else { return Ok(None) };
    let found = room.db.ask(LiveOfToken { token, now }).await?;
    let same = |user: &User| room.mint.subject_of(client, user.id) == claims.sub;
    Ok(found.map(|(_, user)| user).filter(same).map(|user| Holder::Person(Box::new(user))))
}

/// The expiry of a refresh token that would be accepted now, if it is left unused. `None` for every other token.
async fn end_of_leaf(room: &Oidc, claims: &RefreshClaims, now: Time) -> Result<Option<Time>, StorageError> {
    let Ok(id) = claims.fid.parse::<FamilyId>() else { return Ok(None) };
    let Some(stored) = room.db.run(move |conn| refresh_tokens::find(conn, id, now)).await? else { return Ok(None) };
    let (family, digest) = (stored.family, TokenDigest::of(&claims.jti));
    let decision = family.decide(&digest, &claims.client_id, stored.standing, now, Duration::zero());
    Ok((decision == Decision::Rotate).then_some(family.leaf_expires_at))
}

fn access(claims: AccessClaims, holder: &Holder) -> Introspection {
    Introspection {
        active: true,
        username: username(&claims.scope, holder),
        scope: Some(claims.scope),
        client_id: Some(claims.client_id),
        token_type: Some(if claims.cnf.is_some() { "DPoP" } else { "Bearer" }),
        exp: Some(claims.exp),
        iat: Some(claims.iat),
        sub: Some(claims.sub),
        aud: serde_json::to_value(&claims.aud).ok(),
        iss: Some(claims.iss),
        jti: Some(claims.jti),
        sid: claims.sid,
        auth_time: claims.authentication.auth_time,
        acr: claims.authentication.acr,
        cnf: claims.cnf,
        act: claims.act,
        extra: claims.extra.as_map().clone(),
    }
}

/// The human-readable name of the person (RFC 7662 §2.2), within the token's scopes: introspection reveals nothing that
/// userinfo would not.
fn username(scope: &str, holder: &Holder) -> Option<String> {
    let Holder::Person(user) = holder else { return None };
    let scopes = Scopes::parse(scope).ok()?;
    let told = claims_for(user, &[], &scopes, &std::collections::BTreeSet::new());
    let verified = told.get("email_verified") == Some(&Value::Bool(true));
    let name = told.get("preferred_username").or_else(|| told.get("email").filter(|_| verified))?;
    name.as_str().map(ToOwned::to_owned)
}

/// A refresh token that is never rotated is printed with the expiry of its family, but expires earlier if it is left
/// unused.
fn refresh(claims: RefreshClaims, end: Time) -> Introspection {
    Introspection {
        active: true,
        scope: Some(claims.scope),
        client_id: Some(claims.client_id),
        token_type: Some("refresh_token"),
        exp: Some(claims.exp.min(end.timestamp())),
        iat: Some(claims.iat),
        sub: Some(claims.sub),
        iss: Some(claims.iss),
        sid: claims.sid,
        cnf: claims.cnf,
        ..Introspection::default()
    }
}
