//! Rules for a passkey's signature counter (WebAuthn Level 3 §7.2 step 22).

use serde::{Deserialize, Serialize};

/// What to do when a *synced* passkey's counter does not rise. Device-bound keys always follow [`Self::Strict`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncedCounter {
    /// Accept, and write an event to the audit trail.
    #[default]
    Warn,
    /// Refuse and suspend the passkey, as for device-bound keys.
    Strict,
    /// Accept silently.
    Ignore,
}

/// The rule for one sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterRule {
    /// The counter must rise, unless both values are zero: the authenticator then does not count.
    MustRise,
    /// Any value is accepted; the greater one is stored.
    MayRepeat,
    /// The first assertion of an imported passkey: any value is accepted and stored, because the system that it comes
    /// from may have counted differently. The storing statement accepts it only while the passkey is unused.
    First,
}

impl CounterRule {
    /// The rule for one passkey under a policy.
    pub const fn new(policy: SyncedCounter, backup_eligible: bool) -> Self {
        match (policy, backup_eligible) {
            (SyncedCounter::Strict, _) | (_, false) => Self::MustRise,
            (SyncedCounter::Warn | SyncedCounter::Ignore, true) => Self::MayRepeat,
        }
    }

    /// Whether `received` after `stored` is what a key without copies would send.
    pub const fn rises(stored: u32, received: u32) -> bool {
        received > stored || (received == 0 && stored == 0)
    }

    /// Whether `received` is accepted after `stored`. The storing statement repeats this condition, so that two
    /// concurrent ceremonies cannot both succeed.
    pub const fn accepts(self, stored: u32, received: u32) -> bool {
        matches!(self, Self::MayRepeat | Self::First) || Self::rises(stored, received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters() {
        for (stored, received, rises) in [
            (0, 0, true),
            (0, 1, true),
            (5, 6, true),
            (5, 5, false),
            (5, 4, false),
            (5, 0, false),
            (u32::MAX, 0, false),
            (u32::MAX - 1, u32::MAX, true),
        ] {
            assert_eq!(CounterRule::MustRise.accepts(stored, received), rises, "{stored} then {received}");
            assert!(CounterRule::MayRepeat.accepts(stored, received));
            assert!(CounterRule::First.accepts(stored, received));
        }
    }

    #[test]
    fn only_synced_keys_are_ever_forgiven() {
        use SyncedCounter::{Ignore, Strict, Warn};
        for (policy, synced, rule) in [
            (Warn, true, CounterRule::MayRepeat),
            (Ignore, true, CounterRule::MayRepeat),
            (Strict, true, CounterRule::MustRise),
            (Warn, false, CounterRule::MustRise),
            (Ignore, false, CounterRule::MustRise),
        ] {
            assert_eq!(CounterRule::new(policy, synced), rule, "{policy:?} synced={synced}");
        }
    }
}
