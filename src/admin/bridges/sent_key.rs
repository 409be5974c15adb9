//! A key in a request. Faults in its form are reported for the member `key`, like faults of the key itself.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::bridge::KeyUpload;
use crate::web::error::Failure;
use crate::web::wrong_field::wrong_field;

/// What was sent as a key; `None` if it is not an object with exactly one known member.
#[derive(Debug)]
pub struct SentKey(Option<KeyUpload>);

impl<'de> Deserialize<'de> for SentKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|sent| Self(serde_json::from_value(sent).ok()))
    }
}

impl SentKey {
    /// The key, if one was sent.
    ///
    /// # Errors
    /// A refusal that lists the known members and repeats nothing that was sent.
    pub fn read(sent: Option<Self>) -> Result<Option<KeyUpload>, Failure> {
        match sent {
            None => Ok(None),
            Some(Self(Some(upload))) => Ok(Some(upload)),
            Some(Self(None)) => Err(wrong_field(
                "key",
                "is not one member that says what the key is",
                "send `pem`, `jwk`, `service_account`, `nkey`, `secret` or `secret_base64`",
            )),
        }
    }
}
