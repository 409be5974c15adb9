//! Ensures that the master key and the database belong together.
//!
//! A key is created automatically only for an empty private cluster. With an external database it must be provided. A
//! database sealed with one key never starts with another.

use std::fs;

use diesel::PgConnection;

use super::StartError;
use crate::clock::Time;
use crate::config::Config;
use crate::storage::installation::{self, MasterKeyMark};
use crate::tokens::seal::{GroupReadable, MasterKey, MasterKeyFile, PurposeRoot};

/// Loads the key that this database is sealed with; creates the first one for an empty private cluster.
pub fn settle(conn: &mut PgConnection, config: &Config, private: bool, now: Time) -> Result<MasterKey, StartError> {
    if let Some(mark) = installation::find(conn)? {
        let key = matching(config, &mark)?;
        if mark.root.is_none() {
            // The database was created by an older version.
            first_mark(conn, &key, now)?;
        }
        return Ok(key);
    }
    let key = if config.keys.master_key_file.exists() {
        load(config)?
    } else if private {
        create(config)?
    } else {
        let file = config.keys.master_key_file.display();
        return Err(StartError::MasterKey(format!(
            "there is no master key at {file}: with your own database you create it once; run `passmint keys init`, \
             keep the file safe and give every server the same one"
        )));
    };
    first_mark(conn, &key, now)?;
    Ok(key)
}

/// Loads the key that a database in use is sealed with, without creating anything: for commands.
pub fn open(conn: &mut PgConnection, config: &Config) -> Result<MasterKey, StartError> {
    if let Some(mark) = installation::find(conn)? {
        return matching(config, &mark);
    }
    let file = &config.keys.master_key_file;
    let cure = if config.database.url.is_none() {
        "start the server once, which makes it".to_owned()
    } else if file.exists() {
        format!("start the server once, which adopts the one in {}", file.display())
    } else {
        "run `passmint keys init`".to_owned()
    };
    Err(StartError::MasterKey(format!("this database has no master key yet: {cure}")))
}

/// Whether the configured file holds the key of this mark.
pub fn is_in_place(config: &Config, mark: &MasterKeyMark) -> bool {
    matching(config, mark).is_ok()
}

fn matching(config: &Config, mark: &MasterKeyMark) -> Result<MasterKey, StartError> {
    let file = config.keys.master_key_file.display();
    if !config.keys.master_key_file.exists() {
        return Err(StartError::MasterKey(format!(
            "the database is sealed with master key {}, but {file} does not exist: put the key's file there, or name it by PASSMINT_MASTER_KEY_FILE; without it the signing keys cannot be opened",
            mark.id
        )));
    }
    let key = load(config)?;
    if key.id() != mark.id || !key.matches(&mark.check) {
        return Err(StartError::MasterKey(format!(
            "{file} holds master key {}, but the database is sealed with {}: put that key's file there, or name it by PASSMINT_MASTER_KEY_FILE (`passmint keys rewrap` is the way to change the key)",
            key.id(),
            mark.id
        )));
    }
    Ok(key)
}

/// Marks the database with its first master key, and creates its root of purpose keys.
pub fn first_mark(conn: &mut PgConnection, key: &MasterKey, now: Time) -> Result<(), StartError> {
    let root = PurposeRoot::generate().seal(key);
    Ok(installation::mark(conn, &key.id(), &key.check_value(), &root, now)?)
}

/// The configured location of the key.
pub fn file(config: &Config) -> MasterKeyFile {
    let group = if config.keys.allow_group_readable { GroupReadable::Allowed } else { GroupReadable::Refused };
    MasterKeyFile { path: config.keys.master_key_file.clone(), group }
}

/// Loads the configured file.
pub fn load(config: &Config) -> Result<MasterKey, StartError> {
    Ok(file(config).load()?)
}

/// Creates the configured file.
pub fn create(config: &Config) -> Result<MasterKey, StartError> {
    if let Some(folder) = config.keys.master_key_file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| {
            StartError::MasterKey(format!(
                "the folder {} for the master key cannot be created: {error}",
                folder.display()
            ))
        })?;
    }
    Ok(MasterKey::create(&config.keys.master_key_file)?)
}
