//! Creates files and directories as root inside directories of a less trusted user.
//!
//! That user could put a symbolic link in the way at any moment, so nothing here follows one in the last component, and
//! ownership is changed through open descriptors only.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};

use super::error::ClusterError;
use super::owner::{Account, Owner};

/// Opens `name` in `directory` for reading and appending, or creates it: mode 0600, owned by the server's user.
pub(super) fn open_private(directory: &Path, name: &str, owner: &Owner) -> Result<File, ClusterError> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::APPEND;
    let opened = open_in(directory, name, flags).and_then(|f| give(&f, &owner.server).map(|()| f));
    opened.map_err(|e| ClusterError::io("open", &directory.join(name), &owner.ours.name, e))
}

/// Replaces `name` in `directory` by `content` in one step, unless that is what it holds already.
pub(super) fn replace(directory: &Path, name: &str, content: &str, owner: &Owner) -> Result<(), ClusterError> {
    let path = directory.join(name);
    if fs::read(&path).is_ok_and(|old| old == content.as_bytes()) {
        return Ok(());
    }
    try_replace(directory, name, content, owner).map_err(|e| ClusterError::io("write", &path, &owner.ours.name, e))
}

fn try_replace(directory: &Path, name: &str, content: &str, owner: &Owner) -> io::Result<()> {
    let folder = open_directory(directory)?;
    let fresh = format!("{name}.new");
    let _ = rustix::fs::unlinkat(&folder, &fresh, AtFlags::empty());
    let mut file = open_in(directory, &fresh, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY)?;
    give(&file, &owner.server)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    rustix::fs::renameat(&folder, &fresh, &folder, name)?;
    folder.sync_all()
}

/// Opens a directory that is not a symbolic link.
pub(super) fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

fn open_in(directory: &Path, name: &str, flags: OFlags) -> io::Result<File> {
    let folder = open_directory(directory)?;
    let file = rustix::fs::openat(&folder, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?;
    Ok(File::from(file))
}

/// Hands an open file to `account`; nothing happens when it is theirs already.
fn give(file: &File, account: &Account) -> io::Result<()> {
    if file.metadata()?.uid() != account.uid {
        rustix::fs::fchown(file, Some(Uid::from_raw(account.uid)), Some(Gid::from_raw(account.gid)))?;
    }
    Ok(())
}

/// Makes `path` a directory of mode 0700 that belongs to the server's user, with the parents it needs.
///
/// Parents created on the way can be traversed by everybody when we are root (the server's user must get in), and are
/// private otherwise. An existing directory that belongs to a third user is refused.
pub(super) fn private_directory(path: &Path, owner: &Owner) -> Result<(), ClusterError> {
    if let Some(parent) = path.parent().filter(|p| !p.exists()) {
        walkable_directory(parent, owner)?;
    }
    make(path, 0o700, owner)?;
    let failed = |e| ClusterError::io("prepare", path, &owner.ours.name, e);
    let directory = open_directory(path).map_err(failed)?;
    let before = directory.metadata().map_err(failed)?;
    if ![owner.server.uid, owner.ours.uid].contains(&before.uid()) {
        let path = path.to_owned();
        return Err(ClusterError::WrongOwner {
            path,
            owner: Account::name_of(before.uid()),
            runner: owner.server.name.clone(),
        });
    }
    give(&directory, &owner.server).map_err(failed)?;
    if before.mode() & 0o7777 != 0o700 {
        directory.set_permissions(fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// Creates `path` and its missing parents so that the server's user can pass through them.
pub(super) fn walkable_directory(path: &Path, owner: &Owner) -> Result<(), ClusterError> {
    if let Some(parent) = path.parent().filter(|p| !p.exists()) {
        walkable_directory(parent, owner)?;
    }
    let mode = if owner.switches() { 0o711 } else { 0o700 };
    if make(path, mode, owner)? {
        // Whatever the umask says.
        let set = fs::set_permissions(path, fs::Permissions::from_mode(mode));
        set.map_err(|e| ClusterError::io("prepare", path, &owner.ours.name, e))?;
    }
    Ok(())
}

/// Creates the directory if it is missing. Returns whether it was.
fn make(path: &Path, mode: u32, owner: &Owner) -> Result<bool, ClusterError> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(ClusterError::io("create", path, &owner.ours.name, e)),
    }
}
