//! The least that a round trip to the database costs: one row changed and committed, and one row read.
//!
//! Measured on a private cluster of its own, with the server's settings and therefore with fsync on. The floor is a
//! single commit while the other cores are busy. Commits that arrive together share a write to the disk and cost less.
//! That cost is reported beside the floor, for as many connections as the server is loaded with.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl as _, sql_query};
use passmint::statement;
use passmint::storage::cluster::Cluster;

use crate::Result;
use crate::drive::{Worker, ceiling, real};
use crate::floors::thread_cpu;
use crate::process::Home;
use crate::usage::Processes;

const ROUNDS: usize = 6;
const ROUND: Duration = Duration::from_millis(400);

/// CPU of one round trip, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct RoundTrip {
    pub client: f64,
    pub backend: f64,
}

impl RoundTrip {
    pub fn sum(self) -> f64 {
        self.client + self.backend
    }
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Database {
    pub version: String,
    pub commit: RoundTrip,
    pub select: RoundTrip,
    /// A commit while all connections commit, and the number of commits per second.
    pub shared_commit: RoundTrip,
    pub shared_per_second: f64,
}

statement! {
    /// Changes one row in one commit.
    Touch { id: i32 => Integer } -> BigInt, "UPDATE bench SET n = n + 1 WHERE id = $1 RETURNING n"
}

statement! {
    /// Reads one row.
    Look { id: i32 => Integer } -> BigInt, "SELECT n FROM bench WHERE id = $1"
}

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    value: String,
}

/// Measures through `connections`. Call it from the main thread: PostgreSQL ends with the thread that started it.
pub fn database(connections: usize) -> Result<Database> {
    let home = Home::new("floor")?;
    let cluster = Cluster::start(&home.directory().join("data"))?;
    let mut first = PgConnection::establish(&cluster.url())?;
    for durable in ["fsync", "synchronous_commit"] {
        if setting(&mut first, durable)? != "on" {
            return Err(format!("{durable} is off: commits are not real").into());
        }
    }
    first.batch_execute(
        "CREATE TABLE bench (id integer PRIMARY KEY, n bigint NOT NULL);
         INSERT INTO bench SELECT id, 0 FROM generate_series(0, 999) AS id",
    )?;
    let processes = Processes { server: None, postmaster: cluster.pid() };
    let url = cluster.url();
    let commit = alone(&mut *worker(&url, 0, true)?, &processes)?;
    let select = alone(&mut *worker(&url, 0, false)?, &processes)?;
    let mut workers = (0..connections).map(|id| worker(&url, id, true)).collect::<Result<Vec<_>>>()?;
    let shared = ceiling(&mut workers, &processes)?;
    Ok(Database {
        version: setting(&mut first, "server_version")?,
        commit,
        select,
        // The client is this process: its threads only send queries.
        shared_commit: RoundTrip { client: shared.generator, backend: shared.postgres },
        shared_per_second: shared.per_second,
    })
}

/// Makes one round trip after the other, while the other cores are kept busy.
fn alone(ask: &mut (dyn FnMut() -> Result<()> + Send), processes: &Processes) -> Result<RoundTrip> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 1..thread::available_parallelism()?.get() {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let result = round_trips(ask, processes);
        stop.store(true, Ordering::Relaxed);
        result
    })
}

/// Returns the cheapest of a few rounds: another process that writes to the disk makes a round dearer, and nothing
/// makes it cheaper.
fn round_trips(ask: &mut (dyn FnMut() -> Result<()> + Send), processes: &Processes) -> Result<RoundTrip> {
    round(ask, processes)?;
    let rounds = (0..ROUNDS).map(|_| round(ask, processes)).collect::<Result<Vec<_>>>()?;
    rounds.into_iter().min_by(|one, other| one.sum().total_cmp(&other.sum())).ok_or_else(|| "no rounds".into())
}

fn round(ask: &mut (dyn FnMut() -> Result<()> + Send), processes: &Processes) -> Result<RoundTrip> {
    let (started, mut done) = (Instant::now(), 0);
    let (backend, client) = (processes.cpu()?.postgres, thread_cpu());
    while started.elapsed() < ROUND {
        ask()?;
        done += 1;
    }
    let (backend, client) = (processes.cpu()?.postgres.saturating_sub(backend), thread_cpu().saturating_sub(client));
    let each = |used: Duration| used.as_secs_f64() * 1e6 / real(done);
    Ok(RoundTrip { client: each(client), backend: each(backend) })
}

fn worker(url: &str, id: usize, touch: bool) -> Result<Worker<'static>> {
    let mut conn = PgConnection::establish(url)?;
    let id = i32::try_from(id)?;
    Ok(Box::new(move || {
        if touch {
            Touch { id }.get_result::<i64>(&mut conn)?;
        } else {
            Look { id }.get_result::<i64>(&mut conn)?;
        }
        Ok(())
    }))
}

fn setting(conn: &mut PgConnection, name: &str) -> Result<String> {
    let found: Setting = sql_query(format!("SELECT current_setting('{name}') AS value")).get_result(conn)?;
    Ok(found.value)
}
