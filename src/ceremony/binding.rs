//! Checks whether a verify call belongs to the options call of its ceremony.

use super::error::CeremonyError;
use super::relying_party::RelyingParty;
use super::state::{Ceremony, Purpose, Wanted};
use crate::domain::action::owns;
use crate::domain::audit::Provenance;
use crate::domain::client::{Client, ClientKind};
use crate::domain::id::SessionId;
use crate::domain::secret::TokenDigest;
use crate::tokens::dpop::Jkt;

/// How the verify call arrives.
#[derive(Clone, Copy)]
pub enum Via<'a> {
    /// At the verify endpoint: the ceremony's ID is the only proof.
    Verify,
    /// At the endpoint that completes the signing of an operation.
    Signing,
    /// At the token endpoint, by an authenticated client.
    TokenEndpoint(&'a Client),
}

/// What the verify call contributes.
#[derive(Clone, Copy)]
pub struct SecondCall<'a> {
    /// How it arrives.
    pub via: Via<'a>,
    /// Its `Origin`.
    pub origin: Option<&'a str>,
    /// The digest of its pre-session cookie.
    pub browser: Option<TokenDigest>,
    /// The session of its cookie or token.
    pub session: Option<SessionId>,
    /// Whether it comes from our own pages, according to its headers.
    pub same_origin: bool,
    /// The client for which it expects tokens, if it names one.
    pub client: Option<&'a str>,
    /// The DPoP key that it proves.
    pub key: Option<&'a Jkt>,
}

/// The answer to a ceremony.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The ceremony's ID.
    pub handle: &'a str,
    /// The browser's response to the options, JSON.
    pub credential: &'a [u8],
    /// The call that contains it.
    pub call: SecondCall<'a>,
    /// For the audit trail.
    pub provenance: &'a Provenance,
}

/// Checks the binding; the ceremony has already been consumed.
pub fn check(ceremony: &Ceremony, call: &SecondCall<'_>, client: Option<&Client>) -> Result<(), CeremonyError> {
    if ceremony.wanted == Wanted::Session && !is_by_token(ceremony) {
        let same_browser = match (&ceremony.browser, &call.browser) {
            (Some(begun), Some(answered)) => begun.matches(answered),
            _ => false,
        };
        if !same_browser {
            return Err(CeremonyError::Foreign("browser"));
        }
        if !call.same_origin {
            return Err(CeremonyError::Foreign("site"));
        }
    }
    if let (Some(begun), Some(answered)) = (&ceremony.origin, call.origin)
        && begun != answered
    {
        return Err(CeremonyError::Foreign("origin"));
    }
    if let Some(named) = call.client
        && ceremony.wanted.client() != Some(named)
    {
        return Err(CeremonyError::Foreign("client"));
    }
    if let (Wanted::Tokens { .. }, Some(client)) = (&ceremony.wanted, client)
        && client.requires_dpop()
        && call.key.is_none()
    {
        return Err(CeremonyError::NoProof);
    }
    // A signature is accepted only at the endpoint for signatures, which accepts nothing else.
    let signs = matches!(ceremony.purpose, Purpose::Sign { .. });
    if signs != matches!(call.via, Via::Signing) {
        return Err(CeremonyError::Foreign("kind"));
    }
    match call.via {
        Via::TokenEndpoint(client) => match &ceremony.wanted {
            Wanted::Tokens { client: begun, .. } if *begun == client.id => Ok(()),
            Wanted::Tokens { .. } => Err(CeremonyError::Foreign("client")),
            // Refused before anything is written or minted: the token endpoint could not return it.
            Wanted::Session | Wanted::Bridge { .. } | Wanted::Result { .. } => Err(CeremonyError::Foreign("result")),
        },
        // The result of an action gives no access: its client redeems it, and authenticates then.
        Via::Verify | Via::Signing if matches!(ceremony.wanted, Wanted::Result { .. }) => Ok(()),
        // Whoever holds the ID is not necessarily the client: one that has a secret must show it.
        Via::Verify if client.is_some_and(|client| client.definition.kind == ClientKind::Confidential) => {
            Err(CeremonyError::ConfidentialClient)
        }
        Via::Verify | Via::Signing => Ok(()),
    }
}

/// Whether a passkey is added with an access token: then none of our pages began it, and the session is the binding.
fn is_by_token(ceremony: &Ceremony) -> bool {
    matches!(ceremony.purpose, Purpose::Add { .. }) && ceremony.browser.is_none()
}

/// The origins that an answer may name, always among those of the profile: the client's if the result is for a client
/// or a client's app adds a passkey, and only our own (`own`) if it is a session of ours. Other apps that share the RP
/// ID must not be able to sign people in to us. An action token defines which origins may use it.
pub fn accepted_origins(ceremony: &Ceremony, party: &RelyingParty, client: Option<&Client>, own: &str) -> Vec<String> {
    let on_own_page = matches!(&ceremony.purpose, Purpose::Sign { signing, .. } if signing.on_own_page);
    let accepted = |origin: &&String| match (client, ceremony.purpose.permit()) {
        _ if on_own_page => *origin == own,
        (Some(client), Some(permit)) => {
            let begun_here = ceremony.origin.as_ref().is_none_or(|begun| begun == *origin);
            begun_here && owns(permit.origin.as_deref(), client, origin, own)
        }
        (Some(client), None) => client.owns_origin(origin).is_ok(),
        (None, _) => is_by_token(ceremony) || *origin == own,
    };
    party.origins.iter().filter(accepted).cloned().collect()
}
