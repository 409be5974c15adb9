//! Clients as administration and registration handle them: one row with everything known about each.
//!
//! What must always hold: every change is announced, so that running servers follow. Deleting a client deletes
//! everything that was issued to it, because its id may be used again. Tokens without a row are told apart by when they
//! were issued: see `holder` in the directory of clients.

use diesel::prelude::*;
use diesel::sql_types::{Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::changes::{self, ChangeKind};
use super::refresh_tokens;
use super::schema::{action_tokens, clients, consents, interactions, pushed_requests, session_clients, sessions};
use crate::clock::Time;
use crate::domain::client::{Client, ClientDefinition};
use crate::domain::secret::TokenDigest;

/// How a client came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The configuration declares it.
    Configuration,
    /// An administrator made it.
    Administration,
    /// It registered itself (RFC 7591).
    Registration,
    /// It was read from the metadata document whose URL is its id.
    MetadataDocument,
}

impl Source {
    /// The sources that nobody vouches for.
    const SELF_MADE: [Self; 2] = [Self::Registration, Self::MetadataDocument];

    /// Whether a stored source is one that nobody vouches for.
    pub fn is_self_made(stored: &str) -> bool {
        Self::SELF_MADE.iter().any(|source| source.as_str() == stored)
    }

    const ALL: [Self; 4] = [Self::Configuration, Self::Administration, Self::Registration, Self::MetadataDocument];

    /// The stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Administration => "administration",
            Self::Registration => "registration",
            Self::MetadataDocument => "metadata_document",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == text)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = clients, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: String,
    definition: Value,
    secret_digest: Option<Vec<u8>>,
    source: String,
    managed_by: Option<String>,
    disabled_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
    previous_secret_until: Option<Time>,
    registration_token_digest: Option<Vec<u8>>,
    fetch_again_at: Option<Time>,
}

/// A client with everything known about it.
#[derive(Clone, Debug)]
pub struct ClientRecord {
    /// Its `client_id`.
    pub id: String,
    /// What it is and may do.
    pub definition: ClientDefinition,
    /// SHA-256 of its secret.
    pub secret: Option<TokenDigest>,
    /// How it came to be.
    pub source: Source,
    /// The configuration file that declares it.
    pub managed_by: Option<String>,
    /// When it was disabled; none while it is enabled.
    pub disabled_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Until when the secret before the last rotation is accepted.
    pub previous_secret_until: Option<Time>,
    /// SHA-256 of its registration access token.
    pub registration_token: Option<TokenDigest>,
    /// When its metadata document must be read again.
    pub fetch_again_at: Option<Time>,
}

impl TryFrom<Row> for ClientRecord {
    type Error = StorageError;
    fn try_from(row: Row) -> Result<Self, StorageError> {
        let corrupt = |problem: String| StorageError::corrupt("clients", &row.id, problem);
        let digest = |bytes: Option<&Vec<u8>>| {
            let read = |bytes: &Vec<u8>| {
                TokenDigest::from_stored(bytes).ok_or_else(|| corrupt("a digest is not 32 bytes".to_owned()))
            };
            bytes.map(read).transpose()
        };
        Ok(Self {
            definition: serde_json::from_value(row.definition).map_err(|error| corrupt(error.to_string()))?,
            secret: digest(row.secret_digest.as_ref())?,
            registration_token: digest(row.registration_token_digest.as_ref())?,
            source: Source::parse(&row.source).ok_or_else(|| corrupt(format!("unknown source {:?}", row.source)))?,
            id: row.id,
            managed_by: row.managed_by,
            disabled_at: row.disabled_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            previous_secret_until: row.previous_secret_until,
            fetch_again_at: row.fetch_again_at,
        })
    }
}

/// Clients by id, after a given one; at most `most`.
pub fn page(conn: &mut PgConnection, after: Option<&str>, most: i64) -> Result<Vec<ClientRecord>, StorageError> {
    let rows: Vec<Row> = clients::table
        .filter(clients::id.gt(after.unwrap_or_default()))
        .order(clients::id)
        .limit(most)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// One client.
pub fn find(conn: &mut PgConnection, id: &str) -> Result<Option<ClientRecord>, StorageError> {
    clients::table.find(id).select(Row::as_select()).first(conn).optional()?.map(TryInto::try_into).transpose()
}

/// One client, its row locked until the transaction ends.
pub fn lock(conn: &mut PgConnection, id: &str) -> Result<Option<ClientRecord>, StorageError> {
    let row = clients::table.find(id).select(Row::as_select()).for_update().first(conn).optional()?;
    row.map(TryInto::try_into).transpose()
}

/// A client about to be stored.
pub struct NewClient<'a> {
    /// The client.
    pub client: &'a Client,
    /// How it came to be.
    pub source: Source,
    /// SHA-256 of its registration access token.
    pub registration_token: Option<TokenDigest>,
    /// When its metadata document must be read again.
    pub fetch_again_at: Option<Time>,
}

