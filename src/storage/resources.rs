//! Resources (RFC 8707), from the configuration and from administration alike.

use diesel::prelude::*;
use serde_json::Value;

use super::StorageError;
use super::changes::{self, ChangeKind};
use super::schema::resources;
use crate::clock::Time;
use crate::domain::audience::canonical;
use crate::domain::resource::Resource;

#[derive(Queryable, Selectable)]
#[diesel(table_name = resources, check_for_backend(diesel::pg::Pg))]
struct Row {
    identifier: String,
    definition: Value,
    managed_by: Option<String>,
    disabled_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
}

/// A resource with what administration needs to know about it.
#[derive(Clone, Debug)]
pub struct StoredResource {
    /// The resource.
    pub resource: Resource,
    /// The configuration file that declares it.
    pub managed_by: Option<String>,
    /// When it was disabled; no tokens are made for it then.
    pub disabled_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl TryFrom<Row> for StoredResource {
    type Error = StorageError;
    fn try_from(row: Row) -> Result<Self, StorageError> {
        let definition = serde_json::from_value(row.definition)
            .map_err(|error| StorageError::corrupt("resources", &row.identifier, error))?;
        Ok(Self {
            resource: Resource { identifier: row.identifier, definition },
            managed_by: row.managed_by,
            disabled_at: row.disabled_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Every resource, including disabled ones.
pub fn all(conn: &mut PgConnection) -> Result<Vec<StoredResource>, StorageError> {
    let rows: Vec<Row> = resources::table.order(resources::identifier).select(Row::as_select()).load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// A page of resources by identifier, including disabled ones.
pub fn page(conn: &mut PgConnection, after: Option<&str>, most: i64) -> Result<Vec<StoredResource>, StorageError> {
    let rows: Vec<Row> = resources::table
        .filter(resources::identifier.gt(after.unwrap_or_default()))
        .order(resources::identifier)
        .limit(most)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// One resource, disabled or not.
pub fn find(conn: &mut PgConnection, identifier: &str) -> Result<Option<StoredResource>, StorageError> {
    let row: Option<Row> = resources::table.find(identifier).select(Row::as_select()).first(conn).optional()?;
    row.map(TryInto::try_into).transpose()
}

/// Whether a resource exists that this identifier refers to, in whatever spelling.
pub fn is_known(conn: &mut PgConnection, identifier: &str) -> Result<bool, StorageError> {
    let bare = canonical(identifier);
    let spellings = [identifier.to_owned(), bare.to_owned(), format!("{bare}/")];
    let same = resources::table.filter(resources::identifier.eq_any(spellings)).select(resources::identifier);
    let same: Vec<String> = same.load(conn)?;
    Ok(same.iter().any(|one| canonical(one) == bare))
}

/// Stores a new resource and announces it; `false` when there is one of this identifier.
pub fn insert(conn: &mut PgConnection, resource: &Resource, now: Time) -> Result<bool, StorageError> {
    let inserted = diesel::insert_into(resources::table)
        .values((
            resources::identifier.eq(&resource.identifier),
            resources::definition.eq(document(resource)?),
            resources::created_at.eq(now),
            resources::updated_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)?;
    if inserted == 1 {
        changes::announce(conn, ChangeKind::Resources, &resource.identifier)?;
    }
    Ok(inserted == 1)
}

/// One resource, disabled or not, its row locked until the transaction ends.
pub fn lock(conn: &mut PgConnection, identifier: &str) -> Result<Option<StoredResource>, StorageError> {
    let row: Option<Row> =
        resources::table.find(identifier).select(Row::as_select()).for_update().first(conn).optional()?;
    row.map(TryInto::try_into).transpose()
}

/// Stores or replaces a resource, enabled, and announces it.
pub fn put(
    conn: &mut PgConnection,
    resource: &Resource,
    managed_by: Option<&str>,
    now: Time,
) -> Result<(), StorageError> {
    let definition = document(resource)?;
    diesel::insert_into(resources::table)
        .values((
            resources::identifier.eq(&resource.identifier),
            resources::definition.eq(&definition),
            resources::managed_by.eq(managed_by),
            resources::created_at.eq(now),
            resources::updated_at.eq(now),
        ))
        .on_conflict(resources::identifier)
        .do_update()
        .set((
            resources::definition.eq(&definition),
            resources::managed_by.eq(managed_by),
            resources::disabled_at.eq(None::<Time>),
            resources::updated_at.eq(now),
        ))
        .execute(conn)?;
    changes::announce(conn, ChangeKind::Resources, &resource.identifier)
}

fn document(resource: &Resource) -> Result<Value, StorageError> {
    serde_json::to_value(&resource.definition)
        .map_err(|error| StorageError::corrupt("resources", &resource.identifier, error))
}

/// Disables a resource: no more tokens for it. `false` when there is none or it is disabled already.
pub fn disable(conn: &mut PgConnection, identifier: &str, now: Time) -> Result<bool, StorageError> {
    let changed = diesel::update(resources::table.find(identifier).filter(resources::disabled_at.is_null()))
        .set((resources::disabled_at.eq(now), resources::updated_at.eq(now)))
        .execute(conn)?;
    if changed == 1 {
        changes::announce(conn, ChangeKind::Resources, identifier)?;
    }
    Ok(changed == 1)
}

/// Enables a resource; `false` when there is none or it is enabled already.
pub fn enable(conn: &mut PgConnection, identifier: &str, now: Time) -> Result<bool, StorageError> {
    let changed = diesel::update(resources::table.find(identifier).filter(resources::disabled_at.is_not_null()))
        .set((resources::disabled_at.eq(None::<Time>), resources::updated_at.eq(now)))
        .execute(conn)?;
    if changed == 1 {
        changes::announce(conn, ChangeKind::Resources, identifier)?;
    }
    Ok(changed == 1)
}

/// Deletes a resource; `false` when there was none.
pub fn delete(conn: &mut PgConnection, identifier: &str) -> Result<bool, StorageError> {
    let gone = diesel::delete(resources::table.find(identifier)).execute(conn)?;
    if gone == 1 {
        changes::announce(conn, ChangeKind::Resources, identifier)?;
    }
    Ok(gone == 1)
}
