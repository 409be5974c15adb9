//! The public keys, as bytes prepared once (RFC 7517 §5).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::Room;
use crate::tokens::Keys;
use crate::web::cached;

/// Returns the public keys that verify the access tokens and ID tokens of this server.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "OAuth", responses((status = 200, description = "A JWK set")))]
pub async fn jwks(request: HttpRequest, room: Room, keys: web::Data<Arc<Keys>>) -> HttpResponse {
    let ring = keys.ring();
    cached::document(&request, &ring.jwks().body, &ring.jwks().etag, room.published.keys_max_age)
}
