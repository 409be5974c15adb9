//! Bridges, from the configuration and from administration alike.
//!
//! A definition is stored as it was written. The bridge room decides whether it is valid, and an invalid one must not
//! keep the others from being read.

use diesel::prelude::*;
use serde_json::Value;

use super::StorageError;
use super::changes::{self, ChangeKind};
use super::schema::{bridges, deleted_bridges};
use crate::clock::Time;

/// A bridge as it is stored.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable)]
#[diesel(table_name = bridges, check_for_backend(diesel::pg::Pg))]
pub struct StoredBridge {
    /// Its name, which clients request it by.
    pub name: String,
    /// What it is, without key material.
    pub definition: Value,
    /// What its declaration says; false also when the configuration no longer declares it.
    pub enabled: bool,
    /// When it was stopped in an emergency.
    pub stopped_at: Option<Time>,
    /// By whom.
    pub stopped_by: Option<String>,
    /// An imported key, sealed.
    pub sealed_key: Option<Vec<u8>>,
    /// What the imported key is.
    pub key_kind: Option<String>,
    /// The imported key's public name.
    pub key_id: Option<String>,
    /// The configuration file that declares it.
    pub managed_by: Option<String>,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// An imported key, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBridgeKey {
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// What it is.
    pub kind: &'static str,
    /// Its public name.
    pub id: String,
}

