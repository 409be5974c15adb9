//! Keycloak: a realm export (`kc.sh export --realm … --users same_file`), or its `…-users-N.json`.
//!
//! Passkeys and passwords are in `credentials`, each with two texts that contain JSON. The counter that it stores is a
//! lower bound of the authenticator's own. Neither backup flags nor the user handle are stored.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::passkey::transports;
use super::{
    Claims, count, display_name, known_hash, leave_out, objects, required_id, switch, take_attributes, time, truth,
};
use crate::domain::group;
use crate::domain::password_hash::{PasswordHash, phc_base64};
use crate::domain::strict_json::parse_object;
use crate::import::fields::{Fields, Problem};
use crate::import::record::{ImportedPasskey, MOST_PASSKEYS, Note, Record};
use crate::import::{Context, bytes, form};

/// Whether it is the service account of a client, not that of a person.
pub fn is_program(members: &Map<String, Value>) -> bool {
    members.get("serviceAccountClientId").is_some_and(|client| !client.is_null())
}

/// Reads one person.
pub fn read(members: Map<String, Value>, context: &Context) -> Result<Record, Problem> {
    if ["realm", "users", "clients"].into_iter().any(|name| members.contains_key(name)) {
        let reason = "is a whole realm and no person: export one realm with `--realm NAME --users same_file`";
        return Err(Problem::of_line(reason));
    }
    let mut user = Fields::of_line(members);
    let mut record = Record {
        external: Some(required_id(&mut user, &["id"])?),
        enabled: switch(&mut user, "enabled")?,
        created_at: time(user.value("createdTimestamp").as_ref()),
        ..Record::default()
    };
    for credential in objects(&mut user, &["credentials"])? {
        take_credential(credential, context, &mut record)?;
    }
    if record.passkeys.len() > MOST_PASSKEYS {
        return Err(Problem::of("credentials", format!("has more than {MOST_PASSKEYS} passkeys")));
    }
    take_groups(&mut user, &mut record)?;
    let others = count(user.value("federatedIdentities").as_ref());
    let why = "signing in through them is not possible yet";
    leave_out(&mut record, "identities of other providers", "federatedIdentities", others, why);
    let roles = user.texts("realmRoles")?.iter().filter(|role| !role.starts_with("default-roles-")).count()
        + count(user.value("clientRoles").as_ref());
    leave_out(&mut record, "roles", "realmRoles", roles, "make groups of them");
    let mut claims = Claims::default();
    let verified = truth(user.value("emailVerified").as_ref());
    claims.put_email("email", user.value("email"), verified);
    claims.put("preferred_username", "username", user.value("username"));
    let (first, last) = (user.value("firstName"), user.value("lastName"));
    let parts: Vec<&str> = [&first, &last].into_iter().filter_map(|part| part.as_ref()?.as_str()).collect();
    claims.put("name", "firstName", Some(parts.join(" ").trim().into()));
    claims.put("given_name", "firstName", first);
    claims.put("family_name", "lastName", last);
    take_claims_and_attributes(&mut user, &mut claims, &mut record);
    claims.finish(&mut record)?;
    Ok(record)
}

/// Takes the groups: `/staff/admins` is the group `staff/admins`.
fn take_groups(user: &mut Fields, record: &mut Record) -> Result<(), Problem> {
    for (at, path) in user.texts("groups")?.iter().enumerate() {
        match group::name(path.trim_start_matches('/')) {
            Ok(name) => record.groups.push(name.to_owned()),
            Err(error) => {
                record.notes.push(Note::new("groups left out", format!("groups[{at}]"), format!("{error}: left out")));
            }
        }
    }
    record.groups.sort_unstable();
    record.groups.dedup();
    Ok(())
}

/// Takes the attributes. Each is a list of texts and stays one, because the number of texts must not decide the kind. A
/// standard claim becomes a claim.
fn take_claims_and_attributes(user: &mut Fields, claims: &mut Claims, record: &mut Record) {
    let Some(Value::Object(mut attributes)) = user.value("attributes") else { return };
    let mut first = |name: &str| match attributes.remove(name)? {
        Value::Array(mut items) if !items.is_empty() => Some(items.swap_remove(0)),
        _ => None,
    };
    for (attribute, claim) in [
        ("locale", "locale"),
        ("picture", "picture"),
        ("zoneinfo", "zoneinfo"),
        ("birthdate", "birthdate"),
        ("phoneNumber", "phone_number"),
        ("phone_number", "phone_number"),
    ] {
        claims.put(claim, &format!("attributes.{attribute}"), first(attribute));
    }
    take_attributes(record, "attributes", "attributes", Some(Value::Object(attributes)));
}

