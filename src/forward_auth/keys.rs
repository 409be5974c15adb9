//! The keys that verify the signed header of protected hosts.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::Room;
use crate::oidc;
use crate::tokens::Keys;
use crate::web::cached;
use crate::web::error::Problem;

/// Returns the public keys that verify the signed identity header of protected hosts.
#[utoipa::path(get, path = "/v1/forward-auth/jwks.json", tag = "Forward auth",
    responses((status = 200, description = "A JWK set"), (status = 404, description = "`not_found`: no protected hosts are configured")))]
pub async fn jwks(
    request: HttpRequest,
    room: Room,
    oidc: oidc::Room,
    keys: web::Data<Arc<Keys>>,
) -> Result<HttpResponse, Problem> {
    room.require_on()?;
    let ring = keys.ring();
    let set = ring.forward_jwks();
    Ok(cached::document(&request, &set.body, &set.etag, oidc.published.keys_max_age))
}
