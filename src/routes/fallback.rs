//! The response for unknown paths: a page for people, a problem document for programs.

use actix_web::http::header::{ACCEPT, ALLOW};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};

use super::methods_of;
use crate::site::Site;
use crate::web::error::{Failure, Kind, OAuthFailure, Problem};

/// 404, or 405 with `Allow` if the path exists with another method.
pub async fn nothing_here(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    let methods = methods_of(request.path());
    let failure = if methods.is_empty() {
        Failure::new(Kind::NotFound, "There is nothing at this address.")
    } else {
        Failure::new(Kind::MethodNotAllowed, format!("This address accepts {}.", methods.join(", ")))
    };
    let mut response = if wants_page(&request) { site.error_page(&request, &failure) } else { told(&request, failure) };
    if let (false, Ok(allow)) = (methods.is_empty(), methods.join(", ").parse()) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The response for programs, in the format of the place: OAuth clients expect `error`.
fn told(request: &HttpRequest, failure: Failure) -> HttpResponse {
    if !request.path().starts_with("/oauth/") {
        return Problem(failure).error_response();
    }
    OAuthFailure(failure).under_its_own_status()
}

/// 404 on the administration listener, which has none of the public routes.
pub async fn nothing_to_administer() -> HttpResponse {
    Problem(Failure::new(Kind::NotFound, "There is nothing at this address.")).error_response()
}

/// Whether the request comes from a person with a browser.
pub fn wants_page(request: &HttpRequest) -> bool {
    let api = ["/v1/", "/oauth/", "/.well-known/", "/.passmint/"].iter().any(|start| request.path().starts_with(start));
    let html = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.contains("text/html"));
    html && !api
}
