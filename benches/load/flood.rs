//! A flood of anonymous starts with the default limits, and honest people who sign in meanwhile.
//!
//! The limits count callers per /24, so every address of the flood and every person has a network of its own.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::drive::{percentile, real};
use crate::http::Client;
use crate::people::{PLAIN, Person, anonymous_start, at_once};
use crate::process::{Home, Limits, Server};
use crate::report::{Figure, mib};

const STARTS: u64 = 200_000;
const ADDRESSES: u8 = 200;
const HONEST: u8 = 100;
/// How long a person takes between the two calls.
const THINKING: Duration = Duration::from_secs(20);
/// The flood outlasts the last of these sign-ins.
const LASTS: Duration = Duration::from_secs(42);
const LAST_BEGINS: Duration = Duration::from_secs(20);
const THREADS: u8 = 8;
/// Until the server is idle after work.
const SETTLE: Duration = Duration::from_secs(2);

/// Runs the flood on a server of its own; takes about 45 seconds.
pub fn flood() -> Result<Vec<Figure>> {
    let home = Home::new("flood")?;
    let server = home.start(Limits::Default)?;
    // A fresh server is ready before it has created the last of its keys.
    thread::sleep(SETTLE);
    let mut people = (0..HONEST).map(|number| newcomer(&server, number)).collect::<Result<Vec<_>>>()?;
    thread::sleep(SETTLE);
    let processes = server.processes()?;
    let (before, postgres_before) = processes.memory()?;

    let (accepted, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let (over, peak) = (AtomicBool::new(false), AtomicU64::new(before));
    let honest = Mutex::new(Vec::new());
    let started = Instant::now();
    thread::scope(|scope| -> Result<()> {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if let Ok((now, _)) = processes.memory() {
                    peak.fetch_max(now, Ordering::Relaxed);
                }
                thread::sleep(Duration::from_millis(250));
            }
        });
        for (number, (client, person)) in people.iter_mut().enumerate() {
            let honest = &honest;
            scope.spawn(move || {
                thread::sleep(LAST_BEGINS.mul_f64(real(number as u64) / f64::from(HONEST)));
                let outcome = sign_in_slowly(client, person);
                honest.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
            });
        }
        let flooded = at_once(0..THREADS, |thread| pour(&server, thread, &accepted, &refused));
        over.store(true, Ordering::Relaxed);
        flooded.map(drop)
    })?;
    let lasted = started.elapsed();
    let (after, postgres_after) = processes.memory()?;
    peak.fetch_max(after, Ordering::Relaxed);
    server.stop()?;

    let outcomes = honest.into_inner().unwrap_or_else(PoisonError::into_inner);
    let succeeded = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    if let Some(Err(fault)) = outcomes.iter().find(|outcome| outcome.is_err()) {
        println!("An honest person failed: {fault}");
    }
    let mut waits: Vec<Duration> = outcomes.into_iter().flatten().collect();
    let grown = |now: u64, then: u64| mib(now.saturating_sub(then));
    Ok(vec![
        Figure::told("flood: starts a second", real(STARTS) / lasted.as_secs_f64(), "/s"),
        Figure::told("flood: starts accepted", real(accepted.into_inner()), ""),
        Figure::told("flood: starts refused (429)", real(refused.into_inner()), ""),
        Figure::at_most(
            "flood: growth of the server's memory, at its peak",
            grown(peak.into_inner(), before),
            "MB",
            Some(64.0),
        ),
        Figure::told("flood: growth of PostgreSQL's memory", grown(postgres_after, postgres_before), "MB"),
        Figure::at_least(
            "flood: honest people who got in",
            real(succeeded as u64) * 100.0 / f64::from(HONEST),
            "%",
            99.9,
        ),
        Figure::told(
            "flood: p99 of an honest person's two calls",
            percentile(&mut waits, 99).as_secs_f64() * 1e3,
            "ms",
        ),
    ])
}

fn newcomer(server: &Server, number: u8) -> Result<(Client, Person)> {
    let mut client = Client::at(server.address, Ipv4Addr::new(127, 20, number, 1));
    let person = Person::sign_up(&mut client, &server.origin, &format!("Person {number}"))?;
    client.hang_up();
    Ok((client, person))
}

/// Makes both calls with a person's pause between them; returns how long the server took for both.
fn sign_in_slowly(client: &mut Client, person: &mut Person) -> Result<Duration> {
    let started = Instant::now();
    let begun = person.begin(client, PLAIN)?;
    let first = started.elapsed();
    client.hang_up();
    thread::sleep(THINKING);
    let started = Instant::now();
    person.finish(client, &begun)?;
    client.hang_up();
    Ok(first + started.elapsed())
}

/// Sends one thread's share of the flood from its share of the addresses, evenly over the time.
fn pour(server: &Server, thread: u8, accepted: &AtomicU64, refused: &AtomicU64) -> Result<()> {
    let addresses = (thread..ADDRESSES).step_by(THREADS.into());
    let mut clients: Vec<Client> =
        addresses.map(|number| Client::at(server.address, Ipv4Addr::new(127, 10, number, 1))).collect();
    let share = STARTS / u64::from(THREADS);
    let started = Instant::now();
    let sources = clients.len();
    for turn in 0..share {
        let due = LASTS.mul_f64(real(turn) / real(share));
        thread::sleep(due.saturating_sub(started.elapsed()));
        let client = &mut clients[usize::try_from(turn)? % sources];
        match anonymous_start(client, &server.origin)? {
            200 => accepted.fetch_add(1, Ordering::Relaxed),
            429 => refused.fetch_add(1, Ordering::Relaxed),
            status => return Err(format!("a start of the flood was answered {status}").into()),
        };
    }
    Ok(())
}
