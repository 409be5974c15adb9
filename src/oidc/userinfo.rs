//! `GET` and `POST /oauth/userinfo` (OpenID Connect Core §5.3): the claims about a person that an access token allows.
//!
//! What must always hold: only an access token whose audience includes this server is accepted, in the header or in a
//! form body, never in the URL and never as a cookie; the response has the same `sub` as the ID token, and only claims
//! that the scopes or the claims request allow.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Oidc, Room};
use crate::account::guards::{Guard, Identity, VerifiedAccess};
use crate::domain::claims::{attribute_claims, claims_for, wants_groups};
use crate::domain::client::Client;
use crate::domain::scope::Scopes;
use crate::storage::users;
use crate::web::cors::hold_to_its_pages;
use crate::web::error::{Failure, Kind, OAuthFailure};
use crate::web::form::{Form, MaybeForm};

/// The media type of a signed response (OpenID Connect Core §5.3.2).
const SIGNED: &str = "application/jwt";

/// Returns the claims about the user that the access token allows.
#[utoipa::path(get, path = "/oauth/userinfo", tag = "OAuth",
    responses((status = 200, description = "The claims, including `sub`, as JSON, or as a signed JWT if the client registered `userinfo_signed_response_alg`"),
        (status = 401, description = "`invalid_token`"), (status = 403, description = "`insufficient_scope`: the access token lacks the scope `openid`")))]
pub async fn get(request: HttpRequest, room: Room, guard: web::Data<Guard>) -> Result<HttpResponse, OAuthFailure> {
    answer(&request, &room, &guard, None).await
}

/// Returns the same claims by POST. The access token may be sent in the body as `access_token` (RFC 6750 §2.2).
#[utoipa::path(post, path = "/oauth/userinfo", tag = "OAuth",
    request_body(content = Option<Object>, content_type = "application/x-www-form-urlencoded", description = "`access_token`, if it is not sent in the `Authorization` header"),
    responses((status = 200, description = "The claims, including `sub`, as JSON, or as a signed JWT if the client registered `userinfo_signed_response_alg`"),
        (status = 401, description = "`invalid_token`"), (status = 403, description = "`insufficient_scope`: the access token lacks the scope `openid`")))]
pub async fn post(
    request: HttpRequest,
    room: Room,
    guard: web::Data<Guard>,
    form: MaybeForm,
) -> Result<HttpResponse, OAuthFailure> {
    answer(&request, &room, &guard, form.0.as_ref()).await
}

async fn answer(
    request: &HttpRequest,
    room: &Oidc,
    guard: &Guard,
    form: Option<&Form>,
) -> Result<HttpResponse, OAuthFailure> {
    let access = presented(request, guard, form).await?;
    let identity = guard.holder(&access).await?;
    identity.require_scope("openid")?;
    let client = access.client();
    hold_to_its_pages(&room.clients, client, request.headers())?;
    let told = told(room, client, &identity, &access).await?;
    let algorithm = client.definition.userinfo_algorithm.as_deref().and_then(|name| name.parse().ok());
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(match algorithm {
        None => response.json(told),
        Some(algorithm) => {
            let signed = room.mint.userinfo(client, algorithm, told).map_err(Failure::unavailable)?;
            response.content_type(SIGNED).body(signed)
        }
    })
}

/// The access token of a request, which may be in one place only.
async fn presented(request: &HttpRequest, guard: &Guard, form: Option<&Form>) -> Result<VerifiedAccess, Failure> {
    let in_address =
        url::form_urlencoded::parse(request.query_string().as_bytes()).any(|(name, _)| name == "access_token");
    if in_address {
        let words = "An access token does not belong into the address, where logs keep it: send it in the header.";
        return Err(Failure::new(Kind::InvalidRequest, words));
    }
    let in_body = form.and_then(|form| form.find("access_token"));
    if in_body.is_some() && request.headers().contains_key(header::AUTHORIZATION) {
        let words = "The access token is sent twice: in the header and in the body.";
        return Err(Failure::new(Kind::InvalidRequest, words));
    }
    let access = guard.userinfo_token(request, in_body).await?;
    access.ok_or_else(|| Failure::new(Kind::NotSignedIn, "Send an access token: Authorization: Bearer <token>."))
}

async fn told(
    room: &Oidc,
    client: &Client,
    identity: &Identity,
    access: &VerifiedAccess,
) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let scopes = Scopes::parse(&access.scope).map_err(Failure::unavailable)?;
    let owner = identity.user.id;
    let groups = if wants_groups(&scopes, &access.userinfo_claims) {
        room.db.run(move |conn| users::groups_of(conn, owner)).await?
    } else {
        Vec::new()
    };
    let mut told = claims_for(&identity.user, &groups, &scopes, &access.userinfo_claims);
    told.extend(attribute_claims(&identity.user, &client.definition.attribute_claims, &scopes));
    told.extend(room.mint.named_hook_claims(&identity.session.hook_claims));
    told.insert("sub".to_owned(), room.mint.subject_of(client, owner).into());
    Ok(told)
}
