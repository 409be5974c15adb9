//! Token exchange (RFC 8693): which token may be exchanged for which other, and for whom.
//!
//! Invariants: nothing is exchanged that no rule lists; a token only narrows (scopes, audience, life, strength of the
//! sign-in), except for what a rule grants as new; the token always names whoever acts for a person, and a chain of
//! actors is bounded. To add a condition: a field of [`Rule`], a variant of [`Refusal`] at its place in the order, a
//! line in `decide` and its row in the tests.

mod actor;
mod decide;
mod renew;
#[cfg(test)]
mod tests;
mod transaction;

pub use actor::{Actor, ActorFault, MayAct};
pub use decide::{Asked, Granted, Refusal, decide};
pub use renew::{Origin, renew};
pub use transaction::{LONGEST_LIFE as LONGEST_TRANSACTION, Told, ToldFault};

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::scope::{Scopes, is_powerful};

/// The most actors that one token may name, whatever a rule says: longer chains have no legitimate use.
pub const LONGEST_CHAIN: usize = 4;

/// Who signed a subject token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Issuer {
    /// This server.
    Own,
    /// The trusted issuer of this name.
    Trusted(String),
}

/// What kind of token a subject token is (RFC 8693 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// An access token.
    AccessToken,
    /// An ID token.
    IdToken,
    /// Another JWT of a trusted issuer.
    Jwt,
    /// An identity assertion of a trusted issuer, for one client: a grant, never a subject token.
    IdJag,
    /// A transaction token of ours, which can only be exchanged for its replacement.
    TxnToken,
}

/// What a rule may issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Issues {
    /// An access token.
    AccessToken,
    /// An ID token for the client itself.
    IdToken,
    /// An access token, requested as a JWT.
    Jwt,
    /// An identity assertion for another authorization server, in exchange for the client's own ID token.
    IdJag,
    /// A transaction token for one trust domain.
    TxnToken,
    /// A refresh token alone. It is issued where a rule is refreshable, and never listed.
    #[serde(skip)]
    RefreshToken,
}

/// The requested token; for a custom token with the bridge's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A token of ours.
    Own(Issues),
    /// The custom token of a bridge.
    Bridge(String),
}

/// Whether a rule allows an actor (RFC 8693 §1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorRule {
    /// No actor: a request with an actor token is refused.
    #[default]
    Forbidden,
    /// With or without an actor token.
    Allowed,
    /// Only with an actor token.
    Required,
}

/// One permitted exchange. Empty lists allow nothing.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, for the log and the audit trail.
    pub name: String,
    /// The clients that may request it.
    pub clients: Vec<String>,
    /// The issuers whose tokens may be exchanged.
    pub issuers: Vec<Issuer>,
    /// The kinds of tokens that may be exchanged.
    pub subject_kinds: Vec<SubjectKind>,
    /// The subject token must have one of these audiences, and then the clients of the rule may use it. Empty: the
    /// token must be for the client itself.
    pub subject_audiences: Vec<String>,
    /// Audiences of the subject token that the new one may keep.
    pub audiences: Vec<String>,
    /// Audiences that the new token may have even if the subject token does not.
    pub new_audiences: Vec<String>,
    /// Scopes of the subject token that the new one may keep.
    pub scopes: Scopes,
    /// Scopes that the new token may have even if the subject token does not.
    pub new_scopes: Scopes,
    /// What may be issued.
    pub issues: Vec<Issues>,
    /// Bridges whose custom tokens may be issued.
    pub bridges: Vec<String>,
    /// The longest life of what is issued.
    pub lifetime: Duration,
    /// Whether an actor is allowed.
    pub actor: ActorRule,
    /// Whether the client may act as the person without an actor token. The client then becomes the token's actor.
    pub impersonation: bool,
    /// Whether a refresh token is issued with it, which lives with the session of the subject token.
    pub refreshable: bool,
    /// The most actors that the new token may name; never more than [`LONGEST_CHAIN`].
    pub chain: usize,
}

/// A verified subject token, as far as the rules need it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Who signed it.
    pub issuer: Issuer,
    /// Its kind.
    pub kind: SubjectKind,
    /// Its client (`client_id`, `azp`, or the audience of an ID token of ours).
    pub client: Option<String>,
    /// Its audience.
    pub audience: Vec<String>,
    /// Its scopes; empty for a foreign token, whose scopes mean nothing here.
    pub scopes: Scopes,
    /// Its remaining life.
    pub left: Duration,
    /// The actor already in it.
    pub act: Option<Actor>,
    /// Who may act, if it says so.
    pub may_act: Option<MayAct>,
}

/// Whether a scope never leaves the client it was granted to: rights to manage an account or this server are not passed
/// on.
pub fn stays_with_its_client(scope: &str) -> bool {
    scope == "passkeys" || is_powerful(scope)
}
