//! People with the passkeys that a server built on SimpleWebAuthn keeps of them: one JSON object for each person, with the
//! list of their rows.

use serde_json::{Map, Value};

use super::{Claims, any, objects, passkey, required_id, time, truth};
use crate::import::Context;
use crate::import::fields::{Fields, Problem};
use crate::import::record::Record;

/// Names of the list, in the order they are looked for.
pub(super) const PASSKEYS: [&str; 5] = ["passkeys", "credentials", "authenticators", "webauthn_credentials", "passkey"];

/// Reads one person.
pub fn read(members: Map<String, Value>, context: &Context) -> Result<Record, Problem> {
    let mut person = Fields::of_line(members);
    let rows = objects(&mut person, &PASSKEYS)?;
    let mut record = Record {
        external: Some(required_id(&mut person, &["id", "userId", "user_id", "uid"])?),
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
    let mut claims = Claims::default();
    let verified = truth(any(&mut person, &["emailVerified", "email_verified"]).as_ref());
    claims.put_email("email", person.value("email"), verified);
    claims.put("name", "name", any(&mut person, &["name", "displayName", "display_name"]));
    claims.put("preferred_username", "username", any(&mut person, &["username", "userName"]));
    claims.put("picture", "image", any(&mut person, &["image", "picture", "photoURL"]));
    claims.finish(&mut record)?;
    Ok(record)
}
