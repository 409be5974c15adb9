//! Cross-origin reading, exactly for the registered origins of clients, never with cookies. Only where apps register
//! themselves may every page ask: what it is told is for whoever asked.

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

/// Whether apps that are no clients yet may register here, from a page of theirs as well.
#[derive(Clone, Copy, Debug)]
pub struct SelfRegistration(pub bool);

/// Answers preflights, and lets the registered origins of clients read the answers of the paths that are for them. The
/// handlers still hold each request to the origins of its own client.
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

/// Holds a request to its own client's pages: the page of another client could read the answer. What comes from any other
/// origin (an extension, a program in a web view) says no more of itself than what comes from none, and no page reads the answer.
///
/// # Errors
/// `invalid_request`, for the page of another client.
pub fn hold_to_its_pages(clients: &Clients, client: &Client, headers: &HeaderMap) -> Result<(), Failure> {
    let Some(origin) = origin(headers)? else { return Ok(()) };
    let kinds = [ClientKind::Public, ClientKind::Confidential];
    if client.owns_page(origin).is_err() && clients.any_has_origin(origin, &kinds, Client::owns_page) {
        let words = "The request comes from the page of another client: its origin is not one of this client's.";
        return Err(Failure::new(Kind::InvalidRequest, words));
    }
    Ok(())
}

/// Whose pages may read the answer to a request, beside our own.
enum Readers {
    /// Nobody's.
    None,
    /// Those of clients: the origin that asks, if it is one of theirs.
    Clients(Option<HeaderValue>),
    /// Everybody's: who registers is no client yet, and shows a permission instead of a cookie.
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
        // A secret has no business in a page.
        &[ClientKind::Public]
    } else {
        &[ClientKind::Public, ClientKind::Confidential]
    };
    // Ceremonies are for origins at which passkeys work.
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

/// Whether a path is one at which confidential clients authenticate.
fn wants_authentication(path: &str) -> bool {
    matches!(path, "/oauth/token" | "/oauth/par" | "/oauth/revoke")
}

/// Whether a path is one at which an app registers itself, and sees and changes what it registered: by a token, never by a
/// cookie.
fn is_for_newcomers(path: &str) -> bool {
    path == "/oauth/register" || path.starts_with("/oauth/register/")
}
