//! From a stored row to a bridge that can mint, or to the reasons why it cannot.
//!
//! What must always hold: a row that no longer passes its check is out of use and says why; it never keeps the others, or
//! the server, from working. An imported key opens only in its own row.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{Bridge, BridgeDefinition, Key, KeyUpload, KidPolicy, Material, Needs, key};
use crate::clock::Time;
use crate::storage::bridges::{SealedBridgeKey, StoredBridge};
use crate::tokens::jwks::{self, Jwks};
use crate::tokens::keys::{Algorithm, KeyMaterial, PublicKey, StoredKey, Use};
use crate::tokens::ring::SigningKey;
use crate::tokens::seal::{MasterKey, Place, SealError};

/// Calls under way at the same time for one bridge. Each has its own places, so that a target that is slow, or hangs, leaves
/// those of the others free.
const AT_ONCE: usize = 8;

/// What a server knows beside the database.
#[derive(Clone, Debug, Default)]
pub struct Home {
    /// This server's issuer.
    pub issuer: String,
    /// The keys in files that the configuration names, by bridge.
    pub key_files: HashMap<String, Material>,
}

/// A bridge of this moment.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The bridge.
    pub bridge: Bridge,
    /// What must be read for its tokens.
    pub needs: Needs,
    /// The imported key it signs with; none when the key is one of ours, in the ring.
    pub imported: Option<ImportedKey>,
    /// Places for calls to its target.
    pub(super) calls: Arc<Semaphore>,
}

/// An imported key, prepared for use.
#[derive(Clone, Debug)]
pub struct ImportedKey {
    /// The key that signs.
    pub signing: SigningKey,
    /// Its public half as others see it; none for a shared secret, and for a service account's, which Google publishes.
    pub published: Option<(Jwks, PublicKey)>,
}

/// Why a row is out of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its key is sealed with a master key that this server has not got yet.
    MasterKey(String),
    /// What is wrong with it, each in a line.
    Wrong(Vec<String>),
}

impl Fault {
    /// The reasons, for people.
    pub fn reasons(&self) -> Vec<String> {
        match self {
            Self::MasterKey(reason) => vec![reason.clone()],
            Self::Wrong(reasons) => reasons.clone(),
        }
    }
}

/// The definition of a row, with what a server knows; without an imported key.
///
/// # Errors
/// Why it does not read: written by a newer server, or by hand.
pub fn definition(row: &StoredBridge, issuer: &str) -> Result<BridgeDefinition, String> {
    let read: BridgeDefinition = serde_json::from_value(row.definition.clone())
        .map_err(|error| format!("bridge `{}`: its definition does not read: {error}", row.name))?;
    Ok(BridgeDefinition { name: row.name.clone(), our_issuer: Some(issuer.to_owned()), ..read })
}

/// The bridge of a row.
///
/// # Errors
/// [`Fault`].
pub fn ready(row: &StoredBridge, home: &Home, master: &MasterKey, now: Time) -> Result<Ready, Fault> {
    let wrong = |reason: String| Fault::Wrong(vec![reason]);
    let definition = definition(row, &home.issuer).map_err(wrong)?;
    let in_file = || home.key_files.get(&row.name).filter(|_| row.managed_by.is_some()).cloned();
    let material = open(row, master)?.or_else(in_file);
    let bridge = Bridge::new(BridgeDefinition { material, ..definition })
        .map_err(|problems| Fault::Wrong(problems.iter().map(ToString::to_string).collect()))?;
    let imported = imported(&bridge, now)
        .map_err(|()| wrong(format!("bridge `{}`: its key cannot be used for signing", row.name)))?;
    Ok(Ready { needs: bridge.needs(), bridge, imported, calls: Arc::new(Semaphore::new(AT_ONCE)) })
}

/// The imported key of a row; none when it has none.
///
/// # Errors
/// [`Fault`].
pub fn open(row: &StoredBridge, master: &MasterKey) -> Result<Option<Material>, Fault> {
    let (name, Some(sealed)) = (&row.name, &row.sealed_key) else { return Ok(None) };
    let told = |error: &dyn std::fmt::Display| format!("bridge `{name}`: its imported key does not open: {error}");
    let bytes = master.open(sealed, Place::bridge_key(name)).map_err(|error| match &error {
        SealError::WrongKey { .. } => Fault::MasterKey(told(&error)),
        SealError::Corrupt => Fault::Wrong(vec![told(&error)]),
    })?;
    let read = KeyUpload::from_bytes(&bytes).and_then(|upload| upload.read());
    read.map(Some).map_err(|error| Fault::Wrong(vec![told(&error)]))
}

