//! Passkey ceremonies: registration and authentication in two calls each, and the management of passkeys by their
//! owners.
//!
//! What must always hold: a ceremony is bound to its result and to everything it was begun under; it is consumed before
//! anything is verified; the strict parser sees an answer before the library does; everything hostile gets the same
//! answer, and the audit trail records the reason. State never leaves the server: sealed state in the browser could be
//! answered twice. To add a purpose: a variant in `state.rs`, its `begin` and its arm in `finish`.

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
    /// The requirements for passkeys.
    pub policy: policy::Policy,
    /// The relying-party profiles.
    pub profiles: relying_party::RelyingParties,
    /// Ceremonies in progress.
    pub store: store::ChallengeStore,
    /// Decoy credential IDs.
    pub decoys: decoys::Decoys,
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The clients.
    pub clients: Arc<Clients>,
    /// Issues tokens.
    pub mint: Arc<Mint>,
    /// Mints custom tokens.
    pub bridges: Arc<Bridges>,
    /// The hooks that are asked before a sign-in.
    pub hooks: BeforeSignIn,
    /// The lifetimes of sessions.
    pub lifetimes: SessionLifetimes,
    /// Counts the custom tokens of each person.
    pub limits: Arc<Limits>,
    /// The operator on the command line, as the client behind the links that they create.
    pub operator: Arc<Client>,
}

impl Ceremonies {
    /// The client with this ID on whose behalf a ceremony takes place; `None` if it is unknown or disabled.
    fn client_behind(&self, id: &str) -> Option<Arc<Client>> {
        if id == COMMAND_LINE { Some(Arc::clone(&self.operator)) } else { self.clients.find(id) }
    }
}
