//! Token buckets by class of route and network of caller.
//!
//! The table of buckets is swept of full ones every minute, so its size follows the callers of the last minutes. The
//! counts are this server's own; with several servers each allows the whole rate.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::caller::Network;
use super::error::{Failure, Kind};
use crate::domain::id::UserId;

/// What is being limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Beginning a ceremony.
    Start,
    /// Answering one.
    Verify,
    /// The token endpoint, introspection, revocation, bridges, codes of protected hosts.
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

impl Rate {
    fn quota(self) -> Quota {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Quota::per_minute(at_least_one(self.per_minute)).allow_burst(at_least_one(self.burst))
    }
}

/// The rate of each kind.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Beginning ceremonies, for each network.
    pub start: Rate,
    /// Answering them, likewise.
    pub verify: Rate,
    /// The token endpoint and its like, likewise.
    pub token: Rate,
    /// Custom tokens, for each person and bridge.
    pub mint: Rate,
}

/// The limits of one server.
pub struct Limits {
    start: DefaultKeyedRateLimiter<Network>,
    verify: DefaultKeyedRateLimiter<Network>,
    token: DefaultKeyedRateLimiter<Network>,
    mint: DefaultKeyedRateLimiter<(UserId, String)>,
    enabled: bool,
}

impl Limits {
    /// Limits at these rates; `enabled: false` lets everything through.
    pub fn new(enabled: bool, rates: Rates) -> Self {
        Self {
            start: RateLimiter::keyed(rates.start.quota()),
            verify: RateLimiter::keyed(rates.verify.quota()),
            token: RateLimiter::keyed(rates.token.quota()),
            mint: RateLimiter::keyed(rates.mint.quota()),
            enabled,
        }
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
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            refusal("Too many requests from this network.", wait)
        })
    }

    /// Takes one token from the bucket of this person at this bridge: a stolen session must not become a mill of tokens that
    /// nobody can revoke. Ask it of bridges that there are only, so that made-up names fill no table.
    pub fn check_mint(&self, owner: UserId, bridge: &str) -> Result<(), Failure> {
        if !self.enabled {
            return Ok(());
        }
        self.mint.check_key(&(owner, bridge.to_owned())).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            refusal("Too many tokens of this bridge for this account.", wait)
        })
    }

    /// Forgets full buckets. To be called about once a minute.
    pub fn sweep(&self) {
        for limiter in [&self.start, &self.verify, &self.token] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        self.mint.retain_recent();
        self.mint.shrink_to_fit();
    }
}

fn refusal(what: &str, wait: Duration) -> Failure {
    metrics::counter!("passmint_rate_limited_total").increment(1);
    let seconds = wait.as_secs() + 1;
    Failure::new(Kind::RateLimited, format!("{what} Wait {seconds} seconds.")).retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_for_its_own_network_and_class_only() {
        let rate = Rate { per_minute: 1, burst: 3 };
        let limits = Limits::new(true, Rates { start: rate, verify: rate, token: rate, mint: rate });
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
    fn custom_tokens_are_counted_by_person_and_bridge() {
        let rate = Rate { per_minute: 1, burst: 2 };
        let limits = Limits::new(true, Rates { start: rate, verify: rate, token: rate, mint: rate });
        let (ada, bob) = (UserId::random(), UserId::random());
        limits.check_mint(ada, "a").unwrap();
        limits.check_mint(ada, "a").unwrap();
        assert_eq!(limits.check_mint(ada, "a").unwrap_err().kind(), Kind::RateLimited);
        limits.check_mint(ada, "b").unwrap();
        limits.check_mint(bob, "a").unwrap();
    }

    #[test]
    fn switched_off_it_lets_everything_through() {
        let rate = Rate { per_minute: 1, burst: 1 };
        let limits = Limits::new(false, Rates { start: rate, verify: rate, token: rate, mint: rate });
        for _ in 0..10 {
            limits.check(Class::Token, Network::of("192.0.2.1".parse().unwrap())).unwrap();
        }
    }
}
