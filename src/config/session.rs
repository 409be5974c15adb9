//! How long a browser stays signed in.

use chrono::Duration;

use super::problems::Wrong;
use super::reader::Reader;
use super::section::{Fallback, Key, Kind, Section};

/// The settings of `[session]`.
#[derive(Clone, Debug)]
pub struct Session {
    /// How long a session lives without use.
    pub sliding: Duration,
    /// The longest life of a session.
    pub absolute: Duration,
    /// How recent a verification must be for a sensitive change.
    pub fresh_verification: Duration,
    /// Whether apps may use an invisible page to ask whether a person is still signed in.
    pub check_iframe: bool,
}

pub(super) const SECTION: Section = Section {
    title: "Sessions",
    doc: "How long a browser stays signed in.",
    keys: &[
        Key {
            path: "session.sliding",
            kind: Kind::Duration("1m", "400d"),
            default: Fallback::Value("30d"),
            doc: "How long a session lasts without use; not longer than `session.absolute`.",
        },
        Key {
            path: "session.absolute",
            kind: Kind::Duration("1m", "400d"),
            default: Fallback::Value("90d"),
            doc: "How long a session lasts at most, however much it is used.",
        },
        Key {
            path: "session.fresh_verification",
            kind: Kind::Duration("30s", "1h"),
            default: Fallback::Value("5m"),
            doc: "How recently a person must have verified for a sensitive change, such as deleting a passkey.",
        },
        Key {
            path: "session.check_iframe",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether apps may load a hidden page of ours that tells them when somebody signed in or out (OpenID \
                Connect Session Management). It works only in browsers that send third-party cookies, which most no \
                longer do: leave it off unless an app needs it.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Session {
    let session = Session {
        sliding: reader.duration("session.sliding"),
        absolute: reader.duration("session.absolute"),
        fresh_verification: reader.duration("session.fresh_verification"),
        check_iframe: reader.switch("session.check_iframe"),
    };
    if session.sliding > session.absolute {
        let wrong = Wrong::new("is longer than session.absolute", "shorten it, or lengthen the other");
        reader.contradiction("session.sliding", &["session.absolute"], wrong);
    }
    session
}
