//! Passkeys, and the index that finds their owner.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::batch::{self, Batch, Locked};
use super::removals::{self, Removed};
use super::schema::{credential_index, credentials};
use super::texts::Texts;
use super::users::{UserColumns, UserRow, user_columns};
use crate::clock::Time;
use crate::domain::counter::{CounterRule, SyncedCounter};
use crate::domain::id::{PasskeyId, UserId};
use crate::domain::user::User;
use crate::statement;

/// A passkey as stored.
#[derive(Clone, Debug)]
pub struct StoredPasskey {
    /// Our own id for it.
    pub id: PasskeyId,
    /// The person the passkey belongs to.
    pub user: UserId,
    /// The RP id it signs for.
    pub rp_id: String,
    /// The authenticator's credential id.
    pub credential_id: Vec<u8>,
    /// The user handle it was registered under; none when it came from a system that kept none.
    pub user_handle: Option<Vec<u8>>,
    /// The WebAuthn library's document.
    pub document: Value,
    /// COSE algorithm.
    pub algorithm: i32,
    /// Signature counter, the greatest seen.
    pub sign_count: u32,
    /// User verification was seen at least once.
    pub user_verified: bool,
    /// May exist on several devices.
    pub backup_eligible: bool,
    /// Is backed up, as of its last use.
    pub backup_state: bool,
    /// How it can be reached; an unsigned hint.
    pub transports: Vec<String>,
    /// Model of the authenticator; a label.
    pub aaguid: Option<Uuid>,
    /// Whether the authenticator said it is discoverable; an unsigned hint.
    pub resident: Option<bool>,
    /// Attested by a chain to a trusted root.
    pub attested: bool,
    /// Name given by its owner, or by us.
    pub name: String,
    /// When it was added.
    pub created_at: Time,
    /// When it last signed its owner in.
    pub last_used_at: Option<Time>,
    /// Set when a copy is suspected.
    pub suspended_at: Option<Time>,
    /// Imported, and not used here yet.
    pub first_use_pending: bool,
    /// Whether the two backup flags are known; the first assertion tells them.
    pub backup_flags_known: bool,
}

impl StoredPasskey {
    /// The rule that the next assertion's counter is held to.
    pub const fn counter_rule(&self, policy: SyncedCounter) -> CounterRule {
        if self.first_use_pending { CounterRule::First } else { CounterRule::new(policy, self.backup_eligible) }
    }
}

/// The row of a passkey, from which its index entry is made.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = credentials, treat_none_as_default_value = false, check_for_backend(diesel::pg::Pg))]
pub(super) struct Row {
    id: Uuid,
    user_id: Uuid,
    rp_id: String,
    credential_id: Vec<u8>,
    user_handle: Option<Vec<u8>>,
    passkey: Value,
    algorithm: i32,
    sign_count: i64,
    user_verified: bool,
    backup_eligible: bool,
    backup_state: bool,
    #[diesel(deserialize_as = Texts)]
    transports: Vec<String>,
    aaguid: Option<Uuid>,
    resident: Option<bool>,
    attested: bool,
    name: String,
    created_at: Time,
    last_used_at: Option<Time>,
    suspended_at: Option<Time>,
    suspended_reason: Option<String>,
    first_use_pending: bool,
    backup_flags_known: bool,
}

/// The index entry by which a usernameless sign-in finds its passkey.
#[derive(Debug, Insertable)]
#[diesel(table_name = credential_index, treat_none_as_default_value = false)]
pub(super) struct IndexEntry {
    rp_id: String,
    credential_id: Vec<u8>,
    user_id: Uuid,
    credential: Uuid,
}

impl From<&Row> for IndexEntry {
    fn from(row: &Row) -> Self {
        Self {
            rp_id: row.rp_id.clone(),
            credential_id: row.credential_id.clone(),
            user_id: row.user_id,
            credential: row.id,
        }
    }
}

