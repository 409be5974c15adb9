//! CORS: the registered origins of clients can read answers, never with cookies. Only the registration endpoints are
//! open to every origin: their answers are for whoever sent the request, and use no cookie.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use std::sync::Arc;

use crate::clients::{Clients, Owns};
use crate::domain::client::{Client, ClientKind};
use crate::web::error::{Failure, Kind};
use crate::web::origin::origin;

/// Whether apps can register themselves as clients, also from their own pages.
#[derive(Clone, Copy, Debug)]
pub struct SelfRegistration(pub bool);

/// Answers preflights, and lets the registered origins of clients read the answers of the paths meant for them. The
/// handlers still check each request against the origins of its own client.
pub async fn allow_clients(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody + 'static>>, Error> {
    let readers = Readers::of(&request);
    let asks =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if asks && !answers_for_others(request.path()) {
        let response = preflight(&readers);
        return Ok(request.into_response(response).map_into_right_body());
    }
    let mut response = next.call(request).await?.map_into_left_body();
    let headers = response.headers_mut();
    if matches!(readers, Readers::Clients(_)) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(origin) = readers.origin() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("DPoP-Nonce, Retry-After, WWW-Authenticate, X-Request-Id"),
        );
    }
    Ok(response)
}

/// Refuses a request from the page of another client, which could otherwise read the answer. A request from any other
/// origin (a browser extension, a program in a web view) is treated like one without an origin: no page can read its
/// answer.
///
/// # Errors
/// `invalid_request` if the request comes from the page of another client.
pub fn hold_to_its_pages(clients: &Clients, client: &Client, headers: &HeaderMap) -> Result<(), Failure> {
    let Some(origin) = origin(headers)? else { return Ok(()) };
    let kinds = [ClientKind::Public, ClientKind::Confidential];
    if client.owns_page(origin).is_err() && clients.any_has_origin(origin, &kinds, Client::owns_page) {
        let words = "The request comes from the page of another client: its origin is not one of this client's.";
        return Err(Failure::new(Kind::InvalidRequest, words));
    }
    Ok(())
}

/// Whose pages may read the answer to a request, in addition to our own.
enum Readers {
    /// No one's.
    None,
    /// Those of clients: the requesting origin, if a client registered it.
    Clients(Option<HeaderValue>),
    /// Everyone's: an app that registers is not a client yet, and uses a token instead of a cookie.
    Everybody,
}

impl Readers {
    fn of(request: &ServiceRequest) -> Self {
        if is_for_clients(request.path()) {
            Self::Clients(registered_origin(request))
        } else if is_for_newcomers(request.path()) && lets_apps_register(request) {
            Self::Everybody
        } else {
            Self::None
        }
    }

    /// `Access-Control-Allow-Origin`.
    fn origin(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Clients(origin) => origin.clone(),
            Self::Everybody => Some(HeaderValue::from_static("*")),
        }
    }

    /// `Access-Control-Allow-Methods` and `Access-Control-Allow-Headers`.
    const fn allowed(&self) -> (&'static str, &'static str) {
        match self {
            Self::None | Self::Clients(_) => ("GET, POST, PATCH, DELETE", "Authorization, Content-Type, DPoP"),
            Self::Everybody => ("GET, POST, PUT, DELETE", "Authorization, Content-Type"),
        }
    }
}

fn registered_origin(request: &ServiceRequest) -> Option<HeaderValue> {
    let origin = request.headers().get(header::ORIGIN)?;
    let clients = request.app_data::<web::Data<Arc<Clients>>>()?;
    let kinds: &[ClientKind] = if wants_authentication(request.path()) {
        // A confidential client must not use its secret in a page.
        &[ClientKind::Public]
    } else {
        &[ClientKind::Public, ClientKind::Confidential]
    };
    // Ceremonies are only for origins at which passkeys work.
    let owns: Owns = if request.path().starts_with("/oauth/") { Client::owns_page } else { Client::owns_origin };
    clients.any_has_origin(origin.to_str().ok()?, kinds, owns).then(|| origin.clone())
}

fn lets_apps_register(request: &ServiceRequest) -> bool {
    request.app_data::<SelfRegistration>().is_some_and(|registration| registration.0)
}

fn preflight(readers: &Readers) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::NO_CONTENT);
    response.insert_header((header::VARY, "Origin"));
    if let Some(origin) = readers.origin() {
        let (methods, headers) = readers.allowed();
        response.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
        response.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, methods));
        response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, headers));
        response.insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"));
    }
    response.finish()
}

/// Whether a success would let another request through. A proxy that forwards the method of the original request asks
/// with a preflight, too.
fn answers_for_others(path: &str) -> bool {
    path == "/v1/forward-auth" || path.starts_with("/v1/forward-auth/")
}

/// Whether pages of other origins can read a path's answers if a client registered them: the paths that ignore cookies
/// in requests from such pages.
pub fn is_for_clients(path: &str) -> bool {
    const EXACT: [&str; 5] = ["/oauth/token", "/oauth/par", "/oauth/revoke", "/oauth/userinfo", "/v1/passkeys"];
    const BELOW: [&str; 2] = ["/v1/passkeys/", "/v1/bridges/"];
    EXACT.contains(&path) || BELOW.iter().any(|start| path.starts_with(start))
}

/// Whether confidential clients authenticate at a path.
fn wants_authentication(path: &str) -> bool {
    matches!(path, "/oauth/token" | "/oauth/par" | "/oauth/revoke")
}

/// Whether apps register themselves, or read and change their registration, at a path. They do so with a token, never
/// with a cookie.
fn is_for_newcomers(path: &str) -> bool {
    path == "/oauth/register" || path.starts_with("/oauth/register/")
}
