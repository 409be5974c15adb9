//! The protocol's front desk: authorization requests, token endpoint, introspection, revocation, key set.
//!
//! What must always hold: a client is authenticated before anything is looked at; each grant is one file; unknown,
//! expired and used grants look the same to the client and different in the log. To add a grant: a variant of
//! [`token::TokenRequest`], a file in [`grants`].

pub mod authorize;
pub mod client_auth;
pub mod grants;
pub mod introspect;
pub mod keys;
pub mod revoke;
pub mod token;
pub mod wire;

use std::sync::Arc;

use chrono::Duration;

use crate::ceremony::Ceremonies;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::domain::client::Client;
use crate::domain::id::UserId;
use crate::storage::{Db, StorageError, users};
use crate::tokens::Mint;

/// Everything the room works with.
pub struct Oidc {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The clients.
    pub clients: Arc<Clients>,
    /// Makes tokens.
    pub mint: Arc<Mint>,
    /// Passkey ceremonies, for the passkey grant.
    pub ceremonies: Arc<Ceremonies>,
    /// How long a lost answer to a refresh may be asked for again.
    pub retry_window: Duration,
}

impl Oidc {
    /// Whether a person may use a client: everybody may, unless it is for the members of groups. Asked whenever something
    /// is issued, not only at the sign-in.
    pub async fn may_use(&self, client: &Client, user: UserId) -> Result<bool, StorageError> {
        if client.definition.allowed_groups.is_empty() {
            return Ok(true);
        }
        let groups = client.definition.allowed_groups.clone();
        self.db.run(move |conn| users::is_in_any(conn, user, &groups)).await
    }

    /// How a client knows a person: their `sub` for it.
    pub fn subject(&self, _client: &Client, user: UserId) -> String {
        user.to_string()
    }
}

/// The room, as handlers are given it.
pub type Room = actix_web::web::Data<Arc<Oidc>>;
