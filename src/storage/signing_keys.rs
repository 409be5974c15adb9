//! Signing keys, sealed.

use diesel::prelude::*;

use super::StorageError;
use super::changes::{self, ChangeKind};
use super::schema::signing_keys;
use crate::clock::Time;

/// A key as it is stored: its private part is sealed, and only the tokens room opens it.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys, check_for_backend(diesel::pg::Pg))]
pub struct SealedKey {
    /// Key id.
    pub kid: String,
    /// `tokens`, `refresh` or `bridge:<name>`.
    pub purpose: String,
    /// JWA name.
    pub algorithm: String,
    /// The private key or secret, sealed under the master key.
    pub sealed: Vec<u8>,
    /// When it was made or imported.
    pub created_at: Time,
    /// When it first appeared in the JWKS.
    pub published_at: Time,
    /// When it may first sign.
    pub signs_from: Time,
    /// When it stops signing.
    pub retired_at: Option<Time>,
    /// When the last token it signed has ended.
    pub verifies_until: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
}

/// Every key, oldest first.
pub fn all(conn: &mut PgConnection) -> Result<Vec<SealedKey>, StorageError> {
    Ok(signing_keys::table.order(signing_keys::created_at).select(SealedKey::as_select()).load(conn)?)
}

/// Stores a new key and announces it.
pub fn insert(conn: &mut PgConnection, key: &SealedKey) -> Result<(), StorageError> {
    diesel::insert_into(signing_keys::table).values(key).execute(conn)?;
    changes::announce(conn, ChangeKind::Keys, &key.kid)
}

/// Lets a published key sign earlier than planned.
pub fn promote(conn: &mut PgConnection, kid: &str, signs_from: Time) -> Result<(), StorageError> {
    diesel::update(signing_keys::table.find(kid)).set(signing_keys::signs_from.eq(signs_from)).execute(conn)?;
    changes::announce(conn, ChangeKind::Keys, kid)
}

/// Sets when a key stops signing and verifying.
pub fn retire(
    conn: &mut PgConnection,
    kid: &str,
    retired_at: Time,
    verifies_until: Time,
) -> Result<bool, StorageError> {
    let changed = diesel::update(signing_keys::table.find(kid))
        .set((signing_keys::retired_at.eq(retired_at), signing_keys::verifies_until.eq(verifies_until)))
        .execute(conn)?;
    changes::announce(conn, ChangeKind::Keys, kid)?;
    Ok(changed == 1)
}

/// Revokes a key at once; `false` when there is none or it was revoked before.
pub fn revoke(conn: &mut PgConnection, kid: &str, now: Time) -> Result<bool, StorageError> {
    let changed = diesel::update(signing_keys::table.find(kid).filter(signing_keys::revoked_at.is_null()))
        .set(signing_keys::revoked_at.eq(now))
        .execute(conn)?;
    changes::announce(conn, ChangeKind::Keys, kid)?;
    Ok(changed == 1)
}

/// Replaces the sealed part of a key (the master key changed).
pub fn reseal(conn: &mut PgConnection, kid: &str, sealed: &[u8]) -> Result<(), StorageError> {
    diesel::update(signing_keys::table.find(kid)).set(signing_keys::sealed.eq(sealed)).execute(conn)?;
    Ok(())
}
