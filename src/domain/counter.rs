//! What a passkey's signature counter may do (WebAuthn Level 3 §7.2 step 22).

use serde::{Deserialize, Serialize};

/// What to do when a *synced* passkey's counter does not rise. Device-bound keys are always held to [`Self::Strict`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncedCounter {
    /// Accept, and leave an event in the audit trail.
    #[default]
    Warn,
    /// Refuse and suspend, as for device-bound keys.
    Strict,
    /// Accept silently.
    Ignore,
}

/// The rule that one sign-in is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterRule {
    /// The counter must rise, unless both sides are zero: the key then counts nothing.
    MustRise,
    /// Whatever comes is accepted; the stored value keeps the greater one.
    MayRepeat,
    /// The first assertion of an imported passkey: whatever comes is accepted and stored, because the system that it
    /// comes from may have counted otherwise. The storing statement accepts it while the passkey is still unused.
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

    /// Whether `received` after `stored` is what an unclonable key would send.
    pub const fn rises(stored: u32, received: u32) -> bool {
        received > stored || (received == 0 && stored == 0)
    }

    /// Whether `received` after `stored` is accepted. The storing statement repeats this condition, so that two
    /// ceremonies answered side by side cannot both win.
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
