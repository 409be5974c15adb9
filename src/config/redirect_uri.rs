//! Redirect URIs of clients, compared byte for byte.

use std::fmt;

use super::problems::Wrong;
use crate::domain::client::fields;

/// A URI that a response may be sent to (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Reads a redirect URI by the rule for all clients.
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        fields::redirect_uri(text).map(|()| Self(text.to_owned())).map_err(|fault| Wrong::in_value(text, fault))
    }

    /// The URI, byte for byte.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
