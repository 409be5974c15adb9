//! Allows one server per cluster, by a lock that the kernel releases when its holder ends, however that happens.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::error::ClusterError;
use super::files;
use super::owner::Owner;
use super::place::Place;

/// A holder that was just killed may need a moment to be gone.
const GRACE: Duration = Duration::from_millis(500);

/// Takes the lock of `place` and writes our process id into it. Dropping the file gives the lock back.
pub(super) fn take(place: &Place, owner: &Owner) -> Result<File, ClusterError> {
    let failed = |e| ClusterError::io("lock", &place.home.join("lock"), &owner.ours.name, e);
    let mut file = files::open_private(&place.home, "lock", owner)?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(e)) => return Err(failed(e)),
            Err(TryLockError::WouldBlock) if started.elapsed() < GRACE => thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
                return Err(ClusterError::InUse { directory: place.directory.clone(), pid });
            }
        }
    }
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}
