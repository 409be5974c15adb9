//! Decides when the next signing key comes.
//!
//! Pure: the keys of one use and algorithm, a policy and the time determine a list of changes, to be written in one
//! transaction. Invariants: exactly one key signs at any time; a new key is published before it signs, unless no key
//! signs or an operator asked for it at once; the old key verifies until the last token that it signed has expired.

use chrono::Duration;

use super::{KeyState, StoredKey};
use crate::clock::Time;

/// The periods of a key's life.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The time between publishing a key and signing with it: at least what the JWKS's `Cache-Control` allows.
    pub publish_before: Duration,
    /// How long a key signs; `None` for keys that rotate only on request.
    pub sign_for: Option<Duration>,
    /// The longest life of a token signed by the key, plus leeway.
    pub overlap: Duration,
}

impl Policy {
    /// Publishes ten minutes ahead, signs for 90 days, and keeps verifying for `longest_life` plus a minute of clock
    /// skew.
    pub fn with_longest_life(longest_life: Duration) -> Self {
        Self {
            publish_before: Duration::minutes(10),
            sign_for: Some(Duration::days(90)),
            overlap: longest_life + Duration::minutes(1),
        }
    }
}

/// Why rotation is being considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The regular check: rotates only when no key signs or the key's time has come.
    Schedule,
    /// `keys rotate`: the next key is published first.
    Request,
    /// `keys rotate --now`: the next key signs at once. Resource servers with a cached JWKS must refetch on an unknown
    /// `kid`.
    AtOnce,
}

/// One change to write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a decision that is not written is no rotation"]
pub enum Change {
    /// Generate a key and insert it with these dates.
    Insert {
        /// When it is published.
        published_at: Time,
        /// When it begins to sign.
        signs_from: Time,
    },
    /// A published key signs from this date on, earlier than planned.
    Promote {
        /// The key.
        kid: String,
        /// When it begins to sign.
        signs_from: Time,
    },
    /// A key stops signing, and later stops verifying.
    Retire {
        /// The key.
        kid: String,
        /// When it stops signing.
        retired_at: Time,
        /// Until when its signatures are accepted.
        verifies_until: Time,
    },
    /// A key is revoked at once.
    Revoke {
        /// The key.
        kid: String,
        /// When it is revoked.
        revoked_at: Time,
    },
}

/// Decides what to do with the keys of one use and algorithm.
#[must_use = "a decision that is not written is no rotation"]
pub fn next(keys: &[StoredKey], policy: Policy, trigger: Trigger, now: Time) -> Vec<Change> {
    let signing: Vec<&StoredKey> = in_state(keys, KeyState::Signing, now);
    let pending = in_state(keys, KeyState::Published, now).into_iter().min_by_key(|key| key.signs_from);
    let at = match (trigger, signing.iter().map(|key| key.signs_from).max()) {
        (Trigger::AtOnce, _) | (_, None) => now,
        (Trigger::Request, Some(_)) if pending.is_none() => now + policy.publish_before,
        (Trigger::Schedule, Some(since)) if pending.is_none() && is_due(since, policy, now) => {
            now + policy.publish_before
        }
        _ => return Vec::new(),
    };
    // A key published by a server whose clock is ahead begins to sign at its publication, not before.
    let at = match pending {
        Some(key) if key.signs_from <= at.max(key.published_at) => return Vec::new(),
        Some(key) => at.max(key.published_at),
        None => at,
    };
    let mut changes = vec![match pending {
        Some(key) => Change::Promote { kid: key.kid.clone(), signs_from: at },
        None => Change::Insert { published_at: now, signs_from: at },
    }];
    changes.extend(signing.into_iter().map(|key| Change::Retire {
        kid: key.kid.clone(),
        retired_at: at,
        verifies_until: at + policy.overlap,
    }));
    changes
}

/// Revokes one key (after a leak, or as a drill). If it was the signing key, its successor signs at once. An unknown or
/// already revoked `kid` changes nothing.
#[must_use = "a decision that is not written is no revocation"]
pub fn revoke(keys: &[StoredKey], kid: &str, policy: Policy, now: Time) -> Vec<Change> {
    let Some(key) = keys.iter().find(|key| key.kid == kid && key.state(now) != KeyState::Revoked) else {
        return Vec::new();
    };
    let others: Vec<StoredKey> = keys.iter().filter(|other| other.kid != kid).cloned().collect();
    let mut changes = vec![Change::Revoke { kid: key.kid.clone(), revoked_at: now }];
    changes.extend(next(&others, policy, Trigger::Schedule, now));
    changes
}

fn in_state(keys: &[StoredKey], state: KeyState, now: Time) -> Vec<&StoredKey> {
    keys.iter().filter(|key| key.state(now) == state).collect()
}

