//! Which claims about a person a client asked for, and which it is given (OpenID Connect Core §5).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Claims asked for one by one, by the `claims` parameter (OpenID Connect Core §5.5), by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedClaims {
    /// Wanted from userinfo.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub userinfo: BTreeSet<String>,
    /// Wanted in the ID token.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub id_token: BTreeSet<String>,
}

impl RequestedClaims {
    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }
}
