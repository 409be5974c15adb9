//! The signing keys of a running server: opened once, read by every request without a lock, replaced when they change.
//!
//! If the master key changes while the server runs (`passmint keys rewrap`), the server reads the master key's file
//! again. Until that file holds the new key, the server keeps using the signing keys that it opened before. It still
//! follows their dates, so it never misses a rotation or revocation. Only a signing key that it has never opened makes
//! reloading fail; the server then becomes stale and stops issuing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use diesel::PgConnection;

use super::MintError;
use super::keys::{Algorithm, KeyError, KeyMaterial, StoredKey, Use};
use super::provider;
use super::ring::KeyRing;
use super::seal::{MasterKey, MasterKeyFile, Place, PurposeRoot, SealError};
use super::subject::Subjects;
use crate::clock::Time;
use crate::storage::installation::{self, MasterKeyMark};
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
        /// Why the sealed key cannot be opened.
        error: SealError,
    },
    /// The database was never marked with a master key.
    #[error("the database has no master key yet")]
    Unmarked,
    /// The database has been sealed again with a different master key than the one this process holds.
    #[error("the database is sealed with master key {0} now: put that key's file in place of the old one")]
    MasterKeyChanged(String),
    /// A key is inconsistent or cannot be used.
    #[error("signing key {kid}: {error}")]
    Key {
        /// Its id, or `ring` when the error concerns several keys.
        kid: String,
        /// Why the key cannot be used.
        error: KeyError,
    },
}

/// The longest time without contact to the database before nothing more is issued: revocations may have been missed.
///
/// Measured with the monotonic clock, so that a change of the system time has no effect.
pub const STALE_AFTER: Duration = Duration::from_secs(5);

/// The signing keys and the master key of a running server.
pub struct Keys {
    ring: ArcSwap<KeyRing>,
    master: ArcSwap<MasterKey>,
    /// Where to read a changed master key from; `None` in tools.
    file: Option<MasterKeyFile>,
    /// Whether the database is sealed with a master key that we do not have.
    outdated: AtomicBool,
    /// The key material opened so far, by `kid`.
    opened: ArcSwap<Materials>,
    root: PurposeRoot,
    successor: [u8; 32],
    subjects: Subjects,
    heard: Mutex<Instant>,
    /// Notifies tasks that wait for a key after each reload.
    renewed: tokio::sync::Notify,
    /// Held from reading the database until the result is stored, so that older keys never replace newer ones.
    turn: tokio::sync::Mutex<()>,
}

type Materials = HashMap<String, KeyMaterial>;

impl Keys {
    /// Opens all keys of the database.
    pub fn open(conn: &mut PgConnection, master: MasterKey, now: Time) -> Result<Self, KeysError> {
        Self::of(snapshot(conn)?, master, now)
    }

    /// Like [`open`](Self::open), in a transaction under the start-up lock, so that nobody can change the master key
    /// meanwhile.
    pub fn open_within(conn: &mut PgConnection, master: MasterKey, now: Time) -> Result<Self, KeysError> {
        Self::of(stored(conn)?, master, now)
    }

