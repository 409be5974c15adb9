//! The time, as a parameter.
//!
//! Nobody else in the crate asks the operating system what time it is (clippy's `disallowed-methods` sees to it): rules
//! take `now` as an argument, and the tests move a [`Clock`] of their own past each expiry instead of sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Duration, SubsecRound as _, Utc};

/// A moment, always UTC.
pub type Time = DateTime<Utc>;

/// Most by which the clocks of two servers may differ: what one signs the others must accept.
pub const MOST_APART: Duration = Duration::seconds(5);
/// Most by which a server's may differ from the database's: two servers may be off to different sides.
pub const MOST_FROM_DATABASE: Duration = Duration::milliseconds(2500);

/// By how much another clock is ahead of ours (behind: negative), at least, if it was read between two readings of ours.
pub fn ahead(before: Time, there: Time, after: Time) -> Duration {
    if there > after {
        there - after
    } else if there < before {
        there - before
    } else {
        Duration::zero()
    }
}

/// What is wrong where the database's clock is further [`ahead`] than that, for operators.
pub fn too_far_apart(ahead: Duration) -> String {
    let ms = ahead.num_milliseconds();
    format!("the database's clock is {ms} ms from this machine's: let both follow a time server (NTP)")
}

/// The system's clock, shifted by an offset that only the tests change. Cloning shares the offset.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The operating system's time.
    pub fn system() -> Self {
        Self::default()
    }

    /// The current time, as precise as the database keeps it: to the microsecond.
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