impl Row {
    /// The row of a passkey, and why it is suspended, if it is.
    pub(super) fn of(passkey: StoredPasskey, suspended_reason: Option<String>) -> Self {
        Self {
            id: passkey.id.uuid(),
            user_id: passkey.user.uuid(),
            rp_id: passkey.rp_id,
            credential_id: passkey.credential_id,
            user_handle: passkey.user_handle,
            passkey: passkey.document,
            algorithm: passkey.algorithm,
            sign_count: passkey.sign_count.into(),
            user_verified: passkey.user_verified,
            backup_eligible: passkey.backup_eligible,
            backup_state: passkey.backup_state,
            transports: passkey.transports,
            aaguid: passkey.aaguid,
            resident: passkey.resident,
            attested: passkey.attested,
            name: passkey.name,
            created_at: passkey.created_at,
            last_used_at: passkey.last_used_at,
            suspended_at: passkey.suspended_at,
            suspended_reason,
            first_use_pending: passkey.first_use_pending,
            backup_flags_known: passkey.backup_flags_known,
        }
    }
}

impl TryFrom<Row> for StoredPasskey {
    type Error = StorageError;
    fn try_from(row: Row) -> Result<Self, StorageError> {
        Ok(Self {
            id: row.id.into(),
            user: row.user_id.into(),
            rp_id: row.rp_id,
            credential_id: row.credential_id,
            user_handle: row.user_handle,
            document: row.passkey,
            algorithm: row.algorithm,
            sign_count: u32::try_from(row.sign_count)
                .map_err(|_| StorageError::corrupt("credentials", row.id, "sign_count is not 32 bits"))?,
            user_verified: row.user_verified,
            backup_eligible: row.backup_eligible,
            backup_state: row.backup_state,
            transports: row.transports,
            aaguid: row.aaguid,
            resident: row.resident,
            attested: row.attested,
            name: row.name,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            suspended_at: row.suspended_at,
            first_use_pending: row.first_use_pending,
            backup_flags_known: row.backup_flags_known,
        })
    }
}

/// Looks up a passkey by RP id and credential id, with its owner. Run it with [`Db::ask`](super::Db::ask).
#[derive(Clone, Debug, Serialize)]
pub struct FindPasskey {
    /// The RP id.
    pub rp_id: String,
    /// The credential id.
    #[serde(serialize_with = "batch::bytea")]
    pub credential_id: Vec<u8>,
}

statement! {
    FindPasskeys { asked: String => Text } -> (Integer, credentials::SqlType, UserColumns),
    concat!(
        ", asked AS (
            SELECT * FROM json_to_recordset($1::json) AS asked (n int, rp_id text, credential_id bytea)
        )
        SELECT n, passkeys.id, user_id, passkeys.rp_id, passkeys.credential_id, passkeys.user_handle, passkey, algorithm,
            sign_count, user_verified, backup_eligible, backup_state, transports, aaguid, resident, attested, passkeys.name,
            passkeys.created_at, last_used_at, suspended_at, suspended_reason, first_use_pending, backup_flags_known, ",
        user_columns!(),
        " FROM asked
        CROSS JOIN LATERAL (
            SELECT credential FROM credential_index AS entry
            WHERE entry.rp_id = asked.rp_id AND entry.credential_id = asked.credential_id OFFSET 0
        ) AS entry
        CROSS JOIN LATERAL (SELECT * FROM credentials WHERE id = entry.credential OFFSET 0) AS passkeys
        CROSS JOIN LATERAL (SELECT * FROM users WHERE id = passkeys.user_id OFFSET 0) AS users"
    )
}

impl Batch for FindPasskey {
    type Answer = (StoredPasskey, User);
    const LOCKS: bool = false;

    fn all(conn: &mut PgConnection, all: &[Self], _: Locked) -> Result<Vec<Option<Self::Answer>>, StorageError> {
        let found: Vec<(i32, Row, UserRow)> = FindPasskeys { asked: batch::rows(all.iter())? }.load(conn)?;
        let found = found.into_iter().map(|(n, passkey, user)| Ok((n, (passkey.try_into()?, user.try_into()?))));
        Ok(batch::in_order(all.len(), found.collect::<Result<Vec<_>, StorageError>>()?))
    }
}

/// [`FindPasskey`] on a connection that the caller holds.
pub fn find_with_owner(
    conn: &mut PgConnection,
    rp_id: &str,
    credential_id: &[u8],
) -> Result<Option<(StoredPasskey, User)>, StorageError> {
    FindPasskey { rp_id: rp_id.to_owned(), credential_id: credential_id.to_vec() }.one(conn)
}

