//! Rate limits: token buckets by class of route and network of the caller.
//!
//! Full buckets are removed every minute, so the table holds only the callers of the last minutes. Counts are local to
//! this server: of several servers, each allows the full rate.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::caller::Network;
use super::error::{Failure, Kind};
use crate::domain::id::UserId;

/// A class of routes with a common limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Starting a ceremony.
    Start,
    /// Completing a ceremony.
    Verify,
    /// The token endpoint, introspection, revocation, administration, bridges, codes for protected hosts.
    Token,
    /// Authorization requests, at the rate of the token endpoint but in a separate bucket.
    Authorize,
}

/// A rate limit.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Sustained rate, in requests per minute.
    pub per_minute: u32,
    /// Size of the bucket: how many requests can come at once.
    pub burst: u32,
}

impl Rate {
    fn quota(self) -> Quota {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Quota::per_minute(at_least_one(self.per_minute)).allow_burst(at_least_one(self.burst))
    }
}

/// The configured rates.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Starting ceremonies, per network.
    pub start: Rate,
    /// Completing ceremonies, per network.
    pub verify: Rate,
    /// The token endpoint and the others of its class, per network.
    pub token: Rate,
    /// Custom tokens, per user and bridge.
    pub mint: Rate,
    /// Presented tokens that were refused, per client, issuer and network.
    pub failed_exchange: Rate,
}

/// The rate limits of this server.
pub struct Limits {
    start: DefaultKeyedRateLimiter<Network>,
    verify: DefaultKeyedRateLimiter<Network>,
    token: DefaultKeyedRateLimiter<Network>,
    authorize: DefaultKeyedRateLimiter<Network>,
    mint: DefaultKeyedRateLimiter<(UserId, String)>,
    failed_exchange: DefaultKeyedRateLimiter<Presenter>,
    /// Presenters with too many refused tokens, and until when their tokens are refused unseen.
    held_off: Mutex<HashMap<Presenter, Instant>>,
    enabled: bool,
}

/// Who presents tokens, and of which issuer: the client's ID, the name of a trusted issuer, and the network of the
/// request. The network is included so that no one can block a public client for others by naming it. Client and issuer
/// are names known to us, so that invented names cannot fill the table.
pub type Presenter = (String, String, Network);

impl Limits {
    /// Limits at these rates. With `enabled: false`, everything is allowed.
    pub fn new(enabled: bool, rates: Rates) -> Self {
        Self {
            start: RateLimiter::keyed(rates.start.quota()),
            verify: RateLimiter::keyed(rates.verify.quota()),
            token: RateLimiter::keyed(rates.token.quota()),
            authorize: RateLimiter::keyed(rates.token.quota()),
            mint: RateLimiter::keyed(rates.mint.quota()),
            failed_exchange: RateLimiter::keyed(rates.failed_exchange.quota()),
            held_off: Mutex::default(),
            enabled,
        }
    }

    /// Takes one token from the caller's bucket, or refuses and says when the next is available.
    pub fn check(&self, class: Class, network: Network) -> Result<(), Failure> {
        if !self.enabled {
            return Ok(());
        }
        let limiter = match class {
            Class::Start => &self.start,
            Class::Verify => &self.verify,
            Class::Token => &self.token,
            Class::Authorize => &self.authorize,
        };
        limiter.check_key(&network).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            refusal("Too many requests from this network.", wait)
        })
    }

    /// Takes one token from the bucket of this user at this bridge: a stolen session must not be able to mint unlimited
    /// tokens that no one can revoke. Call it only for existing bridges, so that invented names cannot fill the table.
    pub fn check_mint(&self, owner: UserId, bridge: &str) -> Result<(), Failure> {
        if !self.enabled {
            return Ok(());
        }
        self.mint.check_key(&(owner, bridge.to_owned())).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            refusal("Too many tokens of this bridge for this account.", wait)
        })
    }

    /// Refuses if a presenter is currently blocked. Called before a token is checked, so that a token that was guessed
    /// right is refused like the others.
    pub fn check_presenter(&self, presenter: &Presenter) -> Result<(), Failure> {
        let until = self.held_off.lock().unwrap_or_else(PoisonError::into_inner).get(presenter).copied();
        let wait = until.and_then(|until| until.checked_duration_since(Instant::now()));
        match wait {
            Some(wait) if self.enabled => Err(refusal("Too many tokens of this issuer were presented in vain.", wait)),
            _ => Ok(()),
        }
    }

    /// Counts a refused token. Returns `true` if the limit is now exceeded, so that the presenter is blocked.
    pub fn count_in_vain(&self, presenter: &Presenter) -> bool {
        let Err(not_until) = self.failed_exchange.check_key(presenter) else { return false };
        let until = Instant::now() + not_until.wait_time_from(DefaultClock::default().now());
        self.held_off.lock().unwrap_or_else(PoisonError::into_inner).insert(presenter.clone(), until);
        self.enabled
    }

    /// Removes full buckets. Call it about once a minute.
    pub fn sweep(&self) {
        for limiter in [&self.start, &self.verify, &self.token, &self.authorize] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        self.mint.retain_recent();
        self.mint.shrink_to_fit();
        self.failed_exchange.retain_recent();
        self.failed_exchange.shrink_to_fit();
        let now = Instant::now();
        self.held_off.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, until| *until > now);
    }
}

