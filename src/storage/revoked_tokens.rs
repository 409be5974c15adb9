//! Access tokens that are refused before they expire, by their own id or by their grant's. They are checked together
//! with the session they live with: see [`sessions::find_live_of_token`](super::sessions::find_live_of_token).

use diesel::prelude::*;
use uuid::Uuid;

use super::StorageError;
use super::schema::revoked_tokens;
use crate::clock::Time;

/// Whether a token is refused by its own id; for a token that lives with no session.
pub fn contains(conn: &mut PgConnection, id: Uuid) -> Result<bool, StorageError> {
    Ok(diesel::select(diesel::dsl::exists(revoked_tokens::table.find(id))).get_result(conn)?)
}

/// Refuses a token, or all tokens of a grant, until the last of them has expired. `false` when it was refused before.
pub fn insert(conn: &mut PgConnection, id: Uuid, until: Time) -> Result<bool, StorageError> {
    let inserted = diesel::insert_into(revoked_tokens::table)
        .values((revoked_tokens::id.eq(id), revoked_tokens::until.eq(until)))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(inserted == 1)
}
