//! Decides what a presented refresh token yields (RFC 9700 §4.14.2).
//!
//! A family is one row with one live leaf. We sign its tokens ourselves, so a genuine token that is neither the leaf
//! nor its predecessor must have been used before: no history is needed to detect reuse.

use chrono::Duration;

use super::id::FamilyId;
use super::secret::TokenDigest;
use crate::clock::{MOST_APART, Time};

/// A family as stored.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its id, which is also in each of its tokens.
    pub id: FamilyId,
    /// The client that it was issued to.
    pub client: String,
    /// Digest of the live token's `jti`.
    pub leaf: TokenDigest,
    /// When the live token was issued.
    pub leaf_issued_at: Time,
    /// When the live token expires if it is not used.
    pub leaf_expires_at: Time,
    /// Key id the live token was signed with.
    pub leaf_key: String,
    /// Digest of the token that the leaf replaced.
    pub previous: Option<TokenDigest>,
    /// When the leaf replaced it.
    pub rotated_at: Option<Time>,
    /// Absolute end.
    pub ends_at: Time,
    /// Set when the family was revoked.
    pub revoked_at: Option<Time>,
}

/// Whether everything that the family depends on is still valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The session is alive and the person active.
    Good,
    /// The session has ended or was revoked, or the person is disabled.
    Ended,
}

/// Why a refresh token was refused. The client cannot tell the variants apart; the log does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshRefusal {
    /// It was issued to another client.
    #[error("the refresh token belongs to another client")]
    OtherClient,
    /// The family had been revoked.
    #[error("the refresh token's family is revoked")]
    Revoked,
    /// It reached its idle or absolute end.
    #[error("the refresh token has expired")]
    Expired,
    /// The session or the person is gone.
    #[error("the session has ended or the account is disabled")]
    Ended,
}

/// What to do with a presented token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a refusal or a replay must be acted on"]
pub enum Decision {
    /// It is the live leaf: rotate it.
    Rotate,
    /// It was the leaf a moment ago and its successor is unused: return the same successor again.
    Repeat,
    /// It was used before: revoke the family.
    Replayed,
    /// Refused, with the reason for the log.
    Refused(RefreshRefusal),
}

impl Family {
    /// Decides what to do with a presented token. `presented` is the digest of a genuine token's `jti` (signature and
    /// family id are already verified); `window` is how long a lost response may be requested again.
    pub fn decide(
        &self,
        presented: &TokenDigest,
        client: &str,
        standing: Standing,
        now: Time,
        window: Duration,
    ) -> Decision {
        if self.client != client {
            return Decision::Refused(RefreshRefusal::OtherClient);
        }
        if self.revoked_at.is_some() {
            return Decision::Refused(RefreshRefusal::Revoked);
        }
        if standing == Standing::Ended {
            return Decision::Refused(RefreshRefusal::Ended);
        }
        if now >= self.ends_at {
            return Decision::Refused(RefreshRefusal::Expired);
        }
        if self.leaf.matches(presented) {
            return if now >= self.leaf_expires_at {
                Decision::Refused(RefreshRefusal::Expired)
            } else {
                Decision::Rotate
            };
        }
        // The caller may have read the clock before the request that rotated the token did, possibly on another server.
        // Without a window even that is a second use. Setting a clock back does not reopen the window.
        let just_rotated =
            !window.is_zero() && self.rotated_at.is_some_and(|at| now - at < window && at - now <= MOST_APART);
        match &self.previous {
            Some(previous) if previous.matches(presented) && just_rotated => Decision::Repeat,
            _ => Decision::Replayed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Id;

    fn at(seconds: i64) -> Time {
        Time::UNIX_EPOCH + Duration::seconds(seconds)
    }

    fn family() -> Family {
        Family {
            id: Id::random(),
            client: "web".into(),
            leaf: TokenDigest::of("leaf"),
            leaf_issued_at: at(100),
            leaf_expires_at: at(1000),
            leaf_key: "k".into(),
            previous: Some(TokenDigest::of("previous")),
            rotated_at: Some(at(100)),
            ends_at: at(5000),
            revoked_at: None,
        }
    }

    #[test]
    fn decisions_by_name() {
        use RefreshRefusal::{Ended, Expired, OtherClient, Revoked};
        let revoked = Family { revoked_at: Some(at(101)), ..family() };
        for (name, family, token, client, standing, now, decision) in [
            ("the leaf", family(), "leaf", "web", Standing::Good, 101, Decision::Rotate),
            ("the leaf, just before its end", family(), "leaf", "web", Standing::Good, 999, Decision::Rotate),
            ("the leaf, at its end", family(), "leaf", "web", Standing::Good, 1000, Decision::Refused(Expired)),
            ("its predecessor, at once", family(), "previous", "web", Standing::Good, 100, Decision::Repeat),
            ("its predecessor, inside the window", family(), "previous", "web", Standing::Good, 109, Decision::Repeat),
            (
                "its predecessor, by a clock that lags",
                family(),
                "previous",
                "web",
                Standing::Good,
                95,
                Decision::Repeat,
            ),
            (
                "its predecessor, by a clock set back",
                family(),
                "previous",
                "web",
                Standing::Good,
                94,
                Decision::Replayed,
            ),
            ("its predecessor, after the window", family(), "previous", "web", Standing::Good, 110, Decision::Replayed),
            ("an older one, inside the window", family(), "older", "web", Standing::Good, 101, Decision::Replayed),
            ("another client", family(), "leaf", "other", Standing::Good, 101, Decision::Refused(OtherClient)),
            (
                "another client, replaying",
                family(),
                "older",
                "other",
                Standing::Good,
                101,
                Decision::Refused(OtherClient),
            ),
            ("revoked inside the window", revoked, "previous", "web", Standing::Good, 102, Decision::Refused(Revoked)),
            ("signed out", family(), "leaf", "web", Standing::Ended, 101, Decision::Refused(Ended)),
            ("past the absolute end", family(), "leaf", "web", Standing::Good, 5000, Decision::Refused(Expired)),
        ] {
            let got = family.decide(&TokenDigest::of(token), client, standing, at(now), Duration::seconds(10));
            assert_eq!(got, decision, "{name}");
        }
    }

    #[test]
    fn a_window_of_zero_forgives_nothing() {
        for (name, now) in [("at the same moment", 100), ("with a clock read before the winner's", 99)] {
            let got = family().decide(&TokenDigest::of("previous"), "web", Standing::Good, at(now), Duration::zero());
            assert_eq!(got, Decision::Replayed, "{name}");
        }
    }
}
