//! Which master key seals this database.

use diesel::prelude::*;

use super::StorageError;
use super::schema::installation;
use crate::clock::Time;

/// The stored mark of the master key.
#[derive(Clone, Debug, Queryable)]
pub struct MasterKeyMark {
    /// Public id of the key.
    pub id: String,
    /// Derived from the key; tells a wrong key without revealing the right one.
    pub check: Vec<u8>,
}

/// The mark, unless this database has never been used.
pub fn find(conn: &mut PgConnection) -> Result<Option<MasterKeyMark>, StorageError> {
    Ok(installation::table
        .select((installation::master_key_id, installation::master_key_check))
        .first(conn)
        .optional()?)
}

/// Marks this database with a master key: the first one, or the one that everything was just sealed with anew.
pub fn mark(conn: &mut PgConnection, id: &str, check: &[u8], now: Time) -> Result<(), StorageError> {
    diesel::insert_into(installation::table)
        .values((
            installation::singleton.eq(true),
            installation::master_key_id.eq(id),
            installation::master_key_check.eq(check),
            installation::created_at.eq(now),
        ))
        .on_conflict(installation::singleton)
        .do_update()
        .set((installation::master_key_id.eq(id), installation::master_key_check.eq(check)))
        .execute(conn)?;
    Ok(())
}
