//! Public documents made once: the same bytes for everybody, with an entity tag, cacheable for a while.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

/// Answers with a JSON document, or with 304 when the caller has it already. Readable from every origin: it holds nothing
/// that is not for everybody. `max_age` in seconds.
pub fn document(request: &HttpRequest, body: &str, etag: &str, max_age: i64) -> HttpResponse {
    let unchanged = has_it(request, etag);
    let mut response = if unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={max_age}")))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::ETAG, etag.to_owned()));
    if unchanged {
        return response.finish();
    }
    response.content_type("application/json").body(body.to_owned())
}

/// RFC 9110 §13.1.2.
fn has_it(request: &HttpRequest, etag: &str) -> bool {
    let tags = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    tags.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag))
}
