//! The bridges of a running server: which there are, and which key each signs with. Minting is in [`super::minting`].

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::key::key_algorithm;
use super::stored::{self, Fault, Home, Ready};
use super::{Bridge, BridgeError, Key, Needs, Way};
use crate::clients::Clients;
use crate::clock::Time;
use crate::outbound::Outbound;
use crate::resources::Resources;
use crate::storage::bridges::{self as stored_bridges, StoredBridge};
use crate::storage::{Db, StorageError};
use crate::tokens::keys::Use;
use crate::tokens::ring::SigningKey;
use crate::tokens::signer::Signer;
use crate::tokens::{Keys, MintError};

/// A database row, and whether it can be used.
struct Entry {
    row: StoredBridge,
    state: State,
}

enum State {
    On(Arc<Ready>),
    Off,
    OutOfUse(Fault),
}

/// The directory of bridges. Reading it takes no lock.
pub struct Bridges {
    entries: ArcSwap<HashMap<String, Entry>>,
    /// Held from reading the database until the result is in place, so that older data never replaces newer data.
    turn: Mutex<()>,
    home: Home,
    pub(super) keys: Arc<Keys>,
    clients: Arc<Clients>,
    resources: Arc<Resources>,
    pub(super) db: Db,
    pub(super) signer: Signer,
    /// Makes requests to targets that issue their own tokens; `None` on the command line.
    pub(super) outbound: Option<Outbound>,
}

impl Bridges {
    /// A directory without bridges: see [`Bridges::replace`].
    pub fn new(home: Home, keys: Arc<Keys>, (clients, resources): (Arc<Clients>, Arc<Resources>), db: Db) -> Self {
        Self {
            entries: ArcSwap::default(),
            turn: Mutex::default(),
            home,
            keys,
            clients,
            resources,
            db,
            signer: Signer::new(),
            outbound: None,
        }
    }

    /// The same directory, able to make requests to targets.
    #[must_use]
    pub fn asking(self, outbound: &Outbound) -> Self {
        Self { outbound: Some(outbound.apart()), ..self }
    }

    /// Replaces all bridges by these rows: at start-up, when nothing else reads them. A bridge that cannot be used is
    /// logged once, and affects nothing else.
    pub fn replace(&self, rows: Vec<StoredBridge>, now: Time) {
        let (known, master) = (self.entries.load(), self.keys.master());
        let entry = |row: StoredBridge| {
            let old = known.get(&row.name);
            let state = match (row.is_on(), old) {
                (false, _) => State::Off,
                (true, Some(Entry { row: same, state: State::On(ready) })) if *same == row => {
                    State::On(Arc::clone(ready))
                }
                (true, old) => match stored::ready(&row, &self.home, &master, now) {
                    Ok(ready) => State::On(Arc::new(ready)),
                    // The key was sealed again with a new master key, and this server still has the old one: it is the
                    // same key.
                    Err(Fault::MasterKey(reason)) => match old {
                        Some(Entry { row: same, state: State::On(ready) }) if is_resealed(same, &row) => {
                            State::On(Arc::clone(ready))
                        }
                        old => out_of_use(&row.name, Fault::MasterKey(reason), old),
                    },
                    Err(fault) => out_of_use(&row.name, fault, old),
                },
            };
            (row.name.clone(), Entry { row, state })
        };
        self.entries.store(Arc::new(rows.into_iter().map(entry).collect()));
    }

    /// Reads all bridges again.
    pub async fn reload(&self, now: Time) -> Result<Vec<StoredBridge>, StorageError> {
        let _turn = self.turn.lock().await;
        let rows = self.db.run(stored_bridges::all).await?;
        self.replace(rows.clone(), now);
        Ok(rows)
    }

    /// What this server knows besides the database.
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The keys.
    pub const fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// The bridge with this name, unless it is unknown, off or unusable.
    pub fn find(&self, name: &str) -> Option<Arc<Ready>> {
        match &self.entries.load().get(name)?.state {
            State::On(ready) => Some(Arc::clone(ready)),
            State::Off | State::OutOfUse(_) => None,
        }
    }

