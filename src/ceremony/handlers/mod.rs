//! The passkey API: JSON in camelCase, following WebAuthn.

pub mod actions;
pub mod authentication;
pub(crate) mod backend;
pub mod dto;
mod failure;
pub mod management;
pub mod registration;
pub mod transactions;
mod vouched;

use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{HttpRequest, web};

use super::Ceremonies;
use super::binding::{SecondCall, Via};
use super::error::CeremonyError;
use super::state::Wanted;
use super::wanted::{self, WantedRequest};
use crate::account::guards::{Guard, Identity};
use crate::domain::client::Client;
use crate::domain::secret::{PlainToken, TokenKind};
use crate::tokens::dpop::Jkt;
use crate::web::error::{Failure, Kind};
use crate::web::origin::{origin, require_same_origin};

/// The room, as handlers receive it.
pub type Room = web::Data<Arc<Ceremonies>>;

/// The browser that a ceremony is bound to, identified by a new or existing pre-session.
pub(crate) struct Browser {
    pub(crate) token: PlainToken,
    pub(crate) is_new: bool,
}

impl Browser {
    pub(crate) fn of(headers: &HeaderMap, guard: &Guard) -> Result<Self, Failure> {
        Ok(match guard.cookies.pre_session(headers)? {
            Some(token) => Self { token, is_new: false },
            None => Self { token: PlainToken::random(TokenKind::PreSession), is_new: true },
        })
    }
}

/// What the options call of any ceremony needs from its request.
pub(super) struct FirstCall<'a> {
    pub(super) origin: Option<&'a str>,
    pub(super) wanted: Wanted,
    pub(super) client: Option<Arc<Client>>,
    pub(super) browser: Option<Browser>,
}

impl<'a> FirstCall<'a> {
    /// Validates the requested result. A session is only for our own pages: same origin, and bound to the browser by a
    /// cookie.
    pub(super) fn read(
        request: &'a HttpRequest,
        room: &Ceremonies,
        guard: &'a Guard,
        asked: &WantedRequest,
    ) -> Result<Self, Failure> {
        let mut origin = origin(request.headers())?;
        let (wanted, client) = wanted::resolve(asked, origin, &room.mint, &room.clients, &room.bridges)?;
        let browser = match wanted {
            Wanted::Session => {
                if let Some(origin) = origin {
                    room.profiles.choose(Some(origin), None, None)?;
                    if origin != guard.public_origin {
                        return Err(not_for_apps());
                    }
                }
                require_same_origin(request.headers(), &guard.public_origin)?;
                // A session belongs to our own pages, even if the caller sends no `Origin`: no other profile applies.
                origin = Some(&guard.public_origin);
                Some(Browser::of(request.headers(), guard)?)
            }
            Wanted::Tokens { .. } | Wanted::Bridge { .. } | Wanted::Result { .. } => None,
        };
        Ok(Self { origin, wanted, client, browser })
    }
}

/// An app's page omitted `result`, which means that it asked for a session.
fn not_for_apps() -> Failure {
    let words = "A session is for this server's own pages. An app sends `result` with its `clientId`, as in \
                 {\"kind\": \"tokens\", \"clientId\": \"app\"}.";
    Failure::new(Kind::Csrf, words)
}

/// What the verify call contributes. Cookies are read only if the ceremony is bound to one.
pub(super) fn second_call<'a>(
    request: &'a HttpRequest,
    guard: &Guard,
    identity: Option<&Identity>,
    client: Option<&'a str>,
    key: Option<&'a Jkt>,
) -> Result<SecondCall<'a>, Failure> {
    Ok(SecondCall {
        via: Via::Verify,
        origin: origin(request.headers())?,
        browser: guard.cookies.pre_session(request.headers())?.map(|token| token.digest()),
        session: identity.map(|identity| identity.session.id),
        same_origin: require_same_origin(request.headers(), &guard.public_origin).is_ok(),
        client,
        key,
    })
}

/// The client with this ID, unless it is disabled.
pub(super) fn known_client(room: &Ceremonies, id: &str) -> Result<Arc<Client>, CeremonyError> {
    room.clients.find(id).ok_or(CeremonyError::NoSuchClient)
}

/// The DPoP key of a verify call that returns tokens. If the request carries an access token, the proof belongs to that
/// token.
pub(super) async fn proof_key(request: &HttpRequest, guard: &Guard) -> Result<Option<Jkt>, Failure> {
    if request.headers().contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    guard.dpop.proof_key(request).await
}

impl From<CeremonyError> for Failure {
    fn from(error: CeremonyError) -> Self {
        failure::failure(error)
    }
}