impl StoredBridge {
    /// A new one, switched on.
    pub fn new(name: &str, definition: Value, key: Option<SealedBridgeKey>, now: Time) -> Self {
        let (sealed_key, key_kind, key_id) = columns(key);
        Self {
            name: name.to_owned(),
            definition,
            enabled: true,
            stopped_at: None,
            stopped_by: None,
            sealed_key,
            key_kind,
            key_id,
            managed_by: None,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether it may mint tokens: enabled, and not stopped.
    pub const fn is_on(&self) -> bool {
        self.enabled && self.stopped_at.is_none()
    }
}

fn columns(key: Option<SealedBridgeKey>) -> (Option<Vec<u8>>, Option<String>, Option<String>) {
    key.map_or((None, None, None), |key| (Some(key.sealed), Some(key.kind.to_owned()), Some(key.id)))
}

/// Every bridge, including those that are switched off.
pub fn all(conn: &mut PgConnection) -> Result<Vec<StoredBridge>, StorageError> {
    Ok(bridges::table.order(bridges::name).select(StoredBridge::as_select()).load(conn)?)
}

/// A page of bridges by name, including those that are switched off.
pub fn page(conn: &mut PgConnection, after: Option<&str>, most: i64) -> Result<Vec<StoredBridge>, StorageError> {
    Ok(bridges::table
        .filter(bridges::name.gt(after.unwrap_or_default()))
        .order(bridges::name)
        .limit(most)
        .select(StoredBridge::as_select())
        .load(conn)?)
}

/// One bridge, switched off or not.
pub fn find(conn: &mut PgConnection, name: &str) -> Result<Option<StoredBridge>, StorageError> {
    Ok(bridges::table.find(name).select(StoredBridge::as_select()).first(conn).optional()?)
}

/// One bridge, its row locked until the transaction ends.
pub fn lock(conn: &mut PgConnection, name: &str) -> Result<Option<StoredBridge>, StorageError> {
    Ok(bridges::table.find(name).select(StoredBridge::as_select()).for_update().first(conn).optional()?)
}

/// Stores a new bridge and announces it; `false` when the name is taken.
pub fn insert(conn: &mut PgConnection, new: &StoredBridge) -> Result<bool, StorageError> {
    let made = diesel::insert_into(bridges::table).values(new).on_conflict_do_nothing().execute(conn)?;
    if made == 1 {
        changes::announce(conn, ChangeKind::Bridges, &new.name)?;
    }
    Ok(made == 1)
}

/// Stores what the configuration declares for a bridge, replacing everything but an emergency stop. A stored imported
/// key is deleted: the key of a declared bridge is in a file.
pub fn declare(
    conn: &mut PgConnection,
    name: &str,
    definition: &Value,
    (enabled, source): (bool, &str),
    now: Time,
) -> Result<(), StorageError> {
    let new = StoredBridge {
        enabled,
        managed_by: Some(source.to_owned()),
        ..StoredBridge::new(name, definition.clone(), None, now)
    };
    diesel::insert_into(bridges::table)
        .values(&new)
        .on_conflict(bridges::name)
        .do_update()
        .set((
            bridges::definition.eq(definition),
            bridges::enabled.eq(enabled),
            bridges::sealed_key.eq(None::<Vec<u8>>),
            bridges::key_kind.eq(None::<String>),
            bridges::key_id.eq(None::<String>),
            bridges::managed_by.eq(source),
            bridges::version.eq(bridges::version + 1),
            bridges::updated_at.eq(now),
        ))
        .execute(conn)?;
    changes::announce(conn, ChangeKind::Bridges, name)
}

/// Switches off a bridge that the configuration no longer declares; it stays visible.
pub fn undeclare(conn: &mut PgConnection, name: &str, now: Time) -> Result<(), StorageError> {
    diesel::update(bridges::table.find(name))
        .set((bridges::enabled.eq(false), bridges::version.eq(bridges::version + 1), bridges::updated_at.eq(now)))
        .execute(conn)?;
    changes::announce(conn, ChangeKind::Bridges, name)
}

/// Replaces a definition, and the imported key where `key` says so. Call it with the row locked.
pub fn change(
    conn: &mut PgConnection,
    name: &str,
    definition: &Value,
    key: KeyChange,
    now: Time,
) -> Result<(), StorageError> {
    let row = bridges::table.find(name);
    diesel::update(row)
        .set((
            bridges::definition.eq(definition),
            bridges::version.eq(bridges::version + 1),
            bridges::updated_at.eq(now),
        ))
        .execute(conn)?;
    if let KeyChange::Set(key) = key {
        let (sealed, kind, id) = columns(key);
        diesel::update(row)
            .set((bridges::sealed_key.eq(sealed), bridges::key_kind.eq(kind), bridges::key_id.eq(id)))
            .execute(conn)?;
    }
    changes::announce(conn, ChangeKind::Bridges, name)
}

/// What happens to the imported key when a definition is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// It stays as it is.
    Keep,
    /// It is replaced by this one, or deleted.
    Set(Option<SealedBridgeKey>),
}

/// The emergency stop: no more tokens until [`resume`]. `false` when there is no such bridge or it is already stopped.
pub fn stop(conn: &mut PgConnection, name: &str, by: &str, now: Time) -> Result<bool, StorageError> {
    let changed = diesel::update(bridges::table.find(name).filter(bridges::stopped_at.is_null()))
        .set((
            bridges::stopped_at.eq(now),
            bridges::stopped_by.eq(by),
            bridges::version.eq(bridges::version + 1),
            bridges::updated_at.eq(now),
        ))
        .execute(conn)?;
    if changed == 1 {
        changes::announce(conn, ChangeKind::Bridges, name)?;
    }
    Ok(changed == 1)
}

/// Ends an emergency stop; `false` when there is no such bridge or it is not stopped.
pub fn resume(conn: &mut PgConnection, name: &str, now: Time) -> Result<bool, StorageError> {
    let changed = diesel::update(bridges::table.find(name).filter(bridges::stopped_at.is_not_null()))
        .set((
            bridges::stopped_at.eq(None::<Time>),
            bridges::stopped_by.eq(None::<String>),
            bridges::version.eq(bridges::version + 1),
            bridges::updated_at.eq(now),
        ))
        .execute(conn)?;
    if changed == 1 {
        changes::announce(conn, ChangeKind::Bridges, name)?;
    }
    Ok(changed == 1)
}

/// Deletes a bridge and records its name as deleted; `false` when there was none. Call it in a transaction.
pub fn delete(conn: &mut PgConnection, name: &str, now: Time) -> Result<bool, StorageError> {
    let gone = diesel::delete(bridges::table.find(name)).execute(conn)?;
    if gone == 1 {
        let was = (deleted_bridges::name.eq(name), deleted_bridges::deleted_at.eq(now));
        diesel::insert_into(deleted_bridges::table).values(was).on_conflict_do_nothing().execute(conn)?;
        changes::announce(conn, ChangeKind::Bridges, name)?;
    }
    Ok(gone == 1)
}

/// Whether a bridge of that name was deleted and does not exist now.
pub fn was_deleted(conn: &mut PgConnection, name: &str) -> Result<bool, StorageError> {
    let was: Option<String> = deleted_bridges::table.find(name).select(deleted_bridges::name).first(conn).optional()?;
    Ok(was.is_some() && find(conn, name)?.is_none())
}

/// Every imported key in its sealed form, with the rows locked until the transaction ends.
pub fn sealed_keys(conn: &mut PgConnection) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
    let rows: Vec<(String, Option<Vec<u8>>)> = bridges::table
        .filter(bridges::sealed_key.is_not_null())
        .order(bridges::name)
        .select((bridges::name, bridges::sealed_key))
        .for_update()
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(name, sealed)| Some((name, sealed?))).collect())
}

/// Replaces the sealed form of an imported key (the master key changed). The key stays the same, so the version does
/// too.
pub fn reseal(conn: &mut PgConnection, name: &str, sealed: &[u8]) -> Result<(), StorageError> {
    diesel::update(bridges::table.find(name)).set(bridges::sealed_key.eq(sealed)).execute(conn)?;
    Ok(())
}
