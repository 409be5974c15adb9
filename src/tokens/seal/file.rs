//! The master key's file: one line, `passmint-master-key-v1 <base64url of 32 bytes>`.
//!
//! Access is judged by the file's permission bits, not by trying to open it, so that the rules also hold for root.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::MasterKey;
use crate::domain::text::hex;
use crate::random;

const LABEL: &str = "passmint-master-key-v1 ";
/// The correct length is 67 with the line end. Reading more only serves to detect a longer file.
const MAX_LEN: u64 = 128;

/// Whether the file's group may read it, as mounted secrets often need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupReadable {
    /// Owner only.
    Refused,
    /// The owner and the group, never others.
    Allowed,
}

/// Why there is no master key. Each message is one line that names the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file does not exist.
    #[error("master key file {} does not exist: run `passmint keys init` once, or restore it from a backup", .0.display())]
    Missing(PathBuf),
    /// Something already exists at that path; it was not touched.
    #[error("master key file {} exists already and was left alone: move it away first if it is really not needed", .0.display())]
    Exists(PathBuf),
    /// Others than the owner (and, where allowed, the group) have access.
    #[error("master key file {} may be used by others (mode {mode:04o}): run `chmod {cure} {}`", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it should have.
        cure: &'static str,
    },
    /// A directory, a pipe or a device.
    #[error("master key file {} is not a regular file: point to the file that holds the key", .0.display())]
    NotAFile(PathBuf),
    /// Its content is not a master key: truncated, edited, or something else.
    #[error("master key file {} does not hold a whole master key (one line `passmint-master-key-v1 …`): restore it from a backup; only if nothing was ever stored with it, delete it and run `passmint keys init`", .0.display())]
    Damaged(PathBuf),
    /// The system reported an error.
    #[error("master key file {}: {source}: see that the directory exists and that this user may use it", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The location of the current key, so that a server can read it again when the master key changes while it runs.
#[derive(Clone, Debug)]
pub struct MasterKeyFile {
    /// The file.
    pub path: PathBuf,
    /// Who may read it.
    pub group: GroupReadable,
}

impl MasterKeyFile {
    /// Reads the key.
    ///
    /// # Errors
    /// As [`MasterKey::load`].
    pub fn load(&self) -> Result<MasterKey, MasterKeyError> {
        MasterKey::load(&self.path, self.group)
    }

    /// Where [`replace`](Self::replace) keeps the old file.
    pub fn kept_as(&self, old: &MasterKey) -> PathBuf {
        self.beside(&old.id())
    }

    /// Replaces the key atomically, with the old file's owner and mode, and keeps the old file beside it under the old
    /// key's id. Returns the path of the old file. No other file is touched: one beside it may be the only copy of a
    /// key.
    ///
    /// # Errors
    /// [`MasterKeyError::Exists`] when something else is at the path for the old file, otherwise
    /// [`MasterKeyError::Io`]. The file is then unchanged.
    pub fn replace(&self, old: &MasterKey, new: &MasterKey) -> Result<PathBuf, MasterKeyError> {
        let kept = self.kept_as(old);
        self.keep(old, &kept)?;
        let io = |source: io::Error| MasterKeyError::Io { path: self.path.clone(), source };
        let fresh = self.beside(&format!("{}.tmp", hex(&random::bytes::<8>())));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(io)?;
        let placed = self
            .dress(&file)
            .and_then(|()| write_through(&mut file, &fresh, new))
            .and_then(|()| fs::rename(&fresh, &self.path));
        if placed.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        placed.map_err(io)?;
        Ok(kept)
    }

    /// Keeps the old file under another name. An interrupted replacement may have done so already.
    fn keep(&self, old: &MasterKey, kept: &Path) -> Result<(), MasterKeyError> {
        match fs::hard_link(&self.path, kept) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let holds_it = MasterKey::load(kept, self.group).is_ok_and(|key| key.id() == old.id());
                if holds_it { Ok(()) } else { Err(MasterKeyError::Exists(kept.to_owned())) }
            }
            linked => linked.map_err(|source| MasterKeyError::Io { path: self.path.clone(), source }),
        }
    }

    /// Gives `file` the mode and owner of the current file.
    fn dress(&self, file: &File) -> io::Result<()> {
        let before = fs::metadata(&self.path)?;
        file.set_permissions(fs::Permissions::from_mode(before.permissions().mode() & 0o777))?;
        std::os::unix::fs::fchown(file, Some(before.uid()), Some(before.gid()))
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".");
        name.push(end);
        PathBuf::from(name)
    }
}

