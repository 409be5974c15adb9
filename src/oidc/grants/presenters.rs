//! Bad tokens that clients present: counted for each client and issuer, and blocked by network if there are too many.
//!
//! What must always hold: a blocked client learns nothing about any token, even a good one; a genuine token that has
//! expired, or cannot be used here, does not count as a guess; and forgeries of our own tokens block nobody, because
//! they cost one verification and anybody can make them.

use crate::domain::client::Client;
use crate::oidc::Oidc;
use crate::tokens::verifier;
use crate::web::caller::Network;
use crate::web::error::Failure;
use crate::web::limits::Presenter;

/// Stands for this server among the names of issuers.
const SELF: &str = "self";

/// A client that presents a token of some issuer.
pub struct Presented<'a> {
    room: &'a Oidc,
    by: Presenter,
}

impl<'a> Presented<'a> {
    /// Called before the token is examined.
    ///
    /// # Errors
    /// `rate_limited` for a client that is blocked.
    pub fn begin(room: &'a Oidc, client: &Client, network: Network, token: &str) -> Result<Self, Failure> {
        let by = (client.id.clone(), issuer(room, token), network);
        room.limits.check_presenter(&by)?;
        Ok(Self { room, by })
    }

    /// Called after a refusal. Counts it if the token itself was the reason.
    pub fn count_if(&self, in_vain: bool) {
        if !in_vain {
            return;
        }
        let (client, issuer, _) = &self.by;
        metrics::counter!("passmint_tokens_presented_in_vain_total", "client" => client.clone(), "issuer" => issuer.clone())
            .increment(1);
        if issuer != SELF && self.room.limits.count_in_vain(&self.by) {
            tracing::warn!(%client, %issuer, "a client presents too many tokens in vain, and is held off");
        }
    }
}

/// Our configured name for the issuer that a token claims to come from: the claim itself is not trusted.
fn issuer(room: &Oidc, token: &str) -> String {
    match verifier::claimed_issuer(token) {
        Ok(named) if named == room.mint.issuer() => SELF.to_owned(),
        _ => room.trusted_issuers.of_token(token).map_or_else(|_| "unknown".to_owned(), |one| one.trust().name.clone()),
    }
}
