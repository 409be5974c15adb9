//! Access tokens refused before their end, by their own id or by their grant's. Asked about with the session they live with,
//! see [`sessions::find_live_of_token`](super::sessions::find_live_of_token).

use diesel::prelude::*;
use uuid::Uuid;

use super::StorageError;
use super::schema::revoked_tokens;
use crate::clock::Time;

/// Refuses a token, or all tokens of a grant, until the last of them has ended by itself. `false` when that was so before.
pub fn insert(conn: &mut PgConnection, id: Uuid, until: Time) -> Result<bool, StorageError> {
    let inserted = diesel::insert_into(revoked_tokens::table)
        .values((revoked_tokens::id.eq(id), revoked_tokens::until.eq(until)))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(inserted == 1)
}
