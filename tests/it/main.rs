//! The tests of the whole server, in one binary so that it is linked once.
//!
//! Each file is about one thing; above its `mod` stands when to add to it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

// A passkey in software; the benches use the same file.
#[path = "../support/authenticator.rs"]
pub mod authenticator;
// A running server with its callers.
mod support;

/// Behaviours that the product was asked for and that no other file is about.
mod behaviours;
/// Passkey ceremonies over HTTP: what works.
mod ceremonies;
/// The private PostgreSQL: who may run it, where it is kept, how it starts, stops and survives.
mod cluster;
/// The strict WebAuthn reader together with the library behind it, row by row.
mod strict;
