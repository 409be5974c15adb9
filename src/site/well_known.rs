//! Well-known documents about passkeys, and about this server as a protected resource.

use std::sync::Arc;

use actix_web::http::header::HOST;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::account::guards::Guard;
use crate::ceremony::Ceremonies;

/// Related origins (WebAuthn Level 3 §5.11.1) of the RP id whose host is asked, from the very list that origins are checked by.
#[utoipa::path(get, path = "/.well-known/webauthn", tag = "Well-known", responses((status = 200, description = "`{\"origins\": […]}`")))]
pub async fn webauthn(request: HttpRequest, room: web::Data<Arc<Ceremonies>>) -> HttpResponse {
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // An RP id is a domain, so what follows a colon is the port.
    let host = host.split_once(':').map_or(host, |(name, _)| name);
    HttpResponse::Ok().json(json!({ "origins": room.profiles.published_at(host) }))
}

/// Where passkeys are made and managed (W3C "A Well-Known URL for Relying Party Passkey Endpoints").
#[utoipa::path(get, path = "/.well-known/passkey-endpoints", tag = "Well-known", responses((status = 200, description = "`{\"enroll\": …, \"manage\": …}`")))]
pub async fn passkey_endpoints(guard: web::Data<Guard>) -> HttpResponse {
    let page = format!("{}/account/passkeys", guard.public_origin);
    HttpResponse::Ok().json(json!({ "enroll": page, "manage": page }))
}

/// This server's own APIs as a protected resource (RFC 9728 §3): which authorization server gives tokens for them.
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

/// The pointer to that document in a refusal's challenge (RFC 9728 §5.1).
pub fn pointer(issuer: &str) -> String {
    format!("resource_metadata=\"{issuer}/.well-known/oauth-protected-resource\"")
}
