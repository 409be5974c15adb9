//! Apps that register themselves (RFC 7591, RFC 7592, OpenID Connect Dynamic Client Registration 1.0), and apps that
//! are described by the document at their ID.
//!
//! What must always hold: a client that registered itself is never first-party, never runs ceremonies, never
//! administers, and is subject to the same rules as a declared one; what it asks for and the policy does not allow is
//! left out, or refused if no grant or no redirect URI would remain; everything fetched for it goes through the
//! outbound client; its registration access token is stored as a digest and replaced at each use that changes
//! something.

mod fetched;
mod manage;
mod metadata;
mod metadata_document;
mod register;

use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::web;
use moka::sync::Cache;
use tokio::sync::Mutex;

pub use manage::{__path_read, __path_remove, __path_update, read, remove, update};
pub use metadata::Policy;
pub use register::{__path_register, register};

use crate::clients::Clients;
use crate::clients::rules::Rules;
use crate::clock::{Clock, Time};
use crate::config::RegistrationMode;
use crate::outbound::Outbound;
use crate::storage::Db;
use crate::web::error::{Failure, Kind, OAuthFailure};

/// The room.
pub struct Registration {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The clients.
    pub clients: Arc<Clients>,
    /// The rules for every client.
    pub rules: Rules,
    /// Our issuer URL.
    pub issuer: String,
    /// What self-registered clients may have.
    pub policy: Policy,
    /// Fetches what clients refer to.
    pub outbound: Outbound,
    /// Documents that are being fetched, or the time at which fetching them failed.
    pub documents: Cache<String, Arc<Mutex<Option<Time>>>>,
}

/// The room, as handlers receive it.
pub type Room = web::Data<Arc<Registration>>;

/// An error of a registration endpoint: RFC 7591 §3.2.2, or a 404 while registration is off.
#[derive(Debug)]
pub enum Refused {
    /// With the status that OAuth assigns.
    OAuth(OAuthFailure),
    /// With the HTTP status of the error itself.
    Off(OAuthFailure),
}

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::OAuth(OAuthFailure(error.into()))
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OAuth(failure) | Self::Off(failure) => failure.fmt(f),
        }
    }
}

impl actix_web::ResponseError for Refused {
    fn status_code(&self) -> actix_web::http::StatusCode {
        match self {
            Self::OAuth(failure) => failure.status_code(),
            Self::Off(failure) => failure.0.kind().status(),
        }
    }

    fn error_response(&self) -> actix_web::HttpResponse {
        match self {
            Self::OAuth(failure) => failure.error_response(),
            Self::Off(failure) => failure.under_its_own_status(),
        }
    }
}

impl Registration {
    fn require_on(&self) -> Result<(), Refused> {
        match self.policy.mode {
            RegistrationMode::Off => Err(Refused::Off(OAuthFailure(Failure::new(
                Kind::NotFound,
                "Apps do not register themselves here. Ask the operator of this server for a client.",
            )))),
            RegistrationMode::Token | RegistrationMode::Open => Ok(()),
        }
    }
}

/// The bearer token of a request (RFC 6750 §2.1).
fn permission(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut values = headers.get_all(AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(None) };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(no_permission)?;
    let fits = values.next().is_none() && scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    if fits { Ok(Some(token)) } else { Err(no_permission()) }
}

fn no_permission() -> Failure {
    Failure::new(Kind::InvalidToken, "The initial access token is missing, unknown, used up, expired or revoked.")
}
