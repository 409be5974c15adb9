//! Converts a stored row into a bridge that can mint, or into the reasons why it cannot.
//!
//! What must always hold: a row that no longer passes its checks is out of use and says why; it never affects other
//! bridges or the server. An imported key can only be opened in its own row.

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

/// The number of concurrent calls for one bridge. Each bridge has its own limit, so that a slow or hanging target does
/// not affect the others.
const AT_ONCE: usize = 8;

/// What a server knows besides the database.
#[derive(Clone, Debug, Default)]
pub struct Home {
    /// This server's issuer.
    pub issuer: String,
    /// The keys in files that the configuration names, by bridge.
    pub key_files: HashMap<String, Material>,
}

/// A bridge that can mint.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The bridge.
    pub bridge: Bridge,
    /// What must be read from the database for its tokens.
    pub needs: Needs,
    /// The imported key with which it signs; `None` if the key is one of ours, in the key ring.
    pub imported: Option<ImportedKey>,
    /// Permits for calls to its target.
    pub(super) calls: Arc<Semaphore>,
}

/// An imported key, prepared for use.
#[derive(Clone, Debug)]
pub struct ImportedKey {
    /// The key that signs.
    pub signing: SigningKey,
    /// Its published public half; `None` for a shared secret, and for a service account's key, which Google publishes.
    pub published: Option<(Jwks, PublicKey)>,
}

/// Why a row is out of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its key is sealed with a master key that this server does not have yet.
    MasterKey(String),
    /// What is wrong with it, one problem per line.
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

/// The definition in a row, completed with what the server knows; without an imported key.
///
/// # Errors
/// Why it cannot be parsed: it was written by a newer server, or by hand.
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

/// Opens the imported key of a row; `None` if it has none.
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
        // It signs no token; the code that uses it takes it from the bridge.
        Material::Short(_) => return Ok(None),
        Material::ServiceAccount(account) => {
            let pkcs8 = account.pkcs8().expose().clone();
            KeyMaterial::from_stored(Algorithm::RS256, pkcs8).map_err(drop)?
        }
    };
    // A configured `kid` is in the token headers, and targets look up the key by it.
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

/// A key that this server creates and rotates for a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKey {
    /// The bridge.
    pub bridge: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// How long the target may continue to use the keys that it has: a new key is published for this long before it
    /// signs.
    pub lag: chrono::Duration,
}

impl OwnKey {
    /// The key with which a bridge signs; `None` if it is not the bridge's own.
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

/// What bridges require of this server's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedKeys {
    /// The keys that are created for them.
    pub own: Vec<OwnKey>,
    /// How long the targets of bridges that sign with the keys of our own tokens may continue to use the keys that they
    /// have.
    pub provider_lag: chrono::Duration,
}

impl WantedKeys {
    /// What the bridges that are on require. Rows that cannot be parsed require nothing.
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

/// The name of another bridge among these rows whose tokens have the same audience and are also signed with the keys of
/// our own tokens: their targets could not tell the tokens of the two apart.
pub fn same_audience<'a>(rows: &'a [StoredBridge], bridge: &Bridge, issuer: &str) -> Option<&'a str> {
    let others = rows.iter().filter(|row| row.name != bridge.name());
    let same = |row: &&StoredBridge| {
        let other = definition(row, issuer).ok().and_then(|definition| Bridge::new(definition).ok());
        other.is_some_and(|other| bridge.is_taken_for(&other))
    };
    others.filter(|row| row.sealed_key.is_none()).find(same).map(|row| row.name.as_str())
}
