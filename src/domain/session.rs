//! A signed-in session: how long it lives, when it ends, and when its verification is fresh.

use chrono::Duration;
use serde_json::{Map, Value};

use super::id::{PasskeyId, SessionId, UserId};
use crate::clock::Time;

/// The longest session life that the configuration allows. An ID token issued in a session may come back for this long.
pub const LONGEST_SESSION: Duration = Duration::days(400);

/// How long sessions live.
#[derive(Clone, Copy, Debug)]
pub struct SessionLifetimes {
    /// Unused sessions end after this long.
    pub sliding: Duration,
    /// Every session ends after this long.
    pub absolute: Duration,
}

impl SessionLifetimes {
    /// The next sliding end of a session, if the last write was long enough ago: one write per hour, or per tenth of
    /// the sliding time if that is shorter.
    pub fn slide(self, last_seen_at: Time, ends_at: Time, now: Time) -> Option<Time> {
        let pause = Duration::hours(1).min(self.sliding / 10);
        (now - last_seen_at >= pause).then(|| (now + self.sliding).min(ends_at))
    }
}

/// A session as it is stored.
#[derive(Clone, Debug)]
pub struct Session {
    /// Also the `sid` of its tokens.
    pub id: SessionId,
    /// The person the session belongs to.
    pub user: UserId,
    /// The client it was opened for; `None` for a browser session on our own pages.
    pub client: Option<String>,
    /// The passkey that opened it, as long as that exists.
    pub passkey: Option<PasskeyId>,
    /// Authentication context class reference of the last authentication.
    pub acr: String,
    /// Authentication method references of the last authentication.
    pub amr: Vec<String>,
    /// Our own claim `credential_class`.
    pub credential_class: Option<String>,
    /// When the person last authenticated.
    pub auth_time: Time,
    /// When user verification last happened.
    pub verified_at: Time,
    /// When it was opened.
    pub created_at: Time,
    /// When it was last seen (updated lazily).
    pub last_seen_at: Time,
    /// Sliding end.
    pub expires_at: Time,
    /// Absolute end.
    pub ends_at: Time,
    /// Browser and system in a few words.
    pub user_agent: Option<String>,
    /// The network it was opened from.
    pub address_class: Option<String>,
    /// What hooks added at the sign-in.
    pub hook_claims: Map<String, Value>,
}

impl Session {
    /// Whether the verification is recent enough for a sensitive change. Only user verification counts; a passkey
    /// without it (`acr` 1) does not.
    pub fn is_fresh(&self, now: Time, within: Duration) -> bool {
        super::authentication::acr_reaches(&self.acr, "phr") && now - self.verified_at <= within
    }

    /// The next sliding end, if it should be written.
    pub fn slide(&self, now: Time, lifetimes: SessionLifetimes) -> Option<Time> {
        lifetimes.slide(self.last_seen_at, self.ends_at, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Id;

    fn session(now: Time) -> Session {
        Session {
            id: Id::random(),
            user: Id::random(),
            client: None,
            passkey: None,
            acr: "phr".into(),
            amr: vec![],
            credential_class: None,
            auth_time: now,
            verified_at: now,
            created_at: now,
            last_seen_at: now,
            expires_at: now + Duration::days(30),
            ends_at: now + Duration::days(90),
            user_agent: None,
            address_class: None,
            hook_claims: Map::new(),
        }
    }

    #[test]
    fn freshness_ends_and_needs_user_verification() {
        let now = Time::UNIX_EPOCH;
        let five = Duration::minutes(5);
        let mut session = session(now);
        assert!(session.is_fresh(now + five, five));
        assert!(!session.is_fresh(now + five + Duration::seconds(1), five));
        session.acr = "1".into();
        assert!(!session.is_fresh(now, five), "one factor is never a fresh verification");
    }

    #[test]
    fn a_session_slides_at_most_once_an_hour_and_never_past_its_end() {
        let now = Time::UNIX_EPOCH;
        let lifetimes = SessionLifetimes { sliding: Duration::days(30), absolute: Duration::days(90) };
        let session = session(now);
        assert_eq!(session.slide(now + Duration::minutes(59), lifetimes), None);
        assert_eq!(session.slide(now + Duration::hours(1), lifetimes), Some(now + Duration::hours(1 + 30 * 24)));
        assert_eq!(session.slide(now + Duration::days(89), lifetimes), Some(session.ends_at));
    }
}
