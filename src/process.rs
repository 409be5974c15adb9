//! Settings of the server's own process.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Open files apart from connections: the database's, listeners, outgoing requests, and a reserve.
const RESERVED: u64 = 256;

/// Keeps keys out of core dumps and out of reach of other programs of the same user, and raises the limit of open files
/// to the maximum. Failures are ignored: none of this is needed to serve.
pub fn harden() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
}

/// How many connections the limit of open files allows.
pub fn connections_at_most() -> u32 {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u32::try_from(files.saturating_sub(RESERVED).max(1)).unwrap_or(u32::MAX)
}
