//! The time, as a parameter.
//!
//! Nobody else in the crate asks the operating system what time it is (clippy's `disallowed-methods` sees to it): rules
//! take `now` as an argument, and the tests move a [`Clock`] of their own past each expiry instead of sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Duration, SubsecRound as _, Utc};

/// A moment, always UTC.
pub type Time = DateTime<Utc>;

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
