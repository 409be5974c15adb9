//! Who may mint: a pure rule, evaluated before a token is rendered.
//!
//! What must always hold: nothing is allowed unless it was listed. If the rule names no scopes, the scope
//! `bridge:<name>` is required, which no client has unless its configuration says so.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::spec::{seconds, words};
use crate::clock::Time;
use crate::domain::authentication::{HIGHEST_ACR, acr_reaches};

words! {
    /// The required strength of the sign-in; each level includes the next (OpenID Connect EAP ACR values).
    MinAcr {
        /// A passkey with user verification, or better.
        Phr = "phr",
        /// A passkey in attested hardware.
        Phrh = "phrh",
    }
}

impl MinAcr {
    /// Whether any sign-in here can reach it. A rule that requires more would lock everybody out.
    pub fn is_reachable(self) -> bool {
        acr_reaches(HIGHEST_ACR, self.as_str())
    }
}

/// The rule of a bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// If not empty, the only clients that may mint, by `client_id`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// The request must have one of these scopes; if empty, `bridge:<name>`. `bridge:*` includes every bridge scope.
    #[serde(rename = "scopes", skip_serializing_if = "Vec::is_empty")]
    pub scopes_any: Vec<String>,
    /// If not empty, the person must be in one of these groups.
    #[serde(rename = "groups", skip_serializing_if = "Vec::is_empty")]
    pub groups_any: Vec<String>,
    /// The minimum `acr` of the sign-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_acr: Option<MinAcr>,
    /// The maximum age of the sign-in, written in seconds.
    #[serde(skip_serializing_if = "Option::is_none", with = "seconds")]
    pub max_auth_age: Option<Duration>,
    /// Whether an actor for a person may get tokens that cannot name the actor; the audit trail always does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unnamed_actors: bool,
    /// Further conditions on the person and the sign-in.
    #[serde(skip_serializing_if = "Require::is_default")]
    pub require: Require,
}

/// Conditions that a bridge may require.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Require {
    /// The person signed in with a passkey that verified them (PIN, fingerprint, face).
    pub user_verification: bool,
    /// The person's e-mail address is verified.
    pub email_verified: bool,
}

impl Require {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a function of a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is known about the person for whom a token is requested.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    /// Their groups.
    pub groups: &'a [String],
    /// The authentication methods of the sign-in (RFC 8176).
    pub amr: &'a [String],
    /// Whether their e-mail address is verified.
    pub email_verified: bool,
}

/// What is known about a request to mint.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The client that makes the request, authenticated or bound to the ceremony.
    pub client_id: &'a str,
    /// The scopes: those of its token or, if a ceremony ends at the bridge, those that the client may request.
    pub scopes: &'a [String],
    /// The sign-in's `acr`.
    pub acr: Option<&'a str>,
    /// When the person was last verified.
    pub auth_time: Time,
    /// The current time.
    pub now: Time,
}

/// Why a request may not mint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The client is not listed.
    #[error("this client may not use the bridge")]
    Client,
    /// The request has none of the scopes.
    #[error("a scope for the bridge is missing")]
    Scope,
    /// The sign-in was not strong enough: a sign-in with a passkey resolves it.
    #[error("the bridge needs a stronger sign-in")]
    Acr,
    /// The sign-in is older than this, or lies in the future: a new sign-in resolves it.
    #[error("the bridge needs a fresh sign-in")]
    AuthAge(Duration),
    /// Somebody acts for the person, and the target's tokens cannot name them.
    #[error("a token of this bridge cannot name who acts for the person")]
    Actor,
    /// The sign-in did not use a passkey that verified the person: one that does resolves it.
    #[error("the bridge needs a sign-in with user verification")]
    UserVerification,
    /// The person is in none of the groups.
    #[error("the person is in no group that may use the bridge")]
    Group,
    /// The person has no verified e-mail address.
    #[error("the bridge needs a verified e-mail address")]
    Email,
}

