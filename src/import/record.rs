//! A person as described by one line of a file: checked, but not yet stored.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::ceremony::portable::PublicKey;
use crate::clock::Time;
use crate::domain::attributes::Attributes;
use crate::domain::id::UserId;
use crate::domain::password_hash::PasswordHash;
use crate::domain::standard_claims::StandardClaims;

/// The most passkeys of one person: the upper limit of `passkeys.per_user`.
pub const MOST_PASSKEYS: usize = 100;
/// The longest external id and source, in bytes.
pub const LONGEST_ID: usize = 256;

/// Which file of which system a record comes from. The numbers are stored, so they are never reused.
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
    /// Passkeys stored by a server with SimpleWebAuthn.
    SimpleWebAuthn = 8,
}

/// A person.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The file that describes them.
    pub origin: Origin,
    /// Their id in the system that the file comes from.
    pub external: Option<String>,
    /// Their `sub` here, if Passmint wrote the file.
    pub sub: Option<UserId>,
    /// The user handle for passkeys added to this account.
    pub user_handle: Option<Vec<u8>>,
    /// Standard claims, including e-mail and its verification.
    pub claims: StandardClaims,
    /// Further facts about them for backends.
    pub attributes: Attributes,
    /// When the address was verified, if known.
    pub email_verified_at: Option<Time>,
    /// Whether they may sign in; `None`: the file does not say.
    pub enabled: Option<bool>,
    /// Names of groups.
    pub groups: Vec<String>,
    /// Their ids in further systems: source → id.
    pub external_ids: BTreeMap<String, String>,
    /// When the account was created.
    pub created_at: Option<Time>,
    /// When it was last changed.
    pub updated_at: Option<Time>,
    /// Passkeys.
    pub passkeys: Vec<ImportedPasskey>,
    /// The password's hash.
    pub password: Option<PasswordHash>,
    /// What could not be imported, and why.
    pub notes: Vec<Note>,
}

/// Something in a line that is left out, or changed by the import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is, in a word or two; notes are counted by kind.
    pub kind: &'static str,
    /// The field.
    pub field: String,
    /// What was done with it.
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
    /// The RP id that it signs for.
    pub rp_id: String,
    /// The authenticator's id for it.
    pub credential_id: Vec<u8>,
    /// Its public key.
    pub key: ImportedKey,
    /// The user handle it was created with; `None` if the system did not store it.
    pub user_handle: Option<Vec<u8>>,
    /// Signature counter.
    pub sign_count: u32,
    /// Backup eligible and backed up; `None` if the system did not store them.
    pub backup: Option<(bool, bool)>,
    /// Whether the person was verified at least once.
    pub user_verified: bool,
    /// Its transports.
    pub transports: Vec<String>,
    /// Model of the authenticator.
    pub aaguid: Option<Uuid>,
    /// Whether it is discoverable, if known.
    pub resident: Option<bool>,
    /// Its owner's name for it.
    pub name: Option<String>,
    /// When it was created.
    pub created_at: Option<Time>,
    /// When it was last used to sign in.
    pub last_used_at: Option<Time>,
    /// When it was suspended, and why.
    pub suspended: Option<(Time, String)>,
}

/// A public key, as far as we can use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportedKey {
    /// Its signatures can be verified.
    Usable(PublicKey),
    /// Its signatures cannot be verified; it is stored unchanged.
    Unsupported {
        /// COSE algorithm.
        algorithm: i32,
        /// COSE_Key.
        cose: Vec<u8>,
    },
}
