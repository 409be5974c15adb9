//! Limits for the headers of a request. On its own, actix-web accepts 128 KiB and 96 fields.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError as _};

use super::error::{Failure, Kind, Problem};

/// Maximum number of bytes from the request line to the empty line.
const MOST_BYTES: usize = 16 * 1024;
/// Maximum number of header fields.
const MOST_FIELDS: usize = 64;

/// Refuses a request over the limits before its content is processed.
pub async fn refuse(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    if request.headers().len() > MOST_FIELDS || bytes(&request) > MOST_BYTES {
        let words = "The headers are longer than 16 KiB or more than 64. Old cookies may be the cause: delete those of this address.";
        let answer = Problem(Failure::new(Kind::HeadersTooLarge, words)).error_response();
        return Ok(request.into_response(answer).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

/// The length of the header section in its shortest form: one space wherever several are allowed.
fn bytes(request: &ServiceRequest) -> usize {
    const BETWEEN: usize = ": \r\n".len();
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let line = request.method().as_str().len() + target + "  HTTP/1.1\r\n".len();
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + BETWEEN);
    line + fields.sum::<usize>() + "\r\n".len()
}
