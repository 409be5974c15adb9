//! Public documents that are rendered once: the same bytes for every caller, with an entity tag and a cache lifetime.

use std::borrow::Cow;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

/// A document and its media type.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    /// The media type.
    pub content_type: &'static str,
    /// The content.
    pub body: Cow<'a, str>,
}

/// Answers with a JSON document, as [`answer`] does.
pub fn document(request: &HttpRequest, body: &str, etag: &str, max_age: i64) -> HttpResponse {
    answer(request, Document { content_type: "application/json", body: body.into() }, etag, max_age)
}

/// Answers with a document, or with 304 if the caller already has it. Every origin may read it, because it holds only
/// public data. `max_age` is in seconds.
pub fn answer(request: &HttpRequest, document: Document<'_>, etag: &str, max_age: i64) -> HttpResponse {
    let unchanged = has_it(request, etag);
    let mut response = if unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={max_age}")))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::ETAG, etag.to_owned()));
    if unchanged {
        return response.finish();
    }
    response.content_type(document.content_type).body(document.body.into_owned())
}

/// RFC 9110 §13.1.2.
fn has_it(request: &HttpRequest, etag: &str) -> bool {
    let tags = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    tags.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag))
}
