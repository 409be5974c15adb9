//! NKeys, NATS's text format for Ed25519 keys: base32 of a prefix, the key, and a checksum.
//!
//! Source: github.com/nats-io/nkeys (`strkey.go`, `crc16.go`); the values in the tests are from nats-server 2.10.

use crate::domain::secret::Secret;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SEED: u8 = 18 << 3;

/// What a key identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An account, or one of its signing keys: `A…`.
    Account,
    /// A user: `U…`.
    User,
    /// A server: `N…`.
    Server,
}

impl Role {
    const fn prefix(self) -> u8 {
        match self {
            Self::Account => 0,
            Self::User => 20 << 3,
            Self::Server => 13 << 3,
        }
    }
}

/// The text form of a public key.
pub fn public(role: Role, key: &[u8; 32]) -> String {
    let mut bytes = vec![role.prefix()];
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&crc16(&bytes).to_le_bytes());
    encode(&bytes)
}

/// Whether `text` is a public key of this role, with a valid checksum and in canonical form.
pub fn is_public(role: Role, text: &str) -> bool {
    key_of(role, text).is_some()
}

/// Parses the public key of a role; `None` for anything else.
pub fn key_of(role: Role, text: &str) -> Option<[u8; 32]> {
    let bytes = decode(text).filter(|bytes| bytes.len() == 35)?;
    let body = whole(&bytes).filter(|body| body[0] == role.prefix())?;
    body[1..].try_into().ok()
}

/// Parses the Ed25519 seed of an account, `SA…`; `None` for anything else.
pub fn account_seed(text: &str) -> Option<Secret<[u8; 32]>> {
    let bytes = Secret::new(decode(text.trim())?);
    let body = whole(bytes.expose()).filter(|body| body.len() == 34)?;
    // Each prefix has five bits, in the first two bytes: that of a seed, and that of the key's role.
    let is_account = body[0] & 0xf8 == SEED && (body[0] & 7) << 5 | body[1] >> 3 == Role::Account.prefix();
    if is_account { Some(Secret::new(body[2..].try_into().ok()?)) } else { None }
}

/// The text form of an account's seed.
#[cfg(test)]
pub fn seed_text(seed: &[u8; 32]) -> String {
    let mut bytes = vec![SEED | Role::Account.prefix() >> 5, (Role::Account.prefix() & 31) << 3];
    bytes.extend_from_slice(seed);
    bytes.extend_from_slice(&crc16(&bytes).to_le_bytes());
    encode(&bytes)
}

/// The bytes before a valid checksum.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (body, sum) = bytes.split_last_chunk::<2>()?;
    (crc16(body) == u16::from_le_bytes(*sum)).then_some(body)
}

/// CRC-16/XMODEM: polynomial 0x1021, initial value 0.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 },
        )
    })
}

/// RFC 4648 §6 without padding.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(ALPHABET[(held >> bits & 31) as usize].into());
        }
    }
    if bits > 0 {
        text.push(ALPHABET[(held << (5 - bits) & 31) as usize].into());
    }
    text
}

/// Decodes the text; `None` for other characters, and for trailing bits that are not zero.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > 128 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut held, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        held = (held << 5 | u32::try_from(value).ok()?) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    (bits < 5 && held & ((1 << bits) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip_and_begin_with_their_letter() {
        for key in [[0; 32], [7; 32], [0xff; 32]] {
            let account = public(Role::Account, &key);
            let user = public(Role::User, &key);
            assert!(account.starts_with('A') && user.starts_with('U') && account.len() == 56, "{account} {user}");
            assert!(is_public(Role::Account, &account) && is_public(Role::User, &user));
            assert!(!is_public(Role::User, &account) && !is_public(Role::Account, &user));
            let seed = seed_text(&key);
            assert!(seed.starts_with("SA") && seed.len() == 58, "{seed}");
            assert_eq!(account_seed(&format!("{seed}\n")).unwrap().expose(), &key);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let user = public(Role::User, &[7; 32]);
        let seed = seed_text(&[7; 32]);
        let mut wrong_sum = user.clone();
        wrong_sum.replace_range(10..11, if &user[10..11] == "A" { "B" } else { "A" });
        for text in [
            "",
            "U",
            "UABC",
            &user[..55],
            &user.to_lowercase(),
            &wrong_sum,
            &format!("{user}A"),
            &seed,
            &"U".repeat(10_000),
        ] {
            assert!(!is_public(Role::User, text), "{text}");
        }
        // A user's seed: another role.
        for text in ["", &user, &seed[..57], &seed.replace("SA", "SU"), &seed.to_lowercase()] {
            assert!(account_seed(text).is_none(), "{text}");
        }
    }
}
