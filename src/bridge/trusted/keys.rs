//! The keys of a trusted issuer: given directly, at a URL, or at the URL in its discovery document.
//!
//! What must always hold: a discovery document counts only if it names exactly the issuer that it was fetched for
//! (OpenID Connect Discovery §4.3); after a failure it is not fetched again at once, and the URL that it named before
//! remains in use.

use std::sync::Arc;

use chrono::Duration;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::clock::{Clock, Time};
use crate::domain::strict_json::parse_object;
use crate::outbound::key_sets::{KeySets, KeySetsError, is_json};
use crate::outbound::{Outbound, OutboundError};
use crate::tokens::key_set::KeySet;

/// The shortest time between two fetches of a discovery document, even after a failure.
const PAUSE: Duration = Duration::seconds(30);
/// How long a discovery document is used.
const LIFE: Duration = Duration::hours(1);

/// Where keys come from.
#[derive(Clone, Debug)]
pub enum KeyOrigin {
    /// From the URL in the issuer's discovery document.
    Discovery,
    /// From this URL.
    At(String),
    /// Given in the configuration.
    Given(Arc<KeySet>),
}

/// Why keys are not available.
#[derive(Debug, thiserror::Error)]
pub enum TrustedKeysError {
    /// They could not be fetched or parsed.
    #[error(transparent)]
    Keys(#[from] KeySetsError),
    /// The discovery document could not be fetched.
    #[error("its discovery document cannot be fetched: {0}")]
    Fetch(#[from] OutboundError),
    /// It is invalid, or another issuer's.
    #[error("its discovery document {0}")]
    Discovery(&'static str),
    /// Fetching it failed a moment ago.
    #[error("its discovery document could not be fetched a moment ago")]
    Pause,
}

pub(super) struct TrustedKeys {
    origin: KeyOrigin,
    issuer: String,
    outbound: Outbound,
    clock: Clock,
    sets: KeySets,
    discovered: Arc<Mutex<Discovered>>,
}

#[derive(Default)]
struct Discovered {
    asked_at: Option<Time>,
    found: Option<(String, Time)>,
}

impl TrustedKeys {
    pub(super) fn new(origin: KeyOrigin, issuer: &str, outbound: &Outbound, clock: &Clock) -> Self {
        Self {
            origin,
            issuer: issuer.to_owned(),
            outbound: outbound.apart(),
            clock: clock.clone(),
            sets: KeySets::new(outbound, clock.clone(), "trusted_issuer_keys"),
            discovered: Arc::default(),
        }
    }

    pub(super) async fn get(&self) -> Result<Arc<KeySet>, TrustedKeysError> {
        match &self.origin {
            KeyOrigin::Given(set) => Ok(Arc::clone(set)),
            KeyOrigin::At(uri) => Ok(self.sets.of(&self.issuer, uri).await?),
            KeyOrigin::Discovery => Ok(self.sets.of(&self.issuer, &self.address().await?).await?),
        }
    }

    pub(super) async fn newer(&self) -> Option<Arc<KeySet>> {
        match &self.origin {
            KeyOrigin::Given(_) => None,
            KeyOrigin::At(uri) => self.sets.newer(&self.issuer, uri).await,
            KeyOrigin::Discovery => self.sets.newer(&self.issuer, &self.address().await.ok()?).await,
        }
    }

    /// The key set URL in the discovery document.
    async fn address(&self) -> Result<String, TrustedKeysError> {
        // Held while fetching: further callers wait for the same response.
        let mut discovered = Arc::clone(&self.discovered).lock_owned().await;
        let now = self.clock.now();
        let known = discovered.found.clone();
        if let Some((uri, _)) = known.as_ref().filter(|(_, until)| now < *until) {
            return Ok(uri.clone());
        }
        let known = known.map(|(uri, _)| uri);
        if discovered.asked_at.is_some_and(|asked| now < asked + PAUSE) {
            return known.ok_or(TrustedKeysError::Pause);
        }
        discovered.asked_at = Some(now);
        let (issuer, outbound) = (self.issuer.clone(), self.outbound.clone());
        // Runs to the end even if the caller disconnects: otherwise a caller that hangs up at once would keep everybody
        // else from fetching.
        let discovering = tokio::spawn(async move {
            let uri = discover(&issuer, &outbound).await?;
            discovered.found = Some((uri.clone(), now + LIFE));
            Ok(uri)
        });
        let found = discovering.await.unwrap_or(Err(TrustedKeysError::Pause));
        found.or_else(|error| known.ok_or(error))
    }
}

async fn discover(issuer: &str, outbound: &Outbound) -> Result<String, TrustedKeysError> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let answer = outbound.get(&address, "application/json", "trusted_issuer_discovery").await?;
    if answer.media_type.as_deref().is_some_and(|media_type| !is_json(media_type)) {
        return Err(TrustedKeysError::Discovery("does not come as JSON"));
    }
    let document = parse_object(&answer.body).map_err(|_| TrustedKeysError::Discovery("is no JSON object"))?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(TrustedKeysError::Discovery("names another issuer"));
    }
    let uri = text("jwks_uri").ok_or(TrustedKeysError::Discovery("names no jwks_uri"))?;
    Ok(uri.to_owned())
}
