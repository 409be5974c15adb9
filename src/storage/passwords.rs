//! Password hashes from other systems, and the parameters that all hashes of one project share.

use std::collections::HashMap;

use diesel::prelude::*;
use uuid::Uuid;

use super::StorageError;
use super::schema::{password_hashes, password_parameters};
use crate::clock::Time;
use crate::domain::id::UserId;
use crate::domain::password_hash::PasswordHash;

/// Parameters as stored: sealed.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = password_parameters, check_for_backend(diesel::pg::Pg))]
pub struct SealedParameters {
    /// The id by which each hash refers to them.
    pub id: String,
    /// The source that they came with.
    pub source: String,
    /// The parameters, sealed under the master key.
    pub sealed: Vec<u8>,
    /// When they were stored.
    pub created_at: Time,
}

/// All parameters.
pub fn all_parameters(conn: &mut PgConnection) -> Result<Vec<SealedParameters>, StorageError> {
    Ok(password_parameters::table.order(password_parameters::id).select(SealedParameters::as_select()).load(conn)?)
}

/// Stores parameters; existing ones stay as they are.
pub fn insert_parameters(conn: &mut PgConnection, new: &SealedParameters) -> Result<(), StorageError> {
    diesel::insert_into(password_parameters::table).values(new).on_conflict_do_nothing().execute(conn)?;
    Ok(())
}

/// Replaces parameters with the same ones sealed under another master key.
pub fn reseal(conn: &mut PgConnection, id: &str, sealed: &[u8]) -> Result<(), StorageError> {
    diesel::update(password_parameters::table.find(id)).set(password_parameters::sealed.eq(sealed)).execute(conn)?;
    Ok(())
}

/// Sets a person's hash, replacing any earlier one.
pub fn replace(conn: &mut PgConnection, owner: UserId, hash: &PasswordHash, now: Time) -> Result<(), StorageError> {
    let values = (
        password_hashes::hash.eq(hash.expose()),
        password_hashes::parameters.eq(hash.parameters()),
        password_hashes::imported_at.eq(now),
    );
    diesel::insert_into(password_hashes::table)
        .values((password_hashes::user_id.eq(owner.uuid()), values))
        .on_conflict(password_hashes::user_id)
        .do_update()
        .set(values)
        .execute(conn)?;
    Ok(())
}

/// The hashes of these people.
pub fn of_users(conn: &mut PgConnection, owners: &[Uuid]) -> Result<HashMap<Uuid, String>, StorageError> {
    let rows: Vec<(Uuid, String)> = password_hashes::table
        .filter(password_hashes::user_id.eq_any(owners))
        .select((password_hashes::user_id, password_hashes::hash))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}
