//! Mints for a bridge as a trial, without a sign-in: for `passmint bridges test`, `passmint doctor` and administration.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::stored::Ready;
use super::{BridgeError, BridgeToken, Bridges, Facts, sample_moment};
use crate::clock::Time;
use crate::tokens::MintError;

/// One trial.
#[derive(Debug)]
pub struct Trial {
    /// The name of a sample, or a person's ID.
    pub whom: String,
    /// The result.
    pub minted: Result<BridgeToken, BridgeError>,
}

impl Trial {
    /// Tries a bridge with one set of facts.
    pub fn of(whom: impl Into<String>, bridges: &Bridges, ready: &Ready, facts: &Facts, now: Time) -> Self {
        Self { whom: whom.into(), minted: bridges.try_out(ready, facts, now) }
    }

    /// Tries the samples. Their time is in the past, so that a sample token is not valid at the target.
    pub fn samples(bridges: &Bridges, ready: &Ready) -> Vec<Self> {
        let samples = ready.bridge.samples();
        samples.iter().map(|(sample, facts)| Self::of(*sample, bridges, ready, facts, sample_moment())).collect()
    }

    /// Whether the template excludes such people intentionally: a sample user may lack a value that it uses.
    pub fn is_choice(&self) -> bool {
        matches!(&self.minted, Err(BridgeError::Render(error)) if error.is_choice())
    }

    /// What is wrong, and what to do; `None` if a token was minted.
    pub fn error(&self) -> Option<String> {
        match self.minted.as_ref().err()? {
            error @ BridgeError::Mint(MintError::NoKey { .. }) => {
                Some(format!("{error}: start the server once, it makes the key (one that runs does so within seconds)"))
            }
            other => Some(other.to_string()),
        }
    }

    /// The result for programs, without the token.
    pub fn document(&self) -> Value {
        match &self.minted {
            Ok(minted) => {
                let (header, claims) = decoded(&minted.token);
                json!({
                    "for": self.whom, "ok": true, "bytes": minted.token.len(), "expiresIn": minted.expires_in,
                    "header": header, "claims": claims,
                })
            }
            Err(_) => json!({ "for": self.whom, "ok": false, "byChoice": self.is_choice(), "error": self.error() }),
        }
    }
}

/// Header and claims of a token that was just minted here: to be shown to people, not trusted. A bridge that makes no
/// token gives a document without a header.
pub fn decoded(token: &str) -> (Value, Value) {
    if let Ok(document) = serde_json::from_str(token) {
        return (Value::Null, document);
    }
    let mut parts = token.split('.').map(|part| {
        URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    });
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}
