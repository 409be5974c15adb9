//! The audit trail.

use chrono::Duration;

use super::reader::Reader;
use super::section::{Fallback, Key, Kind, Section};

/// The audit trail.
#[derive(Clone, Debug)]
pub struct Audit {
    /// How long events are kept; `None`: forever.
    pub keep: Option<Duration>,
}

pub(super) const SECTION: Section = Section {
    title: "Audit trail",
    doc: "Events are recorded as they happen; `docs/reference/audit-events.md` lists them.",
    keys: &[Key {
        path: "audit.keep",
        kind: Kind::DurationOrOff("1d", "4000d"),
        default: Fallback::Value("400d"),
        doc: "How long events are kept. Older ones are deleted gradually; `off` keeps them for ever, which lets \
            strangers make the table grow.",
    }],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Audit {
    Audit { keep: reader.optional_duration("audit.keep") }
}
