//! People with the passkeys stored by a server that uses SimpleWebAuthn: one JSON object for each person, with the list
//! of their rows.

use serde_json::{Map, Value};

use super::{Claims, any, count, known_hash, leave_out, objects, passkey, required_id, switch, time, truth};
use crate::import::Context;
use crate::import::fields::{Fields, Problem};
use crate::import::record::Record;

/// Names of the list, in the order of preference.
pub(super) const PASSKEYS: [&str; 5] = ["passkeys", "credentials", "authenticators", "webauthn_credentials", "passkey"];

/// Reads one person.
pub fn read(members: Map<String, Value>, context: &Context) -> Result<Record, Problem> {
    let mut person = Fields::of_line(members);
    let rows = objects(&mut person, &PASSKEYS)?;
    let mut record = Record {
        external: Some(required_id(&mut person, &["id", "userId", "user_id", "uid"])?),
        enabled: enabled(&mut person)?,
        passkeys: passkey::all(rows, PASSKEYS[0], context.rp_id.as_deref())?,
        created_at: time(any(&mut person, &["createdAt", "created_at"]).as_ref()),
        ..Record::default()
    };
    for name in ["credentialId", "credentialID", "credential_id", "cred_id", "publicKey", "public_key"] {
        if person.value(name).is_some() {
            let reason = "belongs into the list `passkeys`: one line for each person, not for each passkey";
            return Err(Problem::of(name, reason));
        }
    }
    if let Some((name, value)) = person.any(&["password", "passwordHash", "password_hash"]) {
        let text = person.as_text(name, value)?;
        record.password = known_hash(&text, person.path(name), &mut record.notes);
    }
    let roles = any(&mut person, &["role", "roles"]);
    leave_out(&mut record, "roles", "role", count(roles.as_ref()), "make groups of them");
    let mut claims = Claims::default();
    let verified = truth(any(&mut person, &["emailVerified", "email_verified"]).as_ref());
    claims.put_email("email", person.value("email"), verified);
    claims.put("name", "name", any(&mut person, &["name", "displayName", "display_name"]));
    claims.put("preferred_username", "username", any(&mut person, &["username", "userName"]));
    claims.put("picture", "image", any(&mut person, &["image", "picture", "photoURL"]));
    let proven = truth(any(&mut person, &["phoneNumberVerified", "phone_number_verified"]).as_ref());
    claims.put_phone("phoneNumber", any(&mut person, &["phoneNumber", "phone_number"]), proven);
    claims.finish(&mut record)?;
    Ok(record)
}

/// Whether they may sign in, under any of the usual names: a single "no" is enough.
fn enabled(person: &mut Fields) -> Result<Option<bool>, Problem> {
    let mut enabled = switch(person, "enabled")?;
    for name in ["disabled", "banned", "blocked"] {
        if let Some(closed) = switch(person, name)? {
            enabled = Some(!closed && enabled != Some(false));
        }
    }
    Ok(enabled)
}
