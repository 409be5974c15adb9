//! The master key, and the values sealed with it.
//!
//! Sealed values (signing keys, bridge keys, the parameters of imported password hashes, the root of purpose keys) are
//! stored in the database as `version ‖ key id ‖ nonce ‖ AES-256-GCM(value)`. The associated data names the key, the
//! table, the row and the column, so that a sealed value moved to another place does not open. The master key itself
//! encrypts nothing: each purpose has its own key, derived with HKDF-SHA-256 (RFC 5869).
//!
//! To add a purpose: call [`PurposeRoot::derive`] with a label of its own. The root is random, stored sealed, and stays
//! the same when the master key changes.

mod file;
mod root;

pub use file::{GroupReadable, MasterKeyError, MasterKeyFile};
pub use root::PurposeRoot;

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::domain::secret::Secret;

const FORMAT: u8 = 1;
const ID_LEN: usize = 9;
const TAG_LEN: usize = 16;
const HEAD_LEN: usize = 1 + ID_LEN + NONCE_LEN;

/// Where a sealed value is stored: part of its associated data.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The table's name.
    pub table: &'a str,
    /// The row's primary key, as text.
    pub row: &'a str,
    /// The column's name.
    pub column: &'a str,
}

impl<'a> Place<'a> {
    /// The imported key of a bridge.
    pub const fn bridge_key(name: &'a str) -> Self {
        Self { table: "bridges", row: name, column: "sealed_key" }
    }
}

/// Why a sealed value does not open. Neither variant reveals anything about the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was sealed with another master key.
    #[error("sealed under master key {id}, which is not the key in use")]
    WrongKey {
        /// The public id of the key that it needs.
        id: String,
    },
    /// It was damaged or moved to another place, or it is not a sealed value.
    #[error("a sealed value is damaged or not in its place")]
    Corrupt,
}

/// The 32 random bytes that protect every stored secret.
pub struct MasterKey {
    bytes: Secret<[u8; 32]>,
    id: [u8; ID_LEN],
    check: [u8; 32],
    sealing: LessSafeKey,
}

impl MasterKey {
    /// Generates a key, not stored anywhere yet.
    pub fn generate() -> Self {
        Self::from_bytes(crate::random::bytes())
    }

    fn from_bytes(bytes: [u8; 32]) -> Self {
        let bytes = Secret::new(bytes);
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&expand(&bytes, "id", "")[..ID_LEN]);
        let sealing = Secret::new(expand(&bytes, "seal", ""));
        let sealing = UnboundKey::new(&AES_256_GCM, sealing.expose()).expect("AES-256 takes 32 bytes");
        Self { id, check: expand(&bytes, "check", ""), sealing: LessSafeKey::new(sealing), bytes }
    }

    /// The key's public name: 12 characters derived one-way, safe to store, log and print.
    pub fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.id)
    }

    /// 32 bytes derived one-way, stored in the database so that a wrong key is detected at start.
    pub const fn check_value(&self) -> [u8; 32] {
        self.check
    }

    /// Whether a stored check value belongs to this key (constant time).
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.check.ct_eq(stored).into()
    }

    /// Seals a value for one place. The nonce is random: safe for 2^32 values under one key (NIST SP 800-38D §8.3).
    ///
    /// # Panics
    /// If the system has no randomness, or the value has 64 GiB.
    pub fn seal(&self, plain: &[u8], place: Place<'_>) -> Vec<u8> {
        let nonce = crate::random::bytes::<NONCE_LEN>();
        let mut text = Vec::with_capacity(plain.len() + TAG_LEN);
        text.extend_from_slice(plain);
        self.sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated_data(&self.id, place)),
                &mut text,
            )
            .expect("AES-GCM seals what fits in memory");
        let mut out = Vec::with_capacity(HEAD_LEN + text.len());
        out.push(FORMAT);
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&nonce);
        out.append(&mut text);
        out
    }

    /// Opens what [`seal`](Self::seal) made for the same place.
    ///
    /// # Errors
    /// [`SealError::WrongKey`] when it names another master key; [`SealError::Corrupt`] for everything else.
    pub fn open(&self, sealed: &[u8], place: Place<'_>) -> Result<Secret<Vec<u8>>, SealError> {
        let parts = Parts::read(sealed)?;
        if parts.id != self.id {
            return Err(SealError::WrongKey { id: URL_SAFE_NO_PAD.encode(parts.id) });
        }
        let mut text = parts.text.to_vec();
        let length = self
            .sealing
            .open_in_place(
                Nonce::assume_unique_for_key(parts.nonce),
                Aad::from(associated_data(&self.id, place)),
                &mut text,
            )
            .map_err(|_| SealError::Corrupt)?
            .len();
        text.truncate(length);
        Ok(Secret::new(text))
    }
}

/// Moves a sealed value from one master key to another (`passmint keys rewrap`). A value that is already sealed with
/// the new key is checked and returned as it is, so that an interrupted run can be repeated.
///
/// # Errors
/// As [`MasterKey::open`]; for a third key, [`SealError::WrongKey`] with its id.
pub fn reseal(old: &MasterKey, new: &MasterKey, sealed: &[u8], place: Place<'_>) -> Result<Vec<u8>, SealError> {
    if Parts::read(sealed)?.id == new.id {
        new.open(sealed, place)?;
        return Ok(sealed.to_vec());
    }
    let plain = old.open(sealed, place)?;
    Ok(new.seal(plain.expose(), place))
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

struct Parts<'a> {
    id: [u8; ID_LEN],
    nonce: [u8; NONCE_LEN],
    text: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(sealed: &'a [u8]) -> Result<Self, SealError> {
        let (&format, rest) = sealed.split_first().ok_or(SealError::Corrupt)?;
        let (id, rest) = rest.split_first_chunk::<ID_LEN>().ok_or(SealError::Corrupt)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Corrupt)?;
        if format != FORMAT || text.len() < TAG_LEN {
            return Err(SealError::Corrupt);
        }
        Ok(Self { id: *id, nonce: *nonce, text })
    }
}

