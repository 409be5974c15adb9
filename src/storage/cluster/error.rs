//! Why the private cluster did not start: each message is one line for the person who typed the command, saying what is
//! wrong, where, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the private cluster did not start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No directory with `postgres` and `initdb` was found.
    #[error(
        "no PostgreSQL server found (looked in {looked_in}): install the package `postgresql` (14 or later), name its \
         programs' directory in PASSMINT_PG_BIN, or set DATABASE_URL"
    )]
    BinariesMissing {
        /// The directories searched, separated by commas.
        looked_in: String,
    },
    /// `setpriv` or `setsid` is not installed.
    #[error("`{tool}` not found: install the package `util-linux`, or set DATABASE_URL")]
    ToolMissing {
        /// The program that is missing.
        tool: &'static str,
    },
    /// The PostgreSQL that was found is older than 14.
    #[error("PostgreSQL {version} in {directory} is too old: install version 14 or later, or set DATABASE_URL")]
    TooOld {
        /// The major version found.
        version: u32,
        /// Where.
        directory: PathBuf,
    },
    /// A program was found whose `--version` makes no sense.
    #[error("{program} does not tell its version ({reason}): reinstall the package `postgresql`, or set DATABASE_URL")]
    Unusable {
        /// The program.
        program: PathBuf,
        /// What it said instead.
        reason: String,
    },
    /// The data were written by another major version than the ones installed.
    #[error(
        "{data} was written by PostgreSQL {written}, and installed here is {installed}: install `postgresql-{written}` \
         beside it, or move the data over with pg_upgrade or pg_dump"
    )]
    VersionMismatch {
        /// The cluster's data directory.
        data: PathBuf,
        /// The content of its `PG_VERSION`.
        written: String,
        /// The major versions found, separated by commas.
        installed: String,
    },
    /// We are root, PostgreSQL refuses to be, and no unprivileged user was found.
    #[error(
        "PostgreSQL does not run as root, and there is no user `passmint`, `postgres` or `nobody`: create one (`useradd \
         --system passmint`), start as another user, or set DATABASE_URL"
    )]
    NoUnprivilegedUser,
    /// The user id has no name: `initdb` and `postgres` look up their own user and stop when it is unknown.
    #[error(
        "user id {uid} has no entry in /etc/passwd, which PostgreSQL needs: add one, start as another user, or set \
         DATABASE_URL"
    )]
    UserUnknown {
        /// The user id without a name.
        uid: u32,
    },
    /// The data belong to a user that PostgreSQL would not run as.
    #[error(
        "{path} belongs to {owner}, and PostgreSQL would run as {runner}: start as {owner}, or `chown -R {runner} {path}`"
    )]
    WrongOwner {
        /// The file or directory.
        path: PathBuf,
        /// Its owner's name.
        owner: String,
        /// Who would have to own it.
        runner: String,
    },
    /// A path exists and is not the directory it must be.
    #[error("{path} is not a PostgreSQL data directory (no PG_VERSION): restore it from a backup, or move it away")]
    NotACluster {
        /// What stands where the data should be.
        path: PathBuf,
    },
    /// Another server, or a command that runs the cluster by itself, holds the directory.
    #[error(
        "{directory} is in use by another Passmint server or command (process {pid}): stop that one or wait for its end, \
         or give this one another data directory"
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
        /// The holder's process id, or `unknown`.
        pid: String,
    },
    /// The cluster is running, and accepts only the user of its own server.
    #[error(
        "{directory} is in use by a server that runs as {user}: run this command as {user} too (`sudo -u {user} …`)"
    )]
    OtherUser {
        /// The data directory.
        directory: PathBuf,
        /// The server's user.
        user: String,
    },
    /// A PostgreSQL without a Passmint server still has the data open.
    #[error("PostgreSQL (process {pid}) still has {data} open: stop it with `kill -INT {pid}` and start again")]
    StillRunning {
        /// The cluster's data directory.
        data: PathBuf,
        /// The process, or `unknown`.
        pid: String,
    },
    /// The disk is full.
    #[error("no space left on the disk of {path}: make room and start again")]
    NoSpace {
        /// Where.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error(
        "no permission to {doing} {path} as {user}: correct the permissions of it and its parents, or choose another data directory"
    )]
    NoPermission {
        /// A verb: what was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// As whom.
        user: String,
    },
    /// A directory that others could tamper with stands where the socket should go.
    #[error("{path} must be a directory of mode 0700 that belongs to {owner}: remove it and start again")]
    UnsafeSocketDirectory {
        /// The directory.
        path: PathBuf,
        /// Who must own it.
        owner: String,
    },
    /// `initdb` failed for a reason not listed here.
    #[error("PostgreSQL could not create a cluster in {data}: {reason}")]
    Initdb {
        /// The cluster's data directory.
        data: PathBuf,
        /// What it said last.
        reason: String,
    },
    /// `postgres` ended before it was ready.
    #[error("PostgreSQL did not start in {data}: {reason} (log: {log})")]
    DidNotStart {
        /// The cluster's data directory.
        data: PathBuf,
        /// What it said last.
        reason: String,
        /// Where it said the rest.
        log: PathBuf,
    },
    /// `postgres` is alive and still not ready.
    #[error("PostgreSQL in {data} was not ready after {seconds} s: see {log}")]
    TimedOut {
        /// The cluster's data directory.
        data: PathBuf,
        /// How long it was given.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
    /// Any other failure of the operating system.
    #[error("could not {doing} {path}: {source}")]
    Io {
        /// A verb: what was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl ClusterError {
    /// The error for a failed system call, with the common causes told apart.
    pub(super) fn io(doing: &'static str, path: &Path, user: &str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            io::ErrorKind::PermissionDenied => Self::NoPermission { doing, path, user: user.to_owned() },
            _ => Self::Io { doing, path, source },
        }
    }
}