impl Allow {
    /// Whether the request may mint at the bridge with this name. Denials come in the order of [`Denied`]'s variants.
    ///
    /// # Errors
    /// The first condition that is not met.
    pub fn permits(&self, bridge: &str, request: &Request<'_>) -> Result<(), Denied> {
        if !self.clients.is_empty() && !self.clients.iter().any(|client| client == request.client_id) {
            return Err(Denied::Client);
        }
        if !self.has_scope(bridge, request.scopes) {
            return Err(Denied::Scope);
        }
        if self.min_acr.is_some_and(|least| !reaches(request.acr, least)) {
            return Err(Denied::Acr);
        }
        let age = request.now - request.auth_time;
        // The clocks of two replicas differ by less than this.
        let ahead = age < -Duration::seconds(5);
        match self.max_auth_age.filter(|most| age > *most || ahead) {
            Some(most) => Err(Denied::AuthAge(most)),
            None => Ok(()),
        }
    }

    /// Whether tokens may be minted for this person. Call it after [`Allow::permits`]; denials come in the order of
    /// [`Denied`]'s variants.
    ///
    /// # Errors
    /// The first condition that is not met.
    pub fn permits_person(&self, person: &Person<'_>) -> Result<(), Denied> {
        if self.require.user_verification && !is_verified(person.amr) {
            return Err(Denied::UserVerification);
        }
        if !self.groups_any.is_empty() && !self.groups_any.iter().any(|group| person.groups.contains(group)) {
            return Err(Denied::Group);
        }
        if self.require.email_verified && !person.email_verified {
            return Err(Denied::Email);
        }
        Ok(())
    }

    /// Whether nothing is configured.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn has_scope(&self, bridge: &str, held: &[String]) -> bool {
        if self.scopes_any.is_empty() {
            return held.iter().any(|scope| scope.strip_prefix("bridge:").is_some_and(|b| b == bridge || b == "*"));
        }
        let every = held.iter().any(|scope| scope == "bridge:*");
        self.scopes_any.iter().any(|scope| held.contains(scope) || (every && scope.starts_with("bridge:")))
    }
}

/// Whether a passkey verified the person: `pop` with `user` (RFC 8176).
fn is_verified(amr: &[String]) -> bool {
    ["pop", "user"].iter().all(|method| amr.iter().any(|used| used == method))
}

