//! Routes by method.

use actix_web::http::Method;
use actix_web::{Route, guard, web};

/// A route for a method. A route for GET also handles HEAD (RFC 9110 §9.3.2): the same handler runs, and the server
/// omits the body and keeps the headers.
pub fn route(method: Method) -> Route {
    if method == Method::GET {
        web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
    } else {
        web::method(method)
    }
}
