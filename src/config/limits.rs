//! Rate limits and size limits for callers.

use chrono::Duration;

use super::reader::Reader;
use super::section::{Fallback, Key, Kind, Section};

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The number of requests that it refills each minute.
    pub per_minute: u32,
    /// The number of requests that may arrive at once.
    pub burst: u32,
}

/// Limits per caller, where a caller is an IPv4 /24 or an IPv6 /56, and per connection.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Whether the token buckets are used.
    pub enabled: bool,
    /// For starting ceremonies.
    pub starts: Bucket,
    /// For finishing them.
    pub verifies: Bucket,
    /// For the token endpoint.
    pub tokens: Bucket,
    /// For custom tokens, by person and bridge.
    pub bridges: Bucket,
    /// For exchanges that fail because of their tokens, by client and issuer.
    pub failed_exchanges: Bucket,
    /// The longest request body, in bytes.
    pub body: u64,
    /// How long the headers of a request may take to arrive.
    pub header_timeout: Duration,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How many connections one server keeps open at once.
    pub connections: u32,
    /// How many of them one caller may hold.
    pub connections_per_caller: u32,
}

const fn number(path: &'static str, high: i64, default: &'static str, doc: &'static str) -> Key {
    Key { path, kind: Kind::Integer(1, high), default: Fallback::Value(default), doc }
}

const fn patience(path: &'static str, high: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { path, kind: Kind::Duration("1s", high), default: Fallback::Value(default), doc }
}

pub(super) const SECTION: Section = Section {
    title: "Limits",
    doc: "Token buckets per caller, where a caller is an IPv4 /24 or an IPv6 /56 network, and limits on size and time. \
        Name the proxy, if any, in `trusted_proxies`; otherwise all callers share one bucket.",
    keys: &[
        Key {
            path: "limits.enabled",
            kind: Kind::Switch,
            default: Fallback::Value("true"),
            doc: "Whether the token buckets are used. Switch them off only for tests.",
        },
        number(
            "limits.starts_per_minute",
            1_000_000,
            "60",
            "Starts of ceremonies that flow into a caller's bucket each minute. An authorization request that must wait for its \
             person is one.",
        ),
        number("limits.starts_burst", 1_000_000, "30", "Starts of ceremonies that a caller may make at once."),
        number(
            "limits.verifies_per_minute",
            1_000_000,
            "60",
            "Ends of ceremonies that flow into a caller's bucket each minute.",
        ),
        number("limits.verifies_burst", 1_000_000, "30", "Ends of ceremonies that a caller may make at once."),
        number(
            "limits.tokens_per_minute",
            1_000_000,
            "6000",
            "Requests to the token endpoint and its like (introspection, revocation, pushed requests, bridges, the \
             administration API) that flow into a caller's bucket each minute. A backend is one caller with all its users: \
             what it may ask in a second must be enough for all of them. Authorization requests are counted at the same rate, in a \
             bucket of their own.",
        ),
        number(
            "limits.tokens_burst",
            1_000_000,
            "1000",
            "Requests to the token endpoint and its like that a caller may make at once.",
        ),
        number(
            "limits.bridges_per_minute",
            1_000_000,
            "60",
            "Custom tokens of one bridge for one person that flow into their bucket each minute, whatever network they ask \
             from.",
        ),
        number(
            "limits.bridges_burst",
            1_000_000,
            "30",
            "Custom tokens of one bridge that one person may ask for at once.",
        ),
        number(
            "limits.failed_exchanges_per_minute",
            1_000_000,
            "300",
            "Failed tokens of one trusted issuer that one client may present each minute from one network, in an \
             exchange or as a grant. Above that, its tokens from there are rejected unread for a while, valid or not. \
             A genuine token that has expired, or is not usable here, does not count.",
        ),
        number(
            "limits.failed_exchanges_burst",
            1_000_000,
            "100",
            "Failed tokens of one trusted issuer that one client may present from one network at once.",
        ),
        Key {
            path: "limits.body",
            kind: Kind::Size("1KiB", "32KiB"),
            default: Fallback::Value("32KiB"),
            doc: "The longest request body; it can be lowered but not raised.",
        },
        patience("limits.header_timeout", "1m", "5s", "How long the headers of a request may take to arrive."),
        patience("limits.body_timeout", "2m", "10s", "How long the body of a request may take to arrive."),
        patience("limits.keep_alive", "10m", "30s", "How long an idle connection is kept open."),
        number("limits.connections", 1_000_000, "10000", "How many connections one server keeps open at once."),
        number(
            "limits.connections_per_caller",
            1_000_000,
            "1000",
            "How many of them one caller may have; further connections are closed. Those of `trusted_proxies` are not \
             counted.",
        ),
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Limits {
    Limits {
        enabled: reader.switch("limits.enabled"),
        starts: bucket(reader, "starts"),
        verifies: bucket(reader, "verifies"),
        tokens: bucket(reader, "tokens"),
        bridges: bucket(reader, "bridges"),
        failed_exchanges: bucket(reader, "failed_exchanges"),
        body: reader.size("limits.body"),
        header_timeout: reader.duration("limits.header_timeout"),
        body_timeout: reader.duration("limits.body_timeout"),
        keep_alive: reader.duration("limits.keep_alive"),
        connections: reader.integer("limits.connections"),
        connections_per_caller: reader.integer("limits.connections_per_caller"),
    }
}

fn bucket(reader: &mut Reader<'_>, class: &str) -> Bucket {
    Bucket {
        per_minute: reader.integer(&format!("limits.{class}_per_minute")),
        burst: reader.integer(&format!("limits.{class}_burst")),
    }
}
