//! Fetches and caches the key sets of other servers.
//!
//! Invariants: however many requests name unknown keys, an address is contacted at most once in [`PAUSE`], and by one
//! request at a time; the cache is bounded in number, size and age; an address that fails is not contacted again at
//! once, and its earlier keys are used a while longer.

use std::sync::Arc;

use chrono::Duration;
use moka::sync::Cache;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Answer, Outbound, OutboundError, lru};
use crate::clock::{Clock, Time};
use crate::tokens::key_set::{KeySet, KeySetError};

/// The shortest time between two fetches from one address, also after a failure.
const PAUSE: Duration = Duration::seconds(30);
/// How long a set is fresh if the response does not say, in seconds.
const USUAL_LIFE: i64 = 600;
/// The shortest and longest life that a response may set, in seconds.
const LIFE: (i64, i64) = (60, 86_400);
/// How long a set is used after its expiry while its address does not respond.
const STALE: Duration = Duration::hours(1);
/// The number of owners whose sets are cached.
const CAPACITY: u64 = 1000;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySetsError {
    /// The response is not a usable key set.
    #[error(transparent)]
    Unusable(#[from] KeySetError),
    /// The address does not respond.
    #[error("the keys cannot be fetched: {0}")]
    Fetch(#[from] OutboundError),
    /// The response has another media type.
    #[error("the keys come with the media type {0:?}, not as JSON")]
    MediaType(String),
    /// The address failed a moment ago.
    #[error("the keys could not be fetched a moment ago")]
    Pause,
}

/// The cached key sets.
pub struct KeySets {
    outbound: Outbound,
    clock: Clock,
    purpose: &'static str,
    kept: Cache<String, Arc<Mutex<Kept>>>,
}

/// The state of one owner's address.
#[derive(Default)]
struct Kept {
    uri: String,
    asked_at: Option<Time>,
    set: Option<(Arc<KeySet>, Time)>,
}

impl Kept {
    fn fresh(&self, now: Time) -> Option<Arc<KeySet>> {
        self.set.as_ref().filter(|(_, until)| now < *until).map(|(set, _)| Arc::clone(set))
    }

    fn stale(&self, now: Time) -> Option<Arc<KeySet>> {
        self.set.as_ref().filter(|(_, until)| now < *until + STALE).map(|(set, _)| Arc::clone(set))
    }

    fn may_ask(&self, now: Time) -> bool {
        self.asked_at.is_none_or(|asked| now >= asked + PAUSE)
    }
}

impl KeySets {
    /// An empty cache with DNS lookups of its own. `purpose` is a fixed word for log and metrics.
    pub fn new(outbound: &Outbound, clock: Clock, purpose: &'static str) -> Self {
        Self { outbound: outbound.apart(), clock, purpose, kept: lru(CAPACITY) }
    }

    /// The keys of an owner, currently published at this address.
    ///
    /// # Errors
    /// [`KeySetsError`].
    pub async fn of(&self, owner: &str, uri: &str) -> Result<Arc<KeySet>, KeySetsError> {
        let slot = self.slot(owner);
        // Held while fetching, so that concurrent callers wait for the same response.
        let mut kept = slot.lock_owned().await;
        let now = self.clock.now();
        if kept.uri != uri {
            *kept = Kept { uri: uri.to_owned(), ..Kept::default() };
        }
        if let Some(set) = kept.fresh(now) {
            return Ok(set);
        }
        if !kept.may_ask(now) {
            return kept.stale(now).ok_or(KeySetsError::Pause);
        }
        let stale = kept.stale(now);
        self.fetch(kept, now).await.or_else(|error| stale.ok_or(error))
    }

    /// Fetches the keys again, after a token named one that is not in the set; `None` if no newer set is available now.
    pub async fn newer(&self, owner: &str, uri: &str) -> Option<Arc<KeySet>> {
        let slot = self.slot(owner);
        let kept = slot.lock_owned().await;
        let now = self.clock.now();
        if kept.uri != uri || !kept.may_ask(now) {
            return None;
        }
        self.fetch(kept, now).await.ok()
    }

    fn slot(&self, owner: &str) -> Arc<Mutex<Kept>> {
        self.kept.get_with(owner.to_owned(), Arc::default)
    }

    /// Fetches to the end even if the caller is gone: otherwise a caller that always hangs up would prevent all others
    /// from fetching.
    async fn fetch(&self, mut kept: OwnedMutexGuard<Kept>, now: Time) -> Result<Arc<KeySet>, KeySetsError> {
        let (outbound, purpose) = (self.outbound.clone(), self.purpose);
        let fetching = tokio::spawn(async move { kept.fetch(&outbound, purpose, now).await });
        fetching.await.unwrap_or(Err(KeySetsError::Pause))
    }
}

impl Kept {
    async fn fetch(
        &mut self,
        outbound: &Outbound,
        purpose: &'static str,
        now: Time,
    ) -> Result<Arc<KeySet>, KeySetsError> {
        self.asked_at = Some(now);
        let answer = outbound.get(&self.uri, "application/jwk-set+json, application/json", purpose).await?;
        if let Some(media_type) = answer.media_type.as_deref().filter(|media_type| !is_json(media_type)) {
            return Err(KeySetsError::MediaType(media_type.chars().take(100).collect()));
        }
        let set = Arc::new(KeySet::parse(&answer.body)?);
        self.set = Some((Arc::clone(&set), now + life(&answer)));
        Ok(set)
    }
}

/// Whether a media type is JSON's.
pub fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// `max-age` within its limits.
fn life(answer: &Answer) -> Duration {
    let directives = answer.cache_control.as_deref().unwrap_or_default().split(',').map(str::trim);
    let mut seconds = USUAL_LIFE;
    for directive in directives {
        match directive.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("max-age") => {
                seconds = value.trim_matches('"').parse().unwrap_or(USUAL_LIFE);
            }
            None if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache") => {
                seconds = 0;
            }
            _ => {}
        }
    }
    Duration::seconds(seconds.clamp(LIFE.0, LIFE.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_lives_as_its_answer_says_within_bounds() {
        for (text, seconds) in [
            (None, 600),
            (Some("max-age=300"), 300),
            (Some("public, Max-Age=\"300\""), 300),
            (Some("max-age=1"), 60),
            (Some("max-age=999999999"), 86_400),
            (Some("max-age=-5"), 60),
            (Some("max-age=x"), 600),
            (Some("no-store"), 60),
            (Some("private"), 600),
        ] {
            let answer =
                Answer { status: 200, media_type: None, cache_control: text.map(ToOwned::to_owned), body: Vec::new() };
            assert_eq!(life(&answer).num_seconds(), seconds, "{text:?}");
        }
    }

    #[test]
    fn only_json_is_read() {
        for (media_type, accepted) in [
            ("application/json", true),
            ("application/jwk-set+json", true),
            ("text/html", false),
            ("text/json+json", false),
            ("application/javascript", false),
        ] {
            assert_eq!(is_json(media_type), accepted, "{media_type}");
        }
    }
}
