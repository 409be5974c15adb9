//! Writes the changes that [`rotation`] decides. Call these functions in a transaction under the start-up lock.

use chrono::Duration;
use diesel::PgConnection;
use serde_json::json;

use super::holder::{KeysError, open, place};
use super::keys::rotation::{self, Change, Policy, Trigger};
use super::keys::{Algorithm, KeyMaterial, KeyState, StoredKey, Use};
use super::seal::{MasterKey, Place, PurposeRoot};
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::storage::changes::{self, ChangeKind};
use crate::storage::signing_keys::{self, SealedKey};
use crate::storage::{StorageError, audit, bridges, installation, passwords};

/// Rotates the keys of one use and algorithm as the trigger and the policy require. Returns the changes.
pub fn rotate(
    conn: &mut PgConnection,
    master: &MasterKey,
    (usage, algorithm): (&Use, Algorithm),
    policy: Policy,
    trigger: Trigger,
    now: Time,
) -> Result<Vec<Change>, KeysError> {
    let keys = stored(conn, master, usage, algorithm)?;
    let changes = rotation::next(&keys, policy, trigger, now);
    apply(conn, master, (usage, algorithm), &changes, now)?;
    Ok(changes)
}

/// Whether [`rotate`] on schedule would change anything now. Needs no lock.
pub fn is_due(
    conn: &mut PgConnection,
    master: &MasterKey,
    (usage, algorithm): (&Use, Algorithm),
    policy: Policy,
    now: Time,
) -> Result<bool, KeysError> {
    let keys = stored(conn, master, usage, algorithm)?;
    Ok(!rotation::next(&keys, policy, Trigger::Schedule, now).is_empty())
}

/// Revokes a key; its successor signs at once. Returns no changes if the key does not exist or was revoked before.
pub fn revoke(
    conn: &mut PgConnection,
    master: &MasterKey,
    kid: &str,
    policy: Policy,
    now: Time,
) -> Result<Vec<Change>, KeysError> {
    let Some(row) = signing_keys::all(conn)?.into_iter().find(|row| row.kid == kid) else { return Ok(Vec::new()) };
    let key = open(&row, master)?;
    let keys = stored(conn, master, &key.usage, key.algorithm)?;
    let changes = rotation::revoke(&keys, kid, policy, now);
    apply(conn, master, (&key.usage, key.algorithm), &changes, now)?;
    Ok(changes)
}

/// Retires the keys of this use whose algorithm differs from the one that signs from now on. What they signed is
/// verified until its end.
pub fn retire_others(
    conn: &mut PgConnection,
    (usage, algorithm): (&Use, Algorithm),
    policy: Policy,
    now: Time,
) -> Result<(), StorageError> {
    for row in others(conn, usage, algorithm)? {
        signing_keys::retire(conn, &row.kid, now, now + policy.overlap)?;
        witness(conn, &row.kid, "retired", now)?;
    }
    Ok(())
}

/// Whether [`retire_others`] would change anything. Needs no lock.
pub fn has_others(conn: &mut PgConnection, usage: &Use, algorithm: Algorithm) -> Result<bool, StorageError> {
    Ok(!others(conn, usage, algorithm)?.is_empty())
}

fn others(conn: &mut PgConnection, usage: &Use, algorithm: Algorithm) -> Result<Vec<SealedKey>, StorageError> {
    let (purpose, algorithm) = (usage.to_string(), algorithm.to_string());
    let is_other = |row: &SealedKey| {
        row.purpose == purpose && row.algorithm != algorithm && row.retired_at.is_none() && row.revoked_at.is_none()
    };
    Ok(signing_keys::all(conn)?.into_iter().filter(is_other).collect())
}

/// Revokes every key of this use, because what they signed for no longer exists.
pub fn withdraw(conn: &mut PgConnection, usage: &Use, now: Time) -> Result<(), StorageError> {
    let purpose = usage.to_string();
    for row in signing_keys::all(conn)?.iter().filter(|row| row.purpose == purpose && row.revoked_at.is_none()) {
        signing_keys::revoke(conn, &row.kid, now)?;
        witness(conn, &row.kid, "revoked", now)?;
    }
    Ok(())
}

/// Stores a key that was made elsewhere. It signs after `publish_before`, or at once if no key signs. The previous key
/// is retired.
pub fn import(
    conn: &mut PgConnection,
    master: &MasterKey,
    usage: &Use,
    material: &KeyMaterial,
    policy: Policy,
    now: Time,
) -> Result<String, KeysError> {
    let algorithm = material.algorithm();
    let signing = stored(conn, master, usage, algorithm)?;
    let has_predecessor = signing.iter().any(|key| key.state(now) == KeyState::Signing);
    let signs_from = if has_predecessor { now + policy.publish_before } else { now };
    let kid = insert(conn, master, (usage, algorithm), material, (now, signs_from), now)?;
    for old in signing.iter().filter(|key| key.retired_at.is_none() && key.revoked_at.is_none()) {
        signing_keys::retire(conn, &old.kid, signs_from, signs_from + policy.overlap)?;
    }
    Ok(kid)
}

