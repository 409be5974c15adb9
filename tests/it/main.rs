//! The tests of the whole server, in one binary so that it is linked once.
//!
//! Each file is about one thing; the line above its `mod` says what belongs into it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

// A software passkey; the benches use the same file.
#[path = "../support/authenticator.rs"]
pub mod authenticator;
// Raw bytes over a socket, for what no HTTP client would send.
mod raw;
// A running server and its callers.
mod support;

/// What an app's token reads and does in a person's account, and what ends while a code is redeemed.
mod account;
/// What a backend may let its people do once. A new refusal is a row of `each_refusal_by_name`.
mod actions;
/// Administration over HTTP: who may, what is refused by name, versions, repeated requests.
mod admin;
mod attacks;
/// The authorization endpoint: what is refused where, who is asked what, how responses are delivered.
mod authorize;
/// What strangers send: broken, huge, slow or hostile requests on every route.
mod bad_input;
/// Batched database queries.
mod batches;
/// Required behaviours that no other file covers.
mod behaviours;
/// A database that stops answering without closing its connections.
mod black_hole;
/// Custom tokens over HTTP: who may mint, what is minted, with which key.
mod bridges;
/// The pages in a real browser: what people see and press, and what they are told when something goes wrong.
mod browser;
/// The NATS auth callout.
mod callout;
/// Bridges whose targets make the tokens themselves.
mod calls;
/// Passkey ceremonies over HTTP: what works.
mod ceremonies;
/// The commands, run as an operator runs them: what they print and refuse, and that running servers follow.
mod cli;
/// How clients authenticate: one method each, assertions that count once, keys that are fetched.
mod client_authentication;
/// Clients' tokens for themselves.
mod client_credentials;
/// Clients whose id is the URL of the document that describes them.
mod client_documents;
/// The private PostgreSQL: who may run it, where it is kept, how it starts, stops and survives.
mod cluster;
/// Authorization codes: what they give, to whom, once.
mod code;
/// Other people's pages: what they may read (CORS), and what they cannot do (CSRF).
mod cors_csrf;
/// Deleted clients, and others that get their ids.
mod deleted_clients;
/// Devices that a person approves elsewhere (RFC 8628).
mod device;
/// The server's metadata, and how its endpoints are addressed.
mod discovery;
/// Tokens bound to a key: proofs, where they are required, and what is refused.
mod dpop;
/// Token exchange: what is issued, what ends with what, and what is refused.
mod exchange;
mod exchange_refresh;
/// The FAPI 2.0 profiles: the whole flow, and everything weaker refused.
mod fapi;
/// What is answered and done when the database is slow, locked, gone, or shared wrongly.
mod faults;
/// Clients that are workloads elsewhere, authenticated by their platform's tokens.
mod federated;
/// Tampered access tokens.
mod forgery;
/// Hosts behind a proxy that asks us: rules, sign-in and return, headers, hostile callers.
mod forward_auth;
/// Hooks: what they are asked and told, what they may answer, and what happens when they fail.
mod hooks;
/// Import of people and passkeys from other systems, and export, by the commands.
mod import;
/// Introspection: who learns what about which token.
mod introspection;
/// Signing keys: published, signing, verifying, revoked; and servers that cannot learn of it.
mod keys;
/// Rate limits.
mod limits;
/// The logos of apps on the consent page.
mod logos;
/// Signing out at an app's request, and notifying apps that somebody signed out.
mod logout;
/// The schema: up, down and up again, and the same in the code.
mod migrations;
mod native_apps;
/// What an attacker might send in a ceremony, row by row: refused alike, used up, and recorded once.
mod negative;
/// A relying party's whole flow, with a library that this project did not write.
mod openidconnect;
/// What the operator says about themselves, on the pages.
mod operator;
/// Messages to other systems: what is read to find them, and who may record their outcome.
mod outbox;
/// Subjects that differ by sector.
mod pairwise;
/// The passkey grant and how clients authenticate at the token endpoint.
mod passkey_grant;
/// Pushed authorization requests.
mod pushed;
/// Signatures for Pusher's channels.
mod pusher;
/// What must happen once, requested by many at the same time and at several servers.
mod races;
/// Refresh tokens: rotation, retries, reuse, ends, restarts.
mod refresh;
/// Apps that register themselves, and change and delete themselves.
mod registration;
/// Requests that clients sign, and responses that we sign.
mod request_objects;
/// APIs with scopes, lifetime and algorithm of their own.
mod resources;
/// Results of actions whose person changes before they are redeemed.
mod results;
/// What is deleted automatically, and what stays.
mod retention;
/// Revocation: what ends with a token, and what does not.
mod revocation;
/// Every route: who may call it, and the headers of its responses. A new route needs a row here.
mod routes;
/// Sessions, and what ID and access tokens say about them.
mod sessions;
/// The program itself: how it refuses to start, stops, dies and comes back, and what it logs.
mod start;
/// A refused start leaves the database unchanged.
mod start_refused;
/// The strict WebAuthn reader together with the library behind it, row by row.
mod strict;
/// Substitution: every kind of token at every place where another is expected.
mod substitution;
/// TLS in the server itself.
mod tls;
/// Operations that people sign with a passkey, and the proofs of them.
mod transaction_tokens;
mod transactions;
/// Tokens of other issuers: whose are trusted, whom they mean, and what is refused.
mod trusted_issuers;
/// Claims about a person: at userinfo, and in ID tokens only where asked for.
mod userinfo;
/// Webhooks: who is notified of what, how it is signed, and what happens to messages that do not arrive.
mod webhooks;
