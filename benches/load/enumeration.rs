//! Whether the response time reveals that an e-mail address has an account (security table, N42).
//!
//! One caller on an idle server requests the options of known and of unknown addresses in turn: the best position an
//! attacker on the server's own network can have. The two samples are compared by rank, because a few slow outliers
//! would dominate a mean.

use std::time::{Duration, Instant};

use crate::Result;
use crate::drive::{percentile, real};
use crate::http::Client;
use crate::people::{Person, start_with_email};
use crate::process::{Home, Limits};
use crate::report::Figure;

/// How many requests of each kind are measured.
const PAIRS: usize = 2_000;
/// In percent. With this many pairs, the Mann–Whitney test begins to call two samples different here (p = 0.01): 2.576
/// times the standard deviation of U, which is the square root of (m + n + 1) / 12mn, above one half.
const CHANCE: f64 = 52.35;
/// Requests that are sent first and not measured.
const WARM_UP: usize = 400;
/// Addresses of each kind, used in turn, so that neither kind is cached better than the other.
const ADDRESSES: usize = 100;

/// Measures on a server of its own; takes a few seconds.
pub fn enumeration() -> Result<Vec<Figure>> {
    let home = Home::new("enumeration")?;
    let server = home.start(Limits::Off)?;
    let mut client = Client::new(server.address);
    let address = |known: bool, number: usize| {
        let name = if known { "person" } else { "nobody" };
        format!("{name}{:03}@example.test", number % ADDRESSES)
    };
    for number in 0..ADDRESSES {
        Person::sign_up_with_email(&mut client, &server.origin, &address(true, number))?;
    }
    let mut times = [Vec::with_capacity(PAIRS), Vec::with_capacity(PAIRS)];
    for turn in 0..WARM_UP + PAIRS {
        // The order within a pair alternates, so that neither kind always follows the other.
        for known in [turn % 2 == 0, turn % 2 == 1] {
            let email = address(known, turn / 2);
            let started = Instant::now();
            start_with_email(&mut client, &server.origin, &email)?;
            if turn >= WARM_UP {
                times[usize::from(known)].push(started.elapsed());
            }
        }
    }
    server.stop()?;
    let [mut unknown, mut known] = times;
    let told = chance_to_tell(&unknown, &known);
    let apart = percentile(&mut known, 50).abs_diff(percentile(&mut unknown, 50));
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    Ok(vec![
        Figure::told("addresses: p50 of a known one", micros(percentile(&mut known, 50)), "µs"),
        Figure::told("addresses: p50 of an unknown one", micros(percentile(&mut unknown, 50)), "µs"),
        Figure::at_most("addresses: medians apart", apart.as_secs_f64() * 1e3, "ms", Some(1.0)),
        Figure::at_most(
            "addresses: pairs that an attacker sorts rightly",
            told.max(1.0 - told) * 100.0,
            "%",
            Some(CHANCE),
        ),
    ])
}

/// Returns the share of pairs, one of each sample, in which the second is longer; ties count half (the Mann–Whitney U
/// over the number of pairs). One half reveals nothing.
fn chance_to_tell(unknown: &[Duration], known: &[Duration]) -> f64 {
    let mut sorted = unknown.to_vec();
    sorted.sort_unstable();
    let below = |time: &Duration| {
        let shorter = sorted.partition_point(|other| other < time);
        let not_longer = sorted.partition_point(|other| other <= time);
        shorter + not_longer
    };
    let twice: usize = known.iter().map(below).sum();
    real(twice as u64) / (2.0 * real((unknown.len() * known.len()) as u64))
}