/// Stores a client; `false` when there is one of this id already, which is left as it is.
pub fn insert(conn: &mut PgConnection, new: &NewClient<'_>, now: Time) -> Result<bool, StorageError> {
    let inserted = diesel::insert_into(clients::table)
        .values((
            clients::id.eq(&new.client.id),
            clients::definition.eq(json(&new.client.id, &new.client.definition)?),
            clients::secret_digest.eq(bytes(new.client.secret.as_ref())),
            clients::source.eq(new.source.as_str()),
            clients::registration_token_digest.eq(bytes(new.registration_token.as_ref())),
            clients::fetch_again_at.eq(new.fetch_again_at),
            clients::created_at.eq(now),
            clients::updated_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)?;
    if inserted == 1 {
        changes::announce(conn, ChangeKind::Clients, &new.client.id)?;
    }
    Ok(inserted == 1)
}

/// Replaces a client's definition.
pub fn set_definition(
    conn: &mut PgConnection,
    id: &str,
    definition: &ClientDefinition,
    now: Time,
) -> Result<(), StorageError> {
    diesel::update(clients::table.find(id))
        .set((clients::definition.eq(json(id, definition)?), clients::updated_at.eq(now)))
        .execute(conn)?;
    changes::announce(conn, ChangeKind::Clients, id)
}

/// Replaces a client's secret, or removes it. The previous one is accepted until `keep_until`.
pub fn rotate_secret(
    conn: &mut PgConnection,
    id: &str,
    secret: Option<&TokenDigest>,
    keep_until: Option<Time>,
    now: Time,
) -> Result<(), StorageError> {
    let previous: Option<Vec<u8>> = match keep_until {
        Some(_) => clients::table.find(id).select(clients::secret_digest).first(conn)?,
        None => None,
    };
    let until = keep_until.filter(|_| previous.is_some());
    diesel::update(clients::table.find(id))
        .set((
            clients::secret_digest.eq(bytes(secret)),
            clients::previous_secret_digest.eq(previous),
            clients::previous_secret_until.eq(until),
            clients::updated_at.eq(now),
        ))
        .execute(conn)?;
    changes::announce(conn, ChangeKind::Clients, id)
}

/// Replaces the registration access token of a registered client.
pub fn set_registration_token(conn: &mut PgConnection, id: &str, token: &TokenDigest) -> Result<(), StorageError> {
    diesel::update(clients::table.find(id))
        .set(clients::registration_token_digest.eq(token.as_bytes().as_slice()))
        .execute(conn)?;
    Ok(())
}

/// Records when a client's metadata document must be read again.
pub fn fetch_again(conn: &mut PgConnection, id: &str, at: Time) -> Result<(), StorageError> {
    diesel::update(clients::table.find(id)).set(clients::fetch_again_at.eq(at)).execute(conn)?;
    Ok(())
}

/// Each statement ends a client's grants in one table for good. Their access tokens, which may live with a browser
/// session, are refused until the last of them has expired, even if another client has the id by then.
const TAKE_BACK: [&str; 3] = [
    // Codes first: this waits for a redemption in progress, and a later statement finds the family that it began.
    "WITH gone AS (DELETE FROM authorization_codes WHERE client_id = $1 RETURNING grant_id), noted AS (
         INSERT INTO revoked_tokens (id, until) SELECT grant_id, $2 FROM gone ON CONFLICT DO NOTHING)
     SELECT grant_id FROM gone",
    "WITH gone AS (DELETE FROM device_codes WHERE client_id = $1 RETURNING grant_id), noted AS (
         INSERT INTO revoked_tokens (id, until) SELECT grant_id, $2 FROM gone ON CONFLICT DO NOTHING)
     SELECT grant_id FROM gone",
    // The access tokens of a family that ended more than a day ago have expired.
    "WITH gone AS (DELETE FROM refresh_tokens WHERE client_id = $1 RETURNING family, ends_at), noted AS (
         INSERT INTO revoked_tokens (id, until)
         SELECT family, $2 FROM gone WHERE ends_at > $2 - interval '2 days' ON CONFLICT DO NOTHING)
     SELECT family AS grant_id FROM gone",
];

#[derive(QueryableByName)]
struct Gone {
    #[diesel(sql_type = SqlUuid)]
    grant_id: Uuid,
}