impl MasterKey {
    /// Reads the key from its file.
    ///
    /// # Errors
    /// [`MasterKeyError`]: missing, too open, not a file, damaged, or unreadable.
    pub fn load(path: &Path, group: GroupReadable) -> Result<Self, MasterKeyError> {
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => MasterKeyError::Missing(path.to_owned()),
            _ => MasterKeyError::Io { path: path.to_owned(), source },
        };
        // Checked before opening, because opening a pipe would wait for a writer; and again afterwards, because that is
        // the file that is read.
        check(path, &fs::metadata(path).map_err(io)?, group)?;
        let file = File::open(path).map_err(io)?;
        check(path, &file.metadata().map_err(io)?, group)?;
        let mut text = Zeroizing::new(String::with_capacity(256));
        match file.take(MAX_LEN).read_to_string(&mut text) {
            Ok(_) => parse(&text).ok_or_else(|| MasterKeyError::Damaged(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(MasterKeyError::Damaged(path.to_owned())),
            Err(error) => Err(io(error)),
        }
    }

    /// Generates a key and writes it to a file that must not exist yet, with mode 0600. File and directory are on disk
    /// before this returns: what is sealed next must not be lost in a power cut.
    ///
    /// # Errors
    /// [`MasterKeyError::Exists`] if the file exists, [`MasterKeyError::Io`] if it cannot be written.
    pub fn create(path: &Path) -> Result<Self, MasterKeyError> {
        let key = Self::generate();
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => MasterKeyError::Exists(path.to_owned()),
            _ => MasterKeyError::Io { path: path.to_owned(), source },
        };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        let written = write_through(&mut file, path, &key);
        if written.is_err() {
            // Half a key is worse than none: the next start would find it and stop. Best effort.
            let _ = fs::remove_file(path);
        }
        written.map_err(io)?;
        Ok(key)
    }
}

