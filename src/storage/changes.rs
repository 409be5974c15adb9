//! Cache invalidations: written in the transaction that makes the change, polled by every server.

use diesel::prelude::*;

use super::StorageError;
use super::schema::changes;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Signing keys.
    Keys,
    /// OAuth clients.
    Clients,
    /// A resource was changed.
    Resources,
    /// A bridge was changed.
    Bridges,
}

impl ChangeKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Clients => "clients",
            Self::Resources => "resources",
            Self::Bridges => "bridges",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Keys, Self::Clients, Self::Resources, Self::Bridges].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Announces a change. Call it in the transaction that makes it.
pub fn announce(conn: &mut PgConnection, kind: ChangeKind, key: &str) -> Result<(), StorageError> {
    diesel::insert_into(changes::table)
        .values((changes::kind.eq(kind.as_str()), changes::key.eq(key)))
        .execute(conn)?;
    Ok(())
}

/// What was announced after `seq`: its number, and what changed (none for a kind that only a newer server knows).
///
/// A number is assigned when a transaction writes and becomes visible when it commits, so a smaller number can appear
/// after a greater one. A reader therefore passes a `seq` some way behind the newest and remembers the numbers it has
/// seen.
pub fn since(conn: &mut PgConnection, seq: i64) -> Result<Vec<(i64, Option<ChangeKind>)>, StorageError> {
    let rows: Vec<(i64, String)> = changes::table
        .filter(changes::seq.gt(seq))
        .order(changes::seq)
        .select((changes::seq, changes::kind))
        .load(conn)?;
    Ok(rows.into_iter().map(|(seq, kind)| (seq, ChangeKind::parse(&kind))).collect())
}

/// The newest `seq`, or zero.
pub fn newest(conn: &mut PgConnection) -> Result<i64, StorageError> {
    Ok(changes::table.select(diesel::dsl::max(changes::seq)).first::<Option<i64>>(conn)?.unwrap_or(0))
}
