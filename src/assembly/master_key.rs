//! The master key and the database belong together.
//!
//! A key is made by itself only for an empty private cluster. With a named database it must be given, and a database that
//! was sealed with one key never starts under another.

use std::fs;

use diesel::PgConnection;

use super::StartError;
use crate::clock::Time;
use crate::config::Config;
use crate::storage::installation::{self, MasterKeyMark};
use crate::tokens::seal::{GroupReadable, MasterKey};

/// Loads the key that this database is sealed with; makes the first one for an empty private cluster.
pub fn settle(conn: &mut PgConnection, config: &Config, private: bool, now: Time) -> Result<MasterKey, StartError> {
    match installation::find(conn)? {
        Some(mark) => matching(config, &mark),
        None => first(conn, config, private, now),
    }
}

/// The key of the file, if it is the one that this database is sealed with.
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
            "{file} holds master key {}, but the database is sealed with {}: name the right file by PASSMINT_MASTER_KEY_FILE, or change the key with `passmint keys rewrap`",
            key.id(),
            mark.id
        )));
    }
    Ok(key)
}

/// The key of a database that was never used, which is marked with it.
fn first(conn: &mut PgConnection, config: &Config, private: bool, now: Time) -> Result<MasterKey, StartError> {
    let key = if config.keys.master_key_file.exists() {
        load(config)?
    } else if private {
        create(config)?
    } else {
        return Err(StartError::MasterKey(format!(
            "there is no master key at {}: with a database of your own it is made on purpose, once; run `passmint keys init`, keep the file safe and give every server the same one",
            config.keys.master_key_file.display()
        )));
    };
    installation::mark(conn, &key.id(), &key.check_value(), now)?;
    Ok(key)
}

/// Loads the configured file.
pub fn load(config: &Config) -> Result<MasterKey, StartError> {
    let group = if config.keys.allow_group_readable { GroupReadable::Allowed } else { GroupReadable::Refused };
    Ok(MasterKey::load(&config.keys.master_key_file, group)?)
}

/// Makes the configured file.
pub fn create(config: &Config) -> Result<MasterKey, StartError> {
    if let Some(folder) = config.keys.master_key_file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| {
            StartError::MasterKey(format!("the folder {} for the master key cannot be made: {error}", folder.display()))
        })?;
    }
    Ok(MasterKey::create(&config.keys.master_key_file)?)
}
