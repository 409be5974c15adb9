//! Authenticator data (WebAuthn Level 3, §6.1): fixed fields, then what the flags announce, then nothing.

use uuid::Uuid;

use super::cbor::Reader;
use super::{CREDENTIAL_ID_BYTES, Ceremony, MAX_AUTH_DATA, Reason, cose};

const USER_PRESENT: u8 = 1 << 0;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKUP_STATE: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENSIONS: u8 = 1 << 7;
/// Bits 1 and 5 are reserved for future use.
const RESERVED: u8 = 1 << 1 | 1 << 5;

/// The flags set by an authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are six independent bits on the wire")]
pub struct Flags {
    /// UP. Always true here: without it the message is refused.
    pub user_present: bool,
    /// UV.
    pub user_verified: bool,
    /// BE: the credential may be backed up (a synced passkey). This never changes.
    pub backup_eligible: bool,
    /// BS: it is backed up now. Never true without `backup_eligible`.
    pub backup_state: bool,
    /// AT: attested credential data follow. True in registrations, false in assertions.
    pub attested: bool,
    /// ED: extension outputs follow.
    pub extensions: bool,
}

/// Authenticator data, parsed up to the last byte. The library compares the RP ID hash.
pub struct AuthData<'a> {
    pub flags: Flags,
    pub sign_count: u32,
    pub attested: Option<Attested<'a>>,
}

/// Attested credential data (§6.5.1).
pub struct Attested<'a> {
    pub aaguid: Uuid,
    pub credential_id: &'a [u8],
    pub algorithm: i64,
}

/// Parses the authenticator data of a ceremony.
pub fn read(bytes: &[u8], ceremony: Ceremony) -> Result<AuthData<'_>, Reason> {
    if bytes.len() > MAX_AUTH_DATA {
        return Err(Reason::TooLarge("authData"));
    }
    let (_rp_id_hash, rest) = split::<32>(bytes)?;
    let ([flags], rest) = split::<1>(rest)?;
    let (sign_count, mut rest) = split::<4>(rest)?;
    let flags = Flags::read(*flags, ceremony)?;
    let mut attested = None;
    if flags.attested {
        let (data, after) = read_attested(rest)?;
        (attested, rest) = (Some(data), after);
    }
    if flags.extensions {
        rest = read_extensions(rest, ceremony)?;
    }
    if !rest.is_empty() {
        return Err(Reason::AuthDataTrailing);
    }
    Ok(AuthData { flags, sign_count: u32::from_be_bytes(*sign_count), attested })
}

impl Flags {
    fn read(byte: u8, ceremony: Ceremony) -> Result<Self, Reason> {
        let is_set = |bit| byte & bit != 0;
        let flags = Self {
            user_present: is_set(USER_PRESENT),
            user_verified: is_set(USER_VERIFIED),
            backup_eligible: is_set(BACKUP_ELIGIBLE),
            backup_state: is_set(BACKUP_STATE),
            attested: is_set(ATTESTED),
            extensions: is_set(EXTENSIONS),
        };
        if is_set(RESERVED) {
            return Err(Reason::ReservedFlags);
        }
        // Level 3 allows a conditional `create()` without UP; that is not supported.
        if !flags.user_present {
            return Err(Reason::UserNotPresent);
        }
        if flags.backup_state && !flags.backup_eligible {
            return Err(Reason::BackupState);
        }
        if flags.attested != (ceremony == Ceremony::Registration) {
            return Err(Reason::AttestedData);
        }
        Ok(flags)
    }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), Reason> {
    bytes.split_first_chunk().ok_or(Reason::AuthDataTruncated)
}

fn read_attested(bytes: &[u8]) -> Result<(Attested<'_>, &[u8]), Reason> {
    let (aaguid, rest) = split::<16>(bytes)?;
    let (length, rest) = split::<2>(rest)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if !CREDENTIAL_ID_BYTES.contains(&length) {
        return Err(Reason::CredentialIdLength);
    }
    let (credential_id, rest) = rest.split_at_checked(length).ok_or(Reason::AuthDataTruncated)?;
    let mut reader = Reader::new(rest);
    let algorithm = cose::read(&mut reader)?;
    Ok((Attested { aaguid: Uuid::from_bytes(*aaguid), credential_id, algorithm }, reader.rest()))
}