/// Each part is preceded by its length, so that no two places encode to the same bytes.
fn associated_data(id: &[u8; ID_LEN], place: Place<'_>) -> Vec<u8> {
    let mut out = vec![FORMAT];
    for part in [id.as_slice(), place.table.as_bytes(), place.row.as_bytes(), place.column.as_bytes()] {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// HKDF-SHA-256. `family` is one of our own fixed words without a slash, so `family/label` is unambiguous.
fn expand(key: &Secret<[u8; 32]>, family: &str, label: &str) -> [u8; 32] {
    let info = format!("passmint/v1/{family}/{label}");
    let mut out = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"passmint master key")
        .extract(key.expose())
        .expand(&[info.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|material| material.fill(&mut out))
        .expect("HKDF-SHA-256 gives 32 bytes for any label");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place<'static> = Place { table: "signing_keys", row: "k1", column: "material" };

    #[test]
    fn a_sealed_value_opens_only_in_its_place() {
        let key = MasterKey::generate();
        let sealed = key.seal(b"value", PLACE);
        assert_eq!(key.open(&sealed, PLACE).unwrap().expose(), b"value");
        for (name, place) in [
            ("table", Place { table: "factors", ..PLACE }),
            ("row", Place { row: "k2", ..PLACE }),
            ("column", Place { column: "secret", ..PLACE }),
            ("shifted", Place { table: "signing_keysk", row: "1", ..PLACE }),
            ("empty", Place { table: "", row: "", column: "" }),
        ] {
            assert_eq!(key.open(&sealed, place).unwrap_err(), SealError::Corrupt, "{name}");
        }
    }

    #[test]
    fn another_key_is_named() {
        let (one, two) = (MasterKey::generate(), MasterKey::generate());
        let error = two.open(&one.seal(b"value", PLACE), PLACE).unwrap_err();
        assert_eq!(error, SealError::WrongKey { id: one.id() });
    }

    /// A sealed value with a forged key id must not open under the key that it names.
    #[test]
    fn a_forged_key_id_does_not_open() {
        let (one, two) = (MasterKey::generate(), MasterKey::generate());
        let mut sealed = one.seal(b"value", PLACE);
        sealed[1..=ID_LEN].copy_from_slice(&two.id);
        assert_eq!(two.open(&sealed, PLACE).unwrap_err(), SealError::Corrupt);
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        let key = MasterKey::generate();
        let sealed = key.seal(b"0123456789", PLACE);
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut bad = sealed.clone();
                bad[at] ^= 1 << bit;
                assert!(key.open(&bad, PLACE).is_err(), "byte {at} bit {bit}");
            }
            assert_eq!(key.open(&sealed[..at], PLACE).unwrap_err(), SealError::Corrupt, "cut at {at}");
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert_eq!(key.open(&longer, PLACE).unwrap_err(), SealError::Corrupt);
    }

    #[test]
    fn two_seals_of_one_value_differ_and_hide_it() {
        let key = MasterKey::generate();
        let (one, two) = (key.seal(b"marker-value", PLACE), key.seal(b"marker-value", PLACE));
        assert_ne!(one, two);
        assert!(!one.windows(12).any(|window| window == b"marker-value"));
    }

    #[test]
    fn a_rewrap_can_be_repeated() {
        let (old, new, third) = (MasterKey::generate(), MasterKey::generate(), MasterKey::generate());
        let moved = reseal(&old, &new, &old.seal(b"value", PLACE), PLACE).unwrap();
        assert_eq!(new.open(&moved, PLACE).unwrap().expose(), b"value");
        assert_eq!(reseal(&old, &new, &moved, PLACE).unwrap(), moved);
        let foreign = third.seal(b"value", PLACE);
        assert_eq!(reseal(&old, &new, &foreign, PLACE).unwrap_err(), SealError::WrongKey { id: third.id() });
        assert!(reseal(&old, &new, &moved, Place { row: "k2", ..PLACE }).is_err());
    }

    #[test]
    fn what_is_told_of_a_key_differs_from_key_to_key() {
        let (one, two) = (MasterKey::from_bytes([1; 32]), MasterKey::from_bytes([2; 32]));
        let all = [one.check, two.check, expand(&one.bytes, "seal", ""), expand(&one.bytes, "id", "")];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b), "{i}");
        }
        assert!(one.matches(&one.check_value()) && !one.matches(&two.check_value()) && !one.matches(&[]));
    }

    #[test]
    fn a_master_key_never_prints() {
        let key = MasterKey::from_bytes([0x41; 32]);
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("MasterKey({})", key.id()));
        assert!(!shown.contains("AAAA") && !shown.contains("QUFB"));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(
            plain in proptest::collection::vec(any::<u8>(), 0..300), table in ".{0,20}", row in ".{0,20}"
        ) {
            let key = MasterKey::generate();
            let place = Place { table: &table, row: &row, column: "c" };
            let opened = key.open(&key.seal(&plain, place), place).unwrap();
            prop_assert_eq!(opened.expose(), &plain);
        }

        #[test]
        fn noise_never_opens(noise in proptest::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(MasterKey::generate().open(&noise, PLACE).is_err());
        }
    }
}
