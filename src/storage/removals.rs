//! What was removed here, so that no import brings it back. Only a digest of each thing is kept.
//!
//! What must always hold: a removal is recorded in the transaction that makes it. An import looks up removals after
//! what is stored, so that during a concurrent removal it sees the thing or its digest, never neither.

use std::collections::HashSet;

use aws_lc_rs::digest::{Context, SHA256};
use diesel::prelude::*;

use super::StorageError;
use super::schema::removals;
use crate::clock::Time;

/// Something that was removed.
#[derive(Clone, Copy, Debug)]
pub enum Removed<'a> {
    /// A passkey, by its credential id; the RP id it is stored under may change.
    Passkey(&'a [u8]),
    /// A person, by another system's id for them: source and id, neither of which contains a newline.
    Person(&'a str, &'a str),
}

impl Removed<'_> {
    fn digest(self) -> Vec<u8> {
        let mut context = Context::new(&SHA256);
        match self {
            Self::Passkey(id) => {
                context.update(b"passkey\n");
                context.update(id);
            }
            Self::Person(source, id) => {
                for part in ["person\n", source, "\n", id] {
                    context.update(part.as_bytes());
                }
            }
        }
        context.finish().as_ref().to_vec()
    }
}

/// Which of the things asked about were removed.
#[derive(Debug, Default)]
pub struct Removals(HashSet<Vec<u8>>);

impl Removals {
    /// Whether this thing was removed.
    pub fn contains(&self, one: Removed<'_>) -> bool {
        !self.0.is_empty() && self.0.contains(&one.digest())
    }
}

/// Records what is removed.
pub fn remember(conn: &mut PgConnection, removed: &[Removed<'_>], now: Time) -> Result<(), StorageError> {
    let rows: Vec<_> =
        removed.iter().map(|one| (removals::digest.eq(one.digest()), removals::removed_at.eq(now))).collect();
    diesel::insert_into(removals::table).values(rows).on_conflict_do_nothing().execute(conn)?;
    Ok(())
}

/// Which of these things were removed.
pub fn among<'a>(conn: &mut PgConnection, asked: impl Iterator<Item = Removed<'a>>) -> Result<Removals, StorageError> {
    let digests: Vec<Vec<u8>> = asked.map(Removed::digest).collect();
    if digests.is_empty() {
        return Ok(Removals::default());
    }
    let rows: Vec<Vec<u8>> =
        removals::table.filter(removals::digest.eq_any(digests)).select(removals::digest).load(conn)?;
    Ok(Removals(rows.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_found_by_its_kind_and_name_alone() {
        let removed = Removals([Removed::Passkey(b"hr\n1"), Removed::Person("hr", "2")].map(Removed::digest).into());
        for (one, expected) in [
            (Removed::Passkey(b"hr\n1"), true),
            (Removed::Passkey(b"hr\n2"), false),
            (Removed::Person("hr", "1"), false),
            (Removed::Person("hr", "2"), true),
            (Removed::Person("h", "r2"), false),
        ] {
            assert_eq!(removed.contains(one), expected, "{one:?}");
        }
        assert!(!Removals::default().contains(Removed::Passkey(b"hr\n1")));
    }
}
