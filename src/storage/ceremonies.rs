//! Ceremonies in flight, when several servers share them.

use diesel::prelude::*;
use diesel::sql_types::{Binary, Timestamptz};

use super::StorageError;
use super::schema::ceremonies;
use crate::clock::Time;
use crate::domain::secret::TokenDigest;
use crate::statement;

/// Stores a ceremony.
pub fn insert(
    conn: &mut PgConnection,
    digest: &TokenDigest,
    state: &[u8],
    expires_at: Time,
) -> Result<(), StorageError> {
    diesel::insert_into(ceremonies::table)
        .values((
            ceremonies::digest.eq(digest.as_bytes().as_slice()),
            ceremonies::state.eq(state),
            ceremonies::expires_at.eq(expires_at),
        ))
        .execute(conn)?;
    Ok(())
}

statement! {
    /// Consumes a ceremony: one conditional `DELETE … RETURNING`, so exactly one of any number of callers gets it.
    Take { digest: Vec<u8> => Binary } -> (Binary, Timestamptz),
    "DELETE FROM ceremonies WHERE digest = $1 RETURNING state, expires_at"
}

/// Takes a ceremony, even one that has expired: a late answer uses it up too. Returns its state and its deadline.
pub fn take(conn: &mut PgConnection, digest: &TokenDigest) -> Result<Option<(Vec<u8>, Time)>, StorageError> {
    Ok(Take { digest: digest.as_bytes().to_vec() }.get_result(conn).optional()?)
}
