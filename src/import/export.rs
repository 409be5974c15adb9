//! Exports everything that people need to move elsewhere, in the format that [`form`](super::form) reads.
//!
//! Invariant: an export never contains our secrets (keys, sessions, client secrets) or the project-wide parameters of
//! password hashes.

use std::collections::{BTreeMap, HashMap};

use diesel::PgConnection;
use uuid::Uuid;

use super::record::{ImportedKey, ImportedPasskey, Record};
use crate::ceremony::portable::PublicKey;
use crate::domain::id::UserId;
use crate::domain::password_hash::PasswordHash;
use crate::domain::user::UserStatus;
use crate::storage::credentials::{self, StoredPasskey};
use crate::storage::people::{self, Person};
use crate::storage::unusable_passkeys::{self, UnusablePasskey};
use crate::storage::{StorageError, passwords};

/// The next people in the order of their ids, at most `most`. Each has its id, to continue from.
pub fn page(conn: &mut PgConnection, after: Option<Uuid>, most: i64) -> Result<Vec<(Uuid, Record)>, StorageError> {
    let people = people::after(conn, after, most)?;
    let ids: Vec<UserId> = people.iter().map(|person| person.user.id).collect();
    let uuids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let mut hashes = passwords::of_users(conn, &uuids)?;
    let reasons = credentials::suspended_reasons(conn, &uuids)?;
    let mut passkeys: HashMap<Uuid, Vec<ImportedPasskey>> = HashMap::new();
    for stored in credentials::of_users(conn, &ids, None)? {
        passkeys.entry(stored.user.uuid()).or_default().push(usable(stored, &reasons)?);
    }
    for stored in unusable_passkeys::of_users(conn, &uuids)? {
        passkeys.entry(stored.user_id).or_default().push(unusable(stored)?);
    }
    people
        .into_iter()
        .map(|person| {
            let id = person.user.id.uuid();
            let hash = hashes.remove(&id).map(|hash| PasswordHash::parse(&hash)).transpose();
            let mut record = of_person(person);
            record.password = hash.map_err(|problem| StorageError::corrupt("password_hashes", id, problem))?;
            record.passkeys = passkeys.remove(&id).unwrap_or_default();
            Ok((id, record))
        })
        .collect()
}

fn of_person(person: Person) -> Record {
    let Person { user, claims, groups, external_ids, .. } = person;
    Record {
        sub: Some(user.id),
        user_handle: Some(user.handle),
        email_verified_at: user.email_verified_at,
        claims,
        attributes: user.attributes,
        enabled: Some(user.status == UserStatus::Active),
        groups,
        external_ids,
        created_at: Some(user.created_at),
        updated_at: Some(user.updated_at),
        ..Record::default()
    }
}

fn usable(stored: StoredPasskey, reasons: &BTreeMap<Uuid, String>) -> Result<ImportedPasskey, StorageError> {
    let key = PublicKey::of_document(&stored.document)
        .ok_or_else(|| StorageError::corrupt("credentials", stored.id, "the document holds no key that we know"))?;
    let reason = reasons.get(&stored.id.uuid()).cloned().unwrap_or_default();
    Ok(ImportedPasskey {
        rp_id: stored.rp_id,
        credential_id: stored.credential_id,
        key: ImportedKey::Usable(key),
        user_handle: stored.user_handle,
        sign_count: stored.sign_count,
        backup: stored.backup_flags_known.then_some((stored.backup_eligible, stored.backup_state)),
        user_verified: stored.user_verified,
        transports: stored.transports,
        aaguid: stored.aaguid,
        resident: stored.resident,
        name: Some(stored.name),
        created_at: Some(stored.created_at),
        last_used_at: stored.last_used_at,
        suspended: stored.suspended_at.map(|at| (at, reason)),
    })
}

fn unusable(stored: UnusablePasskey) -> Result<ImportedPasskey, StorageError> {
    let sign_count = u32::try_from(stored.sign_count)
        .map_err(|_| StorageError::corrupt("unusable_passkeys", stored.user_id, "sign_count is not 32 bits"))?;
    Ok(ImportedPasskey {
        rp_id: stored.rp_id,
        credential_id: stored.credential_id,
        key: ImportedKey::Unsupported { algorithm: stored.algorithm, cose: stored.public_key },
        user_handle: stored.user_handle,
        sign_count,
        backup: stored.backup_eligible.zip(stored.backup_state),
        user_verified: stored.user_verified,
        transports: stored.transports,
        aaguid: stored.aaguid,
        resident: stored.resident,
        name: Some(stored.name),
        created_at: Some(stored.created_at),
        last_used_at: stored.last_used_at,
        suspended: stored.suspended_at.map(|at| (at, stored.suspended_reason.unwrap_or_default())),
    })
}
