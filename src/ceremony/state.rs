//! What the server remembers of a ceremony between its two calls.
//!
//! A ceremony is bound to its result and to everything it was begun under: nothing in it can be changed by the second
//! call, and it is consumed before anything is verified. To add a purpose: a variant of [`Purpose`] with what it is
//! bound to, and its check in `finish`.

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

/// A ceremony in flight.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ceremony {
    /// What it is for.
    pub purpose: Purpose,
    /// Name of the relying-party profile.
    pub relying_party: String,
    /// The request's `Origin` at options; the second call must come from the same one.
    pub origin: Option<String>,
    /// Digest of the pre-session cookie of the browser that began it; only for results that are sessions.
    #[serde(with = "digest")]
    pub browser: Option<TokenDigest>,
    /// What it gives.
    pub wanted: Wanted,
    /// The challenge that was sent.
    pub challenge: Vec<u8>,
    /// After this moment an answer is refused.
    pub deadline: Time,
}

/// What a ceremony is for, with what only that purpose needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Purpose {
    /// A stranger makes an account.
    SignUp {
        /// The id the account will have.
        user: UserId,
        /// The handle it will have.
        handle: Vec<u8>,
        /// The address they typed, unverified.
        email: Option<String>,
        /// The name they typed.
        name: Option<String>,
        /// The library's state.
        state: Box<RegistrationState>,
    },
    /// Somebody signed in adds a passkey.
    Add {
        /// Who.
        user: UserId,
        /// In which session.
        session: SessionId,
        /// Their epoch when it began.
        epoch: i64,
        /// Whether a trusted issuer speaks for them: the session is then the ceremony's own, and nobody else has it.
        #[serde(default)]
        vouched: bool,
        /// The app that asked for it by an access token, one of whose origins must answer.
        #[serde(default)]
        client: Option<String>,
        /// The library's state.
        state: Box<RegistrationState>,
    },
    /// Somebody signs in.
    SignIn {
        /// The credential ids offered; none when any discoverable passkey may answer.
        offered: Option<Offered>,
        /// The library's state.
        state: Box<AuthenticationState>,
    },
    /// Somebody signed in proves again who they are.
    StepUp {
        /// Who.
        user: UserId,
        /// In which session.
        session: SessionId,
        /// The credential ids offered.
        offered: Offered,
        /// The library's state.
        state: Box<AuthenticationState>,
    },
    /// Somebody makes a passkey because a backend permits it.
    Enrol {
        /// By which token.
        permit: Permit,
        /// The library's state.
        state: Box<RegistrationState>,
    },
    /// Somebody signs one operation.
    Sign {
        /// What, and where.
        signing: Box<Signing>,
        /// The credential ids offered.
        offered: Offered,
        /// The library's state.
        state: Box<AuthenticationState>,
    },
    /// Somebody proves to a backend who they are.
    Prove {
        /// By which token.
        permit: Permit,
        /// The credential ids offered.
        offered: Offered,
        /// The library's state.
        state: Box<AuthenticationState>,
    },
}

impl Purpose {
    /// The action token that it was begun with.
    pub const fn permit(&self) -> Option<&Permit> {
        match self {
            Self::Enrol { permit, .. } | Self::Prove { permit, .. } => Some(permit),
            Self::SignUp { .. } | Self::Add { .. } | Self::SignIn { .. } | Self::StepUp { .. } | Self::Sign { .. } => {
                None
            }
        }
    }
}

/// What a ceremony is held to that was begun with an action token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Permit {
    /// The token.
    pub token: ActionTokenId,
    /// What it permits.
    pub action: Action,
    /// Whose passkeys.
    pub user: UserId,
    /// The only origin that may answer; none: any of the client's, and our own.
    pub origin: Option<String>,
}

/// One operation that is being signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signing {
    /// Who.
    pub user: UserId,
    /// In which session.
    pub session: SessionId,
    /// What: as it was checked by the first call.
    pub operation: Operation,
    /// The client that the proof is for.
    pub audience: String,
    /// Whether our own page asks, and no app.
    pub on_own_page: bool,
}

/// What a ceremony gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// A session cookie, same origin only.
    Session,
    /// Access and refresh tokens for a client.
    Tokens {
        /// Which.
        client: String,
        /// Granted scopes.
        scopes: Scopes,
        /// Audience of the access token.
        audience: String,
        /// Copied into the ID token.
        nonce: Option<String>,
    },
    /// A custom token.
    Bridge {
        /// For which client.
        client: String,
        /// By which bridge.
        bridge: String,
        /// What the caller says under the names that the bridge declares.
        #[serde(default)]
        inputs: Option<Map<String, Value>>,
    },
    /// The signed result of an action, for the client whose token began it; or the proof of a signed operation, for the app that
    /// asked.
    Result {
        /// Which.
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

    /// What it is, in the word of the API.
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
    /// Whether it was begun by somebody signed in, or permitted by a backend: such ceremonies are kept apart, so that a flood
    /// of strangers cannot push them out.
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

    /// About how much memory it takes, in bytes.
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

    /// What an ordinary sign-in without an e-mail weighs.
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

/// About as many bytes as the values take in memory: each is small, and none is deep.
fn json_bytes(inputs: &Map<String, Value>) -> usize {
    inputs.iter().map(|(name, value)| 64 + name.len() + value.to_string().len()).sum()
}