/// Deletes a client with everything that was issued to it; `false` when there was none. Call it in a transaction; a
/// client with many users needs [more time](super::Db::tx_at_length).
pub fn delete(conn: &mut PgConnection, id: &str, now: Time) -> Result<bool, StorageError> {
    if diesel::delete(clients::table.find(id)).execute(conn)? == 0 {
        return Ok(false);
    }
    let mut grants = Vec::new();
    for statement in TAKE_BACK {
        let gone: Vec<Gone> = diesel::sql_query(statement)
            .bind::<Text, _>(id)
            .bind::<Timestamptz, _>(now + chrono::Duration::days(1))
            .load(conn)?;
        grants.extend(gone.into_iter().map(|gone| gone.grant_id));
    }
    refresh_tokens::revoke_descendants_of_all(conn, &grants, now)?;
    diesel::delete(pushed_requests::table.filter(pushed_requests::client_id.eq(id))).execute(conn)?;
    diesel::delete(interactions::table.filter(interactions::client_id.eq(id))).execute(conn)?;
    diesel::delete(consents::table.filter(consents::client_id.eq(id))).execute(conn)?;
    diesel::delete(action_tokens::table.filter(action_tokens::client_id.eq(id))).execute(conn)?;
    diesel::delete(session_clients::table.filter(session_clients::client_id.eq(id))).execute(conn)?;
    // Sessions that exist only through the client's tokens; browser sessions are the person's own. Ended ones are left
    // to the sweep, which may be deleting them.
    diesel::update(
        sessions::table
            .filter(sessions::client_id.eq(id))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::ends_at.gt(now)),
    )
    .set(sessions::revoked_at.eq(now))
    .execute(conn)?;
    // Last, because other servers look back only a limited way for a number that was drawn long before it was
    // committed.
    changes::announce(conn, ChangeKind::Clients, id)?;
    Ok(true)
}

/// How many clients come from sources that nobody vouches for.
pub fn count_self_made(conn: &mut PgConnection) -> Result<i64, StorageError> {
    Ok(clients::table.filter(clients::source.eq_any(Source::SELF_MADE.map(Source::as_str))).count().get_result(conn)?)
}

/// Whether a client was never used: use leaves a consent, tokens or a code. A client that acts for itself leaves none
/// of these, so it is kept.
const UNUSED: &str = "NOT (jsonb_exists(definition->'grants', 'client_credentials') \
     OR EXISTS (SELECT 1 FROM consents c WHERE c.client_id = clients.id) \
     OR EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.client_id = clients.id) \
     OR EXISTS (SELECT 1 FROM authorization_codes a WHERE a.client_id = clients.id))";

/// Deletes clients that nobody vouches for, that have not changed since `before` and that were never used. Returns how
/// many. Call it in a transaction.
pub fn sweep(conn: &mut PgConnection, before: Time, now: Time) -> Result<usize, StorageError> {
    let unused: Vec<String> = clients::table
        .filter(clients::source.eq_any(Source::SELF_MADE.map(Source::as_str)))
        .filter(clients::updated_at.lt(before))
        // One that an operator disabled must not be able to come back by registering again.
        .filter(clients::disabled_at.is_null())
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>(UNUSED))
        .limit(1000)
        .select(clients::id)
        // One that somebody is starting to use is no longer unused.
        .for_update()
        .skip_locked()
        .load(conn)?;
    for id in &unused {
        delete(conn, id, now)?;
    }
    Ok(unused.len())
}

/// Deletes never-used clients that were read from their documents, the oldest first, at most `most`. Returns how many.
pub fn delete_unused_documents(conn: &mut PgConnection, most: i64, now: Time) -> Result<i64, StorageError> {
    let unused: Vec<String> = clients::table
        .filter(clients::source.eq(Source::MetadataDocument.as_str()))
        .filter(clients::disabled_at.is_null())
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>(UNUSED))
        .order((clients::created_at, clients::id))
        .limit(most)
        .select(clients::id)
        // Several callers may make room at once, each by deleting other clients.
        .for_update()
        .skip_locked()
        .load(conn)?;
    let mut deleted = 0;
    for id in &unused {
        deleted += i64::from(delete(conn, id, now)?);
    }
    Ok(deleted)
}

fn json(id: &str, definition: &ClientDefinition) -> Result<Value, StorageError> {
    serde_json::to_value(definition).map_err(|error| StorageError::corrupt("clients", id, error))
}

fn bytes(digest: Option<&TokenDigest>) -> Option<&[u8]> {
    digest.map(|digest| digest.as_bytes().as_slice())
}
