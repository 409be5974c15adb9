//! What the server was set up with, for extractors.

use actix_web::HttpRequest;
use actix_web::web::Data;

use super::error::{Failure, Kind};

/// A room, or whatever else `app.rs` gives all requests.
///
/// # Errors
/// `internal` when it gave nothing of this type: a mistake of ours that the first request shows.
pub fn app_data<T: 'static>(request: &HttpRequest) -> Result<Data<T>, Failure> {
    let found = request.app_data::<Data<T>>().cloned();
    found.ok_or_else(|| Failure::new(Kind::Internal, "The server is not set up completely."))
}
