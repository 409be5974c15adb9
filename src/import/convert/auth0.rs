//! Auth0: the lines of a user export job, and those of the file of password hashes provided by its support.
//!
//! Auth0 does not export the public keys of passkeys.

use serde_json::{Map, Value};

use super::{
    Claims, OF_THEIR_OWN, any, count, id, known_hash, leave_out, objects, switch, take_attributes, time, truth,
};
use crate::domain::password_hash::PasswordHash;
use crate::import::fields::{Fields, Problem};
use crate::import::record::{Note, Record};

/// Reads one person.
pub fn read(members: Map<String, Value>) -> Result<Record, Problem> {
    let mut user = Fields::of_line(members);
    let mut record = Record {
        external: Some(user_id(&mut user)?),
        enabled: switch(&mut user, "blocked")?.map(|blocked| !blocked),
        created_at: time(user.value("created_at").as_ref()),
        updated_at: time(user.value("updated_at").as_ref()),
        ..Record::default()
    };
    record.password = password(&mut user, &mut record.notes)?;
    let others = objects(&mut user, &["identities"])?
        .into_iter()
        .filter_map(|mut identity| identity.value("provider"))
        .filter(|provider| provider != "auth0")
        .count();
    let why = "signing in through them is not possible yet";
    leave_out(&mut record, "identities of other providers", "identities", others, why);
    take_attributes(&mut record, "metadata", "app_metadata", user.value("app_metadata"));
    let own = count(user.value("user_metadata").as_ref());
    leave_out(&mut record, "metadata", "user_metadata", own, OF_THEIR_OWN);
    let factors = any(&mut user, &["multifactor", "mfa_factors"]);
    leave_out(&mut record, "second factors", "mfa_factors", count(factors.as_ref()), "they are not possible yet");
    let mut claims = Claims::default();
    let verified = truth(user.value("email_verified").as_ref());
    claims.put_email("email", user.value("email"), verified);
    for claim in ["name", "nickname", "given_name", "family_name", "picture"] {
        claims.put(claim, claim, user.value(claim));
    }
    claims.put("preferred_username", "username", user.value("username"));
    let proven = truth(any(&mut user, &["phone_verified", "phone_number_verified"]).as_ref());
    claims.put_phone("phone_number", user.value("phone_number"), proven);
    claims.finish(&mut record)?;
    Ok(record)
}

/// `auth0|…`; the file of hashes has the bare id of the database connection.
fn user_id(user: &mut Fields) -> Result<String, Problem> {
    if let Some(id) = id(user, &["user_id", "Id"])? {
        return Ok(id);
    }
    match user.value("_id") {
        Some(Value::Object(members)) => match members.get("$oid").and_then(Value::as_str) {
            Some(bare) if bare.len() <= 64 && bare.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Ok(format!("auth0|{bare}"))
            }
            _ => Err(user.problem("_id.$oid", "must be a text")),
        },
        _ => Err(user.problem("user_id", "is missing")),
    }
}

/// Reads Auth0's own bcrypt, as its support and its import write it, or a `custom_password_hash` of its import in a
/// form that we know.
fn password(user: &mut Fields, notes: &mut Vec<Note>) -> Result<Option<PasswordHash>, Problem> {
    if let Some((name, value)) = user.any(&["passwordHash", "password_hash"]) {
        let text = user.as_text(name, value)?;
        return PasswordHash::parse(&text).map(Some).map_err(|problem| user.problem(name, problem));
    }
    let Some(mut custom) = user.object("custom_password_hash")? else { return Ok(None) };
    let Some(mut hash) = custom.object("hash")? else { return Ok(None) };
    let Some(text) = hash.text("value")? else { return Ok(None) };
    Ok(known_hash(&text, hash.path("value"), notes))
}
