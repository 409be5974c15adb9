//! Several rounds of the same measurement, and their medians.
//!
//! The speed of a shared machine changes within seconds. So everything is measured several times, each time with its
//! own floors, and an operation is reported as it was in the round with the median ratio.

use std::cmp::Ordering;

use crate::Result;
use crate::database::{self, Database, RoundTrip};
use crate::floors::{self, Crypto};
use crate::operations::{self, Measured};

/// One complete measurement: first the floors, then the operations.
pub struct Round {
    crypto: Crypto,
    database: Database,
    operations: Vec<Measured>,
}

impl Round {
    /// Measures all floors, and the operations of the `wanted` sections.
    pub fn measure(connections: usize, wanted: &dyn Fn(&str) -> bool) -> Result<Self> {
        let (crypto, database) = (floors::crypto()?, database::database(connections)?);
        let operations = operations::measure(connections, wanted, &crypto, &database)?;
        Ok(Self { crypto, database, operations })
    }
}

/// Returns the median of each floor over all rounds; `None` if there are no rounds.
pub fn floors(rounds: &[Round]) -> Option<(Crypto, Database)> {
    let first = &rounds.first()?.database;
    let crypto = |floor: fn(&Crypto) -> f64| median(rounds.iter().map(|round| floor(&round.crypto)));
    let database = |figure: fn(&Database) -> f64| median(rounds.iter().map(|round| figure(&round.database)));
    let trip =
        |client: fn(&Database) -> f64, backend| RoundTrip { client: database(client), backend: database(backend) };
    let crypto = Crypto {
        webauthn_verify: crypto(|floor| floor.webauthn_verify),
        es256_sign: crypto(|floor| floor.es256_sign),
        es256_verify: crypto(|floor| floor.es256_verify),
        rs256_sign: crypto(|floor| floor.rs256_sign),
        hs256_sign: crypto(|floor| floor.hs256_sign),
        hs256_verify: crypto(|floor| floor.hs256_verify),
    };
    let database = Database {
        version: first.version.clone(),
        commit: trip(|found| found.commit.client, |found| found.commit.backend),
        select: trip(|found| found.select.client, |found| found.select.backend),
        shared_commit: trip(|found| found.shared_commit.client, |found| found.shared_commit.backend),
        shared_per_second: database(|found| found.shared_per_second),
    };
    Some((crypto, database))
}

/// Returns each operation as it was in the round of its median ratio, with the latencies of the round of its median
/// p99.
pub fn operations(rounds: &[Round]) -> Vec<Measured> {
    let count = rounds.first().map_or(0, |round| round.operations.len());
    let of_all = |index: usize| rounds.iter().map(move |round| &round.operations[index]);
    (0..count)
        .map(|index| {
            let by_ratio = middle(of_all(index).collect(), |a, b| a.ratio().total_cmp(&b.ratio()));
            let by_p99 = middle(of_all(index).collect(), |a, b| a.latency.p99.cmp(&b.latency.p99));
            Measured { latency: by_p99.latency, ..by_ratio.clone() }
        })
        .collect()
}

/// Returns the median; there must be at least one value.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    middle(values.collect(), f64::total_cmp)
}

/// Returns the median; of an even number, the worse of the two in the middle.
fn middle<T: Copy>(mut values: Vec<T>, order: impl Fn(&T, &T) -> Ordering) -> T {
    values.sort_by(order);
    values[values.len() / 2]
}