    /// Why a bridge that is on cannot be used; empty for all others.
    pub fn faults(&self, name: &str) -> Vec<String> {
        match self.entries.load().get(name).map(|entry| &entry.state) {
            Some(State::OutOfUse(fault)) => fault.reasons(),
            _ => Vec::new(),
        }
    }

    /// The names of all bridges whose tokens are given to the caller, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = self.entries.load();
        let on = entries
            .values()
            .filter(|entry| matches!(&entry.state, State::On(ready) if ready.bridge.way().gives_tokens()));
        let mut names: Vec<String> = on.map(|entry| entry.row.name.clone()).collect();
        names.sort();
        names
    }

    /// The bridges that are on and work in this way.
    pub fn of_way(&self, way: Way) -> Vec<Arc<Ready>> {
        let entries = self.entries.load();
        let ready = |entry: &Entry| match &entry.state {
            State::On(ready) if ready.bridge.way() == way => Some(Arc::clone(ready)),
            _ => None,
        };
        entries.values().filter_map(ready).collect()
    }

    /// What must be read for a token of this bridge.
    pub fn needs(&self, name: &str) -> Result<Needs, BridgeError> {
        Ok(self.get(name)?.needs)
    }

    /// The bridge with this name, or an error.
    pub(super) fn get(&self, name: &str) -> Result<Arc<Ready>, BridgeError> {
        self.find(name).ok_or(BridgeError::Unknown)
    }

    /// The key that currently signs for a bridge.
    pub(super) fn key_of(&self, entry: &Ready) -> Result<SigningKey, MintError> {
        let (usage, algorithm) = match (&entry.imported, entry.bridge.key()) {
            (Some(imported), _) => return Ok(imported.signing.clone()),
            (None, Key::Provider(algorithm)) => (Use::Tokens, key_algorithm(algorithm)),
            (None, Key::Own(algorithm)) => (Use::Bridge(entry.bridge.name().to_owned()), key_algorithm(algorithm)),
            (None, Key::Imported(material)) => (Use::Bridge(entry.bridge.name().to_owned()), material.algorithm()),
        };
        let missing = || MintError::NoKey { usage: usage.to_string(), algorithm };
        self.keys.ring().signing(&usage, algorithm).cloned().ok_or_else(missing)
    }

    /// Refuses an audience that would make a token signed with our own token keys acceptable as an ID token of one of
    /// our own clients (OpenID Connect Core §3.1.3.7), as an access token for one of our own APIs, or as a token of
    /// another bridge. This includes an audience that became theirs after the bridge was saved.
    pub(super) fn require_foreign_audience(&self, bridge: &Bridge) -> Result<(), BridgeError> {
        if !matches!(bridge.key(), Key::Provider(_)) {
            return Ok(());
        }
        let audience = bridge.audience();
        let is_ours = self.clients.find(audience).is_some() || self.resources.declares(audience);
        let is_shared = || {
            let entries = self.entries.load();
            let other = |entry: &Entry| matches!(&entry.state, State::On(ready) if ready.bridge.name() != bridge.name() && bridge.is_taken_for(&ready.bridge));
            entries.values().any(other)
        };
        if is_ours || is_shared() { Err(BridgeError::OwnAudience) } else { Ok(()) }
    }
}

/// Whether two rows differ only in the seal of their key.
fn is_resealed(old: &StoredBridge, new: &StoredBridge) -> bool {
    old.sealed_key.is_some() && *old == StoredBridge { sealed_key: old.sealed_key.clone(), ..new.clone() }
}

fn out_of_use(name: &str, fault: Fault, old: Option<&Entry>) -> State {
    let told = matches!(old, Some(Entry { state: State::OutOfUse(before), .. }) if *before == fault);
    if !told {
        let reasons = fault.reasons().join("; ");
        tracing::error!(
            bridge.name = name,
            reasons,
            "a stored bridge is out of use: mend it with `passmint bridges update`"
        );
    }
    State::OutOfUse(fault)
}
