//! How long a browser stays signed in.

use chrono::Duration;

use super::keys::{Fallback, Key, Kind, Section};
use super::problems::Wrong;
use super::reader::Reader;

/// Sessions.
#[derive(Clone, Debug)]
pub struct Session {
    /// How long a session lives without use.
    pub sliding: Duration,
    /// How long a session lives at most.
    pub absolute: Duration,
    /// How recent a verification must be for a sensitive change.
    pub fresh_verification: Duration,
}

pub(super) const SECTION: Section = Section {
    title: "Sessions",
    doc: "How long a browser stays signed in.",
    keys: &[
        Key {
            path: "session.sliding",
            kind: Kind::Duration("1m", "400d"),
            default: Fallback::Value("30d"),
            doc: "How long a session lives without use; not longer than `session.absolute`.",
        },
        Key {
            path: "session.absolute",
            kind: Kind::Duration("1m", "400d"),
            default: Fallback::Value("90d"),
            doc: "How long a session lives at most, however much it is used.",
        },
        Key {
            path: "session.fresh_verification",
            kind: Kind::Duration("30s", "1h"),
            default: Fallback::Value("5m"),
            doc: "How recently a person must have verified for a sensitive change, such as deleting a passkey.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Session {
    let session = Session {
        sliding: reader.duration("session.sliding"),
        absolute: reader.duration("session.absolute"),
        fresh_verification: reader.duration("session.fresh_verification"),
    };
    if session.sliding > session.absolute {
        let wrong = Wrong::new("is longer than session.absolute", "shorten it, or lengthen the other");
        reader.contradiction("session.sliding", &["session.absolute"], wrong);
    }
    session
}
