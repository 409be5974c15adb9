//! Hanko: the output of `hanko user export`, or a row of `users`, joined with the rows of `webauthn_credentials` (and
//! their transports).

use serde_json::{Map, Value};

use super::{
    Claims, OF_THEIR_OWN, any, count, leave_out, objects, passkey, required_id, switch, take_attributes, time, truth,
};
use crate::domain::password_hash::PasswordHash;
use crate::import::Context;
use crate::import::fields::{Fields, Problem};
use crate::import::record::Record;

/// Reads one person.
pub fn read(members: Map<String, Value>, context: &Context) -> Result<Record, Problem> {
    let mut user = Fields::of_line(members);
    let (passkeys, factors) = passkeys(&mut user)?;
    let emails = objects(&mut user, &["emails"])?;
    let mut record = Record {
        external: Some(required_id(&mut user, &["user_id", "id"])?),
        created_at: time(user.value("created_at").as_ref()),
        updated_at: time(user.value("updated_at").as_ref()),
        passkeys: passkey::all(passkeys, "webauthn_credentials", context.rp_id.as_deref())?,
        ..Record::default()
    };
    record.password = password(&mut user)?;
    leave_out(&mut record, "second factors", "webauthn_credentials", factors, "they are not possible yet");
    leave_out(
        &mut record,
        "one-time passwords",
        "otp_secret",
        usize::from(user.value("otp_secret").is_some()),
        "they are not possible yet",
    );
    take_metadata(user.value("metadata"), &mut record);
    let mut claims = Claims::default();
    take_email(emails, &mut claims, &mut record);
    let username = match user.value("username") {
        Some(Value::Object(mut members)) => members.remove("username"),
        other => other,
    };
    claims.put("preferred_username", "username", username);
    claims.put("name", "name", user.value("name"));
    claims.put("given_name", "given_name", user.value("given_name"));
    claims.put("family_name", "family_name", user.value("family_name"));
    claims.put("picture", "picture", user.value("picture"));
    claims.finish(&mut record)?;
    Ok(record)
}

/// Takes the metadata that only administrators can write; the private one comes first, because it takes precedence. The
/// third kind belongs to the person.
fn take_metadata(metadata: Option<Value>, record: &mut Record) {
    let Some(Value::Object(mut metadata)) = metadata else {
        return leave_out(record, "metadata", "metadata", count(metadata.as_ref()), "it is no JSON object");
    };
    for (name, field) in
        [("private_metadata", "metadata.private_metadata"), ("public_metadata", "metadata.public_metadata")]
    {
        take_attributes(record, "metadata", field, metadata.remove(name));
    }
    let own = count(metadata.get("unsafe_metadata"));
    leave_out(record, "metadata", "metadata.unsafe_metadata", own, OF_THEIR_OWN);
}

/// Rows of passkeys, and the number of security keys that Hanko accepts only after a password: here each would be
/// sufficient to sign in.
fn passkeys(user: &mut Fields) -> Result<(Vec<Fields>, usize), Problem> {
    let (mut passkeys, mut factors) = (Vec::new(), 0);
    for mut row in objects(user, &["webauthn_credentials", "passkeys"])? {
        match switch(&mut row, "mfa_only")?.or(switch(&mut row, "mfaOnly")?) {
            Some(true) => factors += 1,
            _ => passkeys.push(row),
        }
    }
    Ok((passkeys, factors))
}

/// Takes the primary address, or otherwise the first.
fn take_email(emails: Vec<Fields>, claims: &mut Claims, record: &mut Record) {
    let mut rows: Vec<(bool, Option<Value>, Option<bool>)> = emails
        .into_iter()
        .map(|mut row| {
            let primary = truth(row.value("is_primary").as_ref()) == Some(true);
            let verified = truth(any(&mut row, &["is_verified", "verified"]).as_ref());
            (primary, row.value("address"), verified)
        })
        .collect();
    rows.sort_by_key(|(primary, ..)| !primary);
    leave_out(record, "further e-mail addresses", "emails", rows.len().saturating_sub(1), "an account has one");
    if let Some((_, address, verified)) = rows.into_iter().next() {
        claims.put_email("emails[0].address", address, verified);
    }
}

/// Reads bcrypt, from the row itself or from its `password_credentials`.
fn password(user: &mut Fields) -> Result<Option<PasswordHash>, Problem> {
    let (field, value) = match user.value("password") {
        None => return Ok(None),
        Some(Value::Object(mut members)) => ("password.password", members.remove("password")),
        Some(other) => ("password", Some(other)),
    };
    let Some(value) = value else { return Ok(None) };
    let text = user.as_text(field, value)?;
    PasswordHash::parse(&text).map(Some).map_err(|problem| user.problem(field, problem))
}
