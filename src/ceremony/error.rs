//! Why a ceremony was refused, in the room's own words.

use chrono::Duration;

use super::strict::Refusal;
use crate::bridge::BridgeError;
use crate::domain::action::ActionRefusal;
use crate::domain::client::ClientRefusal;
use crate::domain::id::UserId;
use crate::domain::operation::OperationError;
use crate::hooks::before as hooks;
use crate::storage::StorageError;
use crate::tokens::MintError;
use crate::web::error::Failure;

/// A refusal. To the caller everything hostile looks alike; the log tells which it was.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// The request's or the answer's origin is not on the profile's list.
    #[error("origin {received:?} is not on the list")]
    WrongOrigin {
        /// What came.
        received: String,
        /// The profile's public list.
        allowed: Vec<String>,
    },
    /// No profile of that name.
    #[error("no such relying party")]
    NoSuchRelyingParty,
    /// No client of that name, or it is disabled.
    #[error("no such client")]
    NoSuchClient,
    /// The client may not have what it asks for.
    #[error(transparent)]
    Client(#[from] ClientRefusal),
    /// A confidential client must authenticate at the token endpoint.
    #[error("a confidential client ends its ceremonies at the token endpoint")]
    ConfidentialClient,
    /// The client's tokens are always bound to a key, and the request proves none.
    #[error("the client's tokens are bound to a DPoP key, and no proof came")]
    NoProof,
    /// No bridge of that name, or it may not be used so.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The wanted result makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// No ceremony of that id: answered before, expired, or never begun.
    #[error("no such ceremony is in flight")]
    ExpiredOrUsed,
    /// The ceremony was begun by another browser, session, client or for another purpose.
    #[error("the ceremony belongs to another {0}")]
    Foreign(&'static str),
    /// The strict reader refused the answer.
    #[error(transparent)]
    Unreadable(Refusal),
    /// The library refused the answer.
    #[error("the library refused: {0:?}")]
    Library(webauthn_rs_core::error::WebauthnError),
    /// A check of ours refused it.
    #[error("{0}")]
    Refused(&'static str),
    /// Well formed and in time, but nobody has this passkey here.
    #[error("no such passkey")]
    UnknownPasskey {
        /// The RP id.
        rp_id: String,
        /// The credential id.
        credential_id: Vec<u8>,
    },
    /// The signature is good, but the person was not verified.
    #[error("user verification is missing")]
    UserVerificationMissing,
    /// Registered already, by whomever.
    #[error("this credential is registered already")]
    CredentialExists,
    /// Told only after proof.
    #[error("sign-in refused: {0}")]
    SignInRefused(SignInRefusal),
    /// A hook denied it or failed; told only after proof.
    #[error("{refusal}")]
    Hook {
        /// Who proved themselves; nobody yet, for a sign-up.
        user: Option<UserId>,
        /// What the hook said.
        refusal: hooks::Refusal,
    },
    /// The person has no passkey to prove themselves with.
    #[error("no passkey on this account")]
    NoPasskeyYet,
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// A verification that is not older than this is needed first.
    #[error("the verification is too old for this change")]
    NotFresh(Duration),
    /// Sign-up is switched off.
    #[error("sign-up is switched off")]
    SignUpClosed,
    /// As many as one person may have.
    #[error("the account has as many passkeys as allowed")]
    TooMany,
    /// Nothing else to sign in with.
    #[error("this is the last way to sign in")]
    LastMethod,
    /// Not there, or not theirs.
    #[error("no such passkey on this account")]
    NotFound,
    /// The action token is not taken.
    #[error("the action token is refused: {0}")]
    Action(#[from] ActionRefusal),
    /// A backend asks for a token for somebody it may not act for.
    #[error("action tokens are not made for this person")]
    NotForPerson,
    /// A backend asks for a token for nobody it knows.
    #[error("no such person for this client")]
    NoSuchPerson,
    /// The backend lacks a scope.
    #[error("the scope {0:?} is missing")]
    MissingScope(&'static str),
    /// The verified address is somebody else's.
    #[error("another account has this verified address")]
    AddressTaken,
    /// An operation that cannot be shown and signed.
    #[error(transparent)]
    Operation(OperationError),
    /// The person has had as many custom tokens of a bridge as they may for now.
    #[error("{0}")]
    TooManyTokens(Box<Failure>),
    /// A result that its client brings back is not taken.
    #[error("the result is refused: {0}")]
    Result(String),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The token could not be made.
    #[error(transparent)]
    Mint(#[from] MintError),
}

/// Why somebody who proved themselves is not signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInRefusal {
    /// The operator disabled the account.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The passkey signs nobody in, because somebody may hold a copy of it.
    #[error("the passkey is suspended")]
    PasskeyPaused,
    /// The client is for the members of groups.
    #[error("the person is in no group that may use the client")]
    NoGroup,
}

impl SignInRefusal {
    /// The word that programs decide by. Stable.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::AccountDisabled => "account_disabled",
            Self::PasskeyPaused => "passkey_paused",
            Self::NoGroup => "no_group",
        }
    }

    /// What is wrong and what to do, for the person.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AccountDisabled => "This account is disabled. Ask the operator.",
            Self::PasskeyPaused => "This passkey is paused. Sign in with another one, or ask the operator.",
            Self::NoGroup => {
                "This app is only for members of certain groups, and you are in none of them. Ask the operator."
            }
        }
    }
}

impl CeremonyError {
    /// Who had proved themselves before this refusal, where it says so.
    pub const fn proven_user(&self) -> Option<UserId> {
        match self {
            Self::Hook { user, .. } => *user,
            _ => None,
        }
    }
}
