//! The consents that people gave to apps. Each is written with the code that it is given for (see
//! [`authorization_codes`](super::authorization_codes)) or with the answer to a device.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;

use super::StorageError;
use super::schema::{consents, refresh_tokens};
use super::texts::Texts;
use crate::clock::Time;
use crate::domain::authorization::Consent;
use crate::domain::id::{FamilyId, UserId};
use crate::domain::scope::Scopes;

#[derive(Queryable, Selectable)]
#[diesel(table_name = consents, check_for_backend(diesel::pg::Pg))]
struct Row {
    client_id: String,
    scope: String,
    #[diesel(deserialize_as = Texts)]
    resources: Vec<String>,
    #[diesel(deserialize_as = Texts)]
    claims: Vec<String>,
    granted_at: Time,
    updated_at: Time,
}

/// What one person allowed one client.
#[derive(Clone, Debug)]
pub struct StoredConsent {
    /// The client.
    pub client: String,
    /// What the person allowed.
    pub consent: Consent,
    /// Since when.
    pub granted_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl TryFrom<Row> for StoredConsent {
    type Error = StorageError;
    fn try_from(row: Row) -> Result<Self, StorageError> {
        let scopes =
            Scopes::parse(&row.scope).map_err(|error| StorageError::corrupt("consents", &row.client_id, error))?;
        Ok(Self {
            consent: Consent {
                scopes,
                resources: row.resources.into_iter().collect(),
                claims: row.claims.into_iter().collect(),
            },
            client: row.client_id,
            granted_at: row.granted_at,
            updated_at: row.updated_at,
        })
    }
}

/// What a person allowed a client.
pub fn find(conn: &mut PgConnection, user: UserId, client: &str) -> Result<Option<StoredConsent>, StorageError> {
    let row: Option<Row> =
        consents::table.find((user.uuid(), client)).select(Row::as_select()).first(conn).optional()?;
    row.map(TryInto::try_into).transpose()
}

/// The same, with the row locked until the transaction ends.
fn lock(conn: &mut PgConnection, user: UserId, client: &str) -> Result<Option<StoredConsent>, StorageError> {
    let row: Option<Row> =
        consents::table.find((user.uuid(), client)).select(Row::as_select()).for_update().first(conn).optional()?;
    row.map(TryInto::try_into).transpose()
}

/// Adds to what a person allowed a client. Call it in a transaction.
pub fn add(
    conn: &mut PgConnection,
    (user, client): (UserId, &str),
    scopes: &Scopes,
    more_resources: &[String],
    now: Time,
) -> Result<(), StorageError> {
    let before = lock(conn, user, client)?.map(|stored| stored.consent).unwrap_or_default();
    let scopes = scopes.and(&before.scopes);
    let resources: BTreeSet<String> = before.resources.into_iter().chain(more_resources.iter().cloned()).collect();
    let resources: Vec<String> = resources.into_iter().collect();
    let changed =
        (consents::scope.eq(scopes.to_string()), consents::resources.eq(&resources), consents::updated_at.eq(now));
    diesel::insert_into(consents::table)
        .values((
            consents::user_id.eq(user.uuid()),
            consents::client_id.eq(client),
            consents::granted_at.eq(now),
            changed.clone(),
        ))
        .on_conflict((consents::user_id, consents::client_id))
        .do_update()
        .set(changed)
        .execute(conn)?;
    Ok(())
}

/// Everything that a person allowed, the latest first.
pub fn all_of(conn: &mut PgConnection, user: UserId) -> Result<Vec<StoredConsent>, StorageError> {
    let rows: Vec<Row> = consents::table
        .filter(consents::user_id.eq(user.uuid()))
        .order((consents::updated_at.desc(), consents::client_id))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Everything that each of these people allowed, the latest first.
pub fn of_users(
    conn: &mut PgConnection,
    users: &[uuid::Uuid],
) -> Result<HashMap<uuid::Uuid, Vec<StoredConsent>>, StorageError> {
    let rows: Vec<(uuid::Uuid, Row)> = consents::table
        .filter(consents::user_id.eq_any(users))
        .order((consents::updated_at.desc(), consents::client_id))
        .select((consents::user_id, Row::as_select()))
        .load(conn)?;
    let mut of_users: HashMap<uuid::Uuid, Vec<StoredConsent>> = HashMap::new();
    for (user, row) in rows {
        of_users.entry(user).or_default().push(row.try_into()?);
    }
    Ok(of_users)
}

/// Forgets what a person allowed a client; `false` when there was nothing.
pub fn remove(conn: &mut PgConnection, user: UserId, client: &str) -> Result<bool, StorageError> {
    Ok(diesel::delete(consents::table.find((user.uuid(), client))).execute(conn)? == 1)
}

/// The live refresh families that a client holds for a person.
pub fn families_of(conn: &mut PgConnection, user: UserId, client: &str) -> Result<Vec<FamilyId>, StorageError> {
    let families: Vec<uuid::Uuid> = refresh_tokens::table
        .filter(refresh_tokens::user_id.eq(user.uuid()))
        .filter(refresh_tokens::client_id.eq(client))
        .filter(refresh_tokens::revoked_at.is_null())
        .select(refresh_tokens::family)
        .load(conn)?;
    Ok(families.into_iter().map(Into::into).collect())
}
