//! Imports people by the thousand: a few look-ups for everything known about a chunk, and a few `COPY`s for its rows.
//!
//! Whoever writes a chunk holds [`lock`], so that imports take turns. Live traffic may still take an address or a
//! credential id first. Then the whole chunk is a [`StorageError::Conflict`], none of it is written, and it must be
//! decided again. The caller decides what a chunk changes, from the result of [`look_up`] in the same transaction.

use std::collections::{HashMap, HashSet};

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Bool, Nullable, Text, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::credentials::{IndexEntry, Row, StoredPasskey};
use super::people::profile_of;
use super::removals::{self, Removals, Removed};
use super::schema::{
    credential_index, credentials, external_ids, group_members, groups, password_hashes, password_parameters,
    unusable_passkeys, users,
};
use super::unusable_passkeys::UnusablePasskey;
use super::users::stored_attributes;
use crate::clock::Time;
use crate::domain::attributes::Attributes;
use crate::domain::standard_claims::StandardClaims;

/// The keys that a chunk looks up.
#[derive(Debug, Default)]
pub struct Keys {
    /// External ids: source and id.
    pub links: Vec<(String, String)>,
    /// Ids of people.
    pub people: Vec<Uuid>,
    /// User handles.
    pub handles: Vec<Vec<u8>>,
    /// Addresses, as they are written.
    pub addresses: Vec<String>,
    /// Passkeys: RP id and credential id.
    pub passkeys: Vec<(String, Vec<u8>)>,
    /// Group names.
    pub groups: Vec<String>,
    /// Ids of password parameters.
    pub parameters: Vec<String>,
    /// Whether known people may be changed; if so, what they already have is looked up too.
    pub with_held: bool,
}

/// A stored link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The person the row belongs to.
    pub person: Uuid,
    /// Digests of the records it was imported from, one per file.
    pub imported_as: Option<Vec<u8>>,
}

/// What a person has, as far as it limits what they may be given.
#[derive(Debug, Default)]
pub struct Held {
    /// What other systems call them: source → id.
    pub external_ids: HashMap<String, String>,
    /// Their groups.
    pub groups: HashSet<String>,
    /// Their attributes.
    pub attributes: Attributes,
    /// Their passkeys, usable or not.
    pub passkeys: usize,
}

/// What is stored under these keys.
#[derive(Debug, Default)]
pub struct Known {
    /// By source and id.
    pub links: HashMap<(String, String), Link>,
    /// People who exist.
    pub people: HashSet<Uuid>,
    /// Those among them, and among the owners of links, whom the configuration declares.
    pub managed: HashSet<Uuid>,
    /// Handles in use.
    pub handles: HashSet<Vec<u8>>,
    /// The folded form of each address, by the spelling that was looked up. The database folds, as it does for its
    /// index, because other libraries disagree about lowercase beyond ASCII.
    pub folded: HashMap<String, String>,
    /// The verified owner of each address, by its folded form.
    pub proven: HashMap<String, Uuid>,
    /// Addresses that somebody only claims, folded.
    pub claimed: HashSet<String>,
    /// Owners of passkeys, usable or not.
    pub passkeys: HashMap<(String, Vec<u8>), Uuid>,
    /// Groups by name.
    pub groups: HashMap<String, Uuid>,
    /// Password parameters that are stored.
    pub parameters: HashSet<String>,
    /// What the people who may be changed already have.
    pub held: HashMap<Uuid, Held>,
    /// Which of the passkeys and links were removed here.
    pub removed: Removals,
}

/// Makes other imports wait until the transaction ends, and makes PostgreSQL use its indexes: with a plan made while
/// the tables were empty, it would read them completely for each chunk.
pub fn lock(conn: &mut PgConnection) -> Result<(), StorageError> {
    Ok(conn.batch_execute(
        "SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '60s'; SET LOCAL enable_seqscan = off; \
         SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SELECT pg_advisory_xact_lock(7276700108)",
    )?)
}

#[derive(QueryableByName)]
struct LinkRow {
    #[diesel(sql_type = Text)]
    source: String,
    #[diesel(sql_type = Text)]
    external_id: String,
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
    #[diesel(sql_type = Nullable<Binary>)]
    imported_as: Option<Vec<u8>>,
}