/// Seals an imported key for its row.
pub fn seal(name: &str, upload: &KeyUpload, material: &Material, master: &MasterKey) -> SealedBridgeKey {
    SealedBridgeKey {
        sealed: master.seal(upload.to_bytes().expose(), Place::bridge_key(name)),
        kind: material.kind(),
        id: material.id(),
    }
}

fn imported(bridge: &Bridge, now: Time) -> Result<Option<ImportedKey>, ()> {
    let Key::Imported(imported) = bridge.key() else { return Ok(None) };
    let material = match imported {
        Material::Key(key) => key.clone(),
        // It signs no token; whoever works with it has it in the bridge.
        Material::Short(_) => return Ok(None),
        Material::ServiceAccount(account) => {
            let pkcs8 = account.pkcs8().expose().clone();
            KeyMaterial::from_stored(Algorithm::RS256, pkcs8).map_err(drop)?
        }
    };
    // Where a name is written, headers say it, and targets look for the key by it.
    let kid = match &bridge.plan().kid {
        KidPolicy::Fixed(written) => written.clone(),
        KidPolicy::Auto | KidPolicy::Omit => imported.id(),
    };
    let stored = StoredKey {
        kid,
        usage: Use::Bridge(bridge.name().to_owned()),
        algorithm: material.algorithm(),
        material,
        published_at: now,
        signs_from: now,
        retired_at: None,
        verifies_until: None,
        revoked_at: None,
    };
    let published = match (imported, stored.material.public()) {
        (Material::Key(_), Some(public)) => Some((jwks::publish([&stored], now), public.clone())),
        _ => None,
    };
    Ok(Some(ImportedKey { signing: SigningKey::new(&stored), published }))
}

/// A key that this server makes and rotates for a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKey {
    /// The bridge.
    pub bridge: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// How long the target may go on with the keys it has: a new one is published so long before it signs.
    pub lag: chrono::Duration,
}

impl OwnKey {
    /// The one that a bridge signs with; none when its key is somebody else's.
    pub fn of(bridge: &Bridge) -> Option<Self> {
        match bridge.key() {
            Key::Own(algorithm) => Some(Self {
                bridge: bridge.name().to_owned(),
                algorithm: key::key_algorithm(algorithm),
                lag: bridge.preset().rules().key_lag(),
            }),
            Key::Provider(_) | Key::Imported(_) => None,
        }
    }

    /// What the key is for.
    pub fn usage(&self) -> Use {
        Use::Bridge(self.bridge.clone())
    }
}

/// What bridges ask of this server's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedKeys {
    /// Those that are made for them.
    pub own: Vec<OwnKey>,
    /// How long the target of any that signs with the keys of our own tokens may go on with those it has.
    pub provider_lag: chrono::Duration,
}

impl WantedKeys {
    /// Of the bridges that are on. Rows that do not read want nothing.
    pub fn of(rows: &[StoredBridge], issuer: &str) -> Self {
        let on = rows.iter().filter(|row| row.is_on() && row.sealed_key.is_none());
        let bridges: Vec<Bridge> = on.filter_map(|row| Bridge::new(definition(row, issuer).ok()?).ok()).collect();
        let provider = bridges.iter().filter(|bridge| matches!(bridge.key(), Key::Provider(_)));
        Self {
            own: bridges.iter().filter_map(OwnKey::of).collect(),
            provider_lag: provider.map(|bridge| bridge.preset().rules().key_lag()).max().unwrap_or_default(),
        }
    }
}

/// The bridge of these rows, other than this one, whose tokens have the same audience and are signed with the keys of our own
/// tokens as well: to their targets the tokens of the two would be one.
pub fn same_audience<'a>(rows: &'a [StoredBridge], bridge: &Bridge, issuer: &str) -> Option<&'a str> {
    let others = rows.iter().filter(|row| row.name != bridge.name());
    let same = |row: &&StoredBridge| {
        let other = definition(row, issuer).ok().and_then(|definition| Bridge::new(definition).ok());
        other.is_some_and(|other| bridge.is_taken_for(&other))
    };
    others.filter(|row| row.sealed_key.is_none()).find(same).map(|row| row.name.as_str())
}
