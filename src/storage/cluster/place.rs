//! Where the private cluster keeps its files.
//!
//! ```text
//! <directory>/             as asked for, or /var/lib/passmint/<hash> (see [`choose_directory`])
//!   postgres/   0700       all the cluster's own
//!     pg/                  PostgreSQL's data directory; complete or absent, never in between
//!     postgres.log
//!     lock                 held by the server that runs the cluster, whose process id it contains
//!     .s.PGSQL.5432        the socket, unless its path would be too long
//! ```

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;

use super::error::ClusterError;
use super::files;
use super::owner::Owner;
use crate::domain::text::hex;

/// Where root keeps the clusters of checkouts that PostgreSQL's user cannot enter.
const STATE: &str = "/var/lib/passmint";
/// Where root keeps the sockets of clusters whose path is too long.
const RUN: &str = "/run/passmint";
/// The longest path of a unix socket on Linux: `sun_path` has 108 bytes with the closing zero.
const LONGEST_SOCKET_PATH: usize = 107;
/// PostgreSQL names its socket by the port number, also when it listens on no port.
pub(super) const SOCKET: &str = ".s.PGSQL.5432";

/// All paths of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub directory: PathBuf,
    pub home: PathBuf,
    pub data: PathBuf,
    pub log: PathBuf,
}

impl Place {
    /// The paths for the data directory `requested`, and who owns them.
    pub(super) fn choose(requested: &Path) -> Result<(Self, Owner), ClusterError> {
        let requested = resolved(requested)?;
        let wanted = Self::in_directory(requested.clone());
        let owner = Owner::of(&wanted.home)?;
        if !owner.switches() {
            return Ok((wanted, owner));
        }
        let state = Self::in_directory(Path::new(STATE).join(hash(&requested)));
        let enterable = owner.can_enter(&wanted.home);
        // A cluster already created there stays in use even if the checkout can be entered later.
        if enterable && (wanted.data.exists() || !state.data.exists()) {
            return Ok((wanted, owner));
        }
        let owner = Owner::of(&state.home)?;
        if !owner.can_enter(&state.home) {
            let user = owner.server.name.clone();
            return Err(ClusterError::NoPermission { doing: "enter", path: state.home, user });
        }
        Ok((state, owner))
    }

    fn in_directory(directory: PathBuf) -> Self {
        let home = directory.join("postgres");
        Self { data: home.join("pg"), log: home.join("postgres.log"), home, directory }
    }

    /// The directory for the socket: the cluster's own, or a short private one elsewhere if that path does not fit.
    pub(super) fn sockets(&self, owner: &Owner) -> Result<PathBuf, ClusterError> {
        if fits(&self.home) {
            return Ok(self.home.clone());
        }
        let parent = if owner.switches() { PathBuf::from(RUN) } else { own_runtime_directory(owner) };
        files::walkable_directory(&parent, owner)?;
        demand_owner(&parent, owner.ours.uid, 0o022, &owner.ours.name)?;
        let sockets = parent.join(hash(&self.home));
        files::private_directory(&sockets, owner)?;
        demand_owner(&sockets, owner.server.uid, 0o077, &owner.server.name)?;
        Ok(sockets)
    }
}

/// The directory that a cluster for the data directory `requested` is kept in.
///
/// It is `requested` itself, made absolute. Only if this process is root and the unprivileged user that will run
/// PostgreSQL cannot enter that path, it is a folder of `/var/lib/passmint`, named by the first 16 hexadecimal digits
/// of the SHA-256 of the absolute path, so that two checkouts never share one.
pub fn choose_directory(requested: &Path) -> Result<PathBuf, ClusterError> {
    Place::choose(requested).map(|(place, _)| place.directory)
}

/// `path` made absolute, with the symbolic links of the part that exists resolved.
fn resolved(path: &Path) -> Result<PathBuf, ClusterError> {
    let failed = |source| ClusterError::Io { doing: "find", path: path.to_owned(), source };
    let path = std::path::absolute(path).map_err(failed)?;
    for existing in path.ancestors() {
        if let Ok(real) = existing.canonicalize() {
            let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
            return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
        }
    }
    Ok(path)
}

fn hash(path: &Path) -> String {
    let digest = digest::digest(&digest::SHA256, path.as_os_str().as_bytes());
    hex(&digest.as_ref()[..8])
}

/// Whether the path of a socket in `directory` is accepted by the kernel, and cannot be misread by libpq (a comma
/// separates hosts) or in PostgreSQL's list of directories.
fn fits(directory: &Path) -> bool {
    let bytes = directory.as_os_str().as_bytes();
    bytes.len() + 1 + SOCKET.len() <= LONGEST_SOCKET_PATH
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"/._-+ ".contains(b))
}

/// `$XDG_RUNTIME_DIR/passmint` if that is ours alone and short enough, else a directory in `/tmp` with our user id in
/// its name.
fn own_runtime_directory(owner: &Owner) -> PathBuf {
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|d| {
        let private = |uid, mode| uid == owner.ours.uid && mode & 0o777 == 0o700;
        let safe = fs::metadata(d).is_ok_and(|m| m.is_dir() && private(m.uid(), m.mode()));
        d.is_absolute() && safe && fits(&d.join("passmint/0123456789abcdef"))
    });
    named.map_or_else(|| format!("/tmp/passmint-{}", owner.ours.uid).into(), |d| d.join("passmint"))
}

/// Refuses a directory that somebody else made first: in `/tmp` anybody can.
fn demand_owner(path: &Path, uid: u32, forbidden: u32, name: &str) -> Result<(), ClusterError> {
    let safe = fs::symlink_metadata(path).is_ok_and(|m| m.is_dir() && m.uid() == uid && m.mode() & forbidden == 0);
    if safe {
        Ok(())
    } else {
        Err(ClusterError::UnsafeSocketDirectory { path: path.to_owned(), owner: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{fits, hash};

    #[test]
    fn sockets_stay_within_what_the_kernel_and_libpq_take() {
        let longest = format!("/{}", "d".repeat(92));
        for (directory, expected) in [
            ("/srv/passmint/data", true),
            ("/srv/my data", true),
            ("/srv/a,b", false),
            ("/srv/\"quoted\"", false),
            (longest.as_str(), true),
            (&format!("{longest}d"), false),
        ] {
            assert_eq!(fits(Path::new(directory)), expected, "{directory}");
        }
    }

    /// `scripts/db-reset` computes the same name by `printf %s "$path" | sha256sum | cut -c1-16`.
    #[test]
    fn the_state_folder_is_named_by_the_paths_digest() {
        assert_eq!(hash(Path::new("abc")), "ba7816bf8f01cfea");
    }
}
