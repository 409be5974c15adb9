//! The passkey grant: the verify call of a sign-in or a sign-up, made at the token endpoint, where the client
//! authenticates. It uses the same functions as verify.

use crate::ceremony::CeremonyError;
use crate::ceremony::binding::{Answer, SecondCall, Via};
use crate::ceremony::outcome::Given;
use crate::domain::audit::Provenance;
use crate::domain::client::GrantType;
use crate::oidc::Oidc;
use crate::oidc::client_auth::AuthenticatedClient;
use crate::tokens::TokenSet;
use crate::tokens::dpop::Jkt;
use crate::web::error::{Failure, Kind};

/// Completes a ceremony that was begun for tokens of this client. If there is a `key`, the tokens are bound to it.
pub async fn finish(
    room: &Oidc,
    client: &AuthenticatedClient,
    (ceremony, credential): (&str, &str),
    key: Option<&Jkt>,
    provenance: &Provenance,
) -> Result<TokenSet, Failure> {
    client.may_use(GrantType::Passkey).map_err(CeremonyError::from)?;
    // The client's server calls instead of the browser, so there is no `Origin` and no cookie of ours to compare; the
    // browser's origin is in the signed client data.
    let call = SecondCall {
        via: Via::TokenEndpoint(client),
        origin: None,
        browser: None,
        session: None,
        same_origin: false,
        client: None,
        key,
    };
    let answer = Answer { handle: ceremony, credential: credential.as_bytes(), call, provenance };
    let done = room.ceremonies.finish_for_tokens(answer).await?;
    match done.given {
        Given::Tokens(tokens) => Ok(tokens),
        Given::Session(_) | Given::Bridge(_) | Given::Result(_) | Given::Proof(_) => {
            Err(Failure::new(Kind::InvalidGrant, "This ceremony was begun for something other than tokens."))
        }
    }
}
