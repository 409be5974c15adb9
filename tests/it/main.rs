//! One test binary, one module for each subject.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

// A passkey in software; the benches use the same file.
#[path = "../support/authenticator.rs"]
pub mod authenticator;

// The strict WebAuthn reader together with the library behind it, row by row of the security page.
mod strict;
//! The tests of the whole server, in one binary so that it is linked once.
//!
//! Each file is about one thing; above its `mod` stands when to add to it.

/// The private PostgreSQL: who may run it, where it is kept, how it starts, stops and survives.
mod cluster;