/// Every passkey of these people, under one RP id or all, including suspended ones. They are ordered by age and
/// credential id, so the order is the same wherever they were imported.
pub fn of_users(
    conn: &mut PgConnection,
    owners: &[UserId],
    rp_id: Option<&str>,
) -> Result<Vec<StoredPasskey>, StorageError> {
    let owners: Vec<Uuid> = owners.iter().map(|id| id.uuid()).collect();
    let mut query = credentials::table
        .filter(credentials::user_id.eq_any(owners))
        .order((credentials::created_at, credentials::credential_id))
        .select(Row::as_select())
        .into_boxed();
    if let Some(rp_id) = rp_id {
        query = query.filter(credentials::rp_id.eq(rp_id.to_owned()));
    }
    let rows: Vec<Row> = query.load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Stores a passkey and its index entry. A credential id that already exists under the RP id, whoever owns it, is a
/// [`StorageError::Conflict`]: it is never replaced. Call it in a transaction.
pub fn insert(conn: &mut PgConnection, new: &StoredPasskey) -> Result<(), StorageError> {
    let row = Row::of(new.clone(), None);
    let entry = IndexEntry::from(&row);
    diesel::insert_into(credentials::table).values(row).execute(conn)?;
    diesel::insert_into(credential_index::table).values(entry).execute(conn)?;
    Ok(())
}

/// Renames one of a person's passkeys; `false` when it is not theirs.
pub fn rename(conn: &mut PgConnection, owner: UserId, id: PasskeyId, name: &str) -> Result<bool, StorageError> {
    let changed = diesel::update(credentials::table.find(id.uuid()).filter(credentials::user_id.eq(owner.uuid())))
        .set(credentials::name.eq(name))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Removes one of a person's passkeys, and its index entry by cascade; `false` when it is not theirs. The removal is
/// recorded, so that no import brings the passkey back. Call it in a transaction.
pub fn delete(conn: &mut PgConnection, owner: UserId, id: PasskeyId, now: Time) -> Result<bool, StorageError> {
    let gone: Option<Vec<u8>> =
        diesel::delete(credentials::table.find(id.uuid()).filter(credentials::user_id.eq(owner.uuid())))
            .returning(credentials::credential_id)
            .get_result(conn)
            .optional()?;
    if let Some(credential_id) = &gone {
        removals::remember(conn, &[Removed::Passkey(credential_id)], now)?;
    }
    Ok(gone.is_some())
}

/// Suspends a passkey whose counter went back; `false` when it already is. The stored counter stays.
pub fn suspend(conn: &mut PgConnection, id: PasskeyId, reason: &str, now: Time) -> Result<bool, StorageError> {
    let changed = diesel::update(credentials::table.find(id.uuid()).filter(credentials::suspended_at.is_null()))
        .set((credentials::suspended_at.eq(now), credentials::suspended_reason.eq(reason)))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Lifts the suspension of one of a person's passkeys; `false` when it is not theirs or not suspended.
pub fn resume(conn: &mut PgConnection, owner: UserId, id: PasskeyId) -> Result<bool, StorageError> {
    let changed = diesel::update(
        credentials::table
            .find(id.uuid())
            .filter(credentials::user_id.eq(owner.uuid()))
            .filter(credentials::suspended_at.is_not_null()),
    )
    .set((credentials::suspended_at.eq(None::<Time>), credentials::suspended_reason.eq(None::<String>)))
    .execute(conn)?;
    Ok(changed == 1)
}

/// Why the suspended passkeys of these people are suspended, by passkey id.
pub fn suspended_reasons(conn: &mut PgConnection, owners: &[Uuid]) -> Result<BTreeMap<Uuid, String>, StorageError> {
    let rows: Vec<(Uuid, Option<String>)> = credentials::table
        .filter(credentials::user_id.eq_any(owners))
        .filter(credentials::suspended_at.is_not_null())
        .select((credentials::id, credentials::suspended_reason))
        .load(conn)?;
    Ok(rows.into_iter().map(|(id, reason)| (id, reason.unwrap_or_default())).collect())
}
