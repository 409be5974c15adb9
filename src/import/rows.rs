//! The rows of an imported passkey.

use uuid::Uuid;

use super::record::ImportedPasskey;
use crate::ceremony::aaguid;
use crate::clock::Time;
use crate::storage::credentials::StoredPasskey;
use crate::storage::unusable_passkeys::UnusablePasskey;

/// Its own name, or that of its model, with a number if the person already has a passkey of that name.
pub(super) fn name_of(passkey: &ImportedPasskey, taken: &[String]) -> String {
    if let Some(name) = &passkey.name {
        return name.clone();
    }
    let base = passkey.aaguid.and_then(aaguid::name).unwrap_or("Passkey");
    let numbered = (2..=taken.len() + 1).map(|number| format!("{base} {number}"));
    std::iter::once(base.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(name))
        .unwrap_or_else(|| base.to_owned())
}

/// The row of a passkey that can be used to sign in.
pub(super) fn credential(
    id: Uuid,
    user_id: Uuid,
    from: &ImportedPasskey,
    (document, algorithm): (serde_json::Value, i32),
    name: String,
    now: Time,
) -> StoredPasskey {
    let (backup_eligible, backup_state) = from.backup.unwrap_or_default();
    StoredPasskey {
        id: id.into(),
        user: user_id.into(),
        rp_id: from.rp_id.clone(),
        credential_id: from.credential_id.clone(),
        user_handle: from.user_handle.clone(),
        document,
        algorithm,
        sign_count: from.sign_count,
        user_verified: from.user_verified,
        backup_eligible,
        backup_state,
        transports: from.transports.clone(),
        aaguid: from.aaguid,
        resident: from.resident,
        attested: false,
        name,
        created_at: from.created_at.unwrap_or(now).min(now),
        last_used_at: from.last_used_at.map(|at| at.min(now)),
        suspended_at: from.suspended.as_ref().map(|(at, _)| *at),
        first_use_pending: true,
        backup_flags_known: from.backup.is_some(),
    }
}

/// The row of a passkey whose algorithm is not supported.
pub(super) fn unusable(
    user_id: Uuid,
    from: &ImportedPasskey,
    (algorithm, public_key): (i32, Vec<u8>),
    name: String,
    now: Time,
) -> UnusablePasskey {
    UnusablePasskey {
        rp_id: from.rp_id.clone(),
        credential_id: from.credential_id.clone(),
        user_id,
        algorithm,
        public_key,
        user_handle: from.user_handle.clone(),
        sign_count: from.sign_count.into(),
        transports: from.transports.clone(),
        aaguid: from.aaguid,
        name,
        created_at: from.created_at.unwrap_or(now).min(now),
        last_used_at: from.last_used_at.map(|at| at.min(now)),
        imported_at: now,
        user_verified: from.user_verified,
        backup_eligible: from.backup.map(|(eligible, _)| eligible),
        backup_state: from.backup.map(|(_, backed_up)| backed_up),
        resident: from.resident,
        suspended_at: from.suspended.as_ref().map(|(at, _)| *at),
        suspended_reason: from.suspended.as_ref().map(|(_, reason)| reason.clone()),
    }
}
