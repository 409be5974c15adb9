//! `POST /oauth/revoke` (RFC 7009): a client revokes a token.
//!
//! The response is 200 whether or not there was anything to revoke, so that nobody learns about other clients' tokens.
//! A storage fault is 503, because the token may still work. Revoking either kind of token ends its grant: the refresh
//! token family with all its access tokens, and a session that exists only through such tokens. A browser session
//! belongs to the person and continues.

use actix_web::{HttpRequest, HttpResponse, web};
use diesel::PgConnection;

use super::client_auth::{AuthenticatedClient, authenticate};
use super::{Oidc, Room};
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::id::{FamilyId, SessionId};
use crate::storage::{StorageError, audit, refresh_tokens, revoked_tokens, sessions};
use crate::tokens::claims::{AccessClaims, RefreshClaims};
use crate::tokens::verifier::places;
use crate::web::Caller;
use crate::web::error::OAuthFailure;
use crate::web::form::OAuthForm;
use crate::web::limits::{Class, Limits};

/// Revokes an access token or refresh token of the calling client, and with it the grant.
#[utoipa::path(post, path = "/oauth/revoke", tag = "OAuth",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded", description = "`token`, and the client authentication or, for a public client, `client_id`"),
    responses((status = 200, description = "The token was revoked, or there was nothing to revoke"), (status = 401, description = "`invalid_client`"), (status = 503, description = "`temporarily_unavailable`: try again")))]
pub async fn post(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    form: OAuthForm,
) -> Result<HttpResponse, OAuthFailure> {
    limits.check(Class::Token, caller.network)?;
    let form = form.0;
    let client = authenticate(&room, request.headers(), &form).await?;
    revoke(&room, &client, form.get("token")?, &caller.provenance).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn revoke(
    room: &Oidc,
    client: &AuthenticatedClient,
    token: &str,
    origin: &Provenance,
) -> Result<(), StorageError> {
    let now = room.clock.now();
    let (ring, issuer) = (room.mint.keys().ring(), room.mint.issuer());
    let event = Event { client: Some(client.id.clone()), ..Event::new(EventKind::TokenRevoked, now, origin) };
    // The hint of the request is not needed: the header of a token states its type.
    if let Ok(verified) = places::refresh_token(&ring, issuer, token, now) {
        return revoke_family(room, client, &verified.into_claims(), event).await;
    }
    if let Ok(verified) = places::any_access_token(&ring, issuer, token, now) {
        return revoke_access_token(room, client, verified.into_claims(), event).await;
    }
    Ok(())
}

async fn revoke_family(
    room: &Oidc,
    client: &AuthenticatedClient,
    claims: &RefreshClaims,
    event: Event,
) -> Result<(), StorageError> {
    let (true, Ok(family)) = (claims.client_id == client.id, claims.fid.parse::<FamilyId>()) else { return Ok(()) };
    let (client, now) = (client.id.clone(), event.at);
    let work = move |conn: &mut PgConnection| {
        if refresh_tokens::revoke(conn, family, Some(&client), "revoked by its client", now)? {
            let user = refresh_tokens::owner(conn, family)?;
            audit::insert(conn, &Event { user, subject: Some(family.to_string()), ..event })?;
        }
        Ok(())
    };
    room.db.tx(work).await
}

async fn revoke_access_token(
    room: &Oidc,
    client: &AuthenticatedClient,
    claims: AccessClaims,
    event: Event,
) -> Result<(), StorageError> {
    let session = claims.sid.as_deref().and_then(|sid| sid.parse::<SessionId>().ok());
    let grant = claims.grant_id.as_deref().and_then(|grant| grant.parse::<FamilyId>().ok());
    let (true, Ok(token), Some(until)) =
        (claims.client_id == client.id, claims.jti.parse(), Time::from_timestamp(claims.exp, 0))
    else {
        return Ok(());
    };
    // A token that a client has for itself has no session.
    let subject = Some(session.map_or(claims.jti, |session| session.to_string()));
    let (client, now) = (client.id.clone(), event.at);
    let work = move |conn: &mut PgConnection| {
        // If the token came from an exchange, the grant may be another client's: then nothing ends. The family is
        // locked before its session, in the same order as when a refresh token is revoked concurrently.
        if let Some(grant) = grant {
            refresh_tokens::revoke(conn, grant, Some(&client), "revoked by its client", now)?;
        }
        // Only the client's own session ends; a browser session belongs to the person.
        if let Some(session) = session {
            sessions::revoke_of_client(conn, session, &client, now)?;
        }
        if revoked_tokens::insert(conn, token, until)? {
            let user = session.map(|session| sessions::owner(conn, session)).transpose()?.flatten();
            audit::insert(conn, &Event { user, session, subject, ..event })?;
        }
        Ok(())
    };
    room.db.tx(work).await
}
