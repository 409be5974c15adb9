//! Our own format: one JSON object per line, read strictly, and written so that it reads back identically.
//!
//! Invariants: nothing is silently ignored (an unknown field is an error), and `read(write(record)) == record` for
//! everything that is stored. The format is documented in `docs/reference/import-format.md`; to add a field: its line
//! in `read`, in `write`, and there.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::bytes;
use super::fields::{Fields, Problem};
use super::record::{ImportedKey, ImportedPasskey, LONGEST_ID, MOST_PASSKEYS, Note, Record};
use crate::ceremony::portable::{KeyProblem, PublicKey};
use crate::ceremony::strict::{CREDENTIAL_ID_BYTES, MAX_USER_HANDLE};
use crate::clock::Time;
use crate::config::is_rp_id;
use crate::domain::attributes::Attributes;
use crate::domain::group;
use crate::domain::password_hash::PasswordHash;
use crate::domain::standard_claims::StandardClaims;
use crate::domain::text::DisplayName;
use crate::domain::user::MOST_EXTERNAL_IDS;

/// The only member of a line about a client. Such lines are for people to read; clients are not imported.
pub const CLIENT: &str = "client";

/// Reads one line. `rp_id` is used for passkeys that name none.
pub fn read(members: Map<String, Value>, rp_id: Option<&str>) -> Result<Record, Problem> {
    let mut line = Fields::of_line(members);
    let mut record = Record {
        external: line.text("id")?.map(|id| external_id("id", id)).transpose()?,
        sub: line
            .text("sub")?
            .map(|text| text.parse().map_err(|_| Problem::of("sub", "must be a UUID")))
            .transpose()?,
        user_handle: handle(&mut line, "userHandle")?,
        enabled: line.switch("enabled")?,
        created_at: line.time("createdAt")?,
        updated_at: line.time("updatedAt")?,
        email_verified_at: line.time("emailVerifiedAt")?,
        ..Record::default()
    };
    if let Some(claims) = line.object("claims")? {
        record.claims = StandardClaims::parse(&claims.members())
            .map_err(|error| Problem::of(format!("claims.{}", error.claim), error.what))?;
    }
    if let Some(attributes) = line.object("attributes")? {
        record.attributes =
            Attributes::parse(&attributes.members()).map_err(|error| Problem::of(error.place(), error.what))?;
    }
    if record.email_verified_at.is_some() && !record.claims.email_verified() {
        return Err(Problem::of("emailVerifiedAt", "is there, but claims.email_verified is not true"));
    }
    record.groups = groups(&mut line)?;
    if let Some(links) = line.object("externalIds")? {
        record.external_ids = external_ids(links)?;
    }
    let passkeys = line.objects("passkeys")?;
    if passkeys.len() > MOST_PASSKEYS {
        return Err(Problem::of("passkeys", format!("has more than {MOST_PASSKEYS}")));
    }
    record.passkeys = passkeys.into_iter().map(|fields| passkey(fields, rp_id)).collect::<Result<_, _>>()?;
    if let Some(hash) = line.text("password")? {
        record.password = Some(PasswordHash::parse(&hash).map_err(|problem| Problem::of("password", problem))?);
    }
    if let Some(consents) = line.value("consents") {
        let count = consents.as_array().map_or(1, Vec::len);
        record.notes.push(Note::new("consents", "consents", format!("{count} left out: people allow apps anew")));
    }
    line.end()?;
    Ok(record)
}

/// An external id or the name of a source.
pub fn external_id(field: &str, text: String) -> Result<String, Problem> {
    if (1..=LONGEST_ID).contains(&text.len()) && !text.chars().any(char::is_control) {
        Ok(text)
    } else {
        Err(Problem::of(field, format!("must be 1 to {LONGEST_ID} bytes on one line")))
    }
}

fn groups(line: &mut Fields) -> Result<Vec<String>, Problem> {
    let checked = |(at, name): (usize, &String)| match group::name(name) {
        Ok(name) => Ok(name.to_owned()),
        Err(error) => Err(Problem::of(format!("groups[{at}]"), error)),
    };
    let mut names = line.texts("groups")?.iter().enumerate().map(checked).collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    names.dedup();
    if names.len() > group::MOST_OF_A_PERSON {
        return Err(Problem::of("groups", format!("has more than {}", group::MOST_OF_A_PERSON)));
    }
    Ok(names)
}

