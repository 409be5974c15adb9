//! The public keys, as bytes prepared once (RFC 7517 §5).

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::tokens::Keys;
use crate::tokens::jwks::Jwks;
use crate::web::error::{Failure, Kind, Problem};

/// The keys that verify our access and ID tokens.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "OAuth", responses((status = 200, description = "A JWK set")))]
pub async fn jwks(request: HttpRequest, keys: web::Data<Arc<Keys>>) -> HttpResponse {
    answer(&request, keys.ring().jwks())
}

/// The keys that verify one bridge's tokens.
#[utoipa::path(get, path = "/v1/bridges/{name}/jwks.json", tag = "Bridges", params(("name" = String, Path)),
    responses((status = 200, description = "A JWK set"), (status = 404, description = "`not_found`")))]
pub async fn bridge_jwks(
    request: HttpRequest,
    keys: web::Data<Arc<Keys>>,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let ring = keys.ring();
    let set = ring
        .bridge_jwks(&name)
        .ok_or_else(|| Failure::new(Kind::NotFound, "There is no such bridge, or it has no key of its own."))?;
    Ok(answer(&request, set))
}

fn answer(request: &HttpRequest, set: &Jwks) -> HttpResponse {
    let unchanged = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == &*set.etag));
    let mut response = if unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::ETAG, set.etag.to_string()));
    if unchanged {
        return response.finish();
    }
    response.content_type("application/json").body(set.body.to_string())
}
