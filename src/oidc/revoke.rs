//! `POST /oauth/revoke` (RFC 7009): a client gives back a token.
//!
//! The answer is 200 whether or not there was anything to revoke, so that nobody learns about other clients' tokens; a
//! storage fault is 503, because the token may still work. A refresh token takes its family and all of its access tokens with
//! it. An access token takes the session with it that exists through its tokens only; in a browser's session it ends alone.

use actix_web::{HttpRequest, HttpResponse, web};

use super::client_auth::{AuthenticatedClient, authenticate};
use super::{Oidc, Room};
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::id::{FamilyId, SessionId};
use crate::storage::{StorageError, audit, refresh_tokens, revoked_tokens, sessions};
use crate::tokens::verifier::places;
use crate::web::Caller;
use crate::web::error::OAuthFailure;
use crate::web::form::OAuthForm;
use crate::web::limits::{Class, Limits};

/// Revokes a token of the calling client.
#[utoipa::path(post, path = "/oauth/revoke", tag = "OAuth",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded", description = "`token`, and the client's authentication or `client_id`"),
    responses((status = 200, description = "Revoked, or nothing to revoke"), (status = 401, description = "`invalid_client`"), (status = 503, description = "`temporarily_unavailable`: try again")))]
pub async fn post(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    form: OAuthForm,
) -> Result<HttpResponse, OAuthFailure> {
    limits.check(Class::Token, caller.network)?;
    let form = form.0;
    let client = authenticate(request.headers(), &form, &room.clients)?;
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
    // The hint of the request is not needed: the token's type is in its header.
    if let Ok(verified) = places::refresh_token(&ring, issuer, token, now) {
        let claims = verified.into_claims();
        let (true, Ok(family)) = (claims.client_id == client.id, claims.fid.parse::<FamilyId>()) else { return Ok(()) };
        let event = Event {
            user: claims.sub.parse().ok(),
            client: Some(client.id.clone()),
            subject: Some(family.to_string()),
            ..Event::new(EventKind::TokenRevoked, now, origin)
        };
        let client = client.id.clone();
        return room
            .db
            .tx(move |conn| {
                if refresh_tokens::revoke(conn, family, Some(&client), "revoked by its client", now)? {
                    audit::insert(conn, &event)?;
                }
                Ok(())
            })
            .await;
    }
    if let Ok(verified) = places::any_access_token(&ring, issuer, token, now) {
        let claims = verified.into_claims();
        let session = claims.sid.as_deref().and_then(|sid| sid.parse::<SessionId>().ok());
        let (true, Some(session), Ok(token), Some(until)) =
            (claims.client_id == client.id, session, claims.jti.parse(), Time::from_timestamp(claims.exp, 0))
        else {
            return Ok(());
        };
        let event = Event {
            user: claims.sub.parse().ok(),
            session: Some(session),
            client: Some(client.id.clone()),
            subject: Some(session.to_string()),
            ..Event::new(EventKind::TokenRevoked, now, origin)
        };
        let client = client.id.clone();
        return room
            .db
            .tx(move |conn| {
                let ended = sessions::revoke_of_client(conn, session, &client, now)?;
                // A browser session is its owner's, not the client's: there the token alone ends.
                if ended || revoked_tokens::insert(conn, token, until)? {
                    audit::insert(conn, &event)?;
                }
                Ok(())
            })
            .await;
    }
    Ok(())
}
