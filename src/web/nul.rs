//! Refuses NUL characters: PostgreSQL cannot store them in text, so no name, ID or filter of the API can contain one.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError as _};

use super::error::{Failure, Kind, Problem};

/// Refuses a NUL in paths and queries of the API before they are used.
pub async fn refuse(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    // The path is decoded, because it can be encoded in several ways. A NUL has only one encoding, because a bare one
    // is not valid in a URI.
    let path = request.match_info().as_str();
    if request.uri().path_and_query().is_some_and(|target| has_nul(path, target.as_str())) {
        let words = "The address contains a NUL (%00), which no name and no filter has.";
        let answer = Problem(Failure::new(Kind::InvalidRequest, words)).error_response();
        return Ok(request.into_response(answer).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

fn has_nul(path: &str, target: &str) -> bool {
    // A proxy forwards the query of the original request, which belongs to the app.
    let is_of_an_app =
        path.strip_prefix("/v1/forward-auth").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path.starts_with("/v1/") && !is_of_an_app && target.contains("%00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_in_paths_and_queries_of_the_api() {
        for (path, target, refused) in [
            ("/v1/admin/groups/\0", "/v1/admin/groups/%00", true),
            ("/v1/admin/groups/\0", "/%761/admin/groups/%00", true),
            ("/v1/admin/users", "/v1/admin/users?email=a%00b", true),
            ("/v1/admin/users", "/v1/admin/users?%00=x", true),
            ("/v1/admin/groups/%00", "/v1/admin/groups/%2500", false),
            ("/v1/admin/users", "/v1/admin/users?email=00", false),
            ("/v1/forward-auth", "/v1/forward-auth?q=a%00b", false),
            ("/v1/forward-auth/nginx", "/v1/forward-auth/nginx?q=a%00b", false),
            ("/v1/forward-authors", "/v1/forward-authors?q=a%00b", true),
            // Apps get their `state` back unchanged, whatever it contains.
            ("/oauth/authorize", "/oauth/authorize?state=%00", false),
        ] {
            assert_eq!(has_nul(path, target), refused, "{target}");
        }
    }
}
