//! Token buckets by class of route and network of caller.
//!
//! The table of buckets is swept of full ones every minute, so its size follows the callers of the last minutes. The
//! counts are this server's own; with several servers each allows the whole rate.

use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::caller::Network;
use super::error::{Failure, Kind};

/// What is being limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Beginning a ceremony.
    Start,
    /// Answering one.
    Verify,
    /// The token endpoint, introspection, revocation, bridges.
    Token,
}

/// A rate: so many a minute, and so many at once.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Sustained rate.
    pub per_minute: u32,
    /// Size of the bucket.
    pub burst: u32,
}

/// The limits of one server.
pub struct Limits {
    start: DefaultKeyedRateLimiter<Network>,
    verify: DefaultKeyedRateLimiter<Network>,
    token: DefaultKeyedRateLimiter<Network>,
    enabled: bool,
}

impl Limits {
    /// Limits at these rates; `enabled: false` lets everything through.
    pub fn new(enabled: bool, start: Rate, verify: Rate, token: Rate) -> Self {
        let limiter = |rate: Rate| {
            let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
            RateLimiter::keyed(Quota::per_minute(at_least_one(rate.per_minute)).allow_burst(at_least_one(rate.burst)))
        };
        Self { start: limiter(start), verify: limiter(verify), token: limiter(token), enabled }
    }

    /// Takes one token from the caller's bucket, or says when there will be one.
    pub fn check(&self, class: Class, network: Network) -> Result<(), Failure> {
        if !self.enabled {
            return Ok(());
        }
        let limiter = match class {
            Class::Start => &self.start,
            Class::Verify => &self.verify,
            Class::Token => &self.token,
        };
        limiter.check_key(&network).map_err(|not_until| {
            metrics::counter!("passmint_rate_limited_total").increment(1);
            let seconds = not_until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
            Failure::new(Kind::RateLimited, format!("Too many requests from this network. Wait {seconds} seconds."))
                .retry_after(seconds)
        })
    }

    /// Forgets full buckets. To be called about once a minute.
    pub fn sweep(&self) {
        for limiter in [&self.start, &self.verify, &self.token] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_for_its_own_network_and_class_only() {
        let rate = Rate { per_minute: 1, burst: 3 };
        let limits = Limits::new(true, rate, rate, rate);
        let network = |text: &str| Network::of(text.parse().unwrap());
        for _ in 0..3 {
            limits.check(Class::Start, network("192.0.2.1")).unwrap();
        }
        let refused = limits.check(Class::Start, network("192.0.2.200")).unwrap_err();
        assert_eq!(refused.kind(), Kind::RateLimited, "a neighbour in the same /24");
        assert!((1..=61).contains(&refused.wait().unwrap()));
        limits.check(Class::Start, network("192.0.3.1")).unwrap();
        limits.check(Class::Verify, network("192.0.2.1")).unwrap();
    }

    #[test]
    fn switched_off_it_lets_everything_through() {
        let rate = Rate { per_minute: 1, burst: 1 };
        let limits = Limits::new(false, rate, rate, rate);
        for _ in 0..10 {
            limits.check(Class::Token, Network::of("192.0.2.1".parse().unwrap())).unwrap();
        }
    }
}
