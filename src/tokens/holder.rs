//! The keys of a running server: opened once, read by every request without a lock, renewed when they change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use diesel::PgConnection;

use super::MintError;
use super::keys::{Algorithm, KeyError, KeyMaterial, StoredKey, Use};
use super::ring::KeyRing;
use super::seal::{MasterKey, Place, SealError};
use crate::clock::Time;
use crate::storage::signing_keys::SealedKey;
use crate::storage::{Db, StorageError, signing_keys};

/// Why keys could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A key could not be opened.
    #[error("signing key {kid}: {error}")]
    Sealed {
        /// Its id.
        kid: String,
        /// Why.
        error: SealError,
    },
    /// A key makes no sense.
    #[error("signing key {kid}: {error}")]
    Key {
        /// Its id, or `ring` when it is about several.
        kid: String,
        /// Why.
        error: KeyError,
    },
}

/// Longest time without word from the database, after which nothing is issued any more: revocations may have been missed.
///
/// Measured by the monotonic clock: a step of the system's time neither hides nor feigns silence.
pub const STALE_AFTER: Duration = Duration::from_secs(5);

/// The holder.
pub struct Keys {
    ring: ArcSwap<KeyRing>,
    master: MasterKey,
    successor: [u8; 32],
    heard: Mutex<Instant>,
}

impl Keys {
    /// Opens all keys of the database.
    pub fn open(conn: &mut PgConnection, master: MasterKey, now: Time) -> Result<Self, KeysError> {
        let ring = build(&signing_keys::all(conn)?, &master, now)?;
        let successor = master.derive("refresh-successor");
        Ok(Self { ring: ArcSwap::from_pointee(ring), master, successor, heard: Mutex::new(Instant::now()) })
    }

    /// The keys of this moment.
    pub fn ring(&self) -> Arc<KeyRing> {
        self.ring.load_full()
    }

    /// The key that successors of refresh tokens are computed with.
    pub const fn successor_key(&self) -> &[u8; 32] {
        &self.successor
    }

    /// The master key, for what must be sealed.
    pub const fn master(&self) -> &MasterKey {
        &self.master
    }

    /// A purpose key of the master key.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        self.master.derive(label)
    }

    /// Reads all keys anew.
    pub async fn reload(&self, db: &Db, now: Time) -> Result<(), KeysError> {
        let rows = db.run(signing_keys::all).await?;
        self.ring.store(Arc::new(build(&rows, &self.master, now)?));
        Ok(())
    }

    /// Notes that the database was heard from just now.
    pub fn heard(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Refuses when this server was cut off from the database for too long.
    pub fn require_fresh(&self) -> Result<(), MintError> {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.elapsed() > STALE_AFTER { Err(MintError::CutOff) } else { Ok(()) }
    }

    /// Whether there is a key that signs now for this use.
    pub fn can_sign(&self, usage: &Use, algorithm: Algorithm) -> bool {
        self.ring.load().signing(usage, algorithm).is_some()
    }
}

fn build(rows: &[SealedKey], master: &MasterKey, now: Time) -> Result<KeyRing, KeysError> {
    let stored = rows.iter().map(|row| open(row, master)).collect::<Result<Vec<_>, _>>()?;
    KeyRing::build(&stored, now).map_err(|error| KeysError::Key { kid: "ring".to_owned(), error })
}

/// Where a key's sealed part is kept; bound into the seal.
pub(super) fn place(kid: &str) -> Place<'_> {
    Place { table: "signing_keys", row: kid, column: "sealed" }
}

/// Opens one row.
pub(super) fn open(row: &SealedKey, master: &MasterKey) -> Result<StoredKey, KeysError> {
    let key_error = |error| KeysError::Key { kid: row.kid.clone(), error };
    let secret =
        master.open(&row.sealed, place(&row.kid)).map_err(|error| KeysError::Sealed { kid: row.kid.clone(), error })?;
    let algorithm: Algorithm = row.algorithm.parse().map_err(key_error)?;
    Ok(StoredKey {
        kid: row.kid.clone(),
        usage: row.purpose.parse().map_err(key_error)?,
        algorithm,
        material: KeyMaterial::from_stored(algorithm, secret.expose().clone()).map_err(key_error)?,
        published_at: row.published_at,
        signs_from: row.signs_from,
        retired_at: row.retired_at,
        verifies_until: row.verifies_until,
        revoked_at: row.revoked_at,
    })
}
