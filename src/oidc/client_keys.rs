//! The public keys of clients: from their definition, or fetched from their `jwks_uri` and cached for a while.

use std::sync::Arc;

use crate::clock::Clock;
use crate::domain::client::Client;
use crate::outbound::Outbound;
use crate::outbound::key_sets::{KeySets, KeySetsError};
use crate::tokens::key_set::KeySet;

/// Why a client's keys are not available.
#[derive(Debug, thiserror::Error)]
pub enum ClientKeysError {
    /// The client has none.
    #[error("the client has no keys")]
    None,
    /// They could not be fetched or parsed.
    #[error(transparent)]
    Keys(#[from] KeySetsError),
}

/// The key sets that have been fetched.
pub struct ClientKeys(KeySets);

impl ClientKeys {
    /// Starts with nothing fetched.
    pub fn new(outbound: &Outbound, clock: Clock) -> Self {
        Self(KeySets::new(outbound, clock, "client_keys"))
    }

    /// Returns the keys of a client.
    pub async fn of(&self, client: &Client) -> Result<Arc<KeySet>, ClientKeysError> {
        if let Some(jwks) = &client.definition.jwks {
            return Ok(Arc::new(KeySet::parse(jwks.to_string().as_bytes()).map_err(KeySetsError::from)?));
        }
        let uri = client.definition.jwks_uri.as_deref().ok_or(ClientKeysError::None)?;
        Ok(self.0.of(&client.id, uri).await?)
    }

    /// Fetches the keys again, after a token named a key that is not in the set. `None` if no newer ones are available
    /// now.
    pub async fn newer(&self, client: &Client) -> Option<Arc<KeySet>> {
        let uri = client.definition.jwks_uri.as_deref().filter(|_| client.definition.jwks.is_none())?;
        self.0.newer(&client.id, uri).await
    }
}
