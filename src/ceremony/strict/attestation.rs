//! The attestation object (WebAuthn Level 3, §6.5): exactly `fmt`, `attStmt` and `authData`.

use super::auth_data::{self, Attested, Flags};
use super::cbor::{Fault, Reader};
use super::{Ceremony, MAX_ATTESTATION_OBJECT, MAX_AUTH_DATA, Reason};

/// The formats whose statements the library verifies.
const FORMATS: [&str; 6] = ["none", "packed", "tpm", "android-key", "apple", "fido-u2f"];

/// The parts of the object that a registration needs.
pub struct AttestationObject<'a> {
    pub format: &'a str,
    pub flags: Flags,
    pub sign_count: u32,
    pub attested: Attested<'a>,
}

/// Parses the object, up to its last byte.
pub fn read(bytes: &[u8]) -> Result<AttestationObject<'_>, Reason> {
    if bytes.len() > MAX_ATTESTATION_OBJECT {
        return Err(Reason::TooLarge("attestationObject"));
    }
    let (mut format, mut statement_entries, mut data) = (None, None, None);
    let mut reader = Reader::new(bytes);
    reader.map(|key, value| {
        match key.text()? {
            "fmt" => format = Some(value.text()?),
            "attStmt" => statement_entries = Some(count_entries(value)?),
            "authData" => data = Some(value.bytes()?),
            _ => return Err(Reason::UnknownMember),
        }
        Ok(())
    })?;
    reader.end()?;
    let format = format.ok_or(Reason::Missing("fmt"))?;
    if !FORMATS.contains(&format) {
        return Err(Reason::UnknownFormat);
    }
    // §8.7: the statement of `none` is the empty map. The other formats all have members.
    let is_empty = statement_entries.ok_or(Reason::Missing("attStmt"))? == 0;
    if is_empty != (format == "none") {
        return Err(Reason::Statement);
    }
    let data = data.ok_or(Reason::Missing("authData"))?;
    if data.len() > MAX_AUTH_DATA {
        return Err(Reason::TooLarge("authData"));
    }
    let data = auth_data::read(data, Ceremony::Registration)?;
    let attested = data.attested.ok_or(Reason::AttestedData)?;
    Ok(AttestationObject { format, flags: data.flags, sign_count: data.sign_count, attested })
}

/// The statement is a map with text keys; the library checks its contents.
fn count_entries(statement: &mut Reader<'_>) -> Result<usize, Fault> {
    let mut entries = 0;
    statement.map(|key, value| {
        key.text()?;
        value.item()?;
        entries += 1;
        Ok(())
    })?;
    Ok(entries)
}
