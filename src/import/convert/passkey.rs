//! One row of a table of passkeys, with the column names used by SimpleWebAuthn's guide, its users and their databases.

use serde_json::Value;
use uuid::Uuid;

use super::{any, display_name, time, truth, words};
use crate::import::bytes;
use crate::import::fields::{Fields, Problem};
use crate::import::form;
use crate::import::record::{ImportedPasskey, MOST_PASSKEYS};

const CREDENTIAL_ID: [&str; 6] =
    ["credentialId", "credentialID", "credential_id", "cred_id", "webauthnCredentialId", "id"];
const PUBLIC_KEY: [&str; 5] =
    ["publicKey", "public_key", "credentialPublicKey", "cred_public_key", "credential_public_key"];
const COUNTER: [&str; 3] = ["counter", "signCount", "sign_count"];
const DEVICE_TYPE: [&str; 3] = ["deviceType", "device_type", "credentialDeviceType"];
const ELIGIBLE: [&str; 3] = ["backupEligible", "backup_eligible", "backupEligibility"];
const BACKED_UP: [&str; 7] =
    ["backedUp", "backed_up", "credentialBackedUp", "backupStatus", "backup_status", "backupState", "backup_state"];
const HANDLE: [&str; 4] = ["webauthnUserID", "webauthn_user_id", "webauthnUserId", "userHandle"];
const RP_ID: [&str; 3] = ["rpId", "rpID", "rp_id"];
const NAME: [&str; 4] = ["name", "label", "nickname", "friendlyName"];
const CREATED: [&str; 2] = ["createdAt", "created_at"];
const LAST_USED: [&str; 4] = ["lastUsedAt", "last_used_at", "lastUsed", "last_used"];

/// Reads the rows of a person.
pub(super) fn all(rows: Vec<Fields>, field: &str, rp_id: Option<&str>) -> Result<Vec<ImportedPasskey>, Problem> {
    if rows.len() > MOST_PASSKEYS {
        return Err(Problem::of(field, format!("has more than {MOST_PASSKEYS}")));
    }
    rows.into_iter().map(|row| read(row, rp_id)).collect()
}

/// Reads one row.
pub(super) fn read(mut row: Fields, default_rp_id: Option<&str>) -> Result<ImportedPasskey, Problem> {
    let (name, id) = row.any(&CREDENTIAL_ID).map_or((CREDENTIAL_ID[0], None), |(name, id)| (name, Some(id)));
    let credential_id = form::credential_id(&row, name, id.as_ref())?;
    let (name, key) = row.any(&PUBLIC_KEY).map_or((PUBLIC_KEY[0], None), |(name, key)| (name, Some(key)));
    let key = form::key(&row, name, key.as_ref())?;
    let given = match row.any(&RP_ID) {
        Some((name, value)) => Some(row.as_text(name, value)?),
        None => None,
    };
    Ok(ImportedPasskey {
        rp_id: form::rp_id(&row, RP_ID[0], given, default_rp_id)?,
        credential_id,
        key,
        user_handle: handle(&mut row)?,
        sign_count: counter(&mut row)?,
        backup: backup(&mut row)?,
        user_verified: false,
        transports: transports(any(&mut row, &["transports"])),
        aaguid: any(&mut row, &["aaguid"])
            .and_then(|text| text.as_str()?.parse::<Uuid>().ok())
            .filter(|aaguid| !aaguid.is_nil()),
        resident: None,
        name: display_name(any(&mut row, &NAME).as_ref()),
        created_at: time(any(&mut row, &CREATED).as_ref()),
        last_used_at: time(any(&mut row, &LAST_USED).as_ref()),
        suspended: None,
    })
}

fn handle(row: &mut Fields) -> Result<Option<Vec<u8>>, Problem> {
    let Some((name, value)) = row.any(&HANDLE) else { return Ok(None) };
    match bytes::of_value(&value) {
        Some(handle) if (1..=64).contains(&handle.len()) => Ok(Some(handle)),
        _ => Err(row.problem(name, "must be 1 to 64 bytes in base64url")),
    }
}

fn counter(row: &mut Fields) -> Result<u32, Problem> {
    let Some((name, value)) = row.any(&COUNTER) else { return Ok(0) };
    // Some drivers return 64-bit columns as texts.
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| row.problem(name, "must be a whole number from 0 to 4294967295"))
}

/// Reads the backup flags; `multiDevice` means backup eligible.
fn backup(row: &mut Fields) -> Result<Option<(bool, bool)>, Problem> {
    let eligible = truth(any(row, &ELIGIBLE).as_ref());
    let of_device = match any(row, &DEVICE_TYPE) {
        Some(Value::String(kind)) if kind == "multiDevice" => Some(true),
        Some(Value::String(kind)) if kind == "singleDevice" => Some(false),
        _ => None,
    };
    let backed_up = truth(any(row, &BACKED_UP).as_ref());
    form::backup(&row.path(""), eligible.or(of_device), backed_up)
}

/// Reads the transports. They are only hints, so anything that is not a word is dropped.
pub(super) fn transports(value: Option<Value>) -> Vec<String> {
    let word = |text: &String| {
        (1..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let mut kept: Vec<String> = words(value).into_iter().filter(word).take(8).collect();
    kept.sort_unstable();
    kept.dedup();
    kept
}
