//! The OpenID Connect and OAuth endpoints: authorization, token, userinfo, introspection, revocation, metadata, key
//! set.
//!
//! What must always hold: a client is authenticated before anything else is looked at; each grant is one file; unknown,
//! expired and used grants look the same to the client and different in the log. To add a grant: a variant of
//! [`token::TokenRequest`], and a file in [`grants`].

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
    /// Reads clients from their metadata documents, and fetches what clients refer to.
    pub registration: Arc<Registration>,
    /// The public keys of clients.
    pub client_keys: ClientKeys,
    /// The logos of clients, for the consent page.
    pub logos: Logos,
    /// Verifies DPoP proofs of possession.
    pub dpop: Arc<Dpop>,
    /// The issuers whose tokens are trusted.
    pub trusted_issuers: Arc<TrustedIssuers>,
    /// The servers for which identity assertions are issued.
    pub authorization_servers: Vec<AuthorizationServer>,
    /// Which tokens may be exchanged for which.
    pub exchange_rules: Vec<Rule>,
    /// The rate limits.
    pub limits: Arc<Limits>,
    /// How long a client that lost the response to a refresh may repeat the request.
    pub retry_window: Duration,
    /// The public metadata of this server.
    pub published: Published,
}

impl Oidc {
    /// Whether a person may use a client: everybody may, unless the client is restricted to groups. Checked whenever
    /// something is issued, not only at sign-in.
    pub async fn may_use(&self, client: &Client, user: UserId) -> Result<bool, StorageError> {
        if client.definition.allowed_groups.is_empty() {
            return Ok(true);
        }
        let groups = client.definition.allowed_groups.clone();
        self.db.run(move |conn| users::is_in_any(conn, user, &groups)).await
    }

    /// Counts a request that names an app which is not known yet: fetching its document costs more than a look-up.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn limit_newcomers(&self, id: &str, network: Network) -> Result<(), Failure> {
        if self.registration.may_fetch(id) { self.limits.check(Class::Start, network) } else { Ok(()) }
    }

    /// The person's groups, if this client's ID tokens contain them.
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

    /// The person's `sub` for this client.
    pub fn subject(&self, client: &Client, user: UserId) -> String {
        self.mint.subject_of(client, user)
    }
}

/// The room, as handlers receive it.
pub type Room = actix_web::web::Data<Arc<Oidc>>;
