//! The two ways to load a server: as fast as it answers, and at a given rate.
//!
//! [`ceiling`] is a closed loop: each connection sends its next request as soon as the last is answered. It measures
//! the throughput, and the CPU time of one operation with all cores busy. [`latency`] is an open loop: operations are
//! due at fixed moments, and each is timed from the moment it was due. A server that stalls therefore cannot hide the
//! wait by slowing its callers down.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::usage::{Cpu, Processes};
use crate::{Fault, Result};

/// One connection that does one operation when called.
pub type Worker<'a> = Box<dyn FnMut() -> Result<()> + Send + 'a>;

const WARM_UP: Duration = Duration::from_millis(800);
const WINDOW: Duration = Duration::from_secs(3);
const OPEN_WARM_UP: Duration = Duration::from_millis(300);
const OPEN_WINDOW: Duration = Duration::from_secs(3);

/// The result of a closed loop.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    /// Operations per second.
    pub per_second: f64,
    /// CPU time of one operation, in microseconds.
    pub server: f64,
    pub postgres: f64,
    pub generator: f64,
}

/// The result of an open loop.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
}

/// Loads as much as the workers can, and measures for three seconds.
pub fn ceiling(workers: &mut [Worker<'_>], processes: &Processes) -> Result<Ceiling> {
    let failure = Failure::default();
    let count = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let measured = thread::scope(|scope| {
        for worker in workers.iter_mut() {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) && failure.none_yet() {
                    match worker() {
                        Ok(()) => _ = count.fetch_add(1, Ordering::Relaxed),
                        Err(fault) => failure.is(fault),
                    }
                }
            });
        }
        let measured = measure(&count, processes);
        stop.store(true, Ordering::Relaxed);
        measured
    });
    failure.check()?;
    measured
}

fn measure(count: &AtomicU64, processes: &Processes) -> Result<Ceiling> {
    thread::sleep(WARM_UP);
    let (before, first, started) = (processes.cpu()?, count.load(Ordering::Relaxed), Instant::now());
    thread::sleep(WINDOW);
    let (after, last, elapsed) = (processes.cpu()?, count.load(Ordering::Relaxed), started.elapsed());
    let done = real(last - first);
    let Cpu { server, postgres, generator } = after.since(&before);
    let each = |used: Duration| used.as_secs_f64() * 1e6 / done;
    Ok(Ceiling {
        per_second: done / elapsed.as_secs_f64(),
        server: each(server),
        postgres: each(postgres),
        generator: each(generator),
    })
}

/// Loads at `rate` operations per second for three seconds.
pub fn latency(workers: &mut [Worker<'_>], rate: f64) -> Result<Latency> {
    let interval = Duration::from_secs_f64(1.0 / rate);
    let due = AtomicU64::new(0);
    let failure = Failure::default();
    let times = Mutex::new(Vec::new());
    let started = Instant::now();
    thread::scope(|scope| {
        for worker in workers.iter_mut() {
            scope.spawn(|| {
                let mut own = Vec::new();
                while failure.none_yet() {
                    let at = interval.mul_f64(real(due.fetch_add(1, Ordering::Relaxed)));
                    if at > OPEN_WARM_UP + OPEN_WINDOW {
                        break;
                    }
                    thread::sleep(at.saturating_sub(started.elapsed()));
                    if let Err(fault) = worker() {
                        failure.is(fault);
                    } else if at > OPEN_WARM_UP {
                        own.push(started.elapsed().saturating_sub(at));
                    }
                }
                times.lock().unwrap_or_else(PoisonError::into_inner).extend(own);
            });
        }
    });
    failure.check()?;
    let mut times = times.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Latency { p50: percentile(&mut times, 50), p99: percentile(&mut times, 99) })
}

/// Returns the value that `percent` of 100 do not exceed; zero if there are no values.
pub fn percentile(values: &mut [Duration], percent: usize) -> Duration {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The first failure of a run: a figure from failed operations would be worthless.
#[derive(Default)]
struct Failure {
    happened: AtomicBool,
    first: Mutex<Option<Fault>>,
}

impl Failure {
    fn is(&self, fault: Fault) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.happened.store(true, Ordering::Relaxed);
    }

    fn none_yet(&self) -> bool {
        !self.happened.load(Ordering::Relaxed)
    }

    fn check(self) -> Result<()> {
        self.first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// Converts a count for arithmetic.
#[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^52")]
pub fn real(count: u64) -> f64 {
    count as f64
}