/// Due early enough for the successor to sign when the key's time is over.
fn is_due(signs_from: Time, policy: Policy, now: Time) -> bool {
    policy.sign_for.is_some_and(|sign_for| now >= signs_from + sign_for - policy.publish_before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::keys::{Algorithm, KeyMaterial, Use};
    use chrono::DateTime;

    fn at(minutes: i64) -> Time {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap() + Duration::minutes(minutes)
    }

    fn key(kid: &str, published: i64, signs: i64) -> StoredKey {
        StoredKey {
            kid: kid.into(),
            usage: Use::Refresh,
            algorithm: Algorithm::HS256,
            material: KeyMaterial::generate(Algorithm::HS256).unwrap(),
            published_at: at(published),
            signs_from: at(signs),
            retired_at: None,
            verifies_until: None,
            revoked_at: None,
        }
    }

    /// Publishes 10 minutes ahead, signs for 1,000 minutes, overlaps for 20.
    fn policy() -> Policy {
        Policy {
            publish_before: Duration::minutes(10),
            sign_for: Some(Duration::minutes(1000)),
            overlap: Duration::minutes(20),
        }
    }

    fn insert(published: i64, signs: i64) -> Change {
        Change::Insert { published_at: at(published), signs_from: at(signs) }
    }
    fn retire(kid: &str, retired: i64) -> Change {
        Change::Retire { kid: kid.into(), retired_at: at(retired), verifies_until: at(retired + 20) }
    }
    fn promote(kid: &str, signs: i64) -> Change {
        Change::Promote { kid: kid.into(), signs_from: at(signs) }
    }
    fn revoked(kid: &str, when: i64) -> Change {
        Change::Revoke { kid: kid.into(), revoked_at: at(when) }
    }

    fn retired(mut key: StoredKey, when: i64) -> StoredKey {
        (key.retired_at, key.verifies_until) = (Some(at(when)), Some(at(when + 20)));
        key
    }

    #[test]
    fn what_comes_next() {
        use Trigger::{AtOnce, Request, Schedule};
        let one = || vec![key("a", 0, 0)];
        let under_way = || vec![retired(key("a", 0, 0), 510), key("b", 500, 510)];
        for (name, keys, trigger, now, expected) in [
            ("the first key signs at once", vec![], Schedule, 0, vec![insert(0, 0)]),
            ("a fresh key stays", one(), Schedule, 989, vec![]),
            ("its time comes", one(), Schedule, 990, vec![insert(990, 1000), retire("a", 1000)]),
            ("long overdue", one(), Schedule, 5000, vec![insert(5000, 5010), retire("a", 5010)]),
            ("by order", one(), Request, 500, vec![insert(500, 510), retire("a", 510)]),
            ("at once", one(), AtOnce, 500, vec![insert(500, 500), retire("a", 500)]),
            ("already under way: schedule", under_way(), Schedule, 505, vec![]),
            ("already under way: order", under_way(), Request, 505, vec![]),
            ("under way, now at once", under_way(), AtOnce, 505, vec![promote("b", 505), retire("a", 505)]),
            ("after the change", under_way(), Schedule, 511, vec![]),
            ("after the overlap", under_way(), Schedule, 531, vec![]),
            ("only a waiting key", vec![key("b", 0, 10)], Schedule, 5, vec![promote("b", 5)]),
            ("made by a clock that is ahead", vec![key("b", 6, 6)], Schedule, 5, vec![]),
            ("waiting, by a clock that is ahead", vec![key("b", 6, 16)], Schedule, 5, vec![promote("b", 6)]),
            ("all expired", vec![retired(key("a", 0, 0), 100)], Schedule, 500, vec![insert(500, 500)]),
        ] {
            assert_eq!(next(&keys, policy(), trigger, at(now)), expected, "{name}");
        }
    }

    #[test]
    fn without_a_term_only_an_order_rotates() {
        let policy = Policy { sign_for: None, ..policy() };
        assert_eq!(next(&[key("a", 0, 0)], policy, Trigger::Schedule, at(1_000_000)), vec![]);
        assert_eq!(next(&[key("a", 0, 0)], policy, Trigger::Request, at(1)), vec![insert(1, 11), retire("a", 11)]);
    }

    #[test]
    fn a_revoked_key_is_replaced_if_it_signed() {
        let under_way = [retired(key("a", 0, 0), 510), key("b", 500, 510)];
        for (name, keys, kid, now, expected) in [
            ("the signing key", &under_way[1..], "b", 600, vec![revoked("b", 600), insert(600, 600)]),
            ("with a successor waiting", &under_way[..], "a", 505, vec![revoked("a", 505), promote("b", 505)]),
            ("one that only verifies", &under_way[..], "a", 515, vec![revoked("a", 515)]),
            ("unknown", &under_way[..], "x", 515, vec![]),
        ] {
            assert_eq!(revoke(keys, kid, policy(), at(now)), expected, "{name}");
        }
        let mut gone = key("a", 0, 0);
        gone.revoked_at = Some(at(5));
        assert_eq!(revoke(&[gone], "a", policy(), at(6)), vec![]);
    }

    /// Writes the changes as storage would, checks every minute, and asserts that exactly one key signs.
    #[test]
    fn at_every_minute_exactly_one_key_signs() {
        let mut keys: Vec<StoredKey> = Vec::new();
        for minute in 0..5000 {
            let trigger = match minute {
                700 => Trigger::Request,
                705 | 2200 => Trigger::AtOnce,
                _ => Trigger::Schedule,
            };
            for change in next(&keys, policy(), trigger, at(minute)) {
                match change {
                    Change::Insert { published_at, signs_from } => {
                        let mut new = key(&format!("k{minute}"), 0, 0);
                        (new.published_at, new.signs_from) = (published_at, signs_from);
                        keys.push(new);
                    }
                    Change::Promote { kid, signs_from } => {
                        keys.iter_mut().find(|key| key.kid == kid).unwrap().signs_from = signs_from;
                    }
                    Change::Retire { kid, retired_at, verifies_until } => {
                        let key = keys.iter_mut().find(|key| key.kid == kid).unwrap();
                        (key.retired_at, key.verifies_until) = (Some(retired_at), Some(verifies_until));
                    }
                    Change::Revoke { .. } => panic!("nobody asked for that"),
                }
            }
            assert_eq!(in_state(&keys, KeyState::Signing, at(minute)).len(), 1, "minute {minute}");
        }
        assert!(keys.len() >= 6, "{} keys", keys.len());
    }
}
