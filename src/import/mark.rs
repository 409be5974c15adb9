//! Recognises a record that is imported again, by what is stored with the person's link.
//!
//! One source may describe a person in several files, such as people in one and their passkeys or password hashes in
//! another. Each [`Origin`] has its own entry (its number, then the digest of what was imported), so that one file does
//! not make the other look changed. Invariants: a record of an origin replaces only that origin's entry; memberships
//! that were not imported are not in the digest, so that they count as new once they are requested.

use aws_lc_rs::digest;
use serde_json::Value;

use super::form;
use super::record::{Origin, Record};

type Digest = [u8; 16];
/// The size of an entry: an origin's number and a digest.
const ENTRY: usize = 17;

/// The identity of a record's content.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    origin: Origin,
    /// Digest of the whole record.
    whole: Digest,
    /// Digest of the part that is imported.
    taken: Digest,
    /// Whether that part includes memberships.
    with_groups: bool,
}

impl Mark {
    /// The mark of a record; `groups` says whether its memberships are imported.
    pub fn of(record: &Record, groups: bool) -> Self {
        let mut line = form::write(record);
        let whole = digest_of(&line);
        let left_out = !groups && line.as_object_mut().is_some_and(|members| members.remove("groups").is_some());
        let taken = if left_out { digest_of(&line) } else { whole };
        Self { origin: record.origin, whole, taken, with_groups: groups && !record.groups.is_empty() }
    }

    /// Whether the record was imported before with the same content. If memberships are not requested now, an earlier
    /// import with them matches too.
    pub fn stands_in(&self, kept: &[u8]) -> bool {
        if kept.len() == ENTRY - 1 {
            // The original format: one digest for all files, which does not say whether memberships were imported.
            return !self.with_groups && kept == self.whole.as_slice();
        }
        entries(kept).iter().any(|[number, digest @ ..]| {
            *number == self.origin as u8 && (*digest == self.taken || *digest == self.whole)
        })
    }

    /// What to store after the record is imported.
    pub fn put_into(&self, kept: &[u8]) -> Vec<u8> {
        let number = self.origin as u8;
        let others = entries(kept).iter().filter(|entry| entry[0] != number).flatten().copied();
        std::iter::once(number).chain(self.taken).chain(others).collect()
    }
}

/// The entries; none in the original format with one digest for all files.
fn entries(kept: &[u8]) -> &[[u8; ENTRY]] {
    kept.as_chunks().0
}

fn digest_of(line: &Value) -> Digest {
    let digest = digest::digest(&digest::SHA256, line.to_string().as_bytes());
    std::array::from_fn(|at| digest.as_ref()[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(origin: Origin, name: &str, groups: &[&str]) -> Record {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Record { origin, external: Some(name.to_owned()), groups, ..Record::default() }
    }

    #[test]
    fn each_kind_of_file_has_an_entry_of_its_own() {
        let mark = |origin, name| Mark::of(&record(origin, name, &[]), false);
        let (people, hashes) = (mark(Origin::Auth0, "ada"), mark(Origin::Auth0Hashes, "ada"));
        let kept = hashes.put_into(&people.put_into(&[]));
        assert_eq!(kept.len(), 2 * ENTRY);
        assert!(people.stands_in(&kept) && hashes.stands_in(&kept));
        let newer = mark(Origin::Auth0, "eve");
        assert!(!newer.stands_in(&kept));
        let kept = newer.put_into(&kept);
        assert_eq!(kept.len(), 2 * ENTRY, "it takes the place of the older one");
        assert!(newer.stands_in(&kept) && hashes.stands_in(&kept) && !people.stands_in(&kept));
    }

    #[test]
    fn memberships_count_when_they_are_asked_for() {
        let staff = record(Origin::Ndjson, "ada", &["staff"]);
        let (without, with) = (Mark::of(&staff, false), Mark::of(&staff, true));
        let kept = without.put_into(&[]);
        assert!(without.stands_in(&kept) && !with.stands_in(&kept));
        let kept = with.put_into(&kept);
        assert!(without.stands_in(&kept) && with.stands_in(&kept), "they are not taken away by asking for less");
        let nowhere = record(Origin::Ndjson, "bob", &[]);
        assert!(Mark::of(&nowhere, true).stands_in(&Mark::of(&nowhere, false).put_into(&[])));
    }

    #[test]
    fn one_digest_for_all_files_is_still_read() {
        let (staff, nowhere) = (record(Origin::Auth0, "ada", &["staff"]), record(Origin::Auth0, "bob", &[]));
        let old = |record: &Record| Mark::of(record, true).whole;
        assert!(Mark::of(&nowhere, true).stands_in(&old(&nowhere)));
        assert!(Mark::of(&staff, false).stands_in(&old(&staff)));
        assert!(!Mark::of(&staff, true).stands_in(&old(&staff)), "whether they were taken over is not known");
        assert!(!Mark::of(&staff, false).stands_in(&old(&nowhere)));
        assert_eq!(Mark::of(&staff, true).put_into(&old(&staff)).len(), ENTRY, "it gives way to the new form");
    }
}
