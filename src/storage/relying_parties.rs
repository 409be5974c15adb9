//! Which RP ids the stored passkeys belong to, for the guard at start.

use diesel::prelude::*;

use super::StorageError;
use super::schema::{credential_index, credentials, retired_relying_parties, unusable_passkeys};
use crate::clock::Time;

/// RP ids that passkeys are stored for and that were not retired, each with how many.
pub fn in_use(conn: &mut PgConnection) -> Result<Vec<(String, i64)>, StorageError> {
    let retired = retired_relying_parties::table.select(retired_relying_parties::rp_id);
    Ok(credentials::table
        .filter(credentials::rp_id.ne_all(retired))
        .group_by(credentials::rp_id)
        .select((credentials::rp_id, diesel::dsl::count_star()))
        .order(credentials::rp_id)
        .load(conn)?)
}

/// Every RP id that passkeys are stored for, with how many, retired ones too.
pub fn stored(conn: &mut PgConnection) -> Result<Vec<(String, i64)>, StorageError> {
    Ok(credentials::table
        .group_by(credentials::rp_id)
        .select((credentials::rp_id, diesel::dsl::count_star()))
        .order(credentials::rp_id)
        .load(conn)?)
}

/// The RP ids that sign nobody in on purpose: since when, and whether their passkeys were imported before the RP id was
/// configured (else they were given up).
pub fn retired(conn: &mut PgConnection) -> Result<Vec<(String, Time, bool)>, StorageError> {
    Ok(retired_relying_parties::table
        .select((
            retired_relying_parties::rp_id,
            retired_relying_parties::retired_at,
            retired_relying_parties::imported,
        ))
        .order(retired_relying_parties::rp_id)
        .load(conn)?)
}

/// What is configured is in use: were it configured no longer one day, its passkeys must stop the start again.
pub fn take_up(conn: &mut PgConnection, configured: &[&str]) -> Result<(), StorageError> {
    diesel::delete(retired_relying_parties::table.filter(retired_relying_parties::rp_id.eq_any(configured)))
        .execute(conn)?;
    Ok(())
}

/// Notes those of these RP ids that no passkey is stored for as waiting for their configuration, so that what is imported
/// for them does not stop the start. Call it before the passkeys are stored.
pub fn await_configuration(conn: &mut PgConnection, rp_ids: &[String], now: Time) -> Result<(), StorageError> {
    let in_use: Vec<String> = credentials::table
        .filter(credentials::rp_id.eq_any(rp_ids))
        .select(credentials::rp_id)
        .distinct()
        .load(conn)?;
    let rows: Vec<_> = rp_ids
        .iter()
        .filter(|rp_id| !in_use.contains(rp_id))
        .map(|rp_id| {
            (
                retired_relying_parties::rp_id.eq(rp_id),
                retired_relying_parties::retired_at.eq(now),
                retired_relying_parties::imported.eq(true),
            )
        })
        .collect();
    diesel::insert_into(retired_relying_parties::table).values(rows).on_conflict_do_nothing().execute(conn)?;
    Ok(())
}

/// Gives up an RP id: its passkeys stay stored, and the start is no longer stopped by them.
pub fn retire(conn: &mut PgConnection, rp_id: &str, now: Time) -> Result<(), StorageError> {
    diesel::insert_into(retired_relying_parties::table)
        .values((retired_relying_parties::rp_id.eq(rp_id), retired_relying_parties::retired_at.eq(now)))
        .on_conflict(retired_relying_parties::rp_id)
        .do_update()
        .set((retired_relying_parties::retired_at.eq(now), retired_relying_parties::imported.eq(false)))
        .execute(conn)?;
    Ok(())
}

/// Files the passkeys of one RP id under another (a renamed domain that serves related origins, or a mistake corrected).
/// Gives how many were moved; a passkey that exists under the new id already is a conflict, and nothing is moved.
pub fn rename(conn: &mut PgConnection, from: &str, to: &str) -> Result<usize, StorageError> {
    conn.transaction(|conn| {
        diesel::update(credential_index::table.filter(credential_index::rp_id.eq(from)))
            .set(credential_index::rp_id.eq(to))
            .execute(conn)?;
        diesel::update(unusable_passkeys::table.filter(unusable_passkeys::rp_id.eq(from)))
            .set(unusable_passkeys::rp_id.eq(to))
            .execute(conn)?;
        Ok(diesel::update(credentials::table.filter(credentials::rp_id.eq(from)))
            .set(credentials::rp_id.eq(to))
            .execute(conn)?)
    })
}
