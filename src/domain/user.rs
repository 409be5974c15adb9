//! A person.

use serde_json::{Map, Value};

use super::attributes::Attributes;
use super::id::UserId;
use crate::clock::Time;

/// The group whose members may administer, within the scopes granted to the client they use.
pub const ADMINISTRATORS: &str = "admin";

/// The most external systems that may have an id for a person.
pub const MOST_EXTERNAL_IDS: usize = 20;

/// Whether a person may use their account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    /// The person may sign in.
    Active,
    /// The person may not sign in: nothing is issued, and everything issued is refused at once.
    Disabled,
}

impl UserStatus {
    /// The stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// Reads the stored text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Disabled].into_iter().find(|status| status.as_str() == text)
    }
}

/// A person as stored.
#[derive(Clone, Debug)]
pub struct User {
    /// Also the `sub` of their tokens.
    pub id: UserId,
    /// The user handle for authenticators: 1–64 random bytes.
    pub handle: Vec<u8>,
    /// The address they typed, verified or not.
    pub email: Option<String>,
    /// When the address was verified. An unverified address is never an identity.
    pub email_verified_at: Option<Time>,
    /// Display name.
    pub name: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// The standard claims other than the fields above, see [`claims`](super::claims).
    pub profile: Map<String, Value>,
    /// What backends and apps need to know about them besides the claims.
    pub attributes: Attributes,
    /// Whether they may sign in.
    pub status: UserStatus,
    /// Incremented by whatever takes a way to sign in from a person: disabling, the removal of a passkey. A decision
    /// made before that is not written after it.
    pub epoch: i64,
    /// When the account was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl User {
    /// The user name in a passkey: the e-mail, otherwise the name, otherwise a short stable label.
    pub fn account_name(&self) -> String {
        self.email.clone().or_else(|| self.name.clone()).unwrap_or_else(|| anonymous_label(self.id))
    }

    /// The name that a passkey manager displays.
    pub fn display_name(&self) -> String {
        self.name.clone().or_else(|| self.email.clone()).unwrap_or_else(|| anonymous_label(self.id))
    }
}

/// The label of a person without name and e-mail: the start of their id, so that two accounts in one passkey manager
/// can be told apart.
pub fn anonymous_label(id: UserId) -> String {
    let text = id.uuid().simple().to_string();
    format!("user-{}", &text[..8])
}
