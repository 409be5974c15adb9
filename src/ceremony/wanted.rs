//! The results that a caller may request from a ceremony, checked against its client before anything is sent.

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

/// The requested result of a ceremony. It is fixed by the options call; the verify call returns exactly this.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum WantedRequest {
    /// A session cookie for this server's own pages. Same origin only.
    #[default]
    Session,
    /// Access, ID and refresh tokens for a first-party client.
    #[serde(rename_all = "camelCase")]
    Tokens {
        /// The `client_id` of the client.
        client_id: String,
        /// The requested scopes, separated by spaces.
        scope: Option<String>,
        /// The audience of the access token. Defaults to the client's first configured audience, or to this server if
        /// it has none.
        audience: Option<String>,
        /// The value of the ID token's `nonce` claim: 1 to 512 bytes.
        nonce: Option<String>,
    },
    /// A custom token for an external system.
    #[serde(rename_all = "camelCase")]
    Bridge {
        /// The `client_id` of the client.
        client_id: String,
        /// The name of the bridge.
        bridge: String,
        /// The requested scopes, separated by spaces.
        scope: Option<String>,
        /// Values for the inputs that the bridge declares, by name.
        #[schema(value_type = Option<Object>)]
        inputs: Option<Map<String, Value>>,
    },
}

/// Maximum length of a nonce, in bytes.
const LONGEST_NONCE: usize = 512;

/// Validates and completes a request. Also returns the client, if there is one.
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
                // The ceremony would have to end at the token endpoint, which issues no custom tokens.
                return Err(CeremonyError::Invalid(
                    "A confidential client asks for tokens, and with these for the bridge's.",
                ));
            }
            if !client.definition.scopes.grants(&format!("bridge:{bridge}")) {
                return Err(ClientRefusal::Scope(format!("bridge:{bridge}")).into());
            }
            // The requested scopes must be the client's; the bridge itself considers all the scopes that the client may
            // request.
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

/// The granted scopes. A ceremony that a client runs itself never grants administration scopes.
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