#[derive(QueryableByName)]
struct PasskeyRow {
    #[diesel(sql_type = Text)]
    rp_id: String,
    #[diesel(sql_type = Binary)]
    credential_id: Vec<u8>,
    #[diesel(sql_type = SqlUuid)]
    owner: Uuid,
}

#[derive(QueryableByName)]
struct AddressRow {
    #[diesel(sql_type = Text)]
    address: String,
    #[diesel(sql_type = Text)]
    folded: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    owner: Option<Uuid>,
    #[diesel(sql_type = Bool)]
    proven: bool,
}

/// Looks up the keys of a chunk.
pub fn look_up(conn: &mut PgConnection, keys: &Keys) -> Result<Known, StorageError> {
    let mut known = Known::default();
    links(conn, keys, &mut known)?;
    passkeys(conn, keys, &mut known)?;
    addresses(conn, keys, &mut known)?;
    let mut ids = keys.people.clone();
    ids.extend(known.links.values().map(|link| link.person));
    if !ids.is_empty() {
        let rows: Vec<(Uuid, bool)> = users::table
            .filter(users::id.eq_any(ids))
            .select((users::id, users::managed_by.is_not_null()))
            .load(conn)?;
        known.managed.extend(rows.iter().filter(|(_, managed)| *managed).map(|(id, _)| *id));
        known.people.extend(rows.into_iter().map(|(id, _)| id));
        if keys.with_held {
            known.held = held(conn, &known.people)?;
        }
    }
    if !keys.handles.is_empty() {
        let rows: Vec<Vec<u8>> =
            users::table.filter(users::user_handle.eq_any(&keys.handles)).select(users::user_handle).load(conn)?;
        known.handles.extend(rows);
    }
    if !keys.groups.is_empty() {
        let rows: Vec<(String, Uuid)> =
            groups::table.filter(groups::name.eq_any(&keys.groups)).select((groups::name, groups::id)).load(conn)?;
        known.groups.extend(rows);
    }
    if !keys.parameters.is_empty() {
        let rows: Vec<String> = password_parameters::table
            .filter(password_parameters::id.eq_any(&keys.parameters))
            .select(password_parameters::id)
            .load(conn)?;
        known.parameters.extend(rows);
    }
    let passkeys = keys.passkeys.iter().map(|(_, id)| Removed::Passkey(id));
    let people = keys.links.iter().map(|(source, id)| Removed::Person(source, id));
    known.removed = removals::among(conn, passkeys.chain(people))?;
    Ok(known)
}

fn held(conn: &mut PgConnection, people: &HashSet<Uuid>) -> Result<HashMap<Uuid, Held>, StorageError> {
    let ids: Vec<Uuid> = people.iter().copied().collect();
    let mut held: HashMap<Uuid, Held> = HashMap::new();
    let links: Vec<(Uuid, String, String)> = external_ids::table
        .filter(external_ids::user_id.eq_any(&ids))
        .select((external_ids::user_id, external_ids::source, external_ids::external_id))
        .load(conn)?;
    for (person, source, id) in links {
        held.entry(person).or_default().external_ids.insert(source, id);
    }
    let memberships: Vec<(Uuid, String)> = group_members::table
        .inner_join(groups::table)
        .filter(group_members::user_id.eq_any(&ids))
        .select((group_members::user_id, groups::name))
        .load(conn)?;
    for (person, group) in memberships {
        held.entry(person).or_default().groups.insert(group);
    }
    let attributes: Vec<(Uuid, Value)> =
        users::table.filter(users::id.eq_any(&ids)).select((users::id, users::attributes)).load(conn)?;
    for (person, stored) in attributes {
        held.entry(person).or_default().attributes = stored_attributes(stored);
    }
    let mut owners: Vec<Uuid> =
        credentials::table.filter(credentials::user_id.eq_any(&ids)).select(credentials::user_id).load(conn)?;
    let unusable: Vec<Uuid> = unusable_passkeys::table
        .filter(unusable_passkeys::user_id.eq_any(&ids))
        .select(unusable_passkeys::user_id)
        .load(conn)?;
    owners.extend(unusable);
    for person in owners {
        held.entry(person).or_default().passkeys += 1;
    }
    Ok(held)
}