/// Seals everything again with another master key, marks the database with it and announces the change, so that running
/// servers read the key's file again. Returns how many keys were sealed.
pub fn rewrap(conn: &mut PgConnection, old: &MasterKey, new: &MasterKey, now: Time) -> Result<usize, KeysError> {
    let root = installation::find(conn)?.and_then(|mark| mark.root).ok_or(KeysError::Unmarked)?;
    let root = PurposeRoot::reseal(old, new, &root)
        .map_err(|error| KeysError::Sealed { kid: "(purpose root)".to_owned(), error })?;
    let rows = signing_keys::all(conn)?;
    for row in &rows {
        let sealed = super::seal::reseal(old, new, &row.sealed, place(&row.kid))
            .map_err(|error| KeysError::Sealed { kid: row.kid.clone(), error })?;
        signing_keys::reseal(conn, &row.kid, &sealed)?;
    }
    for row in passwords::all_parameters(conn)? {
        let sealed = super::seal::reseal(old, new, &row.sealed, password_parameters_place(&row.id))
            .map_err(|error| KeysError::Sealed { kid: format!("(password parameters {})", row.id), error })?;
        passwords::reseal(conn, &row.id, &sealed)?;
    }
    let keys_of_bridges = bridges::sealed_keys(conn)?;
    for (name, sealed) in &keys_of_bridges {
        let sealed = super::seal::reseal(old, new, sealed, Place::bridge_key(name))
            .map_err(|error| KeysError::Sealed { kid: format!("(bridge {name})"), error })?;
        bridges::reseal(conn, name, &sealed)?;
    }
    installation::mark(conn, &new.id(), &new.check_value(), &root, now)?;
    changes::announce(conn, ChangeKind::Keys, "master key")?;
    let event = Event {
        subject: Some(new.id()),
        detail: json!({ "change": "replaced", "replaced": old.id() }),
        ..Event::new(EventKind::MasterKeyChanged, now, &Provenance::default())
    };
    audit::insert(conn, &event)?;
    Ok(rows.len() + keys_of_bridges.len())
}

/// Where the sealed parameters of password hashes are stored.
pub fn password_parameters_place(id: &str) -> Place<'_> {
    Place { table: "password_parameters", row: id, column: "sealed" }
}

fn stored(
    conn: &mut PgConnection,
    master: &MasterKey,
    usage: &Use,
    algorithm: Algorithm,
) -> Result<Vec<StoredKey>, KeysError> {
    let (usage, algorithm) = (usage.to_string(), algorithm.to_string());
    signing_keys::all(conn)?
        .iter()
        .filter(|row| row.purpose == usage && row.algorithm == algorithm)
        .map(|row| open(row, master))
        .collect()
}

fn apply(
    conn: &mut PgConnection,
    master: &MasterKey,
    family: (&Use, Algorithm),
    changes: &[Change],
    now: Time,
) -> Result<(), KeysError> {
    for change in changes {
        match change {
            Change::Insert { published_at, signs_from } => {
                let material =
                    KeyMaterial::generate(family.1).map_err(|error| KeysError::Key { kid: "new".to_owned(), error })?;
                insert(conn, master, family, &material, (*published_at, *signs_from), now)?;
            }
            Change::Promote { kid, signs_from } => {
                signing_keys::promote(conn, kid, *signs_from)?;
                witness(conn, kid, "promoted", now)?;
            }
            Change::Retire { kid, retired_at, verifies_until } => {
                signing_keys::retire(conn, kid, *retired_at, *verifies_until)?;
                witness(conn, kid, "retired", now)?;
            }
            Change::Revoke { kid, revoked_at } => {
                signing_keys::revoke(conn, kid, *revoked_at)?;
                witness(conn, kid, "revoked", now)?;
            }
        }
    }
    Ok(())
}

fn insert(
    conn: &mut PgConnection,
    master: &MasterKey,
    (usage, algorithm): (&Use, Algorithm),
    material: &KeyMaterial,
    (published_at, signs_from): (Time, Time),
    now: Time,
) -> Result<String, KeysError> {
    // A shared secret has no public thumbprint that could name it.
    let kid =
        if algorithm == Algorithm::HS256 { crate::random::uuid().simple().to_string() } else { material.thumbprint() };
    let row = SealedKey {
        sealed: master.seal(material.secret().expose(), place(&kid)),
        purpose: usage.to_string(),
        algorithm: algorithm.to_string(),
        created_at: now,
        published_at,
        signs_from,
        retired_at: None,
        verifies_until: None,
        revoked_at: None,
        kid,
    };
    signing_keys::insert(conn, &row)?;
    witness(conn, &row.kid, "added", now)?;
    Ok(row.kid)
}

fn witness(conn: &mut PgConnection, kid: &str, what: &str, now: Time) -> Result<(), StorageError> {
    let event = Event {
        subject: Some(kid.to_owned()),
        detail: json!({ "change": what }),
        ..Event::new(EventKind::KeyChanged, now, &Provenance::default())
    };
    audit::insert(conn, &event)
}

/// The policy for keys whose tokens live at most `longest_life`.
pub fn policy(publish_before: Duration, sign_for: Option<Duration>, longest_life: Duration) -> Policy {
    Policy { publish_before, sign_for, ..Policy::with_longest_life(longest_life) }
}
