//! The tests of the whole server, in one binary so that it is linked once.
//!
//! Each file is about one thing; above its `mod` stands when to add to it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

// A passkey in software; the benches use the same file.
#[path = "../support/authenticator.rs"]
pub mod authenticator;
// A running server with its callers.
mod support;

/// Custom tokens over HTTP: who may mint, what is minted, with which key.
mod bridges;
/// Passkey ceremonies over HTTP: what works.
mod ceremonies;
/// The private PostgreSQL: who may run it, where it is kept, how it starts, stops and survives.
mod cluster;
/// Access tokens that were tampered with.
mod forgery;
/// Introspection: who learns what about which token.
mod introspection;
/// The keys that sign: published, signing, verifying, revoked; and servers that cannot hear of it.
mod keys;
/// What an attacker might send in a ceremony, row by row: refused, alike, burnt, and written down once.
mod negative;
/// The passkey grant and how clients authenticate at the token endpoint.
mod passkey_grant;
/// What must happen once, asked for by many at the same time and at several servers.
mod races;
/// Refresh tokens: rotation, retries, reuse, ends, restarts.
mod refresh;
/// Revocation: what ends with a token, and what does not.
mod revocation;
/// Sessions, and what ID and access tokens say of them.
mod sessions;
/// The strict WebAuthn reader together with the library behind it, row by row.
mod strict;
/// Nothing stands in for anything else: every kind of token at every place.
mod substitution;
