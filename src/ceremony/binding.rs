//! Is this second call the other half of that first one?

use super::error::CeremonyError;
use super::relying_party::RelyingParty;
use super::state::{Ceremony, Purpose, Wanted};
use crate::domain::action::owns;
use crate::domain::audit::Provenance;
use crate::domain::client::{Client, ClientKind};
use crate::domain::id::SessionId;
use crate::domain::secret::TokenDigest;
use crate::tokens::dpop::Jkt;

/// How the second call arrives.
#[derive(Clone, Copy)]
pub enum Via<'a> {
    /// At the verify endpoint: the ceremony's handle is all the proof there is.
    Verify,
    /// At the endpoint that ends the signing of an operation.
    Signing,
    /// At the token endpoint, by an authenticated client.
    TokenEndpoint(&'a Client),
}

/// What the second call brings along.
#[derive(Clone, Copy)]
pub struct SecondCall<'a> {
    /// How it arrives.
    pub via: Via<'a>,
    /// Its `Origin`.
    pub origin: Option<&'a str>,
    /// Digest of its pre-session cookie.
    pub browser: Option<TokenDigest>,
    /// The session of its cookie or token.
    pub session: Option<SessionId>,
    /// Whether it comes from our own pages, as far as its headers tell.
    pub same_origin: bool,
    /// The client it says it expects tokens for, when it says so.
    pub client: Option<&'a str>,
    /// The DPoP key that it proves to hold.
    pub key: Option<&'a Jkt>,
}

/// The answer to a ceremony.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The ceremony's handle.
    pub handle: &'a str,
    /// What the browser made of the options, JSON.
    pub credential: &'a [u8],
    /// The call that brings it.
    pub call: SecondCall<'a>,
    /// For the audit trail.
    pub provenance: &'a Provenance,
}

/// Checks the binding; the ceremony is burnt already.
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
    // A signature is given where signatures are, and nothing else is.
    let signs = matches!(ceremony.purpose, Purpose::Sign { .. });
    if signs != matches!(call.via, Via::Signing) {
        return Err(CeremonyError::Foreign("kind"));
    }
    match call.via {
        Via::TokenEndpoint(client) => match &ceremony.wanted {
            Wanted::Tokens { client: begun, .. } if *begun == client.id => Ok(()),
            Wanted::Tokens { .. } => Err(CeremonyError::Foreign("client")),
            // Refused before anything is written or minted: the token endpoint could not hand it over.
            Wanted::Session | Wanted::Bridge { .. } | Wanted::Result { .. } => Err(CeremonyError::Foreign("result")),
        },
        // The result of an action opens nothing: its client redeems it, and authenticates then.
        Via::Verify | Via::Signing if matches!(ceremony.wanted, Wanted::Result { .. }) => Ok(()),
        // Whoever holds the handle is not thereby the client: one that has a secret must show it.
        Via::Verify if client.is_some_and(|client| client.definition.kind == ClientKind::Confidential) => {
            Err(CeremonyError::ConfidentialClient)
        }
        Via::Verify | Via::Signing => Ok(()),
    }
}

/// Whether a passkey is added through an access token: then no browser of ours began it, and the session is the binding.
fn is_by_token(ceremony: &Ceremony) -> bool {
    matches!(ceremony.purpose, Purpose::Add { .. }) && ceremony.browser.is_none()
}

/// The origins an answer may name, always among the profile's: the client's when the result is a client's or a client's app
/// adds a passkey, and only our own (`own`) when it is a session of ours. Other apps that share the RP id must not be able to
/// sign people in to us. An action token says itself which origins may use it.
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
