//! The root of purpose keys: 32 random bytes per installation. It is sealed with the master key but not derived from
//! it, so that refresh tokens, decoys and forms survive a change of the master key.

use super::{MasterKey, Place, SealError, expand};
use crate::domain::secret::Secret;

/// Where the sealed root is stored.
pub(super) const PLACE: Place<'static> = Place { table: "installation", row: "singleton", column: "purpose_root" };

/// The root.
pub struct PurposeRoot(Secret<[u8; 32]>);

impl PurposeRoot {
    /// Generates a root, not stored anywhere yet.
    pub fn generate() -> Self {
        Self(Secret::new(crate::random::bytes()))
    }

    /// The root as the database stores it.
    pub fn seal(&self, master: &MasterKey) -> Vec<u8> {
        master.seal(self.0.expose(), PLACE)
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// As [`MasterKey::open`].
    pub fn open(master: &MasterKey, sealed: &[u8]) -> Result<Self, SealError> {
        let bytes = master.open(sealed, PLACE)?;
        let bytes = bytes.expose().as_slice().try_into().map_err(|_| SealError::Corrupt)?;
        Ok(Self(Secret::new(bytes)))
    }

    /// Moves a sealed root from one master key to another.
    ///
    /// # Errors
    /// As [`reseal`](super::reseal).
    pub fn reseal(old: &MasterKey, new: &MasterKey, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        super::reseal(old, new, sealed, PLACE)
    }

    /// A key for one purpose (`csrf`, `decoys`, `refresh-successor`, …): HKDF-SHA-256 with the label as `info`.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        expand(&self.0, "derive", label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purpose_keys_differ_by_label_and_root_and_outlive_the_master_key() {
        let (old, new) = (MasterKey::generate(), MasterKey::generate());
        let (one, two) = (PurposeRoot::generate(), PurposeRoot::generate());
        let moved = PurposeRoot::reseal(&old, &new, &one.seal(&old)).unwrap();
        assert_eq!(PurposeRoot::open(&new, &moved).unwrap().derive("csrf"), one.derive("csrf"));
        assert!(PurposeRoot::open(&old, &moved).is_err());
        assert_ne!(one.derive("csrf"), one.derive("decoys"));
        assert_ne!(one.derive("csrf"), two.derive("csrf"));
    }

    #[test]
    fn only_thirty_two_bytes_are_a_root() {
        let master = MasterKey::generate();
        assert_eq!(PurposeRoot::open(&master, &master.seal(b"short", PLACE)).err(), Some(SealError::Corrupt));
    }
}
