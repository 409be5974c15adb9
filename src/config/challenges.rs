//! Where the challenges of pending ceremonies are stored, and for how long.

use chrono::Duration;

use super::reader::Reader;
use super::section::{Choice, Fallback, Key, Kind, Section, choices};
use super::values::show_text;

choices! {
    /// Where to store challenges, as written.
    StoreChoice {
        /// Depends on where the database is.
        Auto = "auto",
        /// In this process.
        Memory = "memory",
        /// In the database.
        Database = "database",
    }
}

/// Where challenges are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeStore {
    /// In this process: for a single server only.
    Memory,
    /// In the database: any number of servers.
    Database,
}

/// The settings of `[challenges]`.
#[derive(Clone, Debug)]
pub struct Challenges {
    /// Where they are stored (with `auto` already resolved).
    pub store: ChallengeStore,
    /// How long one lives.
    pub ttl: Duration,
}

pub(super) const SECTION: Section = Section {
    title: "Challenges",
    doc: "A ceremony's challenge is stored from its options to its verification and can be used exactly once.",
    keys: &[
        Key {
            path: "challenges.store",
            kind: Kind::Choice(StoreChoice::WORDS),
            default: Fallback::Value("auto"),
            doc: "Where challenges are kept. `auto`: in memory with the private cluster, in the database when \
                  `database.url` is given. Two servers on one database need `database`.",
        },
        Key {
            path: "challenges.ttl",
            kind: Kind::Duration("30s", "10m"),
            default: Fallback::Value("5m"),
            doc: "How long a challenge is valid: the time a person has for a prompt.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>, has_database_url: bool) -> Challenges {
    let store = match (reader.choice("challenges.store"), has_database_url) {
        (StoreChoice::Memory, _) => ChallengeStore::Memory,
        (StoreChoice::Database, _) => ChallengeStore::Database,
        (StoreChoice::Auto, false) => derived(reader, ChallengeStore::Memory, StoreChoice::Memory),
        (StoreChoice::Auto, true) => derived(reader, ChallengeStore::Database, StoreChoice::Database),
    };
    Challenges { store, ttl: reader.duration("challenges.ttl") }
}

fn derived(reader: &mut Reader<'_>, store: ChallengeStore, choice: StoreChoice) -> ChallengeStore {
    reader.derived("challenges.store", show_text(choice.as_str()));
    store
}
