//! Which master key seals this database, and the sealed root of its purpose keys.

use diesel::prelude::*;

use super::StorageError;
use super::schema::installation;
use crate::clock::Time;

/// The stored mark of the master key.
#[derive(Clone, Debug, Queryable)]
pub struct MasterKeyMark {
    /// Public id of the key.
    pub id: String,
    /// Derived from the key: detects a wrong key without revealing the right one.
    pub check: Vec<u8>,
    /// The root of purpose keys, sealed; none in a database made by an older server.
    pub root: Option<Vec<u8>>,
}

/// The mark, unless this database has never been used.
pub fn find(conn: &mut PgConnection) -> Result<Option<MasterKeyMark>, StorageError> {
    Ok(installation::table
        .select((installation::master_key_id, installation::master_key_check, installation::purpose_root))
        .first(conn)
        .optional()?)
}

/// Records the master key of this database and what it seals: the first key, or the one that everything has just been
/// sealed with again.
pub fn mark(conn: &mut PgConnection, id: &str, check: &[u8], root: &[u8], now: Time) -> Result<(), StorageError> {
    diesel::insert_into(installation::table)
        .values((
            installation::singleton.eq(true),
            installation::master_key_id.eq(id),
            installation::master_key_check.eq(check),
            installation::purpose_root.eq(root),
            installation::created_at.eq(now),
        ))
        .on_conflict(installation::singleton)
        .do_update()
        .set((
            installation::master_key_id.eq(id),
            installation::master_key_check.eq(check),
            installation::purpose_root.eq(root),
        ))
        .execute(conn)?;
    Ok(())
}