fn write_through(file: &mut File, path: &Path, key: &MasterKey) -> io::Result<()> {
    let mut line = Zeroizing::new(String::with_capacity(128));
    line.push_str(LABEL);
    URL_SAFE_NO_PAD.encode_string(key.bytes.expose(), &mut line);
    line.push('\n');
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

fn check(path: &Path, metadata: &fs::Metadata, group: GroupReadable) -> Result<(), MasterKeyError> {
    if !metadata.is_file() {
        return Err(MasterKeyError::NotAFile(path.to_owned()));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    let (forbidden, cure) = match group {
        GroupReadable::Refused => (0o077, "600"),
        GroupReadable::Allowed => (0o037, "640"),
    };
    if mode & forbidden != 0 {
        return Err(MasterKeyError::TooOpen { path: path.to_owned(), mode, cure });
    }
    Ok(())
}

/// Accepts exactly the line, with or without its line end. The base64 must be canonical: the decoder refuses non-zero
/// spare bits.
fn parse(text: &str) -> Option<MasterKey> {
    let body = text.strip_suffix('\n').unwrap_or(text).strip_prefix(LABEL)?;
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).ok()?);
    Some(MasterKey::from_bytes(bytes.as_slice().try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, text: &[u8], mode: u32) -> PathBuf {
        let path = folder.join("master.key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_replaced_key_leaves_the_old_one_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = MasterKeyFile { path: folder.path().join("master.key"), group: GroupReadable::Allowed };
        let old = MasterKey::create(&file.path).unwrap();
        fs::set_permissions(&file.path, fs::Permissions::from_mode(0o640)).unwrap();
        let new = MasterKey::generate();
        let kept = file.replace(&old, &new).unwrap();
        assert_eq!(file.load().unwrap().id(), new.id());
        assert_eq!(MasterKey::load(&kept, GroupReadable::Allowed).unwrap().id(), old.id());
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_key_that_cannot_be_replaced_costs_no_file() {
        type Obstacle = fn(&Path);
        let obstacles: [(&str, Obstacle); 3] = [
            ("a folder", |kept| fs::create_dir(kept).unwrap()),
            ("a dangling link", |kept| std::os::unix::fs::symlink("nowhere", kept).unwrap()),
            ("another key", |kept| drop(MasterKey::create(kept).unwrap())),
        ];
        for (name, obstacle) in obstacles {
            let folder = tempfile::tempdir().unwrap();
            let file = MasterKeyFile { path: folder.path().join("master.key"), group: GroupReadable::Refused };
            let old = MasterKey::create(&file.path).unwrap();
            // The name that an operator is likely to choose.
            let there = folder.path().join("master.key.new");
            let new = MasterKey::create(&there).unwrap();
            obstacle(&file.kept_as(&old));
            assert!(matches!(file.replace(&old, &new).unwrap_err(), MasterKeyError::Exists(_)), "{name}");
            assert_eq!(file.load().unwrap().id(), old.id(), "{name}: as it was");
            assert_eq!(MasterKey::load(&there, file.group).unwrap().id(), new.id(), "{name}: as it was");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "{name}: nothing is left over");
        }
    }

    #[test]
    fn a_key_beside_the_replaced_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = MasterKeyFile { path: folder.path().join("master.key"), group: GroupReadable::Refused };
        let old = MasterKey::create(&file.path).unwrap();
        let there = folder.path().join("master.key.new");
        let new = MasterKey::create(&there).unwrap();
        for _ in ["the first time", "after one that was broken off"] {
            file.replace(&old, &new).unwrap();
            assert_eq!(file.load().unwrap().id(), new.id());
            assert_eq!(MasterKey::load(&there, file.group).unwrap().id(), new.id());
            assert_eq!(MasterKey::load(&file.kept_as(&old), file.group).unwrap().id(), old.id());
        }
    }

    #[test]
    fn a_created_key_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let read = MasterKey::load(&path, GroupReadable::Refused).unwrap();
        assert_eq!((made.id(), made.check_value()), (read.id(), read.check_value()));
        assert_eq!(fs::read_to_string(&path).unwrap().len(), 67);
    }

    #[test]
    fn an_existing_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), b"precious", 0o600);
        assert!(matches!(MasterKey::create(&path).unwrap_err(), MasterKeyError::Exists(_)));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
        assert!(matches!(MasterKey::create(&link).unwrap_err(), MasterKeyError::Exists(_)), "a dangling link");
    }

    #[test]
    fn modes_decide_for_everybody_root_too() {
        use GroupReadable::{Allowed, Refused};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::create(&path).unwrap();
        for (mode, refused, allowed) in [
            (0o600, true, true),
            (0o400, true, true),
            (0o640, false, true),
            (0o440, false, true),
            (0o660, false, false),
            (0o644, false, false),
            (0o444, false, false),
            (0o604, false, false),
            (0o602, false, false),
            (0o777, false, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            for (group, expected) in [(Refused, refused), (Allowed, allowed)] {
                match MasterKey::load(&path, group) {
                    Ok(_) => assert!(expected, "{mode:o} {group:?} was let through"),
                    Err(error) => {
                        assert!(!expected && matches!(error, MasterKeyError::TooOpen { .. }), "{mode:o} {group:?}");
                        let text = error.to_string();
                        assert!(text.contains("chmod") && text.contains("master.key") && !text.contains('\n'));
                    }
                }
            }
        }
    }

    #[test]
    fn anything_but_the_whole_line_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let good = format!("{LABEL}{}", URL_SAFE_NO_PAD.encode([7; 32]));
        for fine in [good.clone(), format!("{good}\n")] {
            let path = write(folder.path(), fine.as_bytes(), 0o600);
            assert!(MasterKey::load(&path, GroupReadable::Refused).is_ok(), "{fine:?}");
        }
        let cases: [(&str, Vec<u8>); 10] = [
            ("empty", vec![]),
            ("half-written", good.as_bytes()[..good.len() / 2].to_vec()),
            ("one short", good.as_bytes()[..good.len() - 1].to_vec()),
            ("padded", format!("{good}=").into_bytes()),
            ("two lines", format!("{good}\n{good}\n").into_bytes()),
            ("empty second line", format!("{good}\n\n").into_bytes()),
            ("other version", good.replace("-v1", "-v2").into_bytes()),
            ("spare bits", format!("{}d", &good[..good.len() - 1]).into_bytes()),
            ("not text", vec![0xff; 67]),
            ("long", vec![b'a'; 100_000]),
        ];
        for (name, text) in cases {
            let path = write(folder.path(), &text, 0o600);
            let error = MasterKey::load(&path, GroupReadable::Refused).unwrap_err();
            assert!(matches!(error, MasterKeyError::Damaged(_)), "{name}: {error}");
            assert!(error.to_string().contains("master.key") && !error.to_string().contains('\n'), "{name}");
        }
    }

    #[test]
    fn what_is_not_there_or_not_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = MasterKey::load(&folder.path().join("none"), GroupReadable::Refused).unwrap_err();
        assert!(matches!(missing, MasterKeyError::Missing(_)) && missing.to_string().contains("keys init"));
        let directory = MasterKey::load(folder.path(), GroupReadable::Refused).unwrap_err();
        assert!(matches!(directory, MasterKeyError::NotAFile(_)));
        let nowhere = MasterKey::create(&folder.path().join("no/such/folder")).unwrap_err();
        assert!(matches!(nowhere, MasterKeyError::Io { .. }) && nowhere.to_string().contains("no/such/folder"));
    }
}