fn links(conn: &mut PgConnection, keys: &Keys, known: &mut Known) -> Result<(), StorageError> {
    if keys.links.is_empty() {
        return Ok(());
    }
    let (sources, ids): (Vec<&str>, Vec<&str>) =
        keys.links.iter().map(|(source, id)| (source.as_str(), id.as_str())).unzip();
    let rows: Vec<LinkRow> = diesel::sql_query(
        "SELECT source, external_id, user_id, imported_as FROM unnest($1, $2) AS given (source, external_id) \
         JOIN external_ids USING (source, external_id)",
    )
    .bind::<Array<Text>, _>(sources)
    .bind::<Array<Text>, _>(ids)
    .load(conn)?;
    known.links.extend(
        rows.into_iter()
            .map(|row| ((row.source, row.external_id), Link { person: row.user_id, imported_as: row.imported_as })),
    );
    Ok(())
}

fn passkeys(conn: &mut PgConnection, keys: &Keys, known: &mut Known) -> Result<(), StorageError> {
    if keys.passkeys.is_empty() {
        return Ok(());
    }
    let (rp_ids, ids): (Vec<&str>, Vec<&[u8]>) =
        keys.passkeys.iter().map(|(rp_id, id)| (rp_id.as_str(), id.as_slice())).unzip();
    let rows: Vec<PasskeyRow> = diesel::sql_query(
        "SELECT rp_id, credential_id, user_id AS owner FROM unnest($1, $2) AS given (rp_id, credential_id) \
         JOIN credential_index USING (rp_id, credential_id) UNION ALL \
         SELECT rp_id, credential_id, user_id FROM unnest($1, $2) AS given (rp_id, credential_id) \
         JOIN unusable_passkeys USING (rp_id, credential_id)",
    )
    .bind::<Array<Text>, _>(rp_ids)
    .bind::<Array<Binary>, _>(ids)
    .load(conn)?;
    known.passkeys.extend(rows.into_iter().map(|row| ((row.rp_id, row.credential_id), row.owner)));
    Ok(())
}

fn addresses(conn: &mut PgConnection, keys: &Keys, known: &mut Known) -> Result<(), StorageError> {
    if keys.addresses.is_empty() {
        return Ok(());
    }
    let rows: Vec<AddressRow> = diesel::sql_query(
        "SELECT given.address, lower(given.address) AS folded, users.id AS owner, \
         users.email_verified_at IS NOT NULL AS proven FROM unnest($1) AS given (address) \
         LEFT JOIN users ON lower(users.email) = lower(given.address) AND users.email IS NOT NULL",
    )
    .bind::<Array<Text>, _>(&keys.addresses)
    .load(conn)?;
    for AddressRow { address, folded, owner, proven } in rows {
        match owner {
            Some(owner) if proven => drop(known.proven.insert(folded.clone(), owner)),
            Some(_) => drop(known.claimed.insert(folded.clone())),
            None => {}
        }
        known.folded.insert(address, folded);
    }
    Ok(())
}

/// A person about to be stored.
#[derive(Debug, Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
pub struct NewUser {
    id: Uuid,
    user_handle: Vec<u8>,
    email: Option<String>,
    email_verified_at: Option<Time>,
    name: Option<String>,
    profile: Value,
    locale: Option<String>,
    status: &'static str,
    attributes: Value,
    created_at: Time,
    updated_at: Time,
}

impl NewUser {
    /// A person with these claims and attributes. If the claims say that the address is verified, it counts as verified
    /// since `verified_at`.
    pub fn new(
        (id, user_handle): (Uuid, Vec<u8>),
        (claims, attributes): (&StandardClaims, &Attributes),
        verified_at: Time,
        status: &'static str,
        (created_at, updated_at): (Time, Time),
    ) -> Self {
        let text = |name| claims.text(name).map(ToOwned::to_owned);
        Self {
            id,
            user_handle,
            email: text("email"),
            email_verified_at: claims.email_verified().then_some(verified_at),
            name: text("name"),
            profile: profile_of(claims),
            locale: text("locale"),
            status,
            attributes: Value::Object(attributes.to_map()),
            created_at,
            updated_at,
        }
    }
}

