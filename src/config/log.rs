//! What is logged, and in which format.

use super::reader::Reader;
use super::section::{Choice, Fallback, Key, Kind, Section, choices};

choices! {
    /// The format of log lines.
    LogFormat {
        /// Text on a terminal, JSON elsewhere; the caller knows which applies.
        Auto = "auto",
        /// For people.
        Text = "text",
        /// For machines, one object per line.
        Json = "json",
    }
}

choices! {
    /// The lowest level that is logged.
    LogLevel {
        /// Problems that need attention.
        Error = "error",
        /// Problems that may need attention soon.
        Warn = "warn",
        /// One line per request and event.
        Info = "info",
        /// For finding errors.
        Debug = "debug",
        /// Everything, including details of libraries.
        Trace = "trace",
    }
}

/// The settings of `[log]`.
#[derive(Clone, Debug)]
pub struct Log {
    /// The format of log lines.
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
