//! What a round trip to the database costs at least: one row changed and committed, one row read.
//!
//! Measured on a private cluster of its own with the settings that the server uses, so with fsync on, and through as many
//! connections as the server is loaded with: commits that arrive together share a write to the disk there as here.

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl as _, sql_query};
use passmint::statement;
use passmint::storage::cluster::Cluster;

use crate::Result;
use crate::drive::{Worker, ceiling};
use crate::process::Home;
use crate::usage::Processes;

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

/// What was found.
#[derive(Clone, Debug)]
pub struct Database {
    pub version: String,
    pub commit: RoundTrip,
    pub commits_per_second: f64,
    pub select: RoundTrip,
}

statement! {
    /// One row, one commit.
    Touch { id: i32 => Integer } -> BigInt, "UPDATE bench SET n = n + 1 WHERE id = $1 RETURNING n"
}

statement! {
    /// One row.
    Look { id: i32 => Integer } -> BigInt, "SELECT n FROM bench WHERE id = $1"
}

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    value: String,
}

/// Measures through `connections`. To be called from the main thread: PostgreSQL ends with the thread that started it.
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
    let measured = |touch: bool| -> Result<_> {
        let mut workers = (0..connections).map(|id| worker(&cluster.url(), id, touch)).collect::<Result<Vec<_>>>()?;
        let found = ceiling(&mut workers, &processes)?;
        // The client is this process: its threads do nothing but ask.
        Ok((RoundTrip { client: found.generator, backend: found.postgres }, found.per_second))
    };
    let ((commit, commits_per_second), (select, _)) = (measured(true)?, measured(false)?);
    Ok(Database { version: setting(&mut first, "server_version")?, commit, commits_per_second, select })
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
