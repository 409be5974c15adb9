//! Token exchange (RFC 8693): which token may become which other, for whom.
//!
//! What must always hold: nothing is exchanged that no rule lists; a token only narrows — scopes, audience, life, strength of
//! the sign-in — but for what a rule names as new; who acts for a person is always written into the token, and a chain of
//! actors has an end. To add a condition: a field of [`Rule`], a variant of [`Refusal`] where it belongs in the order, a line
//! in `decide` and its row in the tests.

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

/// Most actors that one token may name, whatever a rule says: a longer chain is nobody's plan.
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
    /// Another JWT, of a trusted issuer.
    Jwt,
    /// An identity assertion of a trusted issuer, for one client: a grant, never a subject token.
    IdJag,
    /// A transaction token of ours, which gives nothing but another that replaces it.
    TxnToken,
}

/// What may come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Issues {
    /// An access token.
    AccessToken,
    /// An ID token for the client itself.
    IdToken,
    /// An access token, asked for as a JWT.
    Jwt,
    /// An identity assertion for another authorization server, in exchange for an ID token of the client's own.
    IdJag,
    /// A transaction token, for one trust domain.
    TxnToken,
    /// A refresh token alone; given where a rule is refreshable, and never listed.
    #[serde(skip)]
    RefreshToken,
}

/// What is asked for, with the name where a custom token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A token of ours.
    Own(Issues),
    /// The custom token of a bridge.
    Bridge(String),
}

/// Whether a rule lets somebody act for the subject (RFC 8693 §1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorRule {
    /// Nobody: a request with an actor token is refused.
    #[default]
    Forbidden,
    /// With or without.
    Allowed,
    /// Only with an actor token.
    Required,
}

/// One thing that is allowed. Empty lists allow nothing.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, for the log and the audit trail.
    pub name: String,
    /// The clients that may ask.
    pub clients: Vec<String>,
    /// Whose tokens may be exchanged.
    pub issuers: Vec<Issuer>,
    /// Which kinds of them.
    pub subject_kinds: Vec<SubjectKind>,
    /// The subject token must be for one of these; the clients of the rule stand for them. Empty: it must be for the client
    /// itself.
    pub subject_audiences: Vec<String>,
    /// Audiences of the subject token that the new one may keep.
    pub audiences: Vec<String>,
    /// Audiences that the new token may have although the subject token has not.
    pub new_audiences: Vec<String>,
    /// Scopes of the subject token that the new one may keep.
    pub scopes: Scopes,
    /// Scopes that the new token may have although the subject token has not.
    pub new_scopes: Scopes,
    /// What may come out.
    pub issues: Vec<Issues>,
    /// Bridges whose custom tokens may come out.
    pub bridges: Vec<String>,
    /// Longest life of what comes out.
    pub lifetime: Duration,
    /// Whether somebody may act.
    pub actor: ActorRule,
    /// Whether the client may go on in a person's name without an actor token: it is written into the token itself.
    pub impersonation: bool,
    /// Whether a refresh token comes along, which lives with the session of the subject token.
    pub refreshable: bool,
    /// Most actors that the new token may name; never more than [`LONGEST_CHAIN`].
    pub chain: usize,
}

/// A subject token, verified, as far as the rules ask.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Who signed it.
    pub issuer: Issuer,
    /// What it is.
    pub kind: SubjectKind,
    /// Its client (`client_id`, `azp`, or the audience of an ID token of ours).
    pub client: Option<String>,
    /// Whom it is for.
    pub audience: Vec<String>,
    /// Its scopes; none for a foreign one, whose words mean nothing here.
    pub scopes: Scopes,
    /// What is left of its life.
    pub left: Duration,
    /// Who acts in it already.
    pub act: Option<Actor>,
    /// Who may act, when it says so.
    pub may_act: Option<MayAct>,
}

/// Whether a scope never leaves the client that it was granted to: what manages an account or this server is not handed on.
pub fn stays_with_its_client(scope: &str) -> bool {
    scope == "passkeys" || is_powerful(scope)
}
