//! The protocol's front desk: authorization requests, token endpoint, userinfo, introspection, revocation, metadata, key set.
//!
//! What must always hold: a client is authenticated before anything is looked at; each grant is one file; unknown,
//! expired and used grants look the same to the client and different in the log. To add a grant: a variant of
//! [`token::TokenRequest`], a file in [`grants`].

pub mod authorize;
pub mod client_auth;
pub mod client_keys;
pub mod device;
pub mod discovery;
pub mod grants;
pub mod initiate;
pub mod introspect;
pub mod keys;
pub mod par;
pub mod registration;
pub mod revoke;
pub mod token;
pub mod userinfo;
pub mod wire;

use std::sync::Arc;

use chrono::Duration;

use self::discovery::Published;
use crate::bridge::trusted::TrustedIssuers;
use crate::ceremony::Ceremonies;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::AuthorizationServer;
use crate::domain::claims::RequestedClaims;
use crate::domain::client::Client;
use crate::domain::exchange::Rule;
use crate::domain::id::UserId;
use crate::domain::scope::Scopes;
use crate::dpop::Dpop;
use crate::oidc::client_keys::ClientKeys;
use crate::oidc::registration::Registration;
use crate::outbound::logos::Logos;
use crate::storage::{Db, StorageError, users};
use crate::tokens::Mint;
use crate::web::caller::Network;
use crate::web::error::Failure;
use crate::web::limits::{Class, Limits};

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
    /// Reads clients from their documents, and fetches what clients refer to.
    pub registration: Arc<Registration>,
    /// The public keys of clients.
    pub client_keys: ClientKeys,
    /// Their logos, for the page that asks.
    pub logos: Logos,
    /// Proofs of possession.
    pub dpop: Arc<Dpop>,
    /// Others whose tokens are believed.
    pub trusted_issuers: Arc<TrustedIssuers>,
    /// Others that identity assertions of ours are for.
    pub authorization_servers: Vec<AuthorizationServer>,
    /// Which tokens may be exchanged for which.
    pub exchange_rules: Vec<Rule>,
    /// How often somebody may do what.
    pub limits: Arc<Limits>,
    /// How long a lost answer to a refresh may be asked for again.
    pub retry_window: Duration,
    /// What everybody may know of this server.
    pub published: Published,
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

    /// Counts a request that names an app which is not known yet: reading its document costs more than a look-up.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn limit_newcomers(&self, id: &str, network: Network) -> Result<(), Failure> {
        if self.registration.may_fetch(id) { self.limits.check(Class::Start, network) } else { Ok(()) }
    }

    /// A person's groups, when the ID token of this client tells them.
    pub async fn groups_for_id_token(
        &self,
        client: &Client,
        (scopes, requested): (&Scopes, &RequestedClaims),
        user: UserId,
    ) -> Result<Vec<String>, StorageError> {
        if !self.mint.needs_groups(client, scopes, requested) {
            return Ok(Vec::new());
        }
        self.db.run(move |conn| users::groups_of(conn, user)).await
    }

    /// How a client knows a person: their `sub` for it.
    pub fn subject(&self, client: &Client, user: UserId) -> String {
        self.mint.subject_of(client, user)
    }
}

/// The room, as handlers are given it.
pub type Room = actix_web::web::Data<Arc<Oidc>>;
