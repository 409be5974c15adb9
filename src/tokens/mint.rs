//! Turns grants into tokens. Everything that is issued to a client is made here.

mod answers;
mod exchanged;
mod grant;
mod proofs;
mod refresh;
mod transaction;

use std::sync::Arc;

use chrono::Duration;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::claims::AccessClaims;
use super::holder::Keys;
use super::keys::{Algorithm, Use};
use super::ring::SigningKey;
use super::signer::{SignError, Signer};
use super::typ;
use crate::domain::claims::{RequestedClaims, wants_groups};
use crate::domain::client::Client;
use crate::domain::id::UserId;
use crate::domain::resource::Resource;
use crate::domain::scope::Scopes;
use crate::domain::session::SessionLifetimes;
use crate::resources::Resources;

pub use self::exchanged::{Assertion, Exchange, Exchanged, NOT_APPLICABLE};
pub use self::grant::{ClientGrant, Grant, TokenSet};
pub use self::proofs::{ActionOutcome, PROOF_LIFE, RESULT_LIFE, SignedOperation, name_of_passkey};
pub use self::refresh::{RefreshSeed, Successor, bound_by_exchange};
pub use self::transaction::Transaction;

/// How long to wait for a key that is being generated.
const WAIT_FOR_KEYS: std::time::Duration = std::time::Duration::from_secs(3);