fn reaches(acr: Option<&str>, least: MinAcr) -> bool {
    match (acr.and_then(MinAcr::parse), least) {
        (Some(MinAcr::Phrh), _) | (Some(MinAcr::Phr), MinAcr::Phr) => true,
        (Some(MinAcr::Phr), MinAcr::Phrh) | (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::sample;

    #[test]
    fn each_condition_denies_by_itself() {
        let now = sample::moment();
        let scopes = ["bridge:x".to_owned(), "openid".to_owned()];
        let allow = Allow {
            clients: vec!["web".to_owned()],
            scopes_any: vec!["bridge:x".to_owned(), "bridge:y".to_owned()],
            min_acr: Some(MinAcr::Phr),
            max_auth_age: Some(Duration::minutes(10)),
            ..Allow::default()
        };
        let good = Request { client_id: "web", scopes: &scopes, acr: Some("phr"), auth_time: now, now };
        let ago = |seconds| now - Duration::seconds(seconds);
        for (name, request, expected) in [
            ("good", good, Ok(())),
            ("attested", Request { acr: Some("phrh"), ..good }, Ok(())),
            ("just fresh enough", Request { auth_time: ago(600), ..good }, Ok(())),
            ("another replica's clock", Request { auth_time: ago(-4), ..good }, Ok(())),
            ("another client", Request { client_id: "Web", ..good }, Err(Denied::Client)),
            ("no client", Request { client_id: "", ..good }, Err(Denied::Client)),
            ("no scope", Request { scopes: &[], ..good }, Err(Denied::Scope)),
            ("another scope", Request { scopes: &scopes[1..], ..good }, Err(Denied::Scope)),
            ("no acr", Request { acr: None, ..good }, Err(Denied::Acr)),
            ("unknown acr", Request { acr: Some("phr2"), ..good }, Err(Denied::Acr)),
            ("old", Request { auth_time: ago(601), ..good }, Err(Denied::AuthAge(Duration::minutes(10)))),
            ("from the future", Request { auth_time: ago(-3600), ..good }, Err(Denied::AuthAge(Duration::minutes(10)))),
        ] {
            assert_eq!(allow.permits("x", &request), expected, "{name}");
        }
        let attested = Allow { min_acr: Some(MinAcr::Phrh), ..allow };
        assert_eq!(attested.permits("x", &good), Err(Denied::Acr), "synced where hardware is asked");
    }

    #[test]
    fn each_condition_about_the_person_denies_by_itself() {
        let (groups, amr) = (["staff".to_owned()], ["pop", "user", "mfa"].map(ToOwned::to_owned));
        let allow = Allow {
            groups_any: vec!["staff".to_owned(), "editors".to_owned()],
            require: Require { user_verification: true, email_verified: true },
            ..Allow::default()
        };
        let good = Person { groups: &groups, amr: &amr, email_verified: true };
        let (password, absent) = (["pwd", "user"].map(ToOwned::to_owned), ["pop".to_owned()]);
        let others = ["Staff".to_owned(), "staff ".to_owned()];
        for (name, person, expected) in [
            ("good", good, Ok(())),
            ("a password", Person { amr: &password, ..good }, Err(Denied::UserVerification)),
            ("presence alone", Person { amr: &absent, ..good }, Err(Denied::UserVerification)),
            ("no group", Person { groups: &[], ..good }, Err(Denied::Group)),
            ("other groups", Person { groups: &others, ..good }, Err(Denied::Group)),
            ("an address nobody proved", Person { email_verified: false, ..good }, Err(Denied::Email)),
        ] {
            assert_eq!(allow.permits_person(&person), expected, "{name}");
        }
        let stranger = Person { groups: &[], amr: &[], email_verified: false };
        assert_eq!(Allow::default().permits_person(&stranger), Ok(()), "a rule that says nothing of the person");
    }

    /// A client with the scope for every bridge has the scope of each bridge, even if a rule names it.
    #[test]
    fn every_bridge_is_also_one_that_is_named() {
        let now = sample::moment();
        let every = ["bridge:*".to_owned()];
        let request = Request { client_id: "any", scopes: &every, acr: None, auth_time: now, now };
        for (wanted, expected) in [("bridge:x", Ok(())), ("bridge:*", Ok(())), ("admin", Err(Denied::Scope))] {
            let allow = Allow { scopes_any: vec![wanted.to_owned()], ..Allow::default() };
            assert_eq!(allow.permits("x", &request), expected, "{wanted}");
        }
        let one = ["bridge:x".to_owned()];
        let allow = Allow { scopes_any: vec!["bridge:*".to_owned()], ..Allow::default() };
        assert_eq!(allow.permits("x", &Request { scopes: &one, ..request }), Err(Denied::Scope), "one is not every");
    }

    #[test]
    fn an_empty_rule_asks_for_the_bridges_own_scope() {
        let now = sample::moment();
        for (scopes, expected) in [
            (&["bridge:x"][..], Ok(())),
            (&["openid", "bridge:*"], Ok(())),
            (&[], Err(Denied::Scope)),
            (&["bridge:xy", "bridge:", "bridge", "x", "*", "bridge:X"], Err(Denied::Scope)),
        ] {
            let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let request = Request { client_id: "any", scopes: &scopes, acr: None, auth_time: now, now };
            assert_eq!(Allow::default().permits("x", &request), expected, "{scopes:?}");
        }
    }
}
