//! Where the parameters of a request come from: today, from the browser itself.
//!
//! A client may also push them beforehand (RFC 9126) or sign them (RFC 9101). Both end here: a pushed request was read when
//! it was pushed and comes back as it was stored; a signed one gives the parameters that are read instead of those in the
//! address.

use super::super::Oidc;
use crate::domain::authorization::{AuthorizationRequest, Parameters};
use crate::domain::client::Client;
use crate::domain::secret::TokenDigest;
use crate::web::error::Failure;

/// A request, as far as it was read.
pub enum Source {
    /// Parameters to be read now.
    Sent(Parameters),
    /// Read before; the row is used up when a code is given.
    Pushed(AuthorizationRequest, TokenDigest),
}

/// Finds out. What is not understood stays among the parameters, and the checks refuse it by name.
#[expect(clippy::unused_async, reason = "a pushed request is read from the database")]
pub async fn resolve(_room: &Oidc, _client: &Client, parameters: Parameters) -> Result<Source, Failure> {
    Ok(Source::Sent(parameters))
}
