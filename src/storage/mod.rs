//! All SQL of the crate: the pool, the embedded cluster, the schema, one file for each table, the sweep.
//!
//! What must always hold:
//! - A change that decides something puts its condition into the statement (or locks the row first) and reports the
//!   outcome by the rows it returns.
//! - A fault is a [`StorageError`], never "not found".
//! - The audit event is written in the same statement or transaction as its cause.
//!
//! To add a table: write a migration with comments, add the table to `schema.rs`, and add one file here with private
//! rows and functions that take a connection. Name functions by verbs: `find_` returns an `Option`, `take_` consumes.

pub mod action_tokens;
pub mod addresses;
mod ask;
pub mod assertions;
pub mod audit;
pub mod authorization_codes;
pub mod batch;
pub mod bridges;
pub mod ceremonies;
pub mod changes;
pub mod client_records;
pub mod clients;
pub mod cluster;
pub mod consents;
pub mod credentials;
pub mod db;
pub mod device_codes;
pub mod error;
pub mod event_receivers;
pub mod first_sessions;
pub mod forward_codes;
pub mod forward_sessions;
pub mod groups;
pub mod hook_results;
pub mod idempotency_keys;
pub mod imports;
pub mod initial_access_tokens;
pub mod installation;
pub mod interactions;
pub mod migrations;
pub mod outbox;
pub mod passwords;
pub mod people;
pub mod pushed_requests;
mod queue;
pub mod redemptions;
pub mod refresh_tokens;
pub mod relying_parties;
pub mod removals;
pub mod resources;
pub mod restored;
pub mod revoked_tokens;
pub(crate) mod schema;
pub mod servers;
pub mod session_clients;
pub mod sessions;
pub mod sign_in;
pub mod signing_keys;
pub mod statement;
pub mod sweep;
mod texts;
pub mod unusable_passkeys;
pub mod used_jti;
pub mod users;

pub use db::Db;
pub use error::StorageError;
