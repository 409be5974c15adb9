//! What is logged, and how it looks.

use super::reader::Reader;
use super::section::{Choice, Fallback, Key, Kind, Section, choices};

choices! {
    /// How log lines look.
    LogFormat {
        /// Text on a terminal, JSON elsewhere; the caller knows which.
        Auto = "auto",
        /// For people.
        Text = "text",
        /// For machines, one object a line.
        Json = "json",
    }
}

choices! {
    /// The lowest level that is logged.
    LogLevel {
        /// What needs somebody.
        Error = "error",
        /// What may soon.
        Warn = "warn",
        /// One line per request and event.
        Info = "info",
        /// For finding a mistake.
        Debug = "debug",
        /// Everything, including details of libraries.
        Trace = "trace",
    }
}

/// The settings of `[log]`.
#[derive(Clone, Debug)]
pub struct Log {
    /// How log lines look.
    pub format: LogFormat,
    /// The lowest level that is logged.
    pub level: LogLevel,
}

pub(super) const SECTION: Section = Section {
    title: "Logging",
    doc: "What is logged, and how it looks. Secrets, tokens and mail addresses are logged at no level.",
    keys: &[
        Key {
            path: "log.format",
            kind: Kind::Choice(LogFormat::WORDS),
            default: Fallback::Value("auto"),
            doc: "How log lines look. `auto`: text on a terminal, JSON elsewhere.",
        },
        Key {
            path: "log.level",
            kind: Kind::Choice(LogLevel::WORDS),
            default: Fallback::Value("info"),
            doc: "The lowest level that is logged.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Log {
    Log { format: reader.choice("log.format"), level: reader.choice("log.level") }
}
