//! Groups: names that people are gathered under.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use uuid::Uuid;

use super::StorageError;
use super::schema::{group_members, groups};
use crate::clock::Time;

#[derive(Queryable, Selectable)]
#[diesel(table_name = groups, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: Uuid,
    name: String,
    managed_by: Option<String>,
    created_at: Time,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name, which is all that claims and rules know of it.
    pub name: String,
    /// How many people are in it.
    pub members: i64,
    /// The configuration file that declares it.
    pub managed_by: Option<String>,
    /// When it was made.
    pub created_at: Time,
}

/// Groups by name, after a given one; at most `most`.
pub fn page(conn: &mut PgConnection, after: Option<&str>, most: i64) -> Result<Vec<Group>, StorageError> {
    let rows: Vec<Row> = groups::table
        .filter(groups::name.gt(after.unwrap_or_default()))
        .order(groups::name)
        .limit(most)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(|row| counted(conn, row)).collect()
}

/// One group, its row locked until the transaction ends.
pub fn lock(conn: &mut PgConnection, name: &str) -> Result<Option<Group>, StorageError> {
    let row: Option<Row> =
        groups::table.filter(groups::name.eq(name)).select(Row::as_select()).for_update().first(conn).optional()?;
    row.map(|row| counted(conn, row)).transpose()
}

fn counted(conn: &mut PgConnection, row: Row) -> Result<Group, StorageError> {
    let members = group_members::table.filter(group_members::group_id.eq(row.id)).count().get_result(conn)?;
    Ok(Group { name: row.name, members, managed_by: row.managed_by, created_at: row.created_at })
}

/// Stores a group; `false` when there is one of this name.
pub fn insert(conn: &mut PgConnection, name: &str, now: Time) -> Result<bool, StorageError> {
    let inserted = diesel::insert_into(groups::table)
        .values((groups::id.eq(crate::random::uuid()), groups::name.eq(name), groups::created_at.eq(now)))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(inserted == 1)
}

/// How many memberships are removed at once at most: each removal may also revoke what the member was allowed to use.
pub const PORTION: i64 = 2000;

/// Removes some members of a group that is about to be deleted.
pub fn thin_out(conn: &mut PgConnection, name: &str) -> Result<(), StorageError> {
    diesel::sql_query(
        "DELETE FROM group_members WHERE ctid = ANY (ARRAY ( \
         SELECT membership.ctid FROM group_members AS membership JOIN groups ON groups.id = membership.group_id WHERE name = $1 LIMIT $2))",
    )
    .bind::<Text, _>(name)
    .bind::<BigInt, _>(PORTION)
    .execute(conn)?;
    Ok(())
}

/// Deletes a group and its memberships; `false` when there was none.
pub fn delete(conn: &mut PgConnection, name: &str) -> Result<bool, StorageError> {
    Ok(diesel::delete(groups::table.filter(groups::name.eq(name))).execute(conn)? == 1)
}
