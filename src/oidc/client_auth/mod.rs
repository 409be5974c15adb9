//! Client authentication (RFC 6749 §2.3).
//!
//! A client authenticates as its definition says ([`Client::authenticates_by`]) and in no other way: by its ID alone,
//! by its secret in the header (Basic) or in the body, by a signed assertion (RFC 7523), or, for a workload, by the
//! token of its platform. Never by two methods at once. An unknown client and a wrong secret take the same steps and
//! get the same answer; the log says which it was. Client IDs are not secret: an ID that is not in memory is also
//! looked up in the database, which takes longer.

mod assertion;
mod federated;
mod presented;

use std::sync::Arc;

use actix_web::http::header::HeaderMap;

use self::presented::{Presented, Proof};
use super::Oidc;
use crate::clock::Time;
use crate::domain::client::{Client, ClientKind};
use crate::domain::secret::TokenDigest;
use crate::web::caller::Network;
use crate::web::cors::hold_to_its_pages;
use crate::web::error::{Failure, Kind};
use crate::web::form::Form;

/// A client that has authenticated (or, if it is public, has identified itself).
#[derive(Clone, Debug)]
#[must_use = "what is done next is done for this client"]
pub struct AuthenticatedClient(Arc<Client>);

impl std::ops::Deref for AuthenticatedClient {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.0
    }
}

/// Authenticates the client of a request, where the client must already be known.
pub async fn authenticate(room: &Oidc, headers: &HeaderMap, form: &Form) -> Result<AuthenticatedClient, Failure> {
    let presented = presented::read(headers, form)?;
    let known = room.registration.known(&presented.id).await?;
    prove(room, headers, &presented, known).await
}

/// As [`authenticate`], for endpoints where a client may first appear: if its ID is the address of a metadata document,
/// the document is fetched, within the limits of the caller's network.
pub async fn authenticate_newcomer(
    room: &Oidc,
    headers: &HeaderMap,
    form: &Form,
    network: Network,
) -> Result<AuthenticatedClient, Failure> {
    let presented = presented::read(headers, form)?;
    room.limit_newcomers(&presented.id, network)?;
    let known = room.registration.resolve(&presented.id).await?;
    prove(room, headers, &presented, known).await
}

async fn prove(
    room: &Oidc,
    headers: &HeaderMap,
    presented: &Presented,
    known: Option<Arc<Client>>,
) -> Result<AuthenticatedClient, Failure> {
    let now = room.clock.now();
    let client = recognise(presented, known, now).map_err(refused)?;
    match &presented.proof {
        Proof::Assertion(token) => assertion::check(room, &client, token, now).await?,
        Proof::Federated(token) => federated::check(room, &client, token, now).await?,
        Proof::Nothing | Proof::Basic(_) | Proof::Post(_) => {}
    }
    hold_to_its_pages(&room.clients, &client, headers)?;
    Ok(AuthenticatedClient(client))
}

/// As [`authenticate`], for endpoints that only confidential clients may use.
pub async fn authenticate_confidential(
    room: &Oidc,
    headers: &HeaderMap,
    form: &Form,
) -> Result<AuthenticatedClient, Failure> {
    let client = authenticate(room, headers, form).await?;
    match client.definition.kind {
        ClientKind::Confidential => Ok(client),
        ClientKind::Public => Err(Failure::new(Kind::InvalidClient, "Only an authenticated client may call this.")),
    }
}

/// Returns the client if it used its registered authentication method. A secret is verified here; an assertion or a
/// token is only found to be the right method, and is verified later.
fn recognise(presented: &Presented, client: Option<Arc<Client>>, now: Time) -> Result<Arc<Client>, &'static str> {
    let secret = match &presented.proof {
        Proof::Basic(secret) | Proof::Post(secret) => secret.expose().as_str(),
        Proof::Nothing | Proof::Assertion(_) | Proof::Federated(_) => "",
    };
    // The digest is always computed and compared, so that an unknown client takes as long as a wrong secret.
    let digest = TokenDigest::of(secret);
    let matches = |stored: Option<TokenDigest>| {
        let is_equal = stored.unwrap_or(TokenDigest::of("")).matches(&digest);
        stored.is_some() & is_equal
    };
    let is_current = matches(client.as_ref().and_then(|client| client.secret));
    let previous = client.as_ref().and_then(|client| client.previous_secret).filter(|(_, until)| now < *until);
    let knows_secret = is_current | matches(previous.map(|(digest, _)| digest));
    let client = client.ok_or("unknown or disabled")?;
    match presented.proof {
        _ if !presented.proof.is_way_of(&client) => Err("another method than the client's own"),
        Proof::Basic(_) | Proof::Post(_) if !knows_secret => Err("wrong secret"),
        _ => Ok(client),
    }
}

fn refused(reason: &'static str) -> Failure {
    let words = "The client is unknown or disabled, or it did not authenticate by its own method.";
    Failure::new(Kind::InvalidClient, words).because(reason)
}

#[cfg(test)]
mod tests;
