//! Why an exchange was refused, in terms of RFC 8693 §2.2.2.

use crate::bridge::trusted::{NotArrived, TrustError};
use crate::bridge::{BridgeError, CallError, Denied};
use crate::domain::exchange::{Refusal, ToldFault};
use crate::storage::StorageError;
use crate::tokens::MintError;
use crate::tokens::verifier;
use crate::web::error::{Failure, Kind};

/// Why an exchange was refused.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The client may not use this grant.
    #[error("this client may not exchange tokens")]
    NotAllowed,
    /// A token type that is not accepted.
    #[error("tokens of this type are not taken")]
    TakenType,
    /// A token type that is not issued.
    #[error("tokens of this type are not given")]
    RequestedType,
    /// A custom token was requested for no bridge or for several.
    #[error("a custom token is for one bridge, named by audience")]
    OneBridge,
    /// Inputs were sent, but no bridge reads them.
    #[error("inputs are for a bridge, and none is asked for")]
    InputsForNobody,
    /// The subject token is not valid.
    #[error("the subject token: {0}")]
    Subject(verifier::Refusal),
    /// It is another issuer's, and not valid.
    #[error("the subject token: {0}")]
    Trust(#[from] TrustError),
    /// It is valid, but identifies nobody, or was used before.
    #[error(transparent)]
    NotArrived(#[from] NotArrived),
    /// The actor token is not valid.
    #[error("the actor token: {0}")]
    Actor(verifier::Refusal),
    /// A malformed `act` claim, or a token without a person.
    #[error("the token says nothing that can be exchanged")]
    Unusable,
    /// The actor token was issued to another client, or names an actor itself.
    #[error("the actor token is not this client's")]
    OthersActor,
    /// A token is bound to a key that the request does not prove.
    #[error("a token is bound to another DPoP key")]
    OtherKey,
    /// The client of the subject token is gone.
    #[error("the client of the token is unknown or disabled")]
    ClientGone,
    /// The session, the person, the grant or the token has ended.
    #[error("the subject token, its session or its account has ended")]
    Ended,
    /// The same for the actor.
    #[error("the actor token, its session or its account has ended")]
    ActorEnded,
    /// The person may not use the client.
    #[error("the person is not in a group that may use this client")]
    NotInGroup,
    /// No rule allows it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The client may not have tokens for this target.
    #[error("the audience is not among those of the client")]
    Target,
    /// A scope without its resource.
    #[error("a scope belongs to a resource that is not asked for")]
    Scope,
    /// What the request says about a transaction is not accepted.
    #[error("what is told of the transaction: {0}")]
    Told(#[from] ToldFault),
    /// The bridge refuses.
    #[error(transparent)]
    Bridge(BridgeError),
    /// Too many custom tokens of the bridge for this person.
    #[error("too many custom tokens")]
    TooMany(Failure),
    /// A fault of this server.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// A fault of this server.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ExchangeError {
    /// Whether a token itself was bad, for a reason other than expiry: what somebody who guesses gets. A genuine token
    /// that is of no use here was not guessed.
    pub const fn is_in_vain(&self) -> bool {
        use verifier::Refusal::Expired;
        match self {
            Self::Subject(refusal) | Self::Actor(refusal) => !matches!(refusal, Expired),
            Self::Trust(error) => error.is_in_vain(),
            _ => false,
        }
    }
}

impl From<BridgeError> for ExchangeError {
    fn from(error: BridgeError) -> Self {
        match error {
            BridgeError::Mint(fault) => Self::Mint(fault),
            BridgeError::Storage(fault) => Self::Storage(fault),
            other => Self::Bridge(other),
        }
    }
}

const TARGET: &str = "A token for this audience is not given to this client in exchange.";
const TOLD: &str = "request_context and request_details must each be a JSON object of at most 2048 bytes, without the token that is \
                    exchanged; a replacement may add to what the transaction token says, and change nothing.";
const SCOPE: &str = "A scope is not held by the subject token, or not allowed by the rules of the exchange.";

/// The error for a person's token never reveals the person's state.
impl From<ExchangeError> for Failure {
    fn from(error: ExchangeError) -> Self {
        let (kind, words) = match error {
            ExchangeError::Storage(error) => return error.into(),
            ExchangeError::Mint(error) => return Self::unavailable(error),
            ExchangeError::Bridge(BridgeError::Call(fault)) if !matches!(fault, CallError::Person(_)) => {
                return Self::unavailable(fault);
            }
            // Errors in inputs are reported in the same way wherever a bridge is asked.
            ExchangeError::Bridge(error @ BridgeError::Inputs(_)) => return error.into(),
            ExchangeError::TooMany(failure) => return failure,
            ExchangeError::NotArrived(NotArrived::Hook(refusal)) => return refusal.into(),
            ExchangeError::NotAllowed | ExchangeError::Refused(Refusal::Client) => {
                (Kind::UnauthorizedClient, "This client may not exchange tokens.")
            }
            ExchangeError::TakenType => (
                Kind::InvalidRequest,
                "Tokens of this type cannot be exchanged: send an access token, an ID token, or the JWT of a trusted \
                 issuer.",
            ),
            ExchangeError::RequestedType | ExchangeError::Refused(Refusal::Kind) => {
                (Kind::InvalidRequest, "Tokens of the requested type are not given to this client.")
            }
            ExchangeError::OneBridge => {
                (Kind::InvalidRequest, "A custom token is for one bridge: name it in audience, alone.")
            }
            ExchangeError::InputsForNobody => (
                Kind::InvalidRequest,
                "inputs are what a bridge is told: name the bridge in audience, or leave them out.",
            ),
            ExchangeError::Actor(_) | ExchangeError::OthersActor | ExchangeError::ActorEnded => {
                (Kind::InvalidRequest, "The actor token is not valid, has ended, or is not this client's.")
            }
            ExchangeError::Refused(Refusal::Actor | Refusal::MayAct | Refusal::Impersonation | Refusal::Chain) => {
                (Kind::InvalidRequest, "This actor, or none, may not act for the subject.")
            }
            ExchangeError::Refused(Refusal::Target) | ExchangeError::Target => (Kind::InvalidTarget, TARGET),
            ExchangeError::Bridge(BridgeError::Denied(Denied::Actor)) => (
                Kind::InvalidTarget,
                "A token of this bridge cannot name who acts for the person, as it would have to.",
            ),
            ExchangeError::Bridge(_) => (Kind::InvalidTarget, "The bridge gives no token for this sign-in."),
            ExchangeError::Refused(Refusal::Scope) | ExchangeError::Scope => (Kind::InvalidScope, SCOPE),
            ExchangeError::Told(_) => (Kind::InvalidRequest, TOLD),
            ExchangeError::OtherKey => {
                (Kind::InvalidRequest, "The token is bound to a DPoP key, and the request does not prove that key.")
            }
            ExchangeError::Subject(_)
            | ExchangeError::Trust(_)
            | ExchangeError::NotArrived(_)
            | ExchangeError::Unusable
            | ExchangeError::ClientGone
            | ExchangeError::Ended
            | ExchangeError::NotInGroup
            | ExchangeError::Refused(Refusal::Subject | Refusal::NotForClient | Refusal::Public) => (
                Kind::InvalidRequest,
                "The subject token is not valid, has ended, or may not be exchanged by this client.",
            ),
        };
        Self::new(kind, words).because(error)
    }
}
