//! The tests of the whole server, in one binary so that it is linked once.
//!
//! Each file is about one thing; above its `mod` stands when to add to it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

// A passkey in software; the benches use the same file.
#[path = "../support/authenticator.rs"]
pub mod authenticator;
// Bytes over a socket, for what no HTTP client would send.
mod raw;
// A running server with its callers.
mod support;

/// What strangers send: broken, huge, slow or hostile requests on every route.
mod bad_input;
/// Passkey ceremonies over HTTP: what works.
mod ceremonies;
/// The private PostgreSQL: who may run it, where it is kept, how it starts, stops and survives.
mod cluster;
/// Other people's pages: what they may read (CORS), and what they cannot do (CSRF).
mod cors_csrf;
/// What is told and done when the database is slow, locked, gone, or shared wrongly.
mod faults;
/// How much one caller may ask for.
mod limits;
/// The schema: there and back again, and the same in the code.
mod migrations;
/// Every route: who may call it, and the headers of its answers. A new route needs a row here.
mod routes;
/// The program itself: how it refuses to start, stops, dies and comes back, and what it logs.
mod start;
/// The strict WebAuthn reader together with the library behind it, row by row.
mod strict;
