//! People.

use std::collections::BTreeMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::schema::{external_ids, group_members, groups, users};
use crate::clock::Time;
use crate::domain::attributes::Attributes;
use crate::domain::id::UserId;
use crate::domain::user::{ADMINISTRATORS, User, UserStatus};

#[derive(Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub(super) struct UserRow {
    pub(super) id: Uuid,
    user_handle: Vec<u8>,
    email: Option<String>,
    email_verified_at: Option<Time>,
    name: Option<String>,
    locale: Option<String>,
    status: String,
    epoch: i64,
    created_at: Time,
    updated_at: Time,
    profile: Value,
    attributes: Value,
}

/// The columns of [`UserRow`], for statements written by hand.
pub(super) type UserColumns = (
    SqlUuid,
    Binary,
    Nullable<Text>,
    Nullable<Timestamptz>,
    Nullable<Text>,
    Nullable<Text>,
    Text,
    BigInt,
    Timestamptz,
    Timestamptz,
    Jsonb,
    Jsonb,
);

/// The names of those columns, for statements in which the table is named `users`.
macro_rules! user_columns {
    () => {
        "users.id, users.user_handle, users.email, users.email_verified_at, users.name, users.locale, users.status, \
         users.epoch, users.created_at, users.updated_at, users.profile, users.attributes"
    };
}
pub(super) use user_columns;

impl TryFrom<UserRow> for User {
    type Error = StorageError;
    fn try_from(row: UserRow) -> Result<Self, StorageError> {
        let status = UserStatus::parse(&row.status)
            .ok_or_else(|| StorageError::corrupt("users", row.id, format!("unknown status {:?}", row.status)))?;
        let Value::Object(profile) = row.profile else {
            return Err(StorageError::corrupt("users", row.id, "the profile is no object"));
        };
        Ok(Self {
            id: row.id.into(),
            handle: row.user_handle,
            email: row.email,
            email_verified_at: row.email_verified_at,
            name: row.name,
            locale: row.locale,
            status,
            epoch: row.epoch,
            created_at: row.created_at,
            updated_at: row.updated_at,
            profile,
            attributes: stored_attributes(row.attributes),
        })
    }
}

/// A person about to be stored.
pub struct NewUser<'a> {
    /// Their id.
    pub id: UserId,
    /// Their user handle.
    pub handle: &'a [u8],
    /// The address they typed; unverified.
    pub email: Option<&'a str>,
    /// Display name.
    pub name: Option<&'a str>,
    /// Now.
    pub now: Time,
}

/// Stores a person, active and unverified.
pub fn insert(conn: &mut PgConnection, new: &NewUser<'_>) -> Result<(), StorageError> {
    diesel::insert_into(users::table)
        .values((
            users::id.eq(new.id.uuid()),
            users::user_handle.eq(new.handle),
            users::email.eq(new.email),
            users::name.eq(new.name),
            users::created_at.eq(new.now),
            users::updated_at.eq(new.now),
        ))
        .execute(conn)?;
    Ok(())
}

/// One person.
pub fn find(conn: &mut PgConnection, id: UserId) -> Result<Option<User>, StorageError> {
    users::table.find(id.uuid()).select(UserRow::as_select()).first(conn).optional()?.map(TryInto::try_into).transpose()
}

/// One person, their row locked until the transaction ends.
pub fn lock(conn: &mut PgConnection, id: UserId) -> Result<Option<User>, StorageError> {
    users::table
        .find(id.uuid())
        .select(UserRow::as_select())
        .for_update()
        .first(conn)
        .optional()?
        .map(TryInto::try_into)
        .transpose()
}

/// The newest people first, at most `most`; with an address only those who claim it, in whatever case it is written.
pub fn list(conn: &mut PgConnection, email: Option<&str>, most: i64) -> Result<Vec<User>, StorageError> {
    let mut query = users::table.order((users::created_at.desc(), users::id)).limit(most).into_boxed();
    if let Some(email) = email {
        query = query.filter(sql::<Bool>("lower(email) = lower(").bind::<Text, _>(email.to_owned()).sql(")"));
    }
    let rows: Vec<UserRow> = query.select(UserRow::as_select()).load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Raises a person's epoch, because somebody may have been locked out: decisions made under the old epoch are no longer
/// written.
pub fn raise_epoch(conn: &mut PgConnection, id: UserId, now: Time) -> Result<(), StorageError> {
    diesel::update(users::table.find(id.uuid()))
        .set((users::epoch.eq(users::epoch + 1), users::updated_at.eq(now)))
        .execute(conn)?;
    Ok(())
}

/// The ids other systems know a person by: source → id.
pub fn external_ids_of(conn: &mut PgConnection, id: UserId) -> Result<BTreeMap<String, String>, StorageError> {
    let rows: Vec<(String, String)> = external_ids::table
        .filter(external_ids::user_id.eq(id.uuid()))
        .select((external_ids::source, external_ids::external_id))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Names of the groups a person is in, in order.
pub fn groups_of(conn: &mut PgConnection, id: UserId) -> Result<Vec<String>, StorageError> {
    Ok(group_members::table
        .inner_join(groups::table)
        .filter(group_members::user_id.eq(id.uuid()))
        .order(groups::name)
        .select(groups::name)
        .load(conn)?)
}

/// A person's attributes; empty when there is no such person. It is an error if any of them cannot be read: a missing
/// one may be what keeps somebody out.
pub fn attributes_of(conn: &mut PgConnection, id: UserId) -> Result<Attributes, StorageError> {
    let stored: Option<Value> = users::table.find(id.uuid()).select(users::attributes).first(conn).optional()?;
    let Some(stored) = stored else { return Ok(Attributes::default()) };
    let corrupt = |error: &dyn std::fmt::Display| StorageError::corrupt("users", id.uuid(), error);
    let members = stored.as_object().ok_or_else(|| corrupt(&"the attributes are no object"))?;
    Attributes::parse(members).map_err(|error| corrupt(&error))
}

/// Attributes as they are stored, to be shown and changed.
pub(super) fn stored_attributes(stored: Value) -> Attributes {
    match stored {
        Value::Object(members) => Attributes::from_stored(members),
        _ => Attributes::default(),
    }
}

/// Whether a person may administer this server.
pub fn is_administrator(conn: &mut PgConnection, id: UserId) -> Result<bool, StorageError> {
    is_in_any(conn, id, &[ADMINISTRATORS.to_owned()])
}

/// Whether a person is in one of these groups, by name.
pub fn is_in_any(conn: &mut PgConnection, id: UserId, names: &[String]) -> Result<bool, StorageError> {
    let found = group_members::table
        .inner_join(groups::table)
        .filter(group_members::user_id.eq(id.uuid()))
        .filter(groups::name.eq_any(names));
    Ok(diesel::select(diesel::dsl::exists(found)).get_result(conn)?)
}