fn external_ids(links: Fields) -> Result<BTreeMap<String, String>, Problem> {
    let members = links.members();
    if members.len() > MOST_EXTERNAL_IDS {
        return Err(Problem::of("externalIds", format!("has more than {MOST_EXTERNAL_IDS}")));
    }
    members
        .into_iter()
        .map(|(source, id)| match id {
            Value::String(id) => Ok((external_id("externalIds", source)?, external_id("externalIds", id)?)),
            _ => Err(Problem::of("externalIds", "must hold texts")),
        })
        .collect()
}

/// Reads a user handle in base64url.
fn handle(fields: &mut Fields, name: &str) -> Result<Option<Vec<u8>>, Problem> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    match bytes::base64(&text) {
        Some(handle) if (1..=MAX_USER_HANDLE).contains(&handle.len()) => Ok(Some(handle)),
        _ => Err(fields.problem(name, "must be 1 to 64 bytes in base64url")),
    }
}

fn passkey(mut fields: Fields, default_rp_id: Option<&str>) -> Result<ImportedPasskey, Problem> {
    let given = fields.text("rpId")?;
    let rp_id = rp_id(&fields, "rpId", given, default_rp_id)?;
    let credential = fields.value("credentialId");
    let credential_id = credential_id(&fields, "credentialId", credential.as_ref())?;
    let public_key = fields.value("publicKey");
    let key = key(&fields, "publicKey", public_key.as_ref())?;
    let backup = backup(&fields.path(""), fields.switch("backupEligible")?, fields.switch("backedUp")?)?;
    let suspended = match (fields.time("suspendedAt")?, fields.text("suspendedReason")?) {
        (Some(at), reason) => Some((at, reason.unwrap_or_default())),
        (None, None) => None,
        (None, Some(_)) => return Err(fields.problem("suspendedReason", "is there without suspendedAt")),
    };
    let passkey = ImportedPasskey {
        rp_id,
        credential_id,
        key,
        user_handle: handle(&mut fields, "userHandle")?,
        sign_count: fields.counter("signCount")?.unwrap_or(0),
        backup,
        user_verified: fields.switch("userVerified")?.unwrap_or(false),
        transports: transports(&fields.path("transports"), fields.texts("transports")?)?,
        aaguid: aaguid(&mut fields)?,
        resident: fields.switch("residentKey")?,
        name: match fields.text("name")? {
            Some(name) if name.len() <= 256 => {
                Some(DisplayName::parse(&name).map_err(|error| fields.problem("name", error))?.as_str().to_owned())
            }
            Some(_) => return Err(fields.problem("name", "is longer than 256 bytes")),
            None => None,
        },
        created_at: fields.time("createdAt")?,
        last_used_at: fields.time("lastUsedAt")?,
        suspended,
    };
    fields.end()?;
    Ok(passkey)
}

/// Reads the RP id of a passkey; without one it is unknown where the passkey works.
pub fn rp_id(fields: &Fields, name: &str, given: Option<String>, default: Option<&str>) -> Result<String, Problem> {
    match given.or_else(|| default.map(ToOwned::to_owned)) {
        Some(rp_id) if is_rp_id(&rp_id) => Ok(rp_id),
        Some(_) => Err(fields.problem(name, "is no domain")),
        None => Err(fields.problem(name, "is missing: name the domain of its passkeys with --rp-id")),
    }
}

/// Reads a credential id in any encoding.
pub fn credential_id(fields: &Fields, name: &str, value: Option<&Value>) -> Result<Vec<u8>, Problem> {
    let value = value.ok_or_else(|| fields.problem(name, "is missing"))?;
    match bytes::of_value(value) {
        Some(id) if CREDENTIAL_ID_BYTES.contains(&id.len()) => Ok(id),
        Some(_) => Err(fields.problem(name, "must be 16 to 1023 bytes")),
        None => Err(fields.problem(name, "must be bytes in base64url")),
    }
}

/// Reads a public key in any encoding, and checks it.
pub fn key(fields: &Fields, name: &str, value: Option<&Value>) -> Result<ImportedKey, Problem> {
    let value = value.ok_or_else(|| fields.problem(name, "is missing"))?;
    let cose = bytes::of_value(value).ok_or_else(|| fields.problem(name, "must be a COSE key in base64url"))?;
    match PublicKey::parse(&cose) {
        Ok(key) => Ok(ImportedKey::Usable(key)),
        Err(KeyProblem::Unsupported(algorithm)) if cose.len() <= 8192 => {
            Ok(ImportedKey::Unsupported { algorithm, cose })
        }
        Err(problem) => Err(fields.problem(name, problem)),
    }
}

