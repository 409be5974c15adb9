//! Decides when to retry a message that could not be delivered.

use chrono::Duration;

use crate::clock::Time;

/// How long delivery of a message is attempted.
pub const PATIENCE: Duration = Duration::hours(24);
const FIRST_PAUSE: Duration = Duration::seconds(1);
const LONGEST_PAUSE: Duration = Duration::hours(6);

/// When to retry after attempt number `attempt` (from 1) failed; `None`: give up. The delays grow fourfold from a
/// second to six hours. `spread`, out of 256, shifts each delay by up to a quarter either way, so that messages that
/// failed together are not retried together.
pub fn next_try(attempt: i32, written_at: Time, now: Time, spread: u8) -> Option<Time> {
    let exponent = u32::try_from(attempt - 1).unwrap_or(0).min(15);
    let pause = FIRST_PAUSE.checked_mul(4_i32.saturating_pow(exponent)).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
    let next = now + pause * 3 / 4 + pause * i32::from(spread) / 512;
    (next <= written_at + PATIENCE).then_some(next)
}

/// Why a message was not delivered, in words for operators: no secrets, and nothing that the other side said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// A later attempt may succeed.
    Again(String),
    /// No attempt can succeed.
    Never(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_pauses_grow_from_a_second_to_six_hours() {
        for (attempt, seconds) in [(1, 1), (2, 4), (3, 16), (5, 256), (8, 16_384), (9, 21_600), (40, 21_600)] {
            assert_eq!(next_try(attempt, at(0), at(0), 128), Some(at(seconds)), "attempt {attempt}");
        }
    }

    #[test]
    fn the_spread_is_a_quarter_either_way() {
        assert_eq!(next_try(3, at(0), at(0), 0), Some(at(12)));
        let latest = next_try(3, at(0), at(0), 255).unwrap();
        assert!(latest > at(19) && latest < at(20), "{latest}");
    }

    #[test]
    fn after_a_day_it_is_given_up_and_not_after_a_dozen_tries_within_it() {
        let (mut now, mut attempts) = (at(0), 1);
        while let Some(next) = next_try(attempts, at(0), now, 128) {
            (now, attempts) = (next, attempts + 1);
        }
        assert_eq!(attempts, 11);
        assert!(now > at(18 * 3600) && now <= at(24 * 3600), "{now}");
    }
}
