//! The public keys, as bytes prepared once (RFC 7517 §5).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::Room;
use crate::tokens::Keys;
use crate::web::cached;
use crate::web::error::{Failure, Kind, Problem};

/// The keys that verify our access and ID tokens.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "OAuth", responses((status = 200, description = "A JWK set")))]
pub async fn jwks(request: HttpRequest, room: Room, keys: web::Data<Arc<Keys>>) -> HttpResponse {
    let ring = keys.ring();
    cached::document(&request, &ring.jwks().body, &ring.jwks().etag, room.published.keys_max_age)
}

/// The keys that verify one bridge's tokens.
#[utoipa::path(get, path = "/v1/bridges/{name}/jwks.json", tag = "Bridges", params(("name" = String, Path)),
    responses((status = 200, description = "A JWK set"), (status = 404, description = "`not_found`")))]
pub async fn bridge_jwks(
    request: HttpRequest,
    room: Room,
    keys: web::Data<Arc<Keys>>,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let ring = keys.ring();
    let set = ring
        .bridge_jwks(&name)
        .ok_or_else(|| Failure::new(Kind::NotFound, "There is no such bridge, or it has no key of its own."))?;
    Ok(cached::document(&request, &set.body, &set.etag, room.published.keys_max_age))
}
