//! What a route answers to.

use actix_web::http::Method;
use actix_web::{Route, guard, web};

/// A route for a method. What answers GET answers HEAD too (RFC 9110 §9.3.2), by the same handler: the server leaves the
/// body out and keeps the headers.
pub fn route(method: Method) -> Route {
    if method == Method::GET {
        web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
    } else {
        web::method(method)
    }
}
