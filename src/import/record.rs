//! A person as one line of a file tells them: checked, and not stored yet.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::ceremony::portable::PublicKey;
use crate::clock::Time;
use crate::domain::attributes::Attributes;
use crate::domain::id::UserId;
use crate::domain::password_hash::PasswordHash;
use crate::domain::standard_claims::StandardClaims;

/// Most passkeys of one person: as many as `passkeys.per_user` may allow.
pub const MOST_PASSKEYS: usize = 100;
/// Longest external id and source, in bytes.
pub const LONGEST_ID: usize = 256;

/// Which of the files of one system a record comes from. The numbers are stored: they are never given anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    /// Our own form.
    #[default]
    Ndjson = 1,
    /// Firebase's people.
    Firebase = 2,
    /// Auth0's people.
    Auth0 = 3,
    /// Auth0's password hashes.
    Auth0Hashes = 4,
    /// A realm of Keycloak.
    Keycloak = 5,
    /// Hanko's people.
    Hanko = 6,
    /// The tables of better-auth.
    BetterAuth = 7,
    /// Passkeys that a server kept with SimpleWebAuthn.
    SimpleWebAuthn = 8,
}

/// A person.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Which file told of them.
    pub origin: Origin,
    /// Their id in the system that the file comes from.
    pub external: Option<String>,
    /// Their `sub` here, when the file was written by Passmint.
    pub sub: Option<UserId>,
    /// The handle of passkeys that are added to this account.
    pub user_handle: Option<Vec<u8>>,
    /// Standard claims, e-mail and its verification among them.
    pub claims: StandardClaims,
    /// What backends need to know of them beside those.
    pub attributes: Attributes,
    /// When the address was proven, where that is known.
    pub email_verified_at: Option<Time>,
    /// Whether they may sign in; none: not told.
    pub enabled: Option<bool>,
    /// Names of groups.
    pub groups: Vec<String>,
    /// What further systems call them: source → id.
    pub external_ids: BTreeMap<String, String>,
    /// When the account was made.
    pub created_at: Option<Time>,
    /// When it was last changed.
    pub updated_at: Option<Time>,
    /// Passkeys.
    pub passkeys: Vec<ImportedPasskey>,
    /// The password's hash.
    pub password: Option<PasswordHash>,
    /// What could not be taken over, and why.
    pub notes: Vec<Note>,
}

/// Something in a line that is left out, or taken over otherwise than it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is, in a word or two; notes are counted by it.
    pub kind: &'static str,
    /// The field.
    pub field: String,
    /// What is done about it.
    pub what: String,
}

impl Note {
    /// A note.
    pub fn new(kind: &'static str, field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { kind, field: field.into(), what: what.into() }
    }
}

/// A passkey.
#[derive(Clone, Debug)]
pub struct ImportedPasskey {
    /// The domain it signs for.
    pub rp_id: String,
    /// The authenticator's id of it.
    pub credential_id: Vec<u8>,
    /// Its public key.
    pub key: ImportedKey,
    /// The handle it was made under; none when the system kept none.
    pub user_handle: Option<Vec<u8>>,
    /// Signature counter.
    pub sign_count: u32,
    /// Backup eligible and backed up; none when the system did not keep them.
    pub backup: Option<(bool, bool)>,
    /// Whether the person was verified at least once.
    pub user_verified: bool,
    /// How it can be reached.
    pub transports: Vec<String>,
    /// Model of the authenticator.
    pub aaguid: Option<Uuid>,
    /// Whether it is discoverable, where that is known.
    pub resident: Option<bool>,
    /// Its owner's name for it.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Option<Time>,
    /// When it last signed somebody in.
    pub last_used_at: Option<Time>,
    /// When it was suspended, and why.
    pub suspended: Option<(Time, String)>,
}

/// A public key as far as it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportedKey {
    /// Signatures of it can be verified.
    Usable(PublicKey),
    /// They cannot; it is kept as it came.
    Unsupported {
        /// COSE algorithm.
        algorithm: i32,
        /// COSE_Key.
        cose: Vec<u8>,
    },
}
