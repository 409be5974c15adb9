//! Requests a token from a target that issues its own, with an administrator's credential.
//!
//! What must always hold: the request goes through the guarded outbound room; nothing in the response is trusted except
//! what the preset names; and neither the credential nor the response reaches an error or a log.

use url::Url;

use super::preset::call::CallTarget;
use super::stored::Ready;
use super::{BridgeError, BridgeToken, Bridges, Facts};
use crate::clock::Time;
use crate::domain::secret::Secret;
use crate::domain::strict_json::parse_object;
use crate::outbound::key_sets::is_json;
use crate::outbound::{OutboundError, Post};

/// Maximum length of a token from a target, in bytes.
const MOST_TOKEN: usize = 4096;

/// Why a target issued no token.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It cannot be reached, or does not respond as it should.
    #[error("the target was asked in vain: {0}")]
    Outbound(OutboundError),
    /// It has no such person, or does not accept them.
    #[error("the target refuses the person (status {0})")]
    Person(u16),
    /// Its response is not what was expected.
    #[error("the target's answer is not what was asked for")]
    Answer,
    /// Too many other requests to it are in progress.
    #[error("too many calls are under way")]
    Busy,
    /// This process makes no requests to targets.
    #[error("there is nobody to ask")]
    Nobody,
}

impl CallError {
    /// Why this target issued no token. Each target defines which statuses concern the person.
    fn of(target: &CallTarget, error: OutboundError) -> Self {
        match error {
            OutboundError::Status(status) if target.person_statuses.contains(&status) => Self::Person(status),
            other => Self::Outbound(other),
        }
    }
}

/// Whether a text can be the URL of such a target: `https`, or `http` for a private one, and nothing after the path.
pub fn is_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

impl Bridges {
    /// Requests a token from the target of a bridge.
    pub(super) async fn call(&self, entry: &Ready, facts: &Facts, now: Time) -> Result<BridgeToken, BridgeError> {
        let id = crate::random::uuid();
        let rendered = entry.bridge.render(facts, now, id)?;
        let (subject, token) = self.ask(entry, &rendered.claims).await?;
        let bridge = entry.bridge.name().to_owned();
        let (subject, expires_in) = (Some(subject), rendered.expires_in);
        Ok(BridgeToken { bridge, token, expires_in, id, subject, claims_sha256: None, act: facts.act.clone() })
    }

    async fn ask(&self, entry: &Ready, document: &serde_json::Value) -> Result<(String, String), CallError> {
        let bridge = &entry.bridge;
        let (Some(target), Some(outbound)) = (bridge.preset().call(), &self.outbound) else {
            return Err(CallError::Nobody);
        };
        // A bridge of this kind cannot exist without either.
        let base = bridge.url().or(target.usual_url).ok_or(CallError::Nobody)?;
        let secret =
            bridge.shared_secret().and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(CallError::Nobody)?;
        let call = (target.request)(bridge.audience(), document);
        let (header, before) = call.credential;
        let credential = Secret::new(format!("{before}{secret}"));
        let mut headers = call.headers;
        headers.push(("Accept", "application/json".to_owned()));
        headers.push((header, credential.expose().clone()));
        let url = format!("{}{}", base.trim_end_matches('/'), call.path);
        let post =
            Post { headers: &headers, ..Post::new(&url, "application/json", call.body.to_string().into(), "bridge") };
        let answer = {
            let _turn = entry.calls.try_acquire().map_err(|_| CallError::Busy)?;
            outbound.post(post).await.map_err(|error| CallError::of(target, error))?
        };
        if !answer.media_type.as_deref().is_some_and(is_json) {
            return Err(CallError::Answer);
        }
        let members = parse_object(&answer.body).map_err(|_| CallError::Answer)?;
        let token = (target.given)(document, &members).ok_or(CallError::Answer)?;
        let sound = token.len() <= MOST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
        if sound { Ok((call.user, token)) } else { Err(CallError::Answer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_plain_one() {
        for text in ["https://cloud.appwrite.io/v1", "https://api.instantdb.com", "http://127.0.0.1:80/v1/"] {
            assert!(is_url(text), "{text}");
        }
        for text in [
            "",
            "cloud.appwrite.io",
            "ftp://x.example",
            "file:///etc/passwd",
            "https://",
            "https://user@x.example",
            "https://user:secret@x.example",
            "https://x.example/v1?key=x",
            "https://x.example/#x",
        ] {
            assert!(!is_url(text), "{text}");
        }
    }
}
