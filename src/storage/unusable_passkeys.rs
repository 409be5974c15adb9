//! Imported passkeys whose algorithm is not supported: kept, and shown to their owner as ones to replace.

use diesel::prelude::*;
use uuid::Uuid;

use super::StorageError;
use super::schema::{credentials, unusable_passkeys};
use super::texts::Texts;
use crate::clock::Time;
use crate::domain::id::UserId;

/// A passkey that cannot sign anybody in.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = unusable_passkeys, treat_none_as_default_value = false, check_for_backend(diesel::pg::Pg))]
pub struct UnusablePasskey {
    /// The RP id it signs for.
    pub rp_id: String,
    /// The authenticator's credential id.
    pub credential_id: Vec<u8>,
    /// The person the passkey belongs to.
    pub user_id: Uuid,
    /// COSE algorithm.
    pub algorithm: i32,
    /// The `COSE_Key` as imported.
    pub public_key: Vec<u8>,
    /// The user handle it was registered under.
    pub user_handle: Option<Vec<u8>>,
    /// Signature counter.
    pub sign_count: i64,
    /// How it can be reached.
    #[diesel(deserialize_as = Texts)]
    pub transports: Vec<String>,
    /// Model of the authenticator.
    pub aaguid: Option<Uuid>,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Time,
    /// When it was last used in the system it came from.
    pub last_used_at: Option<Time>,
    /// When it was imported.
    pub imported_at: Time,
    /// Whether user verification was seen at least once.
    pub user_verified: bool,
    /// Whether it can be backed up; none when the system it came from did not keep the flags.
    pub backup_eligible: Option<bool>,
    /// Whether it is backed up; none likewise.
    pub backup_state: Option<bool>,
    /// Whether it is discoverable, where that is known.
    pub resident: Option<bool>,
    /// When it was suspended.
    pub suspended_at: Option<Time>,
    /// Why the passkey is suspended.
    pub suspended_reason: Option<String>,
}

/// Whether such a passkey is stored.
pub fn is_stored(conn: &mut PgConnection, rp_id: &str, credential_id: &[u8]) -> Result<bool, StorageError> {
    let found = unusable_passkeys::table.find((rp_id, credential_id));
    Ok(diesel::select(diesel::dsl::exists(found)).get_result(conn)?)
}

/// Names of the passkeys that a person should replace: those without a newer one, added here since, for the same RP id.
pub fn to_make_anew(conn: &mut PgConnection, owner: UserId) -> Result<Vec<String>, StorageError> {
    let newer = credentials::table
        .filter(credentials::user_id.eq(owner.uuid()))
        .filter(credentials::rp_id.eq(unusable_passkeys::rp_id))
        .filter(credentials::created_at.gt(unusable_passkeys::imported_at));
    Ok(unusable_passkeys::table
        .filter(unusable_passkeys::user_id.eq(owner.uuid()))
        .filter(diesel::dsl::not(diesel::dsl::exists(newer)))
        .order(unusable_passkeys::created_at)
        .select(unusable_passkeys::name)
        .load(conn)?)
}

/// The unusable passkeys of these people.
pub fn of_users(conn: &mut PgConnection, owners: &[Uuid]) -> Result<Vec<UnusablePasskey>, StorageError> {
    Ok(unusable_passkeys::table
        .filter(unusable_passkeys::user_id.eq_any(owners))
        .order((unusable_passkeys::created_at, unusable_passkeys::credential_id))
        .select(UnusablePasskey::as_select())
        .load(conn)?)
}
