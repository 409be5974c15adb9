//! The protocol's front desk: token endpoint, introspection, revocation, key set.
//!
//! What must always hold: a client is authenticated before anything is looked at; each grant is one file; unknown,
//! expired and used grants look the same to the client and different in the log. To add a grant: a variant of
//! [`token::TokenRequest`], a file in [`grants`].

pub mod client_auth;
pub mod device;
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
use crate::storage::Db;
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

/// The room, as handlers are given it.
pub type Room = actix_web::web::Data<Arc<Oidc>>;