    fn of((rows, mark): Stored, master: MasterKey, now: Time) -> Result<Self, KeysError> {
        let sealed_root = mark.and_then(|mark| mark.root).ok_or(KeysError::Unmarked)?;
        let root = PurposeRoot::open(&master, &sealed_root)
            .map_err(|error| KeysError::Sealed { kid: "(purpose root)".to_owned(), error })?;
        let Built { ring, opened, closed } = build(&rows, &master, &Materials::new(), now)?;
        closed.map_or(Ok(()), Err)?;
        let successor = root.derive("refresh-successor");
        let subjects = Subjects::new(&root.derive("pairwise-subject"));
        Ok(Self {
            ring: ArcSwap::from_pointee(ring),
            master: ArcSwap::from_pointee(master),
            file: None,
            outdated: AtomicBool::new(false),
            opened: ArcSwap::from_pointee(opened),
            root,
            successor,
            subjects,
            heard: Mutex::new(Instant::now()),
            renewed: tokio::sync::Notify::new(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Makes the server read this file again when the master key changes.
    #[must_use]
    pub fn following(self, file: MasterKeyFile) -> Self {
        Self { file: Some(file), ..self }
    }

    /// The current keys.
    pub fn ring(&self) -> Arc<KeyRing> {
        self.ring.load_full()
    }

    /// The key from which the successors of refresh tokens are computed.
    pub const fn successor_key(&self) -> &[u8; 32] {
        &self.successor
    }

    /// Computes the `sub` by which a client knows a person.
    pub const fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// The master key, to seal values with.
    pub fn master(&self) -> Arc<MasterKey> {
        self.master.load_full()
    }

    /// Whether the database is sealed with a master key that this server does not have yet. It should then reload soon.
    pub fn awaits_master_key(&self) -> bool {
        self.outdated.load(Ordering::Relaxed)
    }

    /// Derives a purpose key. It is the same on every server and does not change with the master key.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        self.root.derive(label)
    }

    /// Reads all keys from the database again.
    pub async fn reload(&self, db: &Db, now: Time) -> Result<(), KeysError> {
        let _turn = self.turn.lock().await;
        let (file, held) = (self.file.clone(), self.master().id());
        let (rows, wanted, fresh) = db
            .run(move |conn| {
                let (rows, mark) = snapshot(conn)?;
                let wanted = mark.filter(|mark| mark.id != held);
                let fresh = wanted.as_ref().zip(file).and_then(|(mark, file)| look_again(mark, &file));
                Ok((rows, wanted, fresh))
            })
            .await?;
        self.take_up(wanted, fresh);
        let Built { ring, opened, closed } = build(&rows, &self.master(), &self.opened.load(), now)?;
        // Stored even if a key stays closed: revocations must take effect. The error below soon stops issuing.
        self.ring.store(Arc::new(ring));
        let before = self.opened.swap(Arc::new(opened));
        if before.keys().any(|kid| !self.opened.load().contains_key(kid)) {
            provider::forget();
        }
        self.renewed.notify_waiters();
        closed.map_or(Ok(()), Err)
    }

    /// Resolves at the first reload after this call, even if that happens before the future is awaited.
    pub fn renewed(&self) -> tokio::sync::futures::Notified<'_> {
        self.renewed.notified()
    }

    /// Adopts `fresh` if it was found, and warns once while the master key that the database wants is missing.
    fn take_up(&self, wanted: Option<MasterKeyMark>, fresh: Option<MasterKey>) {
        let missing = wanted.filter(|_| fresh.is_none());
        if let Some(fresh) = fresh {
            tracing::info!(master_key.id = fresh.id(), "the master key was changed and is followed");
            self.master.store(Arc::new(fresh));
        }
        let outdated_before = self.outdated.swap(missing.is_some(), Ordering::Relaxed);
        if let Some(mark) = missing.filter(|_| !outdated_before) {
            tracing::warn!(
                master_key.id = mark.id,
                "the database is sealed with another master key now; put its file in place: until then no new signing key can be opened and no restart will succeed"
            );
        }
    }

    /// Records that the database was reachable just now.
    pub fn heard(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Fails when this server has been cut off from the database for too long.
    pub fn require_fresh(&self) -> Result<(), MintError> {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.elapsed() > STALE_AFTER { Err(MintError::CutOff) } else { Ok(()) }
    }

    /// Whether a key currently signs for this use with this algorithm.
    pub fn can_sign(&self, usage: &Use, algorithm: Algorithm) -> bool {
        self.ring.load().signing(usage, algorithm).is_some()
    }
}

/// Reads keys and mark in one snapshot: the master key could change between two statements.
fn snapshot(conn: &mut PgConnection) -> Result<Stored, StorageError> {
    conn.build_transaction().repeatable_read().read_only().run(stored)
}

/// Every key, and the mark of the master key.
type Stored = (Vec<SealedKey>, Option<MasterKeyMark>);

fn stored(conn: &mut PgConnection) -> Result<Stored, StorageError> {
    Ok((signing_keys::all(conn)?, installation::find(conn)?))
}

/// The key in the file, if it matches the mark in the database.
fn look_again(mark: &MasterKeyMark, file: &MasterKeyFile) -> Option<MasterKey> {
    let key = file.load().inspect_err(|error| tracing::warn!(error = %error, "the master key cannot be read")).ok()?;
    (key.id() == mark.id && key.matches(&mark.check)).then_some(key)
}

/// The keys of one moment, as far as they could be opened.
struct Built {
    ring: KeyRing,
    opened: Materials,
    /// The error of the first key that needs a master key which we do not have.
    closed: Option<KeysError>,
}

fn build(rows: &[SealedKey], master: &MasterKey, known: &Materials, now: Time) -> Result<Built, KeysError> {
    let (mut stored, mut closed) = (Vec::with_capacity(rows.len()), None);
    // A revoked key is not opened: nothing may use it, so its secret has no place in memory.
    for row in rows.iter().filter(|row| row.revoked_at.is_none_or(|at| at > now)) {
        match open_or_recall(row, master, known) {
            Ok(key) => stored.push(key),
            Err(error @ KeysError::Sealed { error: SealError::WrongKey { .. }, .. }) => closed = closed.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    let ring = KeyRing::build(&stored, now).map_err(|error| KeysError::Key { kid: "ring".to_owned(), error })?;
    Ok(Built { ring, opened: stored.into_iter().map(|key| (key.kid, key.material)).collect(), closed })
}

/// Opens a key. If it was sealed again with a master key that we lack, reuses the material opened before: only its
/// dates can have changed.
fn open_or_recall(row: &SealedKey, master: &MasterKey, known: &Materials) -> Result<StoredKey, KeysError> {
    match (open(row, master), known.get(&row.kid)) {
        (Err(KeysError::Sealed { error: SealError::WrongKey { .. }, .. }), Some(material)) => {
            with_material(row, material.clone())
        }
        (result, _) => result,
    }
}

/// Where a key's sealed part is stored. The seal is bound to this place.
pub(super) fn place(kid: &str) -> Place<'_> {
    Place { table: "signing_keys", row: kid, column: "sealed" }
}

/// Opens one row.
pub(super) fn open(row: &SealedKey, master: &MasterKey) -> Result<StoredKey, KeysError> {
    let key_error = |error| KeysError::Key { kid: row.kid.clone(), error };
    let secret =
        master.open(&row.sealed, place(&row.kid)).map_err(|error| KeysError::Sealed { kid: row.kid.clone(), error })?;
    let algorithm: Algorithm = row.algorithm.parse().map_err(key_error)?;
    with_material(row, KeyMaterial::from_stored(algorithm, secret.expose().clone()).map_err(key_error)?)
}

fn with_material(row: &SealedKey, material: KeyMaterial) -> Result<StoredKey, KeysError> {
    let key_error = |error| KeysError::Key { kid: row.kid.clone(), error };
    Ok(StoredKey {
        kid: row.kid.clone(),
        usage: row.purpose.parse().map_err(key_error)?,
        algorithm: row.algorithm.parse().map_err(key_error)?,
        material,
        published_at: row.published_at,
        signs_from: row.signs_from,
        retired_at: row.retired_at,
        verifies_until: row.verifies_until,
        revoked_at: row.revoked_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn now() -> Time {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn row(master: &MasterKey, material: &KeyMaterial) -> SealedKey {
        let kid = material.thumbprint();
        SealedKey {
            sealed: master.seal(material.secret().expose(), place(&kid)),
            kid,
            purpose: "tokens".into(),
            algorithm: material.algorithm().to_string(),
            created_at: now(),
            published_at: now(),
            signs_from: now(),
            retired_at: None,
            verifies_until: None,
            revoked_at: None,
        }
    }

    /// Until the new master key arrives, a server keeps using the keys that it opened before and still follows their
    /// dates.
    #[test]
    fn a_key_sealed_anew_is_recalled_with_its_new_dates() {
        let (old, new) = (MasterKey::generate(), MasterKey::generate());
        let material = KeyMaterial::generate(Algorithm::ES256).unwrap();
        let known = build(&[row(&old, &material)], &old, &Materials::new(), now()).unwrap().opened;
        let anew = row(&new, &material);
        let built = build(std::slice::from_ref(&anew), &old, &known, now()).unwrap();
        assert!(built.closed.is_none());
        assert_eq!(built.ring.signing(&Use::Tokens, Algorithm::ES256).unwrap().kid(), anew.kid);
        let revoked = SealedKey { revoked_at: Some(now()), ..anew };
        let built = build(&[revoked], &old, &built.opened, now()).unwrap();
        assert!(built.ring.by_kid(&material.thumbprint()).is_none());
        assert!(built.opened.is_empty(), "a revoked secret is not kept");
    }

    /// A key that was never opened here is reported, and changes to the other keys still take effect.
    #[test]
    fn a_stranger_under_another_master_key_stays_closed() {
        let (old, new) = (MasterKey::generate(), MasterKey::generate());
        let (material, stranger) =
            (KeyMaterial::generate(Algorithm::ES256).unwrap(), KeyMaterial::generate(Algorithm::ES256).unwrap());
        let known = build(&[row(&old, &material)], &old, &Materials::new(), now()).unwrap().opened;
        let revoked = SealedKey { revoked_at: Some(now()), ..row(&new, &material) };
        let built = build(&[row(&new, &stranger), revoked], &old, &known, now()).unwrap();
        let Some(KeysError::Sealed { kid, error }) = built.closed else { panic!("it was opened") };
        assert_eq!((kid, error), (stranger.thumbprint(), SealError::WrongKey { id: new.id() }));
        assert!(built.ring.by_kid(&material.thumbprint()).is_none(), "the revocation is followed");
    }

    #[test]
    fn a_damaged_key_is_never_recalled() {
        let master = MasterKey::generate();
        let material = KeyMaterial::generate(Algorithm::ES256).unwrap();
        let mut damaged = row(&master, &material);
        let known = build(std::slice::from_ref(&damaged), &master, &Materials::new(), now()).unwrap().opened;
        *damaged.sealed.last_mut().unwrap() ^= 1;
        let Err(KeysError::Sealed { error, .. }) = build(&[damaged], &master, &known, now()) else {
            panic!("it was opened")
        };
        assert_eq!(error, SealError::Corrupt);
    }
}
