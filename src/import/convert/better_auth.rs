//! better-auth: a row of `user`, joined with those of `account` and `passkey`.
//!
//! Its user handle for authenticators is random for each registration and not stored, so its passkeys have none. A
//! password's salt is the hexadecimal text itself, and the form `$bascrypt$` keeps it that way.

use serde_json::{Map, Value};

use super::{Claims, any, count, known_hash, leave_out, objects, passkey, required_id, switch, time, truth};
use crate::clock::Time;
use crate::import::Context;
use crate::import::fields::{Fields, Problem};
use crate::import::record::{Note, Record};

/// Reads one person.
pub fn read(members: Map<String, Value>, context: &Context) -> Result<Record, Problem> {
    let mut user = Fields::of_line(members);
    let passkeys = objects(&mut user, &["passkeys", "passkey"])?;
    let accounts = objects(&mut user, &["accounts", "account"])?;
    let mut notes = Vec::new();
    let mut record = Record {
        external: Some(required_id(&mut user, &["id"])?),
        enabled: enabled(&mut user, context.now, &mut notes)?,
        created_at: time(any(&mut user, &["createdAt", "created_at"]).as_ref()),
        updated_at: time(any(&mut user, &["updatedAt", "updated_at"]).as_ref()),
        passkeys: passkey::all(passkeys, "passkeys", context.rp_id.as_deref())?,
        notes,
        ..Record::default()
    };
    let mut others = 0;
    for account in accounts {
        others += usize::from(!take_password(account, &mut record)?);
    }
    leave_out(
        &mut record,
        "identities of other providers",
        "accounts",
        others,
        "signing in through them is not possible yet",
    );
    let two_factor = truth(any(&mut user, &["twoFactorEnabled", "two_factor_enabled"]).as_ref()) == Some(true);
    leave_out(
        &mut record,
        "one-time passwords",
        "twoFactorEnabled",
        usize::from(two_factor),
        "they are not possible yet",
    );
    leave_out(&mut record, "roles", "role", count(user.value("role").as_ref()), "make groups of them");
    let mut claims = Claims::default();
    let verified = truth(any(&mut user, &["emailVerified", "email_verified"]).as_ref());
    claims.put_email("email", user.value("email"), verified);
    claims.put("name", "name", user.value("name"));
    claims.put("picture", "image", user.value("image"));
    claims.put("preferred_username", "username", user.value("username"));
    let proven = truth(any(&mut user, &["phoneNumberVerified", "phone_number_verified"]).as_ref());
    claims.put_phone("phoneNumber", any(&mut user, &["phoneNumber", "phone_number"]), proven);
    claims.finish(&mut record)?;
    Ok(record)
}

/// An expired ban is ignored. A ban with a later end becomes permanent here, because nothing would lift it.
fn enabled(user: &mut Fields, now: Time, notes: &mut Vec<Note>) -> Result<Option<bool>, Problem> {
    let banned = switch(user, "banned")?;
    let end = any(user, &["banExpires", "ban_expires"]).filter(|_| banned == Some(true));
    let Some(end) = end else { return Ok(banned.map(|banned| !banned)) };
    if time(Some(&end)).is_some_and(|end| end <= now) {
        return Ok(Some(true));
    }
    let what = "does not end the ban here: they stay disabled until they are enabled";
    notes.push(Note::new("bans with an end", "banExpires", what));
    Ok(Some(false))
}

/// Takes the password of an account that has one; `false` if the account belongs to another provider.
fn take_password(mut account: Fields, record: &mut Record) -> Result<bool, Problem> {
    let provider = any(&mut account, &["providerId", "provider_id"]);
    if provider.as_ref().and_then(Value::as_str) != Some("credential") {
        return Ok(false);
    }
    if let Some(text) = account.text("password")? {
        // `salt:key` is better-auth's own format; custom hash functions store their own.
        let own = text.split_once(':').filter(|_| !text.starts_with('$'));
        let own = own.map(|(salt, key)| format!("$bascrypt${salt}${key}"));
        record.password = known_hash(&own.unwrap_or(text), account.path("password"), &mut record.notes);
    }
    Ok(true)
}