/// Extension outputs: a map from names to anything (§9). Unsolicited outputs are ignored, as the specification
/// requires; only the two that the library reads must conform to their definitions.
fn read_extensions(bytes: &[u8], ceremony: Ceremony) -> Result<&[u8], Reason> {
    let mut reader = Reader::new(bytes);
    reader.map(|key, value| {
        let well_formed = match (key.text()?, ceremony) {
            ("credProtect", Ceremony::Registration) => value.clone().int().is_ok_and(|level| (1..=3).contains(&level)),
            ("hmac-secret", Ceremony::Registration) => value.clone().bool().is_ok(),
            _ => true,
        };
        value.item()?;
        if well_formed { Ok(()) } else { Err(Reason::ExtensionValue) }
    })?;
    Ok(reader.rest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::strict::cbor::Fault;

    /// A name, the input, the verdict.
    type Row<'a> = (&'a str, u8, &'a [u8], Result<(), Reason>);

    fn assertion(flags: u8, tail: &[u8]) -> Result<(), Reason> {
        let bytes = [&[7; 32], &[flags][..], &[0, 0, 0, 9], tail].concat();
        read(&bytes, Ceremony::Authentication).map(drop)
    }

    #[test]
    fn flags_and_tails_by_name() {
        let table: &[Row] = &[
            ("UP", 0x01, &[], Ok(())),
            ("UP UV BE BS", 0x1d, &[], Ok(())),
            ("nothing set", 0x00, &[], Err(Reason::UserNotPresent)),
            ("UV without UP", 0x04, &[], Err(Reason::UserNotPresent)),
            ("reserved bit 1", 0x03, &[], Err(Reason::ReservedFlags)),
            ("reserved bit 5", 0x21, &[], Err(Reason::ReservedFlags)),
            ("BS without BE", 0x11, &[], Err(Reason::BackupState)),
            ("AT", 0x41, &[], Err(Reason::AttestedData)),
            ("trailing", 0x01, &[0], Err(Reason::AuthDataTrailing)),
            ("map without ED", 0x01, &[0xa0], Err(Reason::AuthDataTrailing)),
            ("ED without map", 0x81, &[], Err(Reason::Cbor(Fault::Truncated))),
            ("ED with a map", 0x81, &[0xa1, 0x61, b'x', 0xf5], Ok(())),
            ("ED with an array", 0x81, &[0x80], Err(Reason::Cbor(Fault::Type))),
            ("ED with integer keys", 0x81, &[0xa1, 0x01, 0xf5], Err(Reason::Cbor(Fault::Type))),
            ("ED with two maps", 0x81, &[0xa0, 0xa0], Err(Reason::AuthDataTrailing)),
        ];
        for (name, flags, tail, verdict) in table {
            assert_eq!(assertion(*flags, tail), *verdict, "{name}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = [&[7; 32], &[0x81][..], &[0, 0, 0, 9], &[0xa1, 0x61, b'x', 0xf5]].concat();
        assert!(read(&bytes, Ceremony::Authentication).is_ok());
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length], Ceremony::Authentication).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn extensions_of_the_library_keep_to_their_definitions() {
        let extension = |name: &str, value: &[u8]| {
            let length = u8::try_from(name.len()).unwrap();
            let bytes = [&[0xa1, 0x60 + length], name.as_bytes(), value].concat();
            read_extensions(&bytes, Ceremony::Registration).map(<[u8]>::len)
        };
        assert_eq!(extension("credProtect", &[2]), Ok(0));
        assert_eq!(extension("credProtect", &[4]), Err(Reason::ExtensionValue));
        assert_eq!(extension("credProtect", &[0xf5]), Err(Reason::ExtensionValue));
        assert_eq!(extension("hmac-secret", &[0xf4]), Ok(0));
        assert_eq!(extension("hmac-secret", &[1]), Err(Reason::ExtensionValue));
        assert_eq!(extension("other", &[1]), Ok(0));
    }
}