/// Why nothing could be issued. It is our fault, and answered with 503.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// No key signs for this use and algorithm yet.
    #[error("no {algorithm} key signs for {usage} now")]
    NoKey {
        /// The use.
        usage: String,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// This server has had no contact with the database for too long: it may have missed a revocation.
    #[error("this server is cut off from its database and issues nothing")]
    CutOff,
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Settings for the tokens that are issued.
#[derive(Clone, Debug)]
pub struct MintSettings {
    /// Our issuer URL.
    pub issuer: String,
    /// Algorithm of access tokens.
    pub algorithm: Algorithm,
    /// Life of access tokens, unless the client has its own.
    pub access_ttl: Duration,
    /// Life of ID tokens.
    pub id_ttl: Duration,
    /// Life of an unused refresh token.
    pub refresh_idle: Duration,
    /// Life of a refresh family.
    pub refresh_absolute: Duration,
    /// The claim that holds what hooks add.
    pub hook_claims: String,
}

/// Issues every token and signed answer.
pub struct Mint {
    keys: Arc<Keys>,
    settings: MintSettings,
    resources: Arc<Resources>,
    signer: Signer,
}

impl Mint {
    /// Creates a mint. A token for a single resource takes that resource's lifetime and algorithm.
    pub fn new(keys: Arc<Keys>, settings: MintSettings, resources: Arc<Resources>) -> Self {
        Self { keys, settings, resources, signer: Signer::new() }
    }

    /// Our issuer URL.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// The keys.
    pub const fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// The resources that tokens are issued for.
    pub const fn resources(&self) -> &Arc<Resources> {
        &self.resources
    }

    /// The `sub` of a person in everything that a client receives. A token's `sub` is also compared with it.
    pub fn subject_of(&self, client: &Client, user: UserId) -> String {
        self.keys.subjects().of(client, user).to_string()
    }

    /// The claims added by hooks, wrapped in the configured claim; empty if there are none.
    pub fn named_hook_claims(&self, claims: &Map<String, Value>) -> Map<String, Value> {
        let named = (!claims.is_empty()).then(|| (self.settings.hook_claims.clone(), Value::Object(claims.clone())));
        named.into_iter().collect()
    }

    /// Whether the ID tokens of this client include the person's groups for these scopes and claims requested by name,
    /// so that the groups must be loaded.
    pub fn needs_groups(&self, client: &Client, scopes: &Scopes, requested: &RequestedClaims) -> bool {
        wants_groups(id_token_scopes(client, scopes), &requested.id_token)
    }

    /// The lifetimes of a session that exists only through tokens: as long as its refresh family.
    pub const fn session_lifetimes(&self) -> SessionLifetimes {
        SessionLifetimes { sliding: self.settings.refresh_absolute, absolute: self.settings.refresh_absolute }
    }

    /// The lifetimes of a session that yields a single token: as long as an access token.
    pub const fn single_token_lifetimes(&self) -> SessionLifetimes {
        SessionLifetimes { sliding: self.settings.access_ttl, absolute: self.settings.access_ttl }
    }

    /// The longest life of a client's access tokens.
    pub fn access_life(&self, client: &Client) -> Duration {
        client.definition.access_ttl.map_or(self.settings.access_ttl, Duration::seconds)
    }

    /// Checks that everything for this client could be signed now, so that nothing is written in vain.
    pub fn ready(&self, client: &Client, scopes: &Scopes, audience: &[String]) -> Result<(), MintError> {
        self.keys.require_fresh()?;
        let ring = self.keys.ring();
        let id_token = scopes.contains("openid").then(|| (Use::Tokens, id_algorithm(client)));
        let always = [(Use::Tokens, self.access_algorithm(client, audience)), (Use::Refresh, Algorithm::HS256)];
        for (usage, algorithm) in always.into_iter().chain(id_token) {
            if ring.signing(&usage, algorithm).is_none() {
                return Err(MintError::NoKey { usage: usage.to_string(), algorithm });
            }
        }
        Ok(())
    }

    /// Waits briefly for a key that [`Mint::ready`] reports as missing. RSA keys are slow to generate, so after a first
    /// start the server is ready before they exist. Call it before anything single-use is consumed.
    pub async fn wait_for_keys(&self, client: &Client, scopes: &Scopes, audience: &[String]) {
        let missing = || matches!(self.ready(client, scopes, audience), Err(MintError::NoKey { .. }));
        if !missing() {
            return;
        }
        let made = async {
            loop {
                let renewed = self.keys.renewed();
                if !missing() {
                    return;
                }
                renewed.await;
            }
        };
        // If a key is still missing, the caller that needs it refuses.
        let _ = timeout(WAIT_FOR_KEYS, made).await;
    }

    /// The resource of a token with a single audience. A token for several resources follows the rules of none of them.
    fn resource(&self, audience: &[String]) -> Option<Arc<Resource>> {
        match audience {
            [one] => self.resources.find(one),
            _ => None,
        }
    }

    /// The shorter of the client's and the resource's lifetime.
    fn life_for(&self, client: &Client, audience: &[String]) -> Duration {
        let resource = self.resource(audience).and_then(|resource| resource.definition.access_ttl);
        let longest = self.access_life(client);
        resource.map_or(longest, |life| longest.min(Duration::seconds(life)))
    }

    /// The algorithm of the resource, otherwise of the configuration; never RS256 for a client whose profile forbids
    /// it.
    fn access_algorithm(&self, client: &Client, audience: &[String]) -> Algorithm {
        let resource = self.resource(audience);
        let own = resource.as_ref().and_then(|resource| named(resource.definition.algorithm.as_deref()));
        match own.unwrap_or(self.settings.algorithm) {
            Algorithm::RS256 if client.is_fapi2() => Algorithm::ES256,
            algorithm => algorithm,
        }
    }

    fn sign_access(&self, client: &Client, claims: &AccessClaims, audience: &[String]) -> Result<String, MintError> {
        let key = self.signing(&Use::Tokens, self.access_algorithm(client, audience))?;
        Ok(self.signer.sign(&key, typ::ACCESS, claims)?)
    }

    fn signing(&self, usage: &Use, algorithm: Algorithm) -> Result<SigningKey, MintError> {
        let missing = || MintError::NoKey { usage: usage.to_string(), algorithm };
        self.keys.ring().signing(usage, algorithm).cloned().ok_or_else(missing)
    }
}

/// The scopes whose claims go into a client's ID tokens: none, unless the client reads claims only there (OpenID
/// Connect Core §5.4).
fn id_token_scopes<'a>(client: &Client, granted: &'a Scopes) -> &'a Scopes {
    static NONE: Scopes = Scopes::NONE;
    if client.definition.claims_in_id_token { granted } else { &NONE }
}

/// The algorithm of a client's ID tokens. The default is RS256, as OpenID Connect expects.
pub fn id_algorithm(client: &Client) -> Algorithm {
    named(client.definition.id_token_algorithm.as_deref()).unwrap_or(Algorithm::RS256)
}

fn named(algorithm: Option<&str>) -> Option<Algorithm> {
    algorithm.and_then(|name| name.parse().ok())
}

const fn token_type(jkt: Option<&str>) -> &'static str {
    if jkt.is_some() { "DPoP" } else { "Bearer" }
}

fn token_id() -> String {
    crate::random::uuid().to_string()
}
