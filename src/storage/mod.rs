//! All SQL of the crate: the pool, the embedded cluster, the schema, one file for each table, the sweep.
//!
//! What must always hold: a change that decides something puts its condition into the statement (or locks the row first)
//! and tells the outcome by the rows it returns; a fault is [`StorageError`], never "not found"; the audit event is
//! written in the same statement or transaction as its cause. To add a table: a migration with comments, its block in
//! `schema.rs`, one file here with private rows and functions on a connection, named by verbs (`find_` gives an `Option`,
//! `take_` consumes).

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
