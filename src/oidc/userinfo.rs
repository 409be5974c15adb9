//! `GET` and `POST /oauth/userinfo` (OpenID Connect Core §5.3): the claims about a person that an access token allows.
//!
//! What must hold: only an access token for this server opens it, in the header or in a form body, never in the address and
//! never a cookie; the answer has the `sub` of the ID token, and no claim that neither scope nor request allows.

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Oidc, Room};
use crate::account::guards::{Guard, Identity, bearer};
use crate::domain::claims::{claims_for, wants_groups};
use crate::domain::client::Client;
use crate::domain::scope::Scopes;
use crate::storage::users;
use crate::tokens::claims::AccessClaims;
use crate::web::error::{Failure, Kind, OAuthFailure};
use crate::web::form::{Form, MaybeForm};
use crate::web::origin::origin;

/// The media type of a signed answer (OpenID Connect Core §5.3.2).
const SIGNED: &str = "application/jwt";

/// Tells the claims that an access token allows.
#[utoipa::path(get, path = "/oauth/userinfo", tag = "OAuth",
    responses((status = 200, description = "Claims with `sub`, as JSON; a signed JWT for clients that registered so"),
        (status = 401, description = "`invalid_token`"), (status = 403, description = "`insufficient_scope`: it lacks `openid`")))]
pub async fn get(request: HttpRequest, room: Room, guard: web::Data<Guard>) -> Result<HttpResponse, OAuthFailure> {
    answer(&request, &room, &guard, None).await
}

/// The same by POST; the token may be in the body as `access_token` (RFC 6750 §2.2).
#[utoipa::path(post, path = "/oauth/userinfo", tag = "OAuth",
    request_body(content = Option<Object>, content_type = "application/x-www-form-urlencoded", description = "`access_token`, unless it is in the header"),
    responses((status = 200, description = "Claims with `sub`, as JSON; a signed JWT for clients that registered so"),
        (status = 401, description = "`invalid_token`"), (status = 403, description = "`insufficient_scope`: it lacks `openid`")))]
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
    let token = presented(request, form)?;
    let (identity, claims) = holder(guard, &token).await?;
    identity.require_scope("openid")?;
    let client = room.clients.find(&claims.client_id).ok_or_else(refused)?;
    held_to_its_pages(request.headers(), &client)?;
    let told = told(room, &client, &identity, &claims).await?;
    let algorithm = client.definition.userinfo_algorithm.as_deref().and_then(|name| name.parse().ok());
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(match algorithm {
        None => response.json(told),
        Some(algorithm) => {
            let signed = room.mint.userinfo(&client, algorithm, told).map_err(Failure::unavailable)?;
            response.content_type(SIGNED).body(signed)
        }
    })
}

/// The access token of a request, from the one place that has it.
fn presented(request: &HttpRequest, form: Option<&Form>) -> Result<String, Failure> {
    let in_address =
        url::form_urlencoded::parse(request.query_string().as_bytes()).any(|(name, _)| name == "access_token");
    if in_address {
        let words = "An access token does not belong into the address, where logs keep it: send it in the header.";
        return Err(Failure::new(Kind::InvalidRequest, words));
    }
    match (bearer(request.headers())?, form.and_then(|form| form.find("access_token"))) {
        (Some(token), None) | (None, Some(token)) => Ok(token.to_owned()),
        (Some(_), Some(_)) => {
            Err(Failure::new(Kind::InvalidRequest, "The access token is sent twice: in the header and in the body."))
        }
        (None, None) => Err(Failure::new(Kind::NotSignedIn, "Send an access token: Authorization: Bearer <token>.")),
    }
}

/// Who holds the token, if it is good here and now.
async fn holder(guard: &Guard, token: &str) -> Result<(Identity, AccessClaims), Failure> {
    guard.by_access_token(token).await
}

fn refused() -> Failure {
    Failure::new(Kind::InvalidToken, "The access token is not valid here, has expired or was revoked.")
}

/// The pages of one client may read answers that are for clients, so each request of a page is held to its own client's.
fn held_to_its_pages(headers: &HeaderMap, client: &Client) -> Result<(), Failure> {
    let Some(origin) = origin(headers)? else { return Ok(()) };
    client.owns_origin(origin).map_err(|_| {
        let words = "The request comes from a page whose origin is not one of the origins of the token's client.";
        Failure::new(Kind::InvalidRequest, words)
    })
}

async fn told(
    room: &Oidc,
    client: &Client,
    identity: &Identity,
    claims: &AccessClaims,
) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let scopes = Scopes::parse(&claims.scope).map_err(|_| refused())?;
    let owner = identity.user.id;
    let groups =
        if wants_groups(&scopes) { room.db.run(move |conn| users::groups_of(conn, owner)).await? } else { Vec::new() };
    let mut told = claims_for(&identity.user, &groups, &scopes, &claims.userinfo_claims);
    told.insert("sub".to_owned(), room.mint.subject_of(client, owner).into());
    Ok(told)
}
