//! Cross-origin reading, exactly for the registered origins of clients, never with cookies.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use std::sync::Arc;

use crate::clients::Clients;

/// Answers preflights, and lets the registered origins of clients read the answers of the paths that are for them. The
/// handlers still hold each request to the origins of its own client.
pub async fn allow_clients(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody + 'static>>, Error> {
    let origin = allowed_origin(&request);
    let asks =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if asks && !answers_for_others(request.path()) {
        let response = preflight(origin);
        return Ok(request.into_response(response).map_into_right_body());
    }
    let shared = is_for_clients(request.path());
    let mut response = next.call(request).await?.map_into_left_body();
    if shared {
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("DPoP-Nonce, Retry-After, WWW-Authenticate, X-Request-Id"),
            );
        }
    }
    Ok(response)
}

fn allowed_origin(request: &ServiceRequest) -> Option<HeaderValue> {
    if !is_for_clients(request.path()) {
        return None;
    }
    let origin = request.headers().get(header::ORIGIN)?;
    let clients = request.app_data::<web::Data<Arc<Clients>>>()?;
    clients.any_has_origin(origin.to_str().ok()?).then(|| origin.clone())
}

fn preflight(origin: Option<HeaderValue>) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::NO_CONTENT);
    response.insert_header((header::VARY, "Origin"));
    if let Some(origin) = origin {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
        response.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE"));
        response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, DPoP"));
        response.insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"));
    }
    response.finish()
}

/// Whether a success would let somebody else's request through: a proxy that passes the method of a request on with its
/// question asks with a preflight, too.
fn answers_for_others(path: &str) -> bool {
    path == "/v1/forward-auth" || path.starts_with("/v1/forward-auth/")
}

/// Whether other origins' pages may read a path's answers, as far as they are registered for a client: the paths that
/// never use a cookie when such a page calls.
pub fn is_for_clients(path: &str) -> bool {
    const EXACT: [&str; 5] = ["/oauth/token", "/oauth/par", "/oauth/revoke", "/oauth/userinfo", "/v1/passkeys"];
    const BELOW: [&str; 2] = ["/v1/passkeys/", "/v1/bridges/"];
    EXACT.contains(&path) || BELOW.iter().any(|start| path.starts_with(start))
}
