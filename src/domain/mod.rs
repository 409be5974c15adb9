//! Pure decisions: what a session, a scope or a refresh family may do.
//!
//! Nothing here knows HTTP, SQL or the clock: time is an argument, so that every rule is tested as a table next to its
//! code. The randomness of ids and secrets never affects a decision. To add a rule: a type with one fallible
//! constructor, a function that decides, a table test.

pub mod action;
pub mod attributes;
pub mod audience;
pub mod audit;
pub mod authentication;
pub mod authorization;
pub mod claims;
pub mod client;
pub mod counter;
pub mod delivery;
pub mod device;
pub mod duration;
pub mod exchange;
pub mod forward;
pub mod group;
pub mod id;
pub mod json;
pub mod native_apps;
pub mod operation;
pub mod password_hash;
pub mod refresh;
pub mod resource;
pub mod scope;
pub mod secret;
pub mod session;
pub mod standard_claims;
pub mod strict_json;
pub mod text;
pub mod trust;
pub mod user;
pub mod webhook;