fn refusal(what: &str, wait: Duration) -> Failure {
    metrics::counter!("passmint_rate_limited_total").increment(1);
    let seconds = wait.as_secs() + 1;
    Failure::new(Kind::RateLimited, format!("{what} Wait {seconds} seconds.")).retry_after(seconds)
}

#[cfg(test)]
impl Rates {
    const fn all(rate: Rate) -> Self {
        Self { start: rate, verify: rate, token: rate, mint: rate, failed_exchange: rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_for_its_own_network_and_class_only() {
        let rate = Rate { per_minute: 1, burst: 3 };
        let limits = Limits::new(true, Rates::all(rate));
        let network = |text: &str| Network::of(text.parse().unwrap());
        for _ in 0..3 {
            limits.check(Class::Start, network("192.0.2.1")).unwrap();
        }
        let refused = limits.check(Class::Start, network("192.0.2.200")).unwrap_err();
        assert_eq!(refused.kind(), Kind::RateLimited, "a neighbour in the same /24");
        assert!((1..=61).contains(&refused.wait().unwrap()));
        limits.check(Class::Start, network("192.0.3.1")).unwrap();
        for other in [Class::Verify, Class::Token, Class::Authorize] {
            limits.check(other, network("192.0.2.1")).unwrap();
        }
    }

    #[test]
    fn custom_tokens_are_counted_by_person_and_bridge() {
        let rate = Rate { per_minute: 1, burst: 2 };
        let limits = Limits::new(true, Rates::all(rate));
        let (ada, bob) = (UserId::random(), UserId::random());
        limits.check_mint(ada, "a").unwrap();
        limits.check_mint(ada, "a").unwrap();
        assert_eq!(limits.check_mint(ada, "a").unwrap_err().kind(), Kind::RateLimited);
        limits.check_mint(ada, "b").unwrap();
        limits.check_mint(bob, "a").unwrap();
    }

    #[test]
    fn tokens_in_vain_are_counted_by_client_issuer_and_network_and_hold_the_next_off() {
        let rate = Rate { per_minute: 1, burst: 2 };
        let limits = Limits::new(true, Rates::all(rate));
        let network = |text: &str| Network::of(text.parse().unwrap());
        let by = |client: &str, issuer: &str| (client.to_owned(), issuer.to_owned(), network("192.0.2.1"));
        let guesser = by("a", "x");
        assert!(!limits.count_in_vain(&guesser) && !limits.count_in_vain(&guesser));
        limits.check_presenter(&guesser).unwrap();
        assert!(limits.count_in_vain(&guesser), "one too many");
        let refused = limits.check_presenter(&guesser).unwrap_err();
        assert_eq!(refused.kind(), Kind::RateLimited);
        assert!((1..=61).contains(&refused.wait().unwrap()));
        for other in [by("a", "y"), by("b", "x"), ("a".to_owned(), "x".to_owned(), network("192.0.3.1"))] {
            limits.check_presenter(&other).unwrap();
        }
        limits.sweep();
        assert!(limits.check_presenter(&guesser).is_err(), "it is not forgotten before its time");
    }

    #[test]
    fn switched_off_it_lets_everything_through() {
        let rate = Rate { per_minute: 1, burst: 1 };
        let limits = Limits::new(false, Rates::all(rate));
        for _ in 0..10 {
            limits.check(Class::Token, Network::of("192.0.2.1".parse().unwrap())).unwrap();
        }
    }
}
