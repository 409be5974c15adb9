//! Reads `postmaster.pid`: whether a predecessor is still running, and whether our own server is ready.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::error::ClusterError;
use super::place::Place;

/// How long a server whose parent process is gone gets to finish its shutdown.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until no PostgreSQL process runs on the cluster's data. The caller holds our lock, so no such process can
/// still belong to a Passmint server.
///
/// Returns the process id that a crash left in `postmaster.pid`. PostgreSQL would refuse to start if that id now
/// belongs to any live process or unreaped zombie of its user. `PG_GRANDPARENT_PID` tells it that the id is not its
/// predecessor's, so it goes on to the check that counts: whether the predecessor's shared memory is still in use.
/// Removing the file instead would switch that check off.
pub(super) fn wait_for_predecessor(place: &Place) -> Result<Option<u32>, ClusterError> {
    let file = place.data.join("postmaster.pid");
    let started = Instant::now();
    loop {
        let Ok(text) = fs::read_to_string(&file) else { return Ok(None) };
        let Some(pid) = text.lines().next().and_then(|l| l.trim().parse::<u32>().ok()) else {
            // Empty after a power failure. PostgreSQL would ask the operator to remove it by hand.
            let _ = fs::remove_file(&file);
            return Ok(None);
        };
        if !is_server_of(&place.data, pid) {
            return Ok(Some(pid));
        }
        if started.elapsed() > PATIENCE {
            return Err(ClusterError::StillRunning { data: place.data.clone(), pid: pid.to_string() });
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the process is alive, is PostgreSQL, and was started on (or works in) `data`.
fn is_server_of(data: &Path, pid: u32) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    let Ok(stat) = fs::read_to_string(process.join("stat")) else { return false };
    // "pid (name) state …"; a name may contain brackets itself.
    let Some((head, rest)) = stat.rsplit_once(')') else { return false };
    let name = head.split_once('(').map_or("", |(_, name)| name);
    let dead = matches!(rest.trim_start().chars().next(), Some('Z' | 'X') | None);
    if dead || !["postgres", "postmaster"].contains(&name) {
        return false;
    }
    let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
    let named = arguments.split(|b| *b == 0).any(|argument| argument == data.as_os_str().as_bytes());
    named || fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == data)
}

/// Whether the server with this process id says in its pid file that it accepts connections.
///
/// The eighth line is the status (`LOCK_FILE_LINE_PM_STATUS` in PostgreSQL's `pidfile.h`), there since version 10.
pub(super) fn is_ready(data: &Path, pid: u32) -> bool {
    fs::read_to_string(data.join("postmaster.pid")).is_ok_and(|text| {
        let mut lines = text.lines();
        lines.next().and_then(|l| l.trim().parse().ok()) == Some(pid)
            && lines.nth(6).is_some_and(|l| l.trim() == "ready")
    })
}

/// The directory of the socket of a live server on `data` that accepts connections: the fifth line of its pid file
/// (`LOCK_FILE_LINE_SOCKET_DIR`).
pub(super) fn socket_of_ready(data: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid = text.lines().next()?.trim().parse().ok()?;
    if !is_server_of(data, pid) || !is_ready(data, pid) {
        return None;
    }
    text.lines().nth(4).filter(|line| !line.is_empty()).map(PathBuf::from)
}
