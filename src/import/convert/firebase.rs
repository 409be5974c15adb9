//! Firebase Authentication: `firebase auth:export users.json --format=json`.
//!
//! Firebase itself has no passkeys. Operators who store them separately (in Firestore, say) join them to each user as
//! `passkeys`, or import them in a second pass under the same source.

use serde_json::{Map, Value};

use super::simple_webauthn::PASSKEYS;
use super::{Claims, count, leave_out, objects, passkey, required_id, switch, take_attributes, time, truth};
use crate::domain::password_hash::{PasswordHash, phc_base64};
use crate::import::fields::{Fields, Problem};
use crate::import::record::{Note, Record};
use crate::import::{Context, bytes};

/// Reads one person.
pub fn read(members: Map<String, Value>, context: &Context) -> Result<Record, Problem> {
    let mut user = Fields::of_line(members);
    let rows = objects(&mut user, &PASSKEYS)?;
    let mut record = Record {
        external: Some(required_id(&mut user, &["localId", "uid"])?),
        enabled: switch(&mut user, "disabled")?.map(|disabled| !disabled),
        created_at: time(user.value("createdAt").as_ref()),
        passkeys: passkey::all(rows, PASSKEYS[0], context.rp_id.as_deref())?,
        ..Record::default()
    };
    record.password = password(&mut user, context, &mut record.notes)?;
    let others = objects(&mut user, &["providerUserInfo"])?
        .into_iter()
        .filter_map(|mut info| info.value("providerId"))
        .filter(|provider| provider != "password" && provider != "phone")
        .count();
    let why = "signing in through them is not possible yet";
    leave_out(&mut record, "identities of other providers", "providerUserInfo", others, why);
    take_attributes(&mut record, "custom claims", "customAttributes", user.value("customAttributes"));
    leave_out(
        &mut record,
        "second factors",
        "mfaInfo",
        count(user.value("mfaInfo").as_ref()),
        "they are not possible yet",
    );
    let mut claims = Claims::default();
    let verified = truth(user.value("emailVerified").as_ref());
    claims.put_email("email", user.value("email"), verified);
    claims.put("name", "displayName", user.value("displayName"));
    claims.put("picture", "photoUrl", user.value("photoUrl"));
    // Firebase stores a number only after a code sent to it was entered.
    claims.put_phone("phoneNumber", user.value("phoneNumber"), Some(true));
    claims.finish(&mut record)?;
    Ok(record)
}

fn password(user: &mut Fields, context: &Context, notes: &mut Vec<Note>) -> Result<Option<PasswordHash>, Problem> {
    let (hash, salt) = (user.text("passwordHash")?, user.text("salt")?);
    let Some(hash) = hash.filter(|hash| !hash.is_empty()) else { return Ok(None) };
    let Some(parameters) = &context.firebase else {
        notes.push(Note::new("passwords left out", "passwordHash", "left out: give the project's --hash-parameters"));
        return Ok(None);
    };
    let hash = bytes::base64(&hash).ok_or_else(|| user.problem("passwordHash", "must be base64"))?;
    let salt = bytes::base64(&salt.unwrap_or_default()).ok_or_else(|| user.problem("salt", "must be base64"))?;
    let text = format!(
        "$fbscrypt$ln={},r={},ks={}${}${}",
        parameters.mem_cost,
        parameters.rounds,
        parameters.id(),
        phc_base64(&salt),
        phc_base64(&hash)
    );
    PasswordHash::parse(&text).map(Some).map_err(|problem| user.problem("passwordHash", problem))
}
