//! The database: where it is, how many connections it may have, and how long to wait for it.

use chrono::Duration;

use super::conninfo::{ConnInfo, DatabaseTls};
use super::problems::Wrong;
use super::reader::Reader;
use super::section::{Fallback, Key, Kind, Section};
use crate::domain::secret::Secret;

/// The database.
#[derive(Clone, Debug)]
pub struct Database {
    /// Where PostgreSQL is (a libpq URL or keyword string); `None` for the private cluster.
    pub url: Option<Secret<String>>,
    /// The maximum number of connections.
    pub pool: u32,
    /// How long a request waits for a connection before it is answered with 503.
    pub wait: Duration,
    /// PostgreSQL's `statement_timeout`.
    pub statement_timeout: Duration,
    /// PostgreSQL's `lock_timeout`.
    pub lock_timeout: Duration,
}

pub(super) const SECTION: Section = Section {
    title: "Database",
    doc: "Without `database.url` the server runs a private PostgreSQL cluster of its own under `data_dir`.",
    keys: &[
        Key {
            path: "database.url",
            kind: Kind::Secret,
            default: Fallback::Unset,
            doc: "Where PostgreSQL is: `postgres://user:password@host/database`, or libpq's `host=… user=…` form. Also \
                read from the variable `DATABASE_URL`, which `PASSMINT_DATABASE_URL` overrides, and from the file that \
                `database.url_file` names. A build without the feature `db-tls` cannot encrypt the connection: it \
                refuses a URL that asks for TLS, and should run next to the database or on a private network. libpq's \
                `connect_timeout`, `keepalives_…` and `tcp_user_timeout` have short defaults here; the URL can \
                override them.",
        },
        Key {
            path: "database.pool",
            kind: Kind::Integer(2, 200),
            default: Fallback::Value("16"),
            doc: "How many connections one server keeps at most.",
        },
        Key {
            path: "database.wait",
            kind: Kind::Duration("10ms", "1m"),
            default: Fallback::Value("2s"),
            doc: "How long a request waits for a connection before it is answered with 503.",
        },
        Key {
            path: "database.statement_timeout",
            kind: Kind::Duration("10ms", "5m"),
            default: Fallback::Value("2s"),
            doc: "How long PostgreSQL works on one statement before it gives up.",
        },
        Key {
            path: "database.lock_timeout",
            kind: Kind::Duration("10ms", "5m"),
            default: Fallback::Value("500ms"),
            doc: "How long a statement waits for a lock; not longer than `database.statement_timeout`.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>, tls: DatabaseTls) -> Database {
    let url = reader.secret("database.url").map(|url| checked_url(reader, url, tls));
    let database = Database {
        url,
        pool: reader.integer("database.pool"),
        wait: reader.duration("database.wait"),
        statement_timeout: reader.duration("database.statement_timeout"),
        lock_timeout: reader.duration("database.lock_timeout"),
    };
    if database.lock_timeout > database.statement_timeout {
        let wrong = Wrong::new("is longer than database.statement_timeout", "shorten it: the statement ends first");
        reader.contradiction("database.lock_timeout", &["database.statement_timeout"], wrong);
    }
    database
}

fn checked_url(reader: &mut Reader<'_>, url: Secret<String>, tls: DatabaseTls) -> Secret<String> {
    let checked = ConnInfo::read(url.expose()).and_then(|mut info| {
        info.sslmode = info.sslmode.or_else(|| reader.pgsslmode());
        info.check(tls)?;
        Ok(Secret::new(info.with_patience(url.expose())))
    });
    checked.unwrap_or_else(|wrong| {
        reader.mistake("database.url", wrong);
        url
    })
}
