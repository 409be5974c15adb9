//! One test binary, one module for each subject.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

// A passkey in software; the benches use the same file.
#[path = "../support/authenticator.rs"]
pub mod authenticator;

// The strict WebAuthn reader together with the library behind it, row by row of the security page.
mod strict;
