//! What a caller may ask a ceremony to give, checked against its client before anything is sent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::CeremonyError;
use super::state::Wanted;
use crate::bridge::{BridgeError, Bridges};
use crate::clients::Clients;
use crate::domain::client::{Client, ClientKind, ClientRefusal};
use crate::domain::scope::Scopes;
use crate::tokens::Mint;

/// The result a caller asks for. Fixed at options; the answer gives exactly this.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum WantedRequest {
    /// A session cookie for our own pages; same origin only.
    #[default]
    Session,
    /// Access, ID and refresh tokens for a first-party client.
    #[serde(rename_all = "camelCase")]
    Tokens {
        /// The client, by its `client_id`.
        client_id: String,
        /// Scopes, separated by spaces.
        scope: Option<String>,
        /// Audience of the access token; none: the client's first, else this server.
        audience: Option<String>,
        /// Copied into the ID token; at most 512 bytes.
        nonce: Option<String>,
    },
    /// A custom token for another system.
    #[serde(rename_all = "camelCase")]
    Bridge {
        /// The client, by its `client_id`.
        client_id: String,
        /// The bridge's name.
        bridge: String,
        /// Scopes, separated by spaces.
        scope: Option<String>,
        /// Values for the inputs that the bridge declares, by name.
        #[schema(value_type = Option<Object>)]
        inputs: Option<Map<String, Value>>,
    },
}

/// Longest nonce, in bytes.
const LONGEST_NONCE: usize = 512;

/// Checks and completes a request. Gives the client too, when there is one.
pub fn resolve(
    request: &WantedRequest,
    origin: Option<&str>,
    mint: &Mint,
    clients: &Clients,
    bridges: &Bridges,
) -> Result<(Wanted, Option<Arc<Client>>), CeremonyError> {
    match request {
        WantedRequest::Session => Ok((Wanted::Session, None)),
        WantedRequest::Tokens { client_id, scope, audience, nonce } => {
            let client = first_party(clients, client_id, origin)?;
            if nonce.as_ref().is_some_and(|nonce| nonce.is_empty() || nonce.len() > LONGEST_NONCE) {
                return Err(CeremonyError::Invalid("The nonce must have 1 to 512 bytes."));
            }
            let scopes = scopes(&client, scope.as_deref())?;
            let audience = mint.resources().audience(&client, audience.as_deref(), mint.issuer())?;
            mint.resources().require_resource_of(&scopes, &audience)?;
            let wanted = Wanted::Tokens {
                client: client_id.clone(),
                scopes,
                audience: audience.into_iter().next().unwrap_or_default(),
                nonce: nonce.clone(),
            };
            Ok((wanted, Some(client)))
        }
        WantedRequest::Bridge { client_id, bridge, scope, inputs } => {
            let client = first_party(clients, client_id, origin)?;
            let target = bridges.find(bridge).ok_or(BridgeError::Unknown)?;
            target.bridge.require_tokens()?;
            if client.definition.kind == ClientKind::Confidential {
                // It would have to end at the token endpoint, which gives no custom tokens.
                return Err(CeremonyError::Invalid(
                    "A confidential client asks for tokens, and with these for the bridge's.",
                ));
            }
            if !client.definition.scopes.grants(&format!("bridge:{bridge}")) {
                return Err(ClientRefusal::Scope(format!("bridge:{bridge}")).into());
            }
            // What is asked for must be the client's; the bridge itself goes by all that the client may ask for.
            scopes(&client, scope.as_deref())?;
            target.bridge.inputs().accept(inputs.as_ref()).map_err(BridgeError::Inputs)?;
            let wanted = Wanted::Bridge { client: client_id.clone(), bridge: bridge.clone(), inputs: inputs.clone() };
            Ok((wanted, Some(client)))
        }
    }
}

fn first_party(clients: &Clients, id: &str, origin: Option<&str>) -> Result<Arc<Client>, CeremonyError> {
    let client = clients.find(id).ok_or(CeremonyError::NoSuchClient)?;
    client.may_run_ceremonies()?;
    if let Some(origin) = origin {
        client.owns_origin(origin)?;
    }
    Ok(client)
}

/// The granted scopes. Administration is never reached by a ceremony that a client runs itself.
fn scopes(client: &Client, asked: Option<&str>) -> Result<Scopes, CeremonyError> {
    let asked = asked
        .map(|text| Scopes::parse(text).map_err(|_| CeremonyError::Invalid("The scope is malformed.")))
        .transpose()?;
    let granted = client.grant_scopes(asked.as_ref())?;
    if granted.has_admin() {
        return Err(CeremonyError::Invalid("Administration scopes are not given by a ceremony."));
    }
    Ok(granted)
}
