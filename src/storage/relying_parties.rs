//! Which RP ids the stored passkeys belong to, for the check at start.
//!
//! There may be millions of passkeys, and a start must not read them all. RP ids are found by jumping from one to the
//! next in their index, and passkeys are counted only where the number is needed.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::StorageError;
use super::schema::{credential_index, credentials, retired_relying_parties, unusable_passkeys};
use crate::clock::Time;

/// Every RP id that passkeys are stored for, retired ones too.
const STORED: &str = "WITH RECURSIVE stored AS (
        (SELECT rp_id FROM credentials ORDER BY rp_id LIMIT 1)
        UNION ALL
        SELECT next.rp_id FROM stored CROSS JOIN LATERAL (
            SELECT rp_id FROM credentials WHERE credentials.rp_id > stored.rp_id ORDER BY rp_id LIMIT 1) AS next
    )
    SELECT rp_id FROM stored";

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = Text)]
    rp_id: String,
}

/// RP ids that passkeys are stored for and that were not retired.
pub fn in_use(conn: &mut PgConnection) -> Result<Vec<String>, StorageError> {
    let sql = format!("{STORED} WHERE rp_id NOT IN (SELECT rp_id FROM retired_relying_parties) ORDER BY rp_id");
    Ok(diesel::sql_query(sql).load::<Stored>(conn)?.into_iter().map(|row| row.rp_id).collect())
}

/// Every RP id that passkeys are stored for, with how many, retired ones too. Call it
/// [`patiently`](super::db::patiently), for [`ALL_PASSKEYS`].
pub fn stored(conn: &mut PgConnection) -> Result<Vec<(String, i64)>, StorageError> {
    let stored: Vec<Stored> = diesel::sql_query(format!("{STORED} ORDER BY rp_id")).load(conn)?;
    let mut counted = Vec::with_capacity(stored.len());
    for Stored { rp_id } in stored {
        let passkeys: i64 = credentials::table.filter(credentials::rp_id.eq(&rp_id)).count().get_result(conn)?;
        counted.push((rp_id, passkeys));
    }
    Ok(counted)
}

/// How many passkeys are stored for an RP id; counts no further than `most`.
pub fn count(conn: &mut PgConnection, rp_id: &str, most: i64) -> Result<i64, StorageError> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    // Along the index, so that it can stop early.
    let sql = "SELECT count(*) FILTER (WHERE rp_id = $1) AS n
        FROM (SELECT rp_id FROM credentials WHERE rp_id >= $1 ORDER BY rp_id LIMIT $2) AS first";
    let count: Count = diesel::sql_query(sql).bind::<Text, _>(rp_id).bind::<BigInt, _>(most).get_result(conn)?;
    Ok(count.n)
}

/// How long a statement that counts or moves every passkey may take.
pub const ALL_PASSKEYS: Duration = Duration::from_secs(3600);

/// The RP ids that deliberately sign nobody in: since when, and whether their passkeys were imported before the RP id
/// was configured (otherwise the RP id was given up).
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

/// Marks configured RP ids as in use: if one later disappears from the configuration, its passkeys must stop the start
/// again.
pub fn take_up(conn: &mut PgConnection, configured: &[&str]) -> Result<(), StorageError> {
    diesel::delete(retired_relying_parties::table.filter(retired_relying_parties::rp_id.eq_any(configured)))
        .execute(conn)?;
    Ok(())
}

/// Marks those of these RP ids that have no stored passkey as waiting for their configuration, so that what is imported
/// for them does not stop the start. Call it before the passkeys are stored.
pub fn await_configuration(conn: &mut PgConnection, rp_ids: &[String], now: Time) -> Result<(), StorageError> {
    let mut rows = Vec::new();
    for rp_id in rp_ids {
        if count(conn, rp_id, 1)? == 0 {
            rows.push((
                retired_relying_parties::rp_id.eq(rp_id),
                retired_relying_parties::retired_at.eq(now),
                retired_relying_parties::imported.eq(true),
            ));
        }
    }
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

/// Moves the passkeys of one RP id to another (a renamed domain that serves related origins, or a mistake corrected).
/// Returns how many were moved. A passkey that already exists under the new id is a conflict, and nothing is moved.
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
