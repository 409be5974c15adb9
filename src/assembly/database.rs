//! Reaching the database: the named one, or a private cluster.

use diesel::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::StartError;
use crate::config::Config;
use crate::storage::cluster::{Cluster, choose_directory};
use crate::storage::db::DbSettings;
use crate::storage::{Db, StorageError};

/// The database, and the cluster behind it when it is ours.
pub struct Database {
    /// The pool.
    pub db: Db,
    /// The private cluster.
    pub cluster: Option<Cluster>,
}

/// Opens the configured database, or starts the private cluster. Call it from a thread that lives as long as the server:
/// the cluster stops with the thread that started it.
pub fn open(config: &Config) -> Result<Database, StartError> {
    let cluster = match &config.database.url {
        Some(_) => None,
        None => Some(Cluster::start(&choose_directory(&config.server.data_dir)?)?),
    };
    let url = match (&config.database.url, &cluster) {
        (Some(url), _) => url.expose().clone(),
        (None, Some(cluster)) => cluster.url(),
        (None, None) => return Err(StartError::Database("no database is configured".to_owned())),
    };
    let standard = |duration: chrono::Duration| duration.to_std().unwrap_or_default();
    let db = Db::open(&DbSettings {
        url,
        pool: config.database.pool,
        wait: standard(config.database.wait),
        statement_timeout: standard(config.database.statement_timeout),
        lock_timeout: standard(config.database.lock_timeout),
    })?;
    Ok(Database { db, cluster })
}

/// Refuses a server that is too old, or that forgets what it acknowledged.
pub fn check(conn: &mut PgConnection) -> Result<(), StorageError> {
    let setting = |conn: &mut PgConnection, name: &str| -> Result<String, StorageError> {
        #[derive(QueryableByName)]
        struct Setting {
            #[diesel(sql_type = Text)]
            value: String,
        }
        let row: Setting =
            diesel::sql_query("SELECT current_setting($1) AS value").bind::<Text, _>(name).get_result(conn)?;
        Ok(row.value)
    };
    let version: u32 = setting(conn, "server_version_num")?.parse().unwrap_or(0);
    if version < 140_000 {
        return Err(StorageError::Migration(format!(
            "PostgreSQL {} is too old; version 14 or newer is needed",
            setting(conn, "server_version")?
        )));
    }
    for name in ["fsync", "full_page_writes"] {
        if setting(conn, name)? == "off" {
            tracing::warn!(
                setting = name,
                "PostgreSQL runs with a setting that can lose acknowledged changes in a crash"
            );
        }
    }
    if setting(conn, "synchronous_commit")? == "off" {
        return Err(StorageError::Migration(
            "synchronous_commit is off: a used refresh token could come back to life in a crash; set it to on"
                .to_owned(),
        ));
    }
    Ok(())
}
