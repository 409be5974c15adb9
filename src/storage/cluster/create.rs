//! Creates a new cluster: one superuser `postgres` for repairs by hand, one plain role and one database `passmint` for
//! us, and no passwords.
//!
//! The work is done in `pg.new.<random>`, which is synced to disk as a whole and finally renamed to `pg`. A crash or a
//! full disk at any moment leaves no partial cluster, only a `pg.new.…` that a later start removes. Each attempt has a
//! name of its own, because the programs of an attempt that was killed may keep writing for a moment.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use super::error::ClusterError;
use super::files;
use super::find::Programs;
use super::owner::Owner;
use super::place::Place;
use crate::domain::text::hex;
use crate::random;

/// The prefix of the directories in which clusters are created.
const FRESH: &str = "pg.new";

/// Renaming the one database that `initdb` makes is instant; copying a template is not.
const SETUP: &str = "CREATE ROLE passmint LOGIN CREATEDB;
ALTER DATABASE postgres RENAME TO passmint;
ALTER DATABASE passmint OWNER TO passmint;
";

const ACCESS: &str =
    "# Written by Passmint at each start. Only the two users of pg_ident.conf may connect, by the socket.
local all all peer map=own
";

/// Creates the cluster of `place`, whose `pg` must not exist yet.
pub(super) fn create(place: &Place, owner: &Owner, programs: &Programs) -> Result<(), ClusterError> {
    let fresh = place.home.join(format!("{FRESH}.{}", hex(&random::bytes::<8>())));
    let failed = |doing: &'static str| {
        let (path, user) = (fresh.clone(), owner.ours.name.clone());
        move |e| ClusterError::io(doing, &path, &user, e)
    };
    // `--no-sync` because everything is synced below, in one call instead of hundreds.
    let mut initdb = owner.command(programs, "initdb");
    initdb.arg("-D").arg(&fresh).args(["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums"]);
    initdb.args(["--auth-local=peer", "--auth-host=reject", "--no-sync", "--no-instructions"]);
    check(place, owner, initdb.output().map_err(failed("run initdb for"))?)?;

    let mut single = owner.command(programs, "postgres");
    single.arg("--single").arg("-F").arg("-D").arg(&fresh).args(["-c", "exit_on_error=on", "template1"]);
    single.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = single.spawn().map_err(failed("run postgres for"))?;
    if let Some(mut input) = child.stdin.take() {
        // If this cannot be written, the process has ended and its output says why.
        let _ = input.write_all(SETUP.as_bytes());
    }
    check(place, owner, child.wait_with_output().map_err(failed("run postgres for"))?)?;

    let directory = files::open_directory(&fresh).map_err(failed("open"))?;
    rustix::fs::syncfs(&directory).map_err(|e| failed("sync")(e.into()))?;
    fs::rename(&fresh, &place.data).map_err(failed("rename"))?;
    files::open_directory(&place.home).and_then(|d| d.sync_all()).map_err(failed("sync"))
}

/// Removes what unfinished attempts left behind. What a program still writes to stays for the next start.
pub(super) fn remove_left_overs(place: &Place) {
    let is_left_over = |name: &str| name.strip_prefix(FRESH).is_some_and(|end| end.is_empty() || end.starts_with('.'));
    for entry in fs::read_dir(&place.home).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_left_over) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes who may connect: our own user and the server's user, both of which may change between two starts.
pub(super) fn write_access(place: &Place, owner: &Owner) -> Result<(), ClusterError> {
    let mut ident = String::from("# Written by Passmint at each start: map, user of the system, role.\n");
    let mut names = vec![&owner.ours.name, &owner.server.name];
    names.dedup();
    for name in names {
        for role in ["passmint", "postgres"] {
            let _ = writeln!(ident, "own \"{name}\" {role}");
        }
    }
    files::replace(&place.data, "pg_hba.conf", ACCESS, owner)?;
    files::replace(&place.data, "pg_ident.conf", &ident, owner)
}

fn check(place: &Place, owner: &Owner, output: Output) -> Result<(), ClusterError> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(explain(&said, &place.data, owner).unwrap_or_else(|| {
        let reason = last_words(&said).unwrap_or_else(|| output.status.to_string());
        ClusterError::Initdb { data: place.data.clone(), reason }
    }))
}

/// The error for well-known causes in what a PostgreSQL program wrote to its standard error.
pub(super) fn explain(said: &str, path: &Path, owner: &Owner) -> Option<ClusterError> {
    let path = path.to_owned();
    if said.contains("No space left on device") || said.contains("Disk quota exceeded") {
        return Some(ClusterError::NoSpace { path });
    }
    if said.contains("could not look up effective user ID") {
        return Some(ClusterError::UserUnknown { uid: owner.server.uid });
    }
    said.contains("Permission denied").then(|| {
        let user = owner.server.name.clone();
        ClusterError::NoPermission { doing: "use", path, user }
    })
}

/// The line that says what went wrong: the last fatal one, else the last error, else the last of all.
pub(super) fn last_words(said: &str) -> Option<String> {
    let lines = || said.lines().map(str::trim).filter(|l| !l.is_empty()).rev();
    let marked = ["PANIC:", "FATAL:", "ERROR:", "error:"].iter().find_map(|mark| {
        let line = lines().find_map(|l| l.split_once(mark))?;
        Some(line.1.trim().to_owned())
    });
    marked.or_else(|| lines().next().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::owner::{Account, Owner};
    use super::{explain, last_words};

    #[test]
    fn common_causes_are_translated() {
        let root = Account { uid: 0, gid: 0, name: "root".into() };
        let owner = Owner { server: Account { uid: 7, gid: 7, name: "seven".into() }, ours: root };
        for (said, expected) in [
            ("initdb: error: could not write file: No space left on device", Some("no space left on the disk of /d")),
            ("FATAL:  could not access directory: Permission denied", Some("no permission to use /d as seven")),
            (
                "initdb: error: could not look up effective user ID 7: user does not exist",
                Some("user id 7 has no entry"),
            ),
            ("FATAL:  something else", None),
        ] {
            let message = explain(said, Path::new("/d"), &owner).map(|e| e.to_string());
            let matches = message.as_deref().zip(expected).is_some_and(|(m, e)| m.starts_with(e));
            assert!(matches || (message.is_none() && expected.is_none()), "{said}: {message:?}");
        }
    }

    #[test]
    fn the_telling_line_is_found() {
        for (said, expected) in [
            ("creating ... ok\ninitdb: error: directory exists\ninitdb: hint: remove it\n", Some("directory exists")),
            ("2026 [1] ERROR:  a\n2026 [1] FATAL:  b\n2026 [1] LOG:  shut down\n", Some("b")),
            (
                "setpriv: setresuid failed: Operation not permitted\n\n",
                Some("setpriv: setresuid failed: Operation not permitted"),
            ),
            ("", None),
        ] {
            assert_eq!(last_words(said).as_deref(), expected, "{said}");
        }
    }
}
