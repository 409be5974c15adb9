//! The private PostgreSQL cluster that the server runs when no `DATABASE_URL` is given.
//!
//! What must always hold:
//! - It is reached through a unix socket in a directory of mode 0700, with `peer` authentication: no port and no
//!   password.
//! - It never outlives the process that started it, not even after `kill -9`, and two servers never share one.
//! - What it confirmed is on disk (`fsync` on, data checksums on), and a cluster is created completely or not at all.
//! - Every failure is one line that says what to do ([`ClusterError`]).
//!
//! [`Cluster::start_with`] is the start, step by step. To add a PostgreSQL setting, extend `SETTINGS`.

mod attach;
mod create;
mod error;
mod files;
mod find;
mod lock;
mod owner;
mod place;
mod postmaster;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

pub use attach::Attachment;
pub use error::ClusterError;
use find::Programs;
pub use find::Search;
use owner::{Account, Owner};
use place::Place;
pub use place::choose_directory;

/// How long the server may take until it accepts connections. Long, because after a crash it first replays its log.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long a shutdown may take before it is cut short (and the next start replays the log).
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
/// A log longer than this is renamed at the next start.
const LOG_LIMIT: u64 = 4 << 20;

/// Settings given on the command line, where `postgresql.conf` cannot override them.
///
/// The last two keep what is in the rows out of the log: no statements, and no `DETAIL` lines, which quote keys.
const SETTINGS: [&str; 12] = [
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "max_connections=40",
    "shared_buffers=64MB",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "logging_collector=off",
    "log_checkpoints=off",
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
];

/// A running private cluster. Dropping it shuts PostgreSQL down and waits for that.
#[derive(Debug)]
#[must_use = "dropping it stops PostgreSQL"]
pub struct Cluster {
    child: Mutex<Child>,
    place: Place,
    sockets: PathBuf,
    created: bool,
    /// Held as long as PostgreSQL runs.
    _lock: File,
}

impl Cluster {
    /// Starts the cluster kept in `directory`, creating it if there is none, and waits until it accepts connections. A
    /// missing `directory` is created too; better leave that to this function, which knows who must have access. As
    /// root the cluster may be kept elsewhere: see [`choose_directory`].
    ///
    /// **Call it from a thread that lives as long as the server**, such as the main thread: PostgreSQL is told to stop
    /// when the *thread* that started it ends (`PR_SET_PDEATHSIG` in prctl(2)).
    pub fn start(directory: &Path) -> Result<Self, ClusterError> {
        Self::start_with(directory, &Search::system())
    }

    /// As [`Cluster::start`], with the programs looked for in `search`.
    pub fn start_with(directory: &Path, search: &Search) -> Result<Self, ClusterError> {
        let (place, owner) = Place::choose(directory)?;
        let written = written_by(&place, &owner)?;
        let programs = search.programs(&place.data, written.as_deref())?;

        if !place.directory.exists() {
            files::private_directory(&place.directory, &owner)?;
        }
        files::private_directory(&place.home, &owner)?;
        let sockets = place.sockets(&owner)?;
        let lock = lock::take(&place, &owner)?;

        create::remove_left_overs(&place);
        let created = !place.data.exists();
        if created {
            create::create(&place, &owner, &programs)?;
        }
        create::write_access(&place, &owner)?;
        let child = launch(&place, &sockets, &owner, &programs)?;
        Ok(Self { child: Mutex::new(child), place, sockets, created, _lock: lock })
    }

    /// A libpq URL for role and database `passmint`. The role owns the database, may create more, and is no superuser.
    pub fn url(&self) -> String {
        url_of(&self.sockets)
    }

    /// Finds out whether a server or a command already runs a cluster in `directory`, and returns the URL to connect to
    /// it. Starts, creates and changes nothing.
    pub fn attach(directory: &Path) -> Result<Attachment, ClusterError> {
        attach::attach(directory)
    }

    /// Whether this start made the cluster, so that it is certain to hold nothing yet.
    pub fn created(&self) -> bool {
        self.created
    }

    /// The directory the cluster is kept in: the one asked for, or its substitute (see [`choose_directory`]).
    pub fn directory(&self) -> &Path {
        &self.place.directory
    }

    /// Where PostgreSQL writes its messages.
    pub fn log(&self) -> &Path {
        &self.place.log
    }

    /// The process id of the PostgreSQL server.
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// Whether PostgreSQL is alive. It restarts its own workers; once this is false it will not come back by itself.
    pub fn is_running(&self) -> bool {
        matches!(self.child().try_wait(), Ok(None))
    }

