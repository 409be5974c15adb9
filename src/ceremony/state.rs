//! What the server stores about a ceremony between its two calls.
//!
//! A ceremony is bound to its result and to everything it was begun under: the verify call can change none of it, and
//! it is consumed before anything is verified. To add a purpose: a variant of [`Purpose`] with what it is bound to, and
//! its check in `finish`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use webauthn_rs_core::proto::{AuthenticationState, RegistrationState};

use super::offered::Offered;
use crate::clock::Time;
use crate::domain::action::Action;
use crate::domain::id::{ActionTokenId, SessionId, UserId};
use crate::domain::operation::Operation;
use crate::domain::scope::Scopes;
use crate::domain::secret::TokenDigest;

/// A ceremony in progress.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ceremony {
    /// Its purpose.
    pub purpose: Purpose,
    /// The name of the relying-party profile.
    pub relying_party: String,
    /// The `Origin` of the options call; the verify call must come from the same one.
    pub origin: Option<String>,
    /// The digest of the pre-session cookie of the browser that began it; only if the result is a session.
    #[serde(with = "digest")]
    pub browser: Option<TokenDigest>,
    /// The requested result.
    pub wanted: Wanted,
    /// The challenge that was sent.
    pub challenge: Vec<u8>,
    /// An answer after this time is refused.
    pub deadline: Time,
}

/// The purpose of a ceremony, with what only that purpose needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Purpose {
    /// A stranger creates an account.
    SignUp {
        /// The ID that the account will have.
        user: UserId,
        /// The user handle that it will have.
        handle: Vec<u8>,
        /// The e-mail address that was typed, unverified.
        email: Option<String>,
        /// The name that was typed.
        name: Option<String>,
        /// The library's state.
        state: Box<RegistrationState>,
    },
    /// A signed-in person adds a passkey.
    Add {
        /// The person.
        user: UserId,
        /// Their session.
        session: SessionId,
        /// Their epoch when the ceremony began.
        epoch: i64,
        /// Whether a trusted issuer vouches for them: the session then belongs to the ceremony alone.
        #[serde(default)]
        vouched: bool,
        /// The app that requested it with an access token; the answer must come from one of its origins.
        #[serde(default)]
        client: Option<String>,
        /// The library's state.
        state: Box<RegistrationState>,
    },
    /// A person signs in.
    SignIn {
        /// The credential IDs that were offered; `None` if any discoverable passkey may answer.
        offered: Option<Offered>,
        /// The library's state.
        state: Box<AuthenticationState>,
    },
    /// A signed-in person is verified again.
    StepUp {
        /// The person.
        user: UserId,
        /// Their session.
        session: SessionId,
        /// The credential IDs that were offered.
        offered: Offered,
        /// The library's state.
        state: Box<AuthenticationState>,
    },
    /// A person registers a passkey with a backend's permission.
    Enrol {
        /// The permission.
        permit: Permit,
        /// The library's state.
        state: Box<RegistrationState>,
    },
    /// A person signs an operation.
    Sign {
        /// The operation, and where it is signed.
        signing: Box<Signing>,
        /// The credential IDs that were offered.
        offered: Offered,
        /// The library's state.
        state: Box<AuthenticationState>,
    },
    /// A person proves their identity to a backend.
    Prove {
        /// The permission.
        permit: Permit,
        /// The credential IDs that were offered.
        offered: Offered,
        /// The library's state.
        state: Box<AuthenticationState>,
    },
}

impl Purpose {
    /// The action token that began it.
    pub const fn permit(&self) -> Option<&Permit> {
        match self {
            Self::Enrol { permit, .. } | Self::Prove { permit, .. } => Some(permit),
            Self::SignUp { .. } | Self::Add { .. } | Self::SignIn { .. } | Self::StepUp { .. } | Self::Sign { .. } => {
                None
            }
        }
    }
}

/// The conditions of a ceremony that was begun with an action token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Permit {
    /// The token.
    pub token: ActionTokenId,
    /// What it permits.
    pub action: Action,
    /// The person whose passkeys are concerned.
    pub user: UserId,
    /// The only origin that may answer; `None`: any of the client's, and our own.
    pub origin: Option<String>,
}

