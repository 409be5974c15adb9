//! Tokens that clients present in vain: counted for each client and issuer, and held off by network when they are too many.
//!
//! What must always hold: who is held off learns nothing of any token, however good it is; a genuine token that is over, or
//! cannot be used here, counts for nobody's guess; and nobody is held off for forgeries of our own tokens, which cost a
//! verification and can be made by anybody.

use crate::domain::client::Client;
use crate::oidc::Oidc;
use crate::tokens::verifier;
use crate::web::caller::Network;
use crate::web::error::Failure;
use crate::web::limits::Presenter;

/// Our own tokens, among the names of issuers.
const SELF: &str = "self";

/// A client with a token of some issuer.
pub struct Presented<'a> {
    room: &'a Oidc,
    by: Presenter,
}

impl<'a> Presented<'a> {
    /// Before the token is looked at.
    ///
    /// # Errors
    /// `rate_limited` for a client that is held off.
    pub fn begin(room: &'a Oidc, client: &Client, network: Network, token: &str) -> Result<Self, Failure> {
        let by = (client.id.clone(), issuer(room, token), network);
        room.limits.check_presenter(&by)?;
        Ok(Self { room, by })
    }

    /// After it was refused, if it was for the token itself.
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

/// Our name for the issuer that a token names; what it names is anybody's word.
fn issuer(room: &Oidc, token: &str) -> String {
    match verifier::claimed_issuer(token) {
        Ok(named) if named == room.mint.issuer() => SELF.to_owned(),
        _ => room.trusted_issuers.of_token(token).map_or_else(|_| "unknown".to_owned(), |one| one.trust().name.clone()),
    }
}
