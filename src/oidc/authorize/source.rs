//! Where the parameters of a request come from: the browser itself, a request that the client pushed (RFC 9126), or an
//! object that it signed (RFC 9101), sent along or fetched from a URL that it registered.
//!
//! What must always hold: for a pushed or signed request, parameters beside it in the URL are ignored.

use super::super::Oidc;
use super::request_object;
use crate::domain::authorization::{AuthorizationRequest, Delivery, Parameters, Refusal, SignedOnce};
use crate::domain::client::Client;
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::storage::pushed_requests;
use crate::web::error::Failure;

/// The prefix of the `request_uri` of every pushed request (RFC 9126 §2.2).
pub const URN: &str = "urn:ietf:params:oauth:request_uri:";

/// A request, as far as it was read.
pub enum Source {
    /// Parameters that are still to be validated. A single-use object is used up when a code is issued.
    Sent(Parameters, Delivery, Option<SignedOnce>),
    /// Validated before. The row is used up when a code is issued.
    Pushed(Box<AuthorizationRequest>, TokenDigest),
    /// Refused before its parameters could be read. The parameters beside it determine where the response may go.
    Refused(Parameters, Refusal),
    /// An unknown or expired reference.
    Nothing,
}

/// Determines where the parameters of the request come from.
pub async fn resolve(room: &Oidc, client: &Client, sent: Parameters) -> Result<Source, Failure> {
    let unfolded = match (sent.find("request"), sent.find("request_uri")) {
        _ if sent.are_ambiguous() => Err(Refusal::Repeated),
        (None, None) => return Ok(Source::Sent(sent, Delivery::default(), None)),
        (Some(_), Some(_)) => Err(Refusal::TwoRequests),
        (Some(object), None) => request_object::unfold(room, client, object).await?,
        (None, Some(uri)) => match uri.strip_prefix(URN) {
            Some(handle) => return pushed(room, client, handle).await,
            None => request_object::fetch(room, client, uri).await?.map(|parameters| (parameters, None)),
        },
    };
    Ok(match unfolded {
        Ok((parameters, once)) => Source::Sent(parameters, Delivery { signed: true, ..Delivery::default() }, once),
        Err(refusal) => Source::Refused(sent, refusal),
    })
}

async fn pushed(room: &Oidc, client: &Client, handle: &str) -> Result<Source, Failure> {
    let Some(handle) = PlainToken::parse(TokenKind::PushedRequest, handle) else { return Ok(Source::Nothing) };
    let (digest, client, now) = (handle.digest(), client.id.clone(), room.clock.now());
    let found = room.db.run(move |conn| pushed_requests::find(conn, &digest, &client, now)).await?;
    Ok(found.map_or(Source::Nothing, |request| Source::Pushed(Box::new(request), digest)))
}
