//! Application data, for extractors.

use actix_web::HttpRequest;
use actix_web::web::Data;

use super::error::{Failure, Kind};

/// The state of a room, or any other value that `app.rs` registers for all requests.
///
/// # Errors
/// `internal` if no value of this type is registered: a defect that shows at the first request.
pub fn app_data<T: 'static>(request: &HttpRequest) -> Result<Data<T>, Failure> {
    let found = request.app_data::<Data<T>>().cloned();
    found.ok_or_else(|| Failure::new(Kind::Internal, "The server is not set up completely."))
}
