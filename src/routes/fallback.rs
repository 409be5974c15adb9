//! What is answered where there is nothing: a page for people, a problem for programs.

use actix_web::http::header::{ACCEPT, ALLOW};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};

use super::methods_of;
use crate::site::Site;
use crate::web::error::{Failure, Kind, OAuthFailure, Problem};

/// 404, or 405 with `Allow` where the path exists under another method.
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

/// For programs, in the form of the place: what speaks OAuth looks for `error`.
fn told(request: &HttpRequest, failure: Failure) -> HttpResponse {
    if !request.path().starts_with("/oauth/") {
        return Problem(failure).error_response();
    }
    OAuthFailure(failure).under_its_own_status()
}

/// The same on the administration listener, which has none of the public routes.
pub async fn nothing_to_administer() -> HttpResponse {
    Problem(Failure::new(Kind::NotFound, "There is nothing at this address.")).error_response()
}

/// Whether a person with a browser is asking.
pub fn wants_page(request: &HttpRequest) -> bool {
    let api = ["/v1/", "/oauth/", "/.well-known/", "/.passmint/"].iter().any(|start| request.path().starts_with(start));
    let html = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.contains("text/html"));
    html && !api
}
