//! Well-known documents about passkeys, and about this server as a protected resource.

use std::sync::Arc;

use actix_web::http::header::HOST;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::see_other;
use crate::account::guards::Guard;
use crate::ceremony::Ceremonies;
use crate::domain::native_apps;
use crate::web::error::{Failure, Kind, Problem};

/// Returns the related origins (WebAuthn Level 3 §5.11.1) of the RP ID in `Host`.
///
/// It is the same list that origins are checked against.
#[utoipa::path(get, path = "/.well-known/webauthn", tag = "Well-known", responses((status = 200, description = "`{\"origins\": […]}`")))]
pub async fn webauthn(request: HttpRequest, room: web::Data<Arc<Ceremonies>>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "origins": room.profiles.published_at(host(&request)) }))
}

/// Returns the apps on Apple platforms that use the passkeys of the RP ID in `Host`.
#[utoipa::path(get, path = "/.well-known/apple-app-site-association", tag = "Well-known",
    responses((status = 200, description = "`{\"webcredentials\": {\"apps\": […]}}`"), (status = 404, description = "`not_found`: no such app is configured for this domain")))]
pub async fn apple_app_site_association(
    request: HttpRequest,
    room: web::Data<Arc<Ceremonies>>,
) -> Result<HttpResponse, Problem> {
    vouched(native_apps::site_association(&room.profiles.apps_at(host(&request))))
}

/// Returns the Android apps that use the passkeys of the RP ID in `Host` (Digital Asset Links).
#[utoipa::path(get, path = "/.well-known/assetlinks.json", tag = "Well-known",
    responses((status = 200, description = "A list of Digital Asset Links statements"), (status = 404, description = "`not_found`: no such app is configured for this domain")))]
pub async fn asset_links(request: HttpRequest, room: web::Data<Arc<Ceremonies>>) -> Result<HttpResponse, Problem> {
    vouched(native_apps::asset_links(&room.profiles.apps_at(host(&request))))
}

/// The requested host without its port. An RP ID is a domain, so anything after a colon is the port.
fn host(request: &HttpRequest) -> &str {
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    host.split_once(':').map_or(host, |(name, _)| name)
}

fn vouched(document: Option<Value>) -> Result<HttpResponse, Problem> {
    let document =
        document.ok_or_else(|| Failure::new(Kind::NotFound, "No native app is configured for this domain."))?;
    Ok(HttpResponse::Ok().insert_header(("cache-control", "public, max-age=3600")).json(document))
}

/// Returns the pages on which passkeys are created and managed (W3C "A Well-Known URL for Relying Party Passkey
/// Endpoints").
#[utoipa::path(get, path = "/.well-known/passkey-endpoints", tag = "Well-known", responses((status = 200, description = "`{\"enroll\": …, \"manage\": …}`")))]
pub async fn passkey_endpoints(guard: web::Data<Guard>) -> HttpResponse {
    let page = format!("{}/account/passkeys", guard.public_origin);
    HttpResponse::Ok().json(json!({ "enroll": page, "manage": page }))
}

/// Redirects to the page on which users change their credentials (W3C "A Well-Known URL for Changing Passwords"): here,
/// their passkeys.
#[utoipa::path(get, path = "/.well-known/change-password", tag = "Well-known", responses((status = 303, description = "Redirects to the passkeys page")))]
pub async fn change_password() -> HttpResponse {
    see_other("/account/passkeys")
}

/// Returns the protected resource metadata of this server's own APIs (RFC 9728 §3).
///
/// It names the authorization server that issues access tokens for them.
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource", tag = "Well-known",
    responses((status = 200, description = "`{\"resource\": …, \"authorization_servers\": […], …}`")))]
pub async fn protected_resource(guard: web::Data<Guard>) -> HttpResponse {
    let issuer = guard.mint.issuer();
    HttpResponse::Ok().insert_header(("cache-control", "public, max-age=3600")).json(json!({
        "resource": issuer,
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["openid", "profile", "email", "address", "phone", "passkeys", "admin"],
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
    }))
}

/// The pointer to this document in the challenge of a refusal (RFC 9728 §5.1).
pub fn pointer(issuer: &str) -> String {
    format!("resource_metadata=\"{issuer}/.well-known/oauth-protected-resource\"")
}
