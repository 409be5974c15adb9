//! Passkey ceremonies: registration and authentication in two calls each, and what their owners do with passkeys.
//!
//! What must always hold: a ceremony is bound to its result and to everything it was begun under; it is consumed before
//! anything is verified; the strict reader sees an answer before the library does; everything hostile gets one answer,
//! and the audit trail the reason. State never leaves the server: a sealed state in the browser's hands could be answered
//! twice. To add a purpose: a variant in `state.rs`, its `begin` and its arm in `finish`.

pub mod aaguid;
pub mod actions;
pub mod authentication;
pub mod binding;
pub mod decoys;
pub mod error;
mod finish;
pub mod handlers;
pub mod management;
pub mod offered;
pub mod options;
pub mod outcome;
pub mod policy;
pub mod portable;
pub mod registration;
pub mod relying_party;
mod settle;
pub mod signals;
pub mod state;
pub mod store;
pub mod strict;
pub mod transactions;
pub mod wanted;

use std::sync::Arc;

pub use error::CeremonyError;

use crate::bridge::Bridges;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::domain::action::COMMAND_LINE;
use crate::domain::client::Client;
use crate::domain::session::SessionLifetimes;
use crate::hooks::BeforeSignIn;
use crate::storage::Db;
use crate::tokens::Mint;
use crate::web::limits::Limits;

/// Everything the room works with.
pub struct Ceremonies {
    /// What is asked of passkeys.
    pub policy: policy::Policy,
    /// The relying-party profiles.
    pub profiles: relying_party::RelyingParties,
    /// Ceremonies in flight.
    pub store: store::ChallengeStore,
    /// Credential ids for unknown addresses.
    pub decoys: decoys::Decoys,
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The clients.
    pub clients: Arc<Clients>,
    /// Makes tokens.
    pub mint: Arc<Mint>,
    /// Makes custom tokens.
    pub bridges: Arc<Bridges>,
    /// Asked before anybody is signed in.
    pub hooks: BeforeSignIn,
    /// How long sessions live.
    pub lifetimes: SessionLifetimes,
    /// Counts the custom tokens of each person.
    pub limits: Arc<Limits>,
    /// The operator at the command line, as the client behind links of theirs.
    pub operator: Arc<Client>,
}

impl Ceremonies {
    /// The client of this id that lets a ceremony happen; none when it is unknown or disabled.
    fn client_behind(&self, id: &str) -> Option<Arc<Client>> {
        if id == COMMAND_LINE { Some(Arc::clone(&self.operator)) } else { self.clients.find(id) }
    }
}
