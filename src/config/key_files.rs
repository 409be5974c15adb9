//! The master key and the rotation of the signing keys.

use std::path::{Path, PathBuf};

use chrono::Duration;

use super::problems::Wrong;
use super::reader::Reader;
use super::section::{Fallback, Key, Kind, Section};
use super::values::show_text;

/// Where the master key is, and how signing keys rotate.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The file that holds the master key.
    pub master_key_file: PathBuf,
    /// Whether the group may read the master key's file, as with secrets mounted by an orchestrator.
    pub allow_group_readable: bool,
    /// How long a new signing key is published before it signs.
    pub publish_before_signing: Duration,
    /// How often a new signing key is made; `None`: never automatically.
    pub rotate_every: Option<Duration>,
}

pub(super) const SECTION: Section = Section {
    title: "Keys",
    doc: "The master key encrypts the secrets in the database. The server creates and rotates the signing keys.",
    keys: &[
        Key {
            path: "master_key_file",
            kind: Kind::Path,
            default: Fallback::Derived("`master.key` in `keys_dir`"),
            doc: "The file with the master key. The server creates it only for an empty private cluster; with \
                `database.url` run `passmint keys init` once, or mount the file.",
        },
        Key {
            path: "keys.allow_group_readable",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether the master key's file may be group-readable, as mounted secrets often are. A world-readable \
                file is always refused.",
        },
        Key {
            path: "keys.publish_before_signing",
            kind: Kind::Duration("0s", "7d"),
            default: Fallback::Value("10m"),
            doc: "How long a new signing key is published before it signs, so that verifiers that cache keys have it \
                by then.",
        },
        Key {
            path: "keys.rotate_every",
            kind: Kind::DurationOrOff("1h", "730d"),
            default: Fallback::Value("90d"),
            doc: "How often a new signing key is created. `off`: only by `passmint keys rotate`.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>, keys_dir: &Path) -> Keys {
    let given = reader.path("master_key_file");
    let keys = Keys {
        master_key_file: given.unwrap_or_else(|| {
            let file = keys_dir.join("master.key");
            if !reader.is_given("master_key_file") {
                reader.derived("master_key_file", show_text(&file.to_string_lossy()));
            }
            file
        }),
        allow_group_readable: reader.switch("keys.allow_group_readable"),
        publish_before_signing: reader.duration("keys.publish_before_signing"),
        rotate_every: reader.optional_duration("keys.rotate_every"),
    };
    if keys.rotate_every.is_some_and(|rotate| rotate <= keys.publish_before_signing) {
        let wrong = Wrong::new(
            "is not longer than keys.publish_before_signing",
            "lengthen it: a key would be replaced before it signs",
        );
        reader.contradiction("keys.rotate_every", &["keys.publish_before_signing"], wrong);
    }
    keys
}