/// Both flags or neither; a passkey that is not backup eligible cannot be backed up (WebAuthn §6.1.3).
pub fn backup(path: &str, eligible: Option<bool>, backed_up: Option<bool>) -> Result<Option<(bool, bool)>, Problem> {
    match (eligible, backed_up) {
        (Some(false), Some(true)) => {
            Err(Problem::of(format!("{path}backedUp"), "is true, but the passkey is not backup eligible"))
        }
        (Some(eligible), state) => Ok(Some((eligible, state.unwrap_or(false)))),
        (None, _) => Ok(None),
    }
}

/// At most eight words, as browsers report them.
pub fn transports(path: &str, mut words: Vec<String>) -> Result<Vec<String>, Problem> {
    let word = |text: &String| {
        (1..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if words.len() > 8 || !words.iter().all(word) {
        return Err(Problem::of(path, "must be at most 8 words such as internal, hybrid, usb"));
    }
    words.sort_unstable();
    words.dedup();
    Ok(words)
}

fn aaguid(fields: &mut Fields) -> Result<Option<Uuid>, Problem> {
    let Some(text) = fields.text("aaguid")? else { return Ok(None) };
    let aaguid: Uuid = text.parse().map_err(|_| fields.problem("aaguid", "must be a UUID"))?;
    Ok((!aaguid.is_nil()).then_some(aaguid))
}

/// Writes one line.
pub fn write(record: &Record) -> Value {
    let mut line = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            line.insert(name.to_owned(), value);
        }
    };
    put("id", record.external.as_deref().map(Value::from));
    put("sub", record.sub.map(|sub| sub.to_string().into()));
    put("userHandle", record.user_handle.as_deref().map(base64url));
    put("claims", filled(&Value::Object(record.claims.as_map().clone())));
    put("attributes", filled(&Value::Object(record.attributes.to_map())));
    put("emailVerifiedAt", record.email_verified_at.map(time));
    put("enabled", record.enabled.map(Value::from));
    put("groups", filled(&json!(record.groups)));
    put("externalIds", filled(&json!(record.external_ids)));
    put("createdAt", record.created_at.map(time));
    put("updatedAt", record.updated_at.map(time));
    put("passkeys", filled(&record.passkeys.iter().map(passkey_of).collect::<Value>()));
    put("password", record.password.as_ref().map(|hash| hash.expose().as_str().into()));
    Value::Object(line)
}

fn passkey_of(passkey: &ImportedPasskey) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    put("rpId", Some(passkey.rp_id.as_str().into()));
    put("credentialId", Some(base64url(&passkey.credential_id)));
    put(
        "publicKey",
        Some(match &passkey.key {
            ImportedKey::Usable(key) => base64url(&key.to_cose()),
            ImportedKey::Unsupported { cose, .. } => base64url(cose),
        }),
    );
    put("userHandle", passkey.user_handle.as_deref().map(base64url));
    put("signCount", Some(passkey.sign_count.into()));
    put("backupEligible", passkey.backup.map(|(eligible, _)| eligible.into()));
    put("backedUp", passkey.backup.map(|(_, backed_up)| backed_up.into()));
    put("userVerified", Some(passkey.user_verified.into()));
    put("transports", filled(&json!(passkey.transports)));
    put("aaguid", passkey.aaguid.map(|aaguid| aaguid.to_string().into()));
    put("residentKey", passkey.resident.map(Value::from));
    put("name", passkey.name.as_deref().map(Value::from));
    put("createdAt", passkey.created_at.map(time));
    put("lastUsedAt", passkey.last_used_at.map(time));
    put("suspendedAt", passkey.suspended.as_ref().map(|(at, _)| time(*at)));
    put("suspendedReason", passkey.suspended.as_ref().map(|(_, reason)| reason.as_str().into()));
    Value::Object(fields)
}

/// Empty values are omitted.
fn filled(value: &Value) -> Option<Value> {
    let empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
    (!empty).then(|| value.clone())
}

fn base64url(bytes: &[u8]) -> Value {
    URL_SAFE_NO_PAD.encode(bytes).into()
}

/// In microseconds, the precision of the database.
fn time(time: Time) -> Value {
    time.to_rfc3339_opts(SecondsFormat::Micros, true).into()
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
