//! A person.

use serde_json::{Map, Value};

use super::id::UserId;
use crate::clock::Time;

/// The group whose members may administer, as far as a client is granted scopes for it.
pub const ADMINISTRATORS: &str = "admin";

/// Most systems that know a person by an id of their own.
pub const MOST_EXTERNAL_IDS: usize = 20;

/// Whether a person may use their account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    /// The person may sign in.
    Active,
    /// No: nothing is issued, everything issued is refused at once.
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
    /// What authenticators know them by: 1–64 random bytes.
    pub handle: Vec<u8>,
    /// The address they typed, verified or not.
    pub email: Option<String>,
    /// When the address was proven to be theirs; an unverified one is never an identity.
    pub email_verified_at: Option<Time>,
    /// Display name.
    pub name: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// Standard claims beside the fields above, see [`claims`](super::claims).
    pub profile: Map<String, Value>,
    /// May they sign in?
    pub status: UserStatus,
    /// Rises with whatever takes a way in from somebody: disabling, the removal of a passkey. What was decided before is
    /// not written after.
    pub epoch: i64,
    /// When the account was made.
    pub created_at: Time,
    /// When anything of it was last changed.
    pub updated_at: Time,
}

impl User {
    /// The user name that goes into a passkey: the e-mail, else the name, else a short stable label.
    pub fn account_name(&self) -> String {
        self.email.clone().or_else(|| self.name.clone()).unwrap_or_else(|| anonymous_label(self.id))
    }

    /// The name that a passkey manager shows.
    pub fn display_name(&self) -> String {
        self.name.clone().or_else(|| self.email.clone()).unwrap_or_else(|| anonymous_label(self.id))
    }
}

/// What somebody who gave neither name nor e-mail is called: the first letters of their id, so that two accounts in one
/// passkey manager can be told apart.
pub fn anonymous_label(id: UserId) -> String {
    let text = id.uuid().simple().to_string();
    format!("user-{}", &text[..8])
}