/// An operation that is being signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signing {
    /// The person.
    pub user: UserId,
    /// Their session.
    pub session: SessionId,
    /// The operation, as validated by the options call.
    pub operation: Operation,
    /// The client that the proof is intended for.
    pub audience: String,
    /// Whether our own page asks for it, rather than an app.
    pub on_own_page: bool,
}

/// The requested result of a ceremony.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// A session cookie, same origin only.
    Session,
    /// Access and refresh tokens for a client.
    Tokens {
        /// The client.
        client: String,
        /// Granted scopes.
        scopes: Scopes,
        /// The audience of the access token.
        audience: String,
        /// Copied into the ID token.
        nonce: Option<String>,
    },
    /// A custom token.
    Bridge {
        /// The client.
        client: String,
        /// The bridge.
        bridge: String,
        /// The caller's inputs for the bridge.
        #[serde(default)]
        inputs: Option<Map<String, Value>>,
    },
    /// The signed result of an action, for the client whose token began it; or the proof of a signed operation, for the
    /// app that requested it.
    Result {
        /// The client.
        client: String,
    },
}

impl Wanted {
    /// The client it is for.
    pub fn client(&self) -> Option<&str> {
        match self {
            Self::Session => None,
            Self::Tokens { client, .. } | Self::Bridge { client, .. } | Self::Result { client } => Some(client),
        }
    }

    /// Its name in the API.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Tokens { .. } => "tokens",
            Self::Bridge { .. } => "bridge",
            Self::Result { .. } => "result",
        }
    }
}

impl Ceremony {
    /// Whether it was begun by a signed-in person, or permitted by a backend: such ceremonies are stored separately, so
    /// that a flood of strangers cannot push them out.
    pub const fn is_signed_in(&self) -> bool {
        match self.purpose {
            Purpose::Add { .. }
            | Purpose::StepUp { .. }
            | Purpose::Enrol { .. }
            | Purpose::Prove { .. }
            | Purpose::Sign { .. } => true,
            Purpose::SignUp { .. } | Purpose::SignIn { .. } => false,
        }
    }

    /// The approximate memory it uses, in bytes.
    pub fn weight(&self) -> usize {
        let offered = match &self.purpose {
            Purpose::SignIn { offered: Some(offered), .. }
            | Purpose::StepUp { offered, .. }
            | Purpose::Prove { offered, .. } => offered.weight(),
            Purpose::SignUp { email, name, .. } => {
                256 + email.as_ref().map_or(0, String::len) + name.as_ref().map_or(0, String::len)
            }
            Purpose::Add { .. } | Purpose::Enrol { .. } => 2048,
            Purpose::Sign { signing, offered, .. } => signing.operation.canonical().len() * 2 + offered.weight(),
            Purpose::SignIn { offered: None, .. } => 0,
        };
        let wanted = match &self.wanted {
            Wanted::Session => 0,
            Wanted::Tokens { client, audience, nonce, scopes } => {
                client.len()
                    + audience.len()
                    + nonce.as_ref().map_or(0, String::len)
                    + scopes.iter().map(|s| s.len() + 24).sum::<usize>()
            }
            Wanted::Bridge { client, bridge, inputs } => {
                client.len() + bridge.len() + inputs.as_ref().map_or(0, |inputs| 256 + json_bytes(inputs))
            }
            Wanted::Result { client } => client.len(),
        };
        Self::BASE_WEIGHT + offered + wanted + self.origin.as_ref().map_or(0, String::len)
    }

    /// The weight of an ordinary sign-in without an e-mail address.
    pub const BASE_WEIGHT: usize = 512;
}

mod digest {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::domain::secret::TokenDigest;

    #[expect(clippy::ref_option, reason = "the signature that serde's `with` asks for")]
    pub fn serialize<S: Serializer>(digest: &Option<TokenDigest>, serializer: S) -> Result<S::Ok, S::Error> {
        digest.as_ref().map(TokenDigest::as_bytes).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TokenDigest>, D::Error> {
        Ok(Option::<[u8; 32]>::deserialize(deserializer)?.and_then(|bytes| TokenDigest::from_stored(&bytes)))
    }
}

/// The approximate memory that the values use, in bytes: each is small, and none is deeply nested.
fn json_bytes(inputs: &Map<String, Value>) -> usize {
    inputs.iter().map(|(name, value)| 64 + name.len() + value.to_string().len()).sum()
}
