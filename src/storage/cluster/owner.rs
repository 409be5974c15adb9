//! Who runs PostgreSQL, which refuses to be root.
//!
//! Under any other user the server runs as that user. Under root it runs as the owner of the data that exist, else as
//! the first of [`CANDIDATES`] that the system knows.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use super::error::ClusterError;
use super::find::Programs;

/// Users that root gives the cluster to, best first.
const CANDIDATES: [&str; 3] = ["passmint", "postgres", "nobody"];

/// An entry of the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub uid: u32,
    pub gid: u32,
    pub name: String,
}

impl Account {
    /// Looks up by name or number: `/etc/passwd` first, then whatever else the system is configured to ask.
    fn find(key: &str) -> Option<Self> {
        let local = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::in_passwd(&local, key).or_else(|| {
            let output = Command::new("getent").args(["passwd", key]).stderr(Stdio::null()).output().ok()?;
            Self::in_passwd(&String::from_utf8_lossy(&output.stdout), key)
        })
    }

    /// Lines are `name:password:uid:gid:…`.
    fn in_passwd(passwd: &str, key: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let (name, uid, gid) = (*fields.first()?, *fields.get(2)?, *fields.get(3)?);
            if name != key && uid != key {
                return None;
            }
            Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()?, name: name.to_owned() })
        })
    }

    /// The name for `uid`, or the number where there is none.
    pub(super) fn name_of(uid: u32) -> String {
        Self::find(&uid.to_string()).map_or_else(|| format!("user id {uid}"), |a| a.name)
    }
}

/// The two users at the ends of the socket.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// Runs PostgreSQL and owns its files.
    pub server: Account,
    /// Runs this process.
    pub ours: Account,
}

impl Owner {
    /// For a cluster whose files are, or will be, in `home`.
    pub(super) fn of(home: &Path) -> Result<Self, ClusterError> {
        let uid = geteuid().as_raw();
        let ours = Account::find(&uid.to_string()).ok_or(ClusterError::UserUnknown { uid })?;
        if uid != 0 {
            return Ok(Self { server: ours.clone(), ours });
        }
        let existing = [home.join("pg"), home.to_owned()].into_iter().find_map(|p| fs::symlink_metadata(p).ok());
        let server = match existing.map(|m| m.uid()).filter(|uid| *uid != 0) {
            Some(uid) => Account::find(&uid.to_string()).ok_or(ClusterError::UserUnknown { uid })?,
            None => CANDIDATES.iter().find_map(|n| Account::find(n)).ok_or(ClusterError::NoUnprivilegedUser)?,
        };
        Ok(Self { server, ours })
    }

    /// Whether we are root and hand the files over to somebody else.
    pub(super) fn switches(&self) -> bool {
        self.server.uid != self.ours.uid
    }

    /// Whether the server's user may walk through every directory down to the deepest part of `path` that exists.
    /// Judges by permission bits, with the user's own group only: that is how PostgreSQL will be run.
    pub(super) fn can_enter(&self, path: &Path) -> bool {
        let existing = path.ancestors().find_map(|p| p.canonicalize().ok());
        existing.unwrap_or_else(|| PathBuf::from("/")).ancestors().all(|directory| {
            fs::metadata(directory).is_ok_and(|m| {
                let class = if m.uid() == self.server.uid {
                    0o100
                } else if m.gid() == self.server.gid {
                    0o010
                } else {
                    0o001
                };
                m.is_dir() && m.mode() & class != 0
            })
        })
    }

    /// A command that runs `program` as the server's user, in a session of its own, with an empty environment, and that
    /// gets SIGINT when the thread that spawns it ends. `setsid` and `setpriv` both `exec`, so the child's process id
    /// is the program's.
    pub(super) fn command(&self, programs: &Programs, program: &str) -> Command {
        let mut command = Command::new(&programs.setsid);
        command.arg(&programs.setpriv).args(["--pdeathsig", "INT"]);
        if self.switches() {
            let (uid, gid) = (self.server.uid.to_string(), self.server.gid.to_string());
            command.args(["--reuid", &uid, "--regid", &gid, "--clear-groups"]);
        }
        command.arg("--").arg(programs.bin.join(program));
        command.current_dir("/").stdin(Stdio::null()).env_clear().env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        // A PostgreSQL that was built or unpacked by hand may need this to find its libraries.
        if let Some(libraries) = env::var_os("LD_LIBRARY_PATH") {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn accounts_are_found_by_name_and_by_number() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nbroken\npostgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";
        let postgres = Account { uid: 101, gid: 104, name: "postgres".into() };
        for (key, expected) in [("postgres", Some(&postgres)), ("101", Some(&postgres)), ("104", None), ("x", None)] {
            assert_eq!(Account::in_passwd(passwd, key).as_ref(), expected, "{key}");
        }
    }
}
