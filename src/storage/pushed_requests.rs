//! Authorization requests that clients sent ahead (RFC 9126). The statement that issues a code for one deletes it.

use diesel::prelude::*;
use serde_json::Value;

use super::StorageError;
use super::schema::pushed_requests;
use crate::clock::Time;
use crate::domain::authorization::AuthorizationRequest;
use crate::domain::secret::TokenDigest;

/// Stores a request, already checked, under the digest of its handle.
pub fn insert(
    conn: &mut PgConnection,
    digest: &TokenDigest,
    request: &AuthorizationRequest,
    expires_at: Time,
) -> Result<(), StorageError> {
    let document =
        serde_json::to_value(request).map_err(|error| StorageError::corrupt("pushed_requests", "a new row", error))?;
    diesel::insert_into(pushed_requests::table)
        .values((
            pushed_requests::digest.eq(digest.as_bytes().as_slice()),
            pushed_requests::client_id.eq(&request.client),
            pushed_requests::request.eq(document),
            pushed_requests::expires_at.eq(expires_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// This client's request for a handle, unless it expired or was used up. Finding it does not use it up: the person may
/// reload the page.
pub fn find(
    conn: &mut PgConnection,
    digest: &TokenDigest,
    client: &str,
    now: Time,
) -> Result<Option<AuthorizationRequest>, StorageError> {
    let document: Option<Value> = pushed_requests::table
        .find(digest.as_bytes().as_slice())
        .filter(pushed_requests::client_id.eq(client))
        .filter(pushed_requests::expires_at.gt(now))
        .select(pushed_requests::request)
        .first(conn)
        .optional()?;
    document
        .map(|document| {
            serde_json::from_value(document).map_err(|error| StorageError::corrupt("pushed_requests", client, error))
        })
        .transpose()
}
