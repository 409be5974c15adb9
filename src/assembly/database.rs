//! Opens the database: an external one, or a private cluster.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::StartError;
use crate::config::Config;
use crate::storage::cluster::{Attachment, Cluster, ClusterError, choose_directory};
use crate::storage::db::DbSettings;
use crate::storage::{Db, StorageError};

/// How long to wait for a server that is starting or stopping, or for a command that briefly runs the cluster.
const PATIENCE: Duration = Duration::from_secs(15);

/// The database, and the private cluster if this process runs it.
pub struct Database {
    /// The pool.
    pub db: Db,
    /// The private cluster, if this process runs it.
    pub cluster: Option<Cluster>,
}

/// What a command does if there is no private cluster yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Fails: most commands work on stored data, and a mistyped folder must not become a new database.
    Refuse,
    /// Creates it.
    Create,
}

/// Opens the configured database, or starts the private cluster. Call it from a thread that lives as long as the server:
/// the cluster stops with the thread that started it.
pub fn open(config: &Config) -> Result<Database, StartError> {
    let (url, cluster) = if let Some(url) = &config.database.url {
        (url.expose().clone(), None)
    } else {
        let directory = choose_directory(&config.server.data_dir)?;
        let cluster = patiently(|| Cluster::start(&directory))?;
        (cluster.url(), Some(cluster))
    };
    Ok(Database { db: pool(config, url, config.database.pool)?, cluster })
}

/// Opens the database for a command. For a private cluster this is the one of the running server, otherwise one started
/// for the life of the [`Database`].
pub fn open_for_command(config: &Config, missing: Missing) -> Result<Database, StartError> {
    let (url, cluster) = match &config.database.url {
        Some(url) => (url.expose().clone(), None),
        None => private_cluster(&config.server.data_dir, missing)?,
    };
    Ok(Database { db: pool(config, url, 1)?, cluster })
}

fn private_cluster(data_dir: &Path, missing: Missing) -> Result<(String, Option<Cluster>), StartError> {
    let directory = choose_directory(data_dir)?;
    if missing == Missing::Refuse && Cluster::attach(&directory)? == Attachment::Absent {
        return Err(StartError::Database(format!(
            "there is no database in {} yet: start the server once with `passmint serve`, make it with `passmint migrate`, or name another one by DATABASE_URL or --data-dir",
            directory.display()
        )));
    }
    let reached = patiently(|| match Cluster::attach(&directory)? {
        Attachment::Running(url) => Ok((url, None)),
        Attachment::Stopped | Attachment::Absent => {
            let cluster = Cluster::start(&directory)?;
            Ok((cluster.url(), Some(cluster)))
        }
    });
    Ok(reached?)
}

/// Retries while another process holds the cluster: it will soon end, or have the cluster running.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, ClusterError>) -> Result<T, ClusterError> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(ClusterError::InUse { .. }) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            result => return result,
        }
    }
}

/// Whether others use the cluster that this process runs. Sessions of people who repair it do not count.
pub fn is_used_by_others(conn: &mut PgConnection) -> Result<bool, StorageError> {
    let row: Answer = diesel::sql_query(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()) AS yes",
    )
    .get_result(conn)?;
    Ok(row.yes)
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

fn pool(config: &Config, url: String, connections: u32) -> Result<Db, StorageError> {
    let standard = |duration: chrono::Duration| duration.to_std().unwrap_or_default();
    Db::open(&DbSettings {
        url,
        pool: connections,
        wait: standard(config.database.wait),
        statement_timeout: standard(config.database.statement_timeout),
        lock_timeout: standard(config.database.lock_timeout),
    })
}

/// What is wrong with the server's version or settings: what prevents a start, and what is only dangerous.
pub fn problems_of_database(conn: &mut PgConnection) -> Result<Problems, StorageError> {
    let (version, number) = (setting(conn, "server_version")?, setting(conn, "server_version_num")?);
    let mut off = Vec::new();
    for name in [SYNCHRONOUS_COMMIT, "fsync", "full_page_writes"] {
        if setting(conn, name)? == "off" {
            off.push(name);
        }
    }
    Ok(judge(version, &number, off))
}

/// With this off, the database acknowledges changes before they are durable.
const SYNCHRONOUS_COMMIT: &str = "synchronous_commit";

fn judge(version: String, number: &str, off: Vec<&'static str>) -> Problems {
    let fatal = if number.parse::<u32>().unwrap_or(0) < 140_000 {
        Some(format!("PostgreSQL {version} is too old; version 14 or newer is needed"))
    } else {
        off.contains(&SYNCHRONOUS_COMMIT).then(|| {
            "synchronous_commit is off: a used refresh token could come back to life in a crash; set it to on"
                .to_owned()
        })
    };
    let dangerous = off.into_iter().filter(|name| *name != SYNCHRONOUS_COMMIT).collect();
    Problems { version, fatal, dangerous }
}

/// The assessment of a PostgreSQL server.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    /// Its version.
    pub version: String,
    /// Why it cannot be used.
    pub fatal: Option<String>,
    /// Settings that can lose acknowledged changes in a crash.
    pub dangerous: Vec<&'static str>,
}

fn setting(conn: &mut PgConnection, name: &str) -> Result<String, StorageError> {
    #[derive(QueryableByName)]
    struct Setting {
        #[diesel(sql_type = Text)]
        value: String,
    }
    let row: Setting =
        diesel::sql_query("SELECT current_setting($1) AS value").bind::<Text, _>(name).get_result(conn)?;
    Ok(row.value)
}

/// Refuses a server that is too old, or that can lose acknowledged changes.
pub fn check(conn: &mut PgConnection) -> Result<(), StartError> {
    let problems = problems_of_database(conn)?;
    for setting in problems.dangerous {
        tracing::warn!(setting, "PostgreSQL runs with a setting that can lose acknowledged changes in a crash");
    }
    problems.fatal.map_or(Ok(()), |fatal| Err(StartError::Database(fatal)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_or_forgetful_server_is_refused_and_a_dangerous_one_named() {
        for (name, (version, number), off, fatal, dangerous) in [
            ("old", ("13.23", "130023"), &[][..], Some("PostgreSQL 13.23 is too old"), &[][..]),
            ("of no known version", ("none", ""), &[], Some("is too old"), &[]),
            ("the oldest that will do", ("14.0", "140000"), &[], None, &[]),
            ("forgetful", ("16.1", "160001"), &["synchronous_commit"], Some("set it to on"), &[]),
            ("dangerous", ("16.1", "160001"), &["fsync", "full_page_writes"], None, &["fsync", "full_page_writes"]),
        ] {
            let judged = judge(version.to_owned(), number, off.to_vec());
            assert_eq!(judged.fatal.is_some(), fatal.is_some(), "{name}: {judged:?}");
            assert!(judged.fatal.unwrap_or_default().contains(fatal.unwrap_or_default()), "{name}");
            assert_eq!(judged.dangerous, dangerous, "{name}");
        }
    }
}
