//! Access tokens that are refused before their end, by `jti` or by `grant_id`.

use diesel::prelude::*;
use uuid::Uuid;

use super::StorageError;
use super::schema::revoked_tokens;
use crate::clock::Time;

/// Whether any of these ids was revoked.
pub fn any(conn: &mut PgConnection, ids: &[Uuid], now: Time) -> Result<bool, StorageError> {
    let found = revoked_tokens::table.filter(revoked_tokens::id.eq_any(ids)).filter(revoked_tokens::until.gt(now));
    Ok(diesel::select(diesel::dsl::exists(found)).get_result(conn)?)
}
