//! `POST /oauth/par` (RFC 9126): a client sends its authorization request directly, and the browser carries only a
//! reference to it.
//!
//! What must always hold: the request is validated here as the authorization endpoint would, so that only a valid one
//! is stored and errors are reported to the client, not to a person; the reference is valid for one minute, for one
//! code, and only for the client that pushed the request.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Duration;
use serde::Serialize;
use utoipa::ToSchema;

use super::authorize::source::URN;
use super::authorize::{self, request_object};
use super::client_auth::{AuthenticatedClient, authenticate_newcomer};
use super::{Oidc, Room};
use crate::domain::authorization::{AuthorizationRequest, Delivery, Parameters, Refusal, ReturnTo, Unsafe};
use crate::domain::client::Client;
use crate::domain::secret::{PlainToken, TokenKind};
use crate::dpop;
use crate::storage::{pushed_requests, used_jti};
use crate::tokens::dpop::Jkt;
use crate::web::Caller;
use crate::web::error::{Failure, Kind, OAuthFailure};
use crate::web::form::{Form, OAuthForm};
use crate::web::limits::{Class, Limits};

/// How long a request waits for the browser. The person may take longer than that: the page that they open keeps the
/// request.
const PATIENCE: Duration = Duration::seconds(60);

/// Parameters that authenticate the client and are not part of its request.
const AUTHENTICATION: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// The pushed authorization response (RFC 9126 §2.2).
#[derive(Debug, Serialize, ToSchema)]
pub struct Pushed {
    /// The `request_uri` to send to the authorization endpoint.
    pub request_uri: String,
    /// Lifetime of the `request_uri`, in seconds.
    pub expires_in: i64,
}

/// Pushes an authorization request (RFC 9126).
#[utoipa::path(post, path = "/oauth/par", tag = "OAuth",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded", description = "The parameters of an authorization request, or a signed request object that contains them as `request`, and the client authentication"),
    responses((status = 201, body = Pushed), (status = 400, description = "The same error codes as the authorization endpoint, for an invalid request"), (status = 401, description = "`invalid_client`")))]
pub async fn post(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    form: OAuthForm,
) -> Result<HttpResponse, OAuthFailure> {
    limits.check(Class::Token, caller.network)?;
    let form = form.0;
    let proof = room.dpop.examine(&request)?;
    let client = authenticate_newcomer(&room, request.headers(), &form, caller.network).await?;
    let proven = room.dpop.key_of(proof).await?;
    let mut asked = read(&room, &client, &form).await?;
    asked.dpop_jkt = bound_key(asked.dpop_jkt, proven.as_ref())?;
    let mut response = HttpResponse::Created();
    if let Some(nonce) = room.dpop.nonce() {
        response.insert_header((dpop::NONCE, nonce));
    }
    Ok(response.json(keep(&room, asked).await?))
}

/// Reads and validates the request.
async fn read(room: &Oidc, client: &AuthenticatedClient, form: &Form) -> Result<AuthorizationRequest, Failure> {
    if form.find("request_uri").is_some() {
        let words = "A pushed request cannot refer to another one: leave out request_uri.";
        return Err(Failure::new(Kind::InvalidRequest, words));
    }
    let sent: Parameters = form.pairs().filter(|(name, _)| !AUTHENTICATION.contains(name)).collect();
    let (parameters, signed) = match sent.find("request") {
        Some(object) => (pushed_object(room, client, object).await?, true),
        None => (sent, false),
    };
    let to = ReturnTo::find(&parameters, client).map_err(unsafe_place)?;
    authorize::read(room, client, &parameters, to, Delivery { pushed: true, signed }).map_err(refused)
}

/// The parameters in a request object. The object is marked as used: the reference takes its place.
async fn pushed_object(room: &Oidc, client: &Client, object: &str) -> Result<Parameters, Failure> {
    let (parameters, once) = request_object::unfold(room, client, object).await?.map_err(refused)?;
    if let Some(once) = once {
        let spent = request_object::spent(client, &once);
        if !room.db.run(move |conn| used_jti::spend(conn, &spent)).await? {
            return Err(refused(Refusal::RequestObject));
        }
    }
    Ok(parameters)
}

/// The key that the code will be bound to: either named, or proven by the pushed request itself. If both, they must
/// agree (RFC 9449 §10.1).
fn bound_key(named: Option<String>, proven: Option<&Jkt>) -> Result<Option<String>, Failure> {
    match (named, proven) {
        (Some(named), Some(proven)) if named != proven.as_str() => {
            Err(Failure::new(Kind::InvalidDpopProof, "The parameter dpop_jkt is not the key of the DPoP proof."))
        }
        (named, proven) => Ok(named.or_else(|| proven.map(|key| key.as_str().to_owned()))),
    }
}

async fn keep(room: &Oidc, asked: AuthorizationRequest) -> Result<Pushed, Failure> {
    let handle = PlainToken::random(TokenKind::PushedRequest);
    let (digest, expires_at) = (handle.digest(), room.clock.now() + PATIENCE);
    room.db.run(move |conn| pushed_requests::insert(conn, &digest, &asked, expires_at)).await?;
    Ok(Pushed { request_uri: format!("{URN}{}", handle.expose()), expires_in: PATIENCE.num_seconds() })
}

fn unsafe_place(problem: Unsafe) -> Failure {
    Failure::new(Kind::InvalidRequest, format!("The request is not acceptable: {problem}."))
}

/// Converts a refusal of the authorization endpoint to an error of this endpoint (RFC 9126 §2.3).
fn refused(refusal: Refusal) -> Failure {
    let kind = Kind::ALL.iter().copied().find(|kind| kind.code() == refusal.code());
    Failure::new(kind.unwrap_or(Kind::InvalidRequest), refusal.description())
}
