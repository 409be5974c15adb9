//! Why a ceremony was refused, in the terms of this room.

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

/// A refusal. To the caller, everything hostile looks alike; the log records which it was.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// The origin of the request or of the answer is not in the profile's list.
    #[error("origin {received:?} is not on the list")]
    WrongOrigin {
        /// The origin that was received.
        received: String,
        /// The profile's public list.
        allowed: Vec<String>,
    },
    /// There is no profile with that name.
    #[error("no such relying party")]
    NoSuchRelyingParty,
    /// There is no client with that ID, or it is disabled.
    #[error("no such client")]
    NoSuchClient,
    /// The client may not have what it requests.
    #[error(transparent)]
    Client(#[from] ClientRefusal),
    /// A confidential client must authenticate at the token endpoint.
    #[error("a confidential client ends its ceremonies at the token endpoint")]
    ConfidentialClient,
    /// The client's tokens are always bound to a key, and the request proves none.
    #[error("the client's tokens are bound to a DPoP key, and no proof came")]
    NoProof,
    /// There is no bridge with that name, or it may not be used in this way.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The requested result is invalid.
    #[error("{0}")]
    Invalid(&'static str),
    /// There is no ceremony with that ID: already answered, expired, or never begun.
    #[error("no such ceremony is in flight")]
    ExpiredOrUsed,
    /// The ceremony was begun by another browser, session, client or for another purpose.
    #[error("the ceremony belongs to another {0}")]
    Foreign(&'static str),
    /// The strict parser refused the answer.
    #[error(transparent)]
    Unreadable(Refusal),
    /// The library refused the answer.
    #[error("the library refused: {0:?}")]
    Library(webauthn_rs_core::error::WebauthnError),
    /// One of our own checks refused the answer.
    #[error("{0}")]
    Refused(&'static str),
    /// Valid in form and in time, but nobody has this passkey here.
    #[error("no such passkey")]
    UnknownPasskey {
        /// The RP ID.
        rp_id: String,
        /// The credential ID.
        credential_id: Vec<u8>,
    },
    /// The signature is good, but the person was not verified.
    #[error("user verification is missing")]
    UserVerificationMissing,
    /// The passkey is already registered, by anybody.
    #[error("this credential is registered already")]
    CredentialExists,
    /// The sign-in is refused; reported only after proof.
    #[error("sign-in refused: {0}")]
    SignInRefused(SignInRefusal),
    /// A hook denied the sign-in or failed; reported only after proof.
    #[error("{refusal}")]
    Hook {
        /// The person who proved their identity; `None` for a sign-up.
        user: Option<UserId>,
        /// The hook's refusal.
        refusal: hooks::Refusal,
    },
    /// The person has no passkey to prove their identity with.
    #[error("no passkey on this account")]
    NoPasskeyYet,
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// A verification that is no older than this is required first.
    #[error("the verification is too old for this change")]
    NotFresh(Duration),
    /// Sign-up is disabled.
    #[error("sign-up is switched off")]
    SignUpClosed,
    /// The person has as many passkeys as allowed.
    #[error("the account has as many passkeys as allowed")]
    TooMany,
    /// The person would have nothing left to sign in with.
    #[error("this is the last way to sign in")]
    LastMethod,
    /// The passkey does not exist, or belongs to somebody else.
    #[error("no such passkey on this account")]
    NotFound,
    /// The action token is not accepted.
    #[error("the action token is refused: {0}")]
    Action(#[from] ActionRefusal),
    /// A backend requests a token for somebody for whom it may not act.
    #[error("action tokens are not made for this person")]
    NotForPerson,
    /// A backend requests a token for somebody it does not know.
    #[error("no such person for this client")]
    NoSuchPerson,
    /// The backend lacks a scope.
    #[error("the scope {0:?} is missing")]
    MissingScope(&'static str),
    /// The verified address belongs to somebody else.
    #[error("another account has this verified address")]
    AddressTaken,
    /// An operation that cannot be displayed and signed.
    #[error(transparent)]
    Operation(OperationError),
    /// The person has had as many custom tokens of a bridge as are allowed for now.
    #[error("{0}")]
    TooManyTokens(Box<Failure>),
    /// A result that its client wants to redeem is not accepted.
    #[error("the result is refused: {0}")]
    Result(String),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The token could not be issued.
    #[error(transparent)]
    Mint(#[from] MintError),
}

/// Why somebody who proved their identity is not signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInRefusal {
    /// The operator disabled the account.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The passkey cannot be used to sign in, because somebody may hold a copy of it.
    #[error("the passkey is suspended")]
    PasskeyPaused,
    /// The client is restricted to the members of groups.
    #[error("the person is in no group that may use the client")]
    NoGroup,
}

impl SignInRefusal {
    /// The stable value for programs.
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
    /// The person who had proved their identity before this refusal, if the error contains it.
    pub const fn proven_user(&self) -> Option<UserId> {
        match self {
            Self::Hook { user, .. } => *user,
            _ => None,
        }
    }
}
