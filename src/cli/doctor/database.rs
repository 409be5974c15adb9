//! Tests the database: reachable, recent, safely configured, up to date, close, and with the same time as this machine.

use std::time::Instant;

use diesel::prelude::*;

use super::Report;
use crate::assembly::{Missing, problems_of_database};
use crate::cli::desk::{Desk, Refusal};
use crate::cli::settings::Loaded;
use crate::clock::{self, Clock, MOST_FROM_DATABASE};
use crate::storage::cluster::{Attachment, Cluster, choose_directory};
use crate::storage::{installation, migrations, servers};

/// A sign-in takes two round trips; a longer delay is noticeable.
const SLOW_MS: u128 = 100;

/// Tests the database. Returns it if the other tests can use it.
pub(super) fn examine(report: &mut Report, loaded: Loaded) -> Option<Desk> {
    if is_absent(&loaded) {
        report.good("database", "a private one, not made yet: the first `passmint serve` makes it, with its keys");
        return None;
    }
    let opened = Desk::open(loaded, Missing::Refuse).and_then(|desk| {
        desk.read(|conn| Ok(diesel::sql_query("SELECT 1").execute(conn)?))?;
        Ok(desk)
    });
    let desk = match opened {
        Ok(desk) => desk,
        Err(error) => {
            report.wrong("database", error);
            return None;
        }
    };
    report.note("database", desk.read(|conn| Ok(judge(conn, &desk))).and_then(|judged| judged));
    report.note("database latency", latency(&desk));
    report.note("clock", clock(&desk));
    let pending = desk.read(|conn| Ok(migrations::pending(conn)?));
    let up_to_date = pending.as_ref().is_ok_and(Vec::is_empty);
    report.note("tables", pending.and_then(|pending| tables(&desk, &pending)));
    up_to_date.then_some(desk)
}

fn is_absent(loaded: &Loaded) -> bool {
    let config = &loaded.config;
    config.database.url.is_none()
        && choose_directory(&config.server.data_dir)
            .and_then(|directory| Cluster::attach(&directory))
            .is_ok_and(|found| found == Attachment::Absent)
}

fn judge(conn: &mut PgConnection, desk: &Desk) -> Result<String, String> {
    let judged = problems_of_database(conn).map_err(|error| Refusal::from(error).0)?;
    if let Some(fatal) = judged.fatal {
        return Err(fatal);
    }
    if !judged.dangerous.is_empty() {
        return Err(format!(
            "PostgreSQL {} runs with {} off: a crash can lose what was acknowledged; set it to on",
            judged.version,
            judged.dangerous.join(" and ")
        ));
    }
    let whose = match (&desk.config.database.url, desk.runs_cluster()) {
        (Some(_), _) => "",
        (None, true) => ", the private one, started for this command",
        (None, false) => ", the private one of a running server",
    };
    Ok(format!("PostgreSQL {}{whose}", judged.version))
}

fn latency(desk: &Desk) -> Result<String, String> {
    const TRIES: u32 = 5;
    let begun = Instant::now();
    for _ in 0..TRIES {
        desk.read(|conn| Ok(diesel::sql_query("SELECT 1").execute(conn)?))?;
    }
    let each = begun.elapsed() / TRIES;
    let text = format!("{:.1} ms a round trip", each.as_secs_f64() * 1000.0);
    if each.as_millis() > SLOW_MS {
        return Err(format!("{text}: a sign-in needs two; bring the database and the server nearer to each other"));
    }
    Ok(text)
}

fn clock(desk: &Desk) -> Result<String, String> {
    let clock = Clock::system();
    let before = clock.now();
    let there = desk.read(|conn| Ok(servers::time(conn)?))?;
    let ahead = clock::ahead(before, there, clock.now());
    if ahead.abs() > MOST_FROM_DATABASE {
        return Err(clock::too_far_apart(ahead));
    }
    Ok(format!("at most {} ms from the database's", MOST_FROM_DATABASE.num_milliseconds()))
}

fn tables(desk: &Desk, pending: &[String]) -> Result<String, String> {
    if pending.is_empty() {
        return Ok("up to date".to_owned());
    }
    let cure = if is_for_init(desk) {
        "run `passmint keys init`, which makes them and the master key"
    } else {
        "run `passmint migrate`, or start the server"
    };
    Err(format!("not up to date ({} to apply): {cure}", pending.join(", ")))
}

/// Whether a server would refuse to start here because there is no master key. Without tables there is no mark either.
fn is_for_init(desk: &Desk) -> bool {
    let config = &desk.config;
    let marked = || desk.read(|conn| Ok(installation::find(conn)?)).is_ok_and(|mark| mark.is_some());
    config.database.url.is_some() && !config.keys.master_key_file.exists() && !marked()
}
