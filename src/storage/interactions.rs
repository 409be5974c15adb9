//! Authorization requests that wait for a person.

use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::schema::interactions;
use crate::clock::Time;
use crate::domain::authorization::AuthorizationRequest;
use crate::domain::id::SessionId;
use crate::domain::secret::TokenDigest;

/// A request about to be stored.
#[derive(Clone, Debug)]
pub struct NewInteraction {
    /// Digest of its handle.
    pub digest: TokenDigest,
    /// The request, checked.
    pub request: AuthorizationRequest,
    /// The pushed request it came from.
    pub pushed: Option<TokenDigest>,
    /// The time at which the request is stored.
    pub now: Time,
    /// When it expires.
    pub expires_at: Time,
}

/// A request that waits.
#[derive(Clone, Debug)]
pub struct StoredInteraction {
    /// The request.
    pub request: AuthorizationRequest,
    /// The pushed request it came from.
    pub pushed: Option<TokenDigest>,
    /// The session whose owner chose to continue with that account.
    pub chosen_by: Option<SessionId>,
    /// When it arrived.
    pub created_at: Time,
}

/// Stores a request that waits.
pub fn insert(conn: &mut PgConnection, new: &NewInteraction) -> Result<(), StorageError> {
    let request = serde_json::to_value(&new.request)
        .map_err(|error| StorageError::corrupt("interactions", "a new row", error))?;
    diesel::insert_into(interactions::table)
        .values((
            interactions::digest.eq(new.digest.as_bytes().as_slice()),
            interactions::client_id.eq(&new.request.client),
            interactions::request.eq(request),
            interactions::pushed.eq(new.pushed.as_ref().map(|digest| digest.as_bytes().as_slice())),
            interactions::created_at.eq(new.now),
            interactions::expires_at.eq(new.expires_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// A request that is still waiting.
pub fn find(
    conn: &mut PgConnection,
    digest: &TokenDigest,
    now: Time,
) -> Result<Option<StoredInteraction>, StorageError> {
    type Row = (Value, Option<Vec<u8>>, Option<Uuid>, Time);
    let row: Option<Row> = interactions::table
        .find(digest.as_bytes().as_slice())
        .filter(interactions::expires_at.gt(now))
        .select((interactions::request, interactions::pushed, interactions::chosen_by, interactions::created_at))
        .first(conn)
        .optional()?;
    row.map(|(request, pushed, chosen_by, created_at)| {
        let corrupt = |problem: String| StorageError::corrupt("interactions", created_at, problem);
        Ok(StoredInteraction {
            request: serde_json::from_value(request).map_err(|error| corrupt(error.to_string()))?,
            pushed: pushed
                .map(|bytes| TokenDigest::from_stored(&bytes).ok_or_else(|| corrupt("a digest is not 32 bytes".into())))
                .transpose()?,
            chosen_by: chosen_by.map(Into::into),
            created_at,
        })
    })
    .transpose()
}

/// Records which session's owner chose to continue with their account; `false` when the request no longer waits.
pub fn choose(
    conn: &mut PgConnection,
    digest: &TokenDigest,
    session: SessionId,
    now: Time,
) -> Result<bool, StorageError> {
    let waiting = interactions::table.find(digest.as_bytes().as_slice()).filter(interactions::expires_at.gt(now));
    Ok(diesel::update(waiting).set(interactions::chosen_by.eq(session.uuid())).execute(conn)? == 1)
}

/// Ends a request that was refused; `false` when it was already answered.
pub fn remove(conn: &mut PgConnection, digest: &TokenDigest) -> Result<bool, StorageError> {
    Ok(diesel::delete(interactions::table.find(digest.as_bytes().as_slice())).execute(conn)? == 1)
}
