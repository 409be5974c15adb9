//! From a grant to tokens. Everything that is issued to a client passes here.

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

/// Longest wait for a key that is just being made.
const WAIT_FOR_KEYS: std::time::Duration = std::time::Duration::from_secs(3);

/// Why nothing could be issued: a fault of ours, answered as 503.
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
    /// This server has not heard from the database for too long: it may have missed a revocation.
    #[error("this server is cut off from its database and issues nothing")]
    CutOff,
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// How tokens are made.
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
    /// A mint. Tokens for one of the resources alone have its lifetime and algorithm.
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

    /// The resources that tokens are made for.
    pub const fn resources(&self) -> &Arc<Resources> {
        &self.resources
    }

    /// The `sub` of a person in everything that a client is given; also what a token's `sub` is compared with.
    pub fn subject_of(&self, client: &Client, user: UserId) -> String {
        self.keys.subjects().of(client, user).to_string()
    }

    /// What hooks added, under the one name that it has everywhere; nothing, where it is nothing.
    pub fn named_hook_claims(&self, claims: &Map<String, Value>) -> Map<String, Value> {
        let named = (!claims.is_empty()).then(|| (self.settings.hook_claims.clone(), Value::Object(claims.clone())));
        named.into_iter().collect()
    }

    /// Whether a person's groups are told in ID tokens of this client under these scopes and requests by name, so that they
    /// must be read.
    pub fn needs_groups(&self, client: &Client, scopes: &Scopes, requested: &RequestedClaims) -> bool {
        wants_groups(id_token_scopes(client, scopes), &requested.id_token)
    }

    /// How long a session lives that exists through tokens only: as long as its refresh family.
    pub const fn session_lifetimes(&self) -> SessionLifetimes {
        SessionLifetimes { sliding: self.settings.refresh_absolute, absolute: self.settings.refresh_absolute }
    }

    /// How long a session lives that gives a single token: as long as an access token.
    pub const fn single_token_lifetimes(&self) -> SessionLifetimes {
        SessionLifetimes { sliding: self.settings.access_ttl, absolute: self.settings.access_ttl }
    }

    /// How long access tokens of a client live at most.
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

    /// Waits a little for a key that [`Mint::ready`] misses: that of RSA is slow to make, so a first start is ready before it is
    /// there. Call it where nothing is used up yet.
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
        // What is still missing then is refused by whoever needs it.
        let _ = timeout(WAIT_FOR_KEYS, made).await;
    }

    /// The resource that a token is for alone; a token for several has nobody's own rules.
    fn resource(&self, audience: &[String]) -> Option<Arc<Resource>> {
        match audience {
            [one] => self.resources.find(one),
            _ => None,
        }
    }

    /// The shorter of what client and resource want.
    fn life_for(&self, client: &Client, audience: &[String]) -> Duration {
        let resource = self.resource(audience).and_then(|resource| resource.definition.access_ttl);
        let longest = self.access_life(client);
        resource.map_or(longest, |life| longest.min(Duration::seconds(life)))
    }

    /// What the resource or the configuration says; never RS256 for a client whose profile refuses it.
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

/// The scopes whose claims are in a client's ID tokens: none, unless it looks nowhere else (OpenID Connect Core §5.4).
fn id_token_scopes<'a>(client: &Client, granted: &'a Scopes) -> &'a Scopes {
    static NONE: Scopes = Scopes::NONE;
    if client.definition.claims_in_id_token { granted } else { &NONE }
}

/// The algorithm of a client's ID tokens: RS256 unless it says otherwise, as OpenID Connect expects.
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
