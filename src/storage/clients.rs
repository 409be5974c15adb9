//! OAuth clients, from the configuration and from the command line alike.

use diesel::prelude::*;
use serde_json::Value;

use super::StorageError;
use super::changes::{self, ChangeKind};
use super::client_records::Source;
use super::schema::clients;
use crate::clock::Time;
use crate::domain::client::Client;
use crate::domain::secret::TokenDigest;

#[derive(Queryable, Selectable)]
#[diesel(table_name = clients, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: String,
    definition: Value,
    secret_digest: Option<Vec<u8>>,
    previous_secret_digest: Option<Vec<u8>>,
    previous_secret_until: Option<Time>,
    managed_by: Option<String>,
    disabled_at: Option<Time>,
    source: String,
    created_at: Time,
}

/// A client with what administration needs to know about it.
#[derive(Clone, Debug)]
pub struct StoredClient {
    /// The client.
    pub client: Client,
    /// The configuration file that declares it.
    pub managed_by: Option<String>,
    /// When it was disabled; none while it is enabled.
    pub disabled_at: Option<Time>,
    /// When it was made. Whatever was issued earlier to a client with this id was issued to another client.
    pub made_at: Time,
}

impl TryFrom<Row> for StoredClient {
    type Error = StorageError;
    fn try_from(row: Row) -> Result<Self, StorageError> {
        let definition =
            serde_json::from_value(row.definition).map_err(|error| StorageError::corrupt("clients", &row.id, error))?;
        let digest = |stored: Option<Vec<u8>>| {
            let read = |bytes: Vec<u8>| {
                TokenDigest::from_stored(&bytes)
                    .ok_or_else(|| StorageError::corrupt("clients", &row.id, "the digest of a secret is not 32 bytes"))
            };
            stored.map(read).transpose()
        };
        let secret = digest(row.secret_digest)?;
        let previous_secret = digest(row.previous_secret_digest)?.zip(row.previous_secret_until);
        Ok(Self {
            client: Client {
                unverified_since: Source::is_self_made(&row.source).then_some(row.created_at),
                id: row.id,
                definition,
                secret,
                previous_secret,
            },
            managed_by: row.managed_by,
            disabled_at: row.disabled_at,
            made_at: row.created_at,
        })
    }
}

/// Every client, including disabled ones.
pub fn all(conn: &mut PgConnection) -> Result<Vec<StoredClient>, StorageError> {
    let rows: Vec<Row> = clients::table.order(clients::id).select(Row::as_select()).load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Whether an enabled client with this id exists.
pub fn is_enabled(conn: &mut PgConnection, id: &str) -> Result<bool, StorageError> {
    let enabled = clients::table.find(id).filter(clients::disabled_at.is_null());
    Ok(diesel::select(diesel::dsl::exists(enabled)).get_result(conn)?)
}

/// One client, disabled or not, its row locked until the transaction ends.
pub fn lock(conn: &mut PgConnection, id: &str) -> Result<Option<StoredClient>, StorageError> {
    clients::table
        .find(id)
        .select(Row::as_select())
        .for_update()
        .first(conn)
        .optional()?
        .map(TryInto::try_into)
        .transpose()
}

/// Stores or replaces a client and announces it.
pub fn put(conn: &mut PgConnection, client: &Client, managed_by: Option<&str>, now: Time) -> Result<(), StorageError> {
    let definition = serde_json::to_value(&client.definition)
        .map_err(|error| StorageError::corrupt("clients", &client.id, error))?;
    let secret = client.secret.as_ref().map(|digest| digest.as_bytes().as_slice());
    let source = if managed_by.is_some() { Source::Configuration } else { Source::Administration };
    let previous = client.previous_secret.as_ref().map(|(digest, _)| digest.as_bytes().as_slice());
    let previous_until = client.previous_secret.as_ref().map(|(_, until)| *until);
    diesel::insert_into(clients::table)
        .values((
            clients::id.eq(&client.id),
            clients::definition.eq(&definition),
            clients::secret_digest.eq(secret),
            clients::previous_secret_digest.eq(previous),
            clients::previous_secret_until.eq(previous_until),
            clients::managed_by.eq(managed_by),
            clients::source.eq(source.as_str()),
            clients::created_at.eq(now),
            clients::updated_at.eq(now),
        ))
        .on_conflict(clients::id)
        .do_update()
        .set((
            clients::definition.eq(&definition),
            clients::secret_digest.eq(secret),
            clients::previous_secret_digest.eq(previous),
            clients::previous_secret_until.eq(previous_until),
            clients::managed_by.eq(managed_by),
            clients::source.eq(source.as_str()),
            clients::registration_token_digest.eq(None::<Vec<u8>>),
            clients::disabled_at.eq(None::<Time>),
            clients::updated_at.eq(now),
        ))
        .execute(conn)?;
    changes::announce(conn, ChangeKind::Clients, &client.id)
}

/// Disables a client; `false` when there is none or it is disabled already.
pub fn disable(conn: &mut PgConnection, id: &str, now: Time) -> Result<bool, StorageError> {
    let changed = diesel::update(clients::table.find(id).filter(clients::disabled_at.is_null()))
        .set((clients::disabled_at.eq(now), clients::updated_at.eq(now)))
        .execute(conn)?;
    if changed == 1 {
        changes::announce(conn, ChangeKind::Clients, id)?;
    }
    Ok(changed == 1)
}

/// Enables a client; `false` when there is none or it is enabled already.
pub fn enable(conn: &mut PgConnection, id: &str, now: Time) -> Result<bool, StorageError> {
    let changed = diesel::update(clients::table.find(id).filter(clients::disabled_at.is_not_null()))
        .set((clients::disabled_at.eq(None::<Time>), clients::updated_at.eq(now)))
        .execute(conn)?;
    if changed == 1 {
        changes::announce(conn, ChangeKind::Clients, id)?;
    }
    Ok(changed == 1)
}