/// A link about to be stored.
#[derive(Debug, Insertable)]
#[diesel(table_name = external_ids, treat_none_as_default_value = false)]
pub struct NewLink {
    /// The other system.
    pub source: String,
    /// Its id of the person.
    pub external_id: String,
    /// The person.
    pub user_id: Uuid,
    /// Digests of the records it was imported from, one per file.
    pub imported_as: Option<Vec<u8>>,
}

/// A membership about to be stored.
#[derive(Debug, Insertable)]
#[diesel(table_name = group_members)]
pub struct NewMember {
    /// The group.
    pub group_id: Uuid,
    /// The person.
    pub user_id: Uuid,
}

/// A group about to be stored.
#[derive(Debug, Insertable)]
#[diesel(table_name = groups, treat_none_as_default_value = false)]
pub struct NewGroup {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Now.
    pub created_at: Time,
}

/// A password hash about to be stored.
#[derive(Debug, Insertable)]
#[diesel(table_name = password_hashes, treat_none_as_default_value = false)]
pub struct NewHash {
    /// The person the row belongs to.
    pub user_id: Uuid,
    /// The hash, in its stored form.
    pub hash: String,
    /// The id of the parameters it needs.
    pub parameters: Option<String>,
    /// Now.
    pub imported_at: Time,
}

/// The rows of a chunk.
#[derive(Debug, Default)]
pub struct Batch {
    /// New people.
    pub users: Vec<NewUser>,
    /// Their links.
    pub links: Vec<NewLink>,
    /// Groups that were not there.
    pub groups: Vec<NewGroup>,
    /// Memberships.
    pub members: Vec<NewMember>,
    /// Passkeys, and why one is suspended.
    pub credentials: Vec<(StoredPasskey, Option<String>)>,
    /// Passkeys that cannot be used.
    pub unusable: Vec<UnusablePasskey>,
    /// Password hashes.
    pub hashes: Vec<NewHash>,
    /// Addresses, folded, that are verified now: accounts that merely claim one lose it.
    pub proven: Vec<String>,
}

/// Copies rows into their table. Without rows it costs no round trip.
macro_rules! copy {
    ($conn:expr, $table:expr, $rows:expr) => {
        if !$rows.is_empty() {
            diesel::copy_from($table).from_insertable($rows).execute($conn)?;
        }
    };
}

/// Stores the rows of a chunk.
pub fn insert(conn: &mut PgConnection, batch: Batch) -> Result<(), StorageError> {
    if !batch.proven.is_empty() {
        diesel::update(
            users::table
                .filter(users::email.is_not_null())
                .filter(sql::<Bool>("lower(email) = ANY(").bind::<Array<Text>, _>(&batch.proven).sql(")"))
                .filter(users::email_verified_at.is_null()),
        )
        .set(users::email.eq(None::<String>))
        .execute(conn)?;
    }
    let passkeys: Vec<Row> = batch.credentials.into_iter().map(|(passkey, reason)| Row::of(passkey, reason)).collect();
    let index: Vec<IndexEntry> = passkeys.iter().map(Into::into).collect();
    copy!(conn, users::table, batch.users);
    copy!(conn, external_ids::table, batch.links);
    copy!(conn, groups::table, batch.groups);
    copy!(conn, credentials::table, passkeys);
    copy!(conn, credential_index::table, index);
    copy!(conn, unusable_passkeys::table, batch.unusable);
    copy!(conn, password_hashes::table, batch.hashes);
    if !batch.members.is_empty() {
        diesel::insert_into(group_members::table).values(batch.members).on_conflict_do_nothing().execute(conn)?;
    }
    Ok(())
}

/// Records what a person was imported from, creating the link if there is none.
pub fn link(conn: &mut PgConnection, link: &NewLink) -> Result<(), StorageError> {
    diesel::insert_into(external_ids::table)
        .values((
            external_ids::source.eq(&link.source),
            external_ids::external_id.eq(&link.external_id),
            external_ids::user_id.eq(link.user_id),
            external_ids::imported_as.eq(&link.imported_as),
        ))
        .on_conflict((external_ids::source, external_ids::external_id))
        .do_update()
        .set(external_ids::imported_as.eq(&link.imported_as))
        .execute(conn)?;
    Ok(())
}
