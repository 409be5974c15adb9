//! What a ceremony stores about the passkeys that were offered in it.
//!
//! Only digests, because whoever registers a passkey chooses the length of its ID: the IDs of a few strangers must not
//! take the space of thousands of ceremonies.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::decoys::Listed;

const BYTES: usize = 32;

/// The digests of the credential IDs that were offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered(Vec<[u8; BYTES]>);

impl Offered {
    /// The digests for a list.
    pub fn new(listed: &[Listed]) -> Self {
        Self(listed.iter().map(|listed| digest_of(&listed.id)).collect())
    }

    /// Whether this credential ID was offered.
    pub fn contains(&self, credential_id: &[u8]) -> bool {
        self.0.contains(&digest_of(credential_id))
    }

    /// The approximate memory they use, in bytes.
    pub fn weight(&self) -> usize {
        self.0.len() * BYTES + 24
    }
}

fn digest_of(credential_id: &[u8]) -> [u8; BYTES] {
    let mut out = [0; BYTES];
    out.copy_from_slice(digest(&SHA256, credential_id).as_ref());
    out
}

/// Serialized as a single string: shared ceremonies are stored as JSON.
impl Serialize for Offered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0.as_flattened()))
    }
}

impl<'de> Deserialize<'de> for Offered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(de::Error::custom)?;
        match bytes.as_chunks() {
            (digests, []) => Ok(Self(digests.to_vec())),
            _ => Err(de::Error::custom("a digest is cut off")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(ids: &[&[u8]]) -> Offered {
        let listed: Vec<Listed> =
            ids.iter().map(|id| Listed { id: id.to_vec(), transports: vec!["internal".into()] }).collect();
        Offered::new(&listed)
    }

    /// Twenty IDs of this length.
    fn twenty(long: usize) -> Offered {
        offered(&[vec![1; long].as_slice(); 20])
    }

    #[test]
    fn what_was_offered_is_known_again() {
        let offered = offered(&[&[1; 16], &[2; 1023]]);
        assert!(offered.contains(&[1; 16]) && offered.contains(&[2; 1023]));
        assert!(!offered.contains(&[1; 17]) && !offered.contains(&[]));
        assert!(!Offered::default().contains(&[1; 16]));
    }

    #[test]
    fn a_long_id_weighs_as_much_as_a_short_one() {
        assert_eq!(twenty(16).weight(), twenty(1023).weight());
        assert!(twenty(1023).weight() < 700);
        assert!(serde_json::to_string(&twenty(1023)).unwrap().len() < 900);
    }

    #[test]
    fn it_reads_back_whole_or_not_at_all() {
        for kept in [Offered::default(), offered(&[&[1; 16]]), offered(&[&[1; 16], &[2; 64], &[3; 20]])] {
            let text = serde_json::to_string(&kept).unwrap();
            assert_eq!(serde_json::from_str::<Offered>(&text).unwrap(), kept);
        }
        for text in ["\"AAAA\"", "\"*\"", "[]", "null"] {
            assert!(serde_json::from_str::<Offered>(text).is_err(), "{text}");
        }
    }
}
