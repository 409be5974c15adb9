//! The time, as a parameter.
//!
//! No other code in the crate reads the system's time (enforced by clippy's `disallowed-methods`): rules take `now` as
//! an argument, and tests advance their own [`Clock`] past an expiry instead of sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Duration, SubsecRound as _, Utc};

/// A point in time, always UTC.
pub type Time = DateTime<Utc>;

/// The most by which the clocks of two servers may differ: each must accept what the others sign.
pub const MOST_APART: Duration = Duration::seconds(5);
/// The most by which a server's clock may differ from the database's: two servers may be off in opposite directions.
pub const MOST_FROM_DATABASE: Duration = Duration::milliseconds(2500);

/// The minimum by which another clock is ahead of ours (negative: behind), if it was read between two readings of ours.
pub fn ahead(before: Time, there: Time, after: Time) -> Duration {
    if there > after {
        there - after
    } else if there < before {
        there - before
    } else {
        Duration::zero()
    }
}

/// The message for operators when the database's clock is too far [`ahead`].
pub fn too_far_apart(ahead: Duration) -> String {
    let ms = ahead.num_milliseconds();
    format!("the database's clock is {ms} ms from this machine's: let both follow a time server (NTP)")
}

/// The system's clock, shifted by an offset that only tests change. Clones share the offset.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The operating system's time.
    pub fn system() -> Self {
        Self::default()
    }

    /// The current time in microseconds, the precision of the database.
    pub fn now(&self) -> Time {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
        let system = Utc::now().trunc_subsecs(6);
        system + Duration::milliseconds(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Moves this clock and all its clones forward (or back, when negative). For tests.
    pub fn advance(&self, by: Duration) {
        self.offset_ms.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_an_answer_took_is_no_difference_of_clocks() {
        let at = |seconds| Time::UNIX_EPOCH + Duration::seconds(seconds);
        for (name, there, expected) in [
            ("read between", 15, 0),
            ("at the first reading", 10, 0),
            ("at the second", 20, 0),
            ("ahead", 23, 3),
            ("behind", 3, -7),
        ] {
            assert_eq!(ahead(at(10), at(there), at(20)), Duration::seconds(expected), "{name}");
        }
    }
}
