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

/// What an app's token tells and does of a person's account, and what ends while a code is redeemed.
mod account;
/// What a backend may let its people do once; a new refusal is a row of `each_refusal_by_name`.
mod actions;
/// Administration over HTTP: who may, what is refused by name, versions, requests sent again.
mod admin;
mod attacks;
/// The authorization endpoint: what is refused where, who is asked what, how answers travel.
mod authorize;
/// What strangers send: broken, huge, slow or hostile requests on every route.
mod bad_input;
/// What is asked of the database together.
mod batches;
/// Behaviours that the product was asked for and that no other file is about.
mod behaviours;
/// A database that no longer answers and does not say so.
mod black_hole;
/// Custom tokens over HTTP: who may mint, what is minted, with which key.
mod bridges;
/// The pages in a real browser: what people see and press, and what they are told when something goes wrong.
mod browser;
/// NATS asks Passmint about its connections.
mod callout;
/// Targets that make their tokens themselves.
mod calls;
/// Passkey ceremonies over HTTP: what works.
mod ceremonies;
/// The commands, run as an operator runs them: what they print and refuse, and that running servers follow.
mod cli;
/// How clients authenticate: one method each, assertions that count once, keys that are fetched.
mod client_authentication;
/// Tokens of clients for themselves.
mod client_credentials;
/// Clients that are the address of the document that describes them.
mod client_documents;
/// The private PostgreSQL: who may run it, where it is kept, how it starts, stops and survives.
mod cluster;
/// Authorization codes: what they give, to whom, once.
mod code;
/// Other people's pages: what they may read (CORS), and what they cannot do (CSRF).
mod cors_csrf;
/// Clients that are deleted, and others that get their ids.
mod deleted_clients;
/// Devices that a person elsewhere allows (RFC 8628).
mod device;
/// What the server says of itself, and how its endpoints are addressed.
mod discovery;
/// Tokens bound to a key: proofs, where they are asked for, and what is refused.
mod dpop;
/// Tokens exchanged for tokens: what comes out, what ends with what, and what is refused.
mod exchange;
mod exchange_refresh;
/// The FAPI 2.0 profiles: the whole way, and everything weaker refused.
mod fapi;
/// What is told and done when the database is slow, locked, gone, or shared wrongly.
mod faults;
/// Clients that are workloads elsewhere, proven by the tokens of their platform.
mod federated;
/// Access tokens that were tampered with.
mod forgery;
/// Hosts behind a proxy that asks us: rules, sign-in and back, headers, hostile callers.
mod forward_auth;
/// Hooks: what they are asked and told, what they may answer, and what their failure leads to.
mod hooks;
/// People and passkeys from other systems and out to them, by the commands.
mod import;
/// Introspection: who learns what about which token.
mod introspection;
/// The keys that sign: published, signing, verifying, revoked; and servers that cannot hear of it.
mod keys;
/// How much one caller may ask for.
mod limits;
/// Signing out because an app asks, and telling apps that somebody signed out.
mod logos;
mod logout;
/// The schema: there and back again, and the same in the code.
mod migrations;
mod native_apps;
/// What an attacker might send in a ceremony, row by row: refused, alike, burnt, and written down once.
mod negative;
/// The whole way of a relying party, by a library that this project did not write.
mod openidconnect;
/// What the operator says of themselves, on the pages.
mod operator;
/// Messages to other systems: what is read to find them, and whose word counts on what became of them.
mod outbox;
/// Subjects that each sector knows by another name.
mod pairwise;
/// The passkey grant and how clients authenticate at the token endpoint.
mod passkey_grant;
/// Authorization requests that clients send ahead.
mod pushed;
/// Pusher's channels are signed.
mod pusher;
/// What must happen once, asked for by many at the same time and at several servers.
mod races;
/// Refresh tokens: rotation, retries, reuse, ends, restarts.
mod refresh;
/// Apps that register themselves, and change and delete themselves.
mod registration;
/// Requests that clients sign, and answers that we sign.
mod request_objects;
/// APIs with scopes, lifetime and algorithm of their own.
mod resources;
/// Results of actions whose person changes before they are brought.
mod results;
/// What is deleted by itself, and what stays.
mod retention;
/// Revocation: what ends with a token, and what does not.
mod revocation;
/// Every route: who may call it, and the headers of its answers. A new route needs a row here.
mod routes;
/// Sessions, and what ID and access tokens say of them.
mod sessions;
/// The program itself: how it refuses to start, stops, dies and comes back, and what it logs.
mod start;
/// A refused start: the database it was refused on stays as it is.
mod start_refused;
/// The strict WebAuthn reader together with the library behind it, row by row.
mod strict;
/// Nothing stands in for anything else: every kind of token at every place.
mod substitution;
/// TLS in the server itself.
mod tls;
/// Operations that people sign with a passkey, and the proofs of it.
mod transaction_tokens;
mod transactions;
/// Tokens of others: whose are believed, whom they mean, and what is refused.
mod trusted_issuers;
/// Claims about a person: at userinfo, and in ID tokens only where asked for.
mod userinfo;
/// Webhooks: who is told of what, signed how, and what becomes of messages that do not arrive.
mod webhooks;