fn take_credential(mut credential: Fields, context: &Context, record: &mut Record) -> Result<(), Problem> {
    match credential.required_text("type")?.as_str() {
        "password" => record.password = password(&mut credential, &mut record.notes)?,
        "webauthn" | "webauthn-passwordless" => record.passkeys.push(passkey(credential, context)?),
        other => {
            let kind = if other == "otp" { "one-time passwords" } else { "second factors" };
            leave_out(record, kind, "credentials", 1, "they are not possible yet");
        }
    }
    Ok(())
}

/// A text that contains a JSON object.
fn inner(credential: &mut Fields, name: &str) -> Result<Fields, Problem> {
    let text = credential.required_text(name)?;
    let members = parse_object(text.as_bytes()).map_err(|_| credential.problem(name, "is no JSON object"))?;
    Fields::of(Value::Object(members), credential.path(name))
}

fn passkey(mut credential: Fields, context: &Context) -> Result<ImportedPasskey, Problem> {
    let mut data = inner(&mut credential, "credentialData")?;
    let id = data.value("credentialId");
    let credential_id = form::credential_id(&data, "credentialId", id.as_ref())?;
    let key = data.value("credentialPublicKey");
    let key = form::key(&data, "credentialPublicKey", key.as_ref())?;
    let aaguid = data.text("aaguid")?.and_then(|text| text.parse::<Uuid>().ok()).filter(|aaguid| !aaguid.is_nil());
    Ok(ImportedPasskey {
        rp_id: form::rp_id(&credential, "rpId", None, context.rp_id.as_deref())?,
        credential_id,
        key,
        user_handle: None,
        sign_count: data.counter("counter")?.unwrap_or(0),
        backup: None,
        user_verified: false,
        transports: transports(data.value("transports")),
        aaguid,
        resident: None,
        name: display_name(credential.value("userLabel").as_ref()),
        created_at: time(credential.value("createdDate").as_ref()),
        last_used_at: None,
        suspended: None,
    })
}

fn password(credential: &mut Fields, notes: &mut Vec<Note>) -> Result<Option<PasswordHash>, Problem> {
    let (mut secret, mut data) = (inner(credential, "secretData")?, inner(credential, "credentialData")?);
    let rounds = data.counter("hashIterations")?.unwrap_or(0);
    let work = match data.required_text("algorithm")?.as_str() {
        algorithm @ ("pbkdf2-sha512" | "pbkdf2-sha256" | "pbkdf2") => format!("${algorithm}$i={rounds}"),
        "argon2" => {
            let mut more = data
                .object("additionalParameters")?
                .ok_or_else(|| data.problem("additionalParameters", "is missing"))?;
            let mut first = |name: &str| -> Result<String, Problem> {
                let mut all = more.texts(name)?;
                if all.is_empty() { Err(more.problem(name, "is missing")) } else { Ok(all.swap_remove(0)) }
            };
            let (kind, version) = (first("type")?, first("version")?);
            let version = if version == "1.0" { 16 } else { 19 };
            format!("$argon2{kind}$v={version}$m={},t={rounds},p={}", first("memory")?, first("parallelism")?)
        }
        // From a widely used third-party provider: the text is complete and includes the salt.
        "bcrypt" => return Ok(known_hash(&secret.required_text("value")?, secret.path("value"), notes)),
        _ => {
            let what = "is of an algorithm that is not known: left out";
            notes.push(Note::new("passwords left out", credential.path("credentialData.algorithm"), what));
            return Ok(None);
        }
    };
    let mut base64 = |name: &str| -> Result<Vec<u8>, Problem> {
        let text = secret.required_text(name)?;
        bytes::base64(&text).ok_or_else(|| secret.problem(name, "must be base64"))
    };
    let (hash, salt) = (base64("value")?, base64("salt")?);
    let text = format!("{work}${}${}", phc_base64(&salt), phc_base64(&hash));
    PasswordHash::parse(&text).map(Some).map_err(|problem| secret.problem("value", problem))
}