    /// Shuts PostgreSQL down and waits: open transactions are rolled back, everything committed is written out. A
    /// second call does nothing.
    pub fn stop(&self) {
        let mut child = self.child();
        let pid = Pid::from_child(&child);
        let mut ask = Some(Signal::INT);
        let started = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if let Some(signal) = ask.take() {
                let _ = kill_process(pid, signal);
            } else if started.elapsed() > STOPPED_WITHIN {
                let _ = kill_process(pid, Signal::QUIT);
                let _ = child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

fn url_of(sockets: &Path) -> String {
    let mut url = String::from("postgres://passmint@/passmint?port=5432&host=");
    for byte in sockets.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            url.push(char::from(*byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

/// The major version that wrote the data, or none when there are no data yet. Refuses data that we cannot use.
fn written_by(place: &Place, owner: &Owner) -> Result<Option<String>, ClusterError> {
    let failed = |e| ClusterError::io("read", &place.data, &owner.ours.name, e);
    for path in [&place.home, &place.data] {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found.uid(),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        // A home directory that root made is handed over to the server's user. Data are not, because their origin is
        // unknown.
        let handed_over = path == &place.home && found == owner.ours.uid;
        if found != owner.server.uid && !handed_over {
            let (owner, runner) = (Account::name_of(found), owner.server.name.clone());
            return Err(ClusterError::WrongOwner { path: path.clone(), owner, runner });
        }
    }
    match fs::read_to_string(place.data.join("PG_VERSION")) {
        Ok(version) => Ok(Some(version.trim().to_owned())),
        Err(e) if e.kind() == ErrorKind::NotFound || e.kind() == ErrorKind::NotADirectory => {
            Err(ClusterError::NotACluster { path: place.data.clone() })
        }
        Err(e) => Err(failed(e)),
    }
}

/// Starts PostgreSQL and waits until it is ready. Tries again while the workers of a crashed predecessor are still
/// exiting.
fn launch(place: &Place, sockets: &Path, owner: &Owner, programs: &Programs) -> Result<Child, ClusterError> {
    let started = Instant::now();
    loop {
        let predecessor = postmaster::wait_for_predecessor(place)?;
        for left_over in [place::SOCKET.to_owned(), format!("{}.lock", place::SOCKET)] {
            let _ = fs::remove_file(sockets.join(left_over));
        }
        match launch_once(place, sockets, owner, programs, predecessor) {
            Err(ClusterError::DidNotStart { data, reason, .. }) if reason.contains("shared memory block") => {
                if started.elapsed() > postmaster::PATIENCE {
                    return Err(ClusterError::StillRunning { data, pid: "unknown".to_owned() });
                }
                thread::sleep(Duration::from_millis(100));
            }
            result => return result,
        }
    }
}

fn launch_once(
    place: &Place,
    sockets: &Path,
    owner: &Owner,
    programs: &Programs,
    predecessor: Option<u32>,
) -> Result<Child, ClusterError> {
    if fs::metadata(&place.log).is_ok_and(|m| m.len() > LOG_LIMIT) {
        let _ = fs::rename(&place.log, place.log.with_extension("log.old"));
    }
    let mut log = files::open_private(&place.home, "postgres.log", owner)?;
    let failed = |e| ClusterError::io("run postgres for", &place.data, &owner.ours.name, e);
    let begin = log.seek(SeekFrom::End(0)).map_err(failed)?;

    let mut command = owner.command(programs, "postgres");
    command.arg("-D").arg(&place.data);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    let mut directories = std::ffi::OsString::from("unix_socket_directories=");
    directories.push(sockets);
    command.arg("-c").arg(directories);
    if let Some(pid) = predecessor {
        command.env("PG_GRANDPARENT_PID", pid.to_string());
    }
    command.stdout(Stdio::null()).stderr(log.try_clone().map_err(failed)?);
    let mut child = command.spawn().map_err(failed)?;

    let started = Instant::now();
    loop {
        if postmaster::is_ready(&place.data, child.id()) {
            return Ok(child);
        }
        if let Some(status) = child.try_wait().map_err(failed)? {
            let mut said = Vec::new();
            let _ = log.seek(SeekFrom::Start(begin)).and_then(|_| log.read_to_end(&mut said));
            let said = String::from_utf8_lossy(&said);
            return Err(create::explain(&said, &place.data, owner).unwrap_or_else(|| {
                let reason = create::last_words(&said).unwrap_or_else(|| status.to_string());
                ClusterError::DidNotStart { data: place.data.clone(), reason, log: place.log.clone() }
            }));
        }
        if started.elapsed() > READY_WITHIN {
            let _ = kill_process(Pid::from_child(&child), Signal::QUIT);
            let _ = child.wait();
            let (data, log) = (place.data.clone(), place.log.clone());
            return Err(ClusterError::TimedOut { data, seconds: READY_WITHIN.as_secs(), log });
        }
        thread::sleep(Duration::from_millis(2));
    }
}
