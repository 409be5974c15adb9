//! Decides what a presented authorization code yields (RFC 6749 §4.1.3, RFC 7636 §4.6).

use aws_lc_rs::digest;
use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::{AuthorizationRequest, Challenge};
use crate::clock::Time;
use crate::domain::claims::RequestedClaims;
use crate::domain::id::FamilyId;
use crate::domain::scope::Scopes;
use crate::domain::secret::TokenDigest;
use crate::domain::session::Session;

/// What a code is bound to and what it grants, stored with its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeGrant {
    /// The redirect URI that the code was sent to.
    pub redirect_uri: String,
    /// The PKCE challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Challenge>,
    /// Copied into the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Granted scopes.
    pub scopes: Scopes,
    /// Resources that access tokens may be requested for.
    pub resources: Vec<String>,
    /// Claims that were requested by name, as far as the person allowed them.
    #[serde(default, skip_serializing_if = "RequestedClaims::is_empty")]
    pub requested: RequestedClaims,
    /// The DPoP key that the code is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<String>,
    /// The `acr` of the person's sign-in when the code was issued.
    pub acr: String,
    /// The methods of that sign-in.
    pub amr: Vec<String>,
    /// The class of the passkey used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_class: Option<String>,
    /// When the person was last verified.
    pub auth_time: Time,
}

impl CodeGrant {
    /// How long a code lives.
    pub fn life() -> Duration {
        Duration::seconds(60)
    }

    /// The grant for a request in a session. `scopes` are those that were allowed; `resources` must have at least one
    /// element.
    pub fn new(request: &AuthorizationRequest, session: &Session, scopes: Scopes, resources: Vec<String>) -> Self {
        Self {
            redirect_uri: request.to.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            nonce: request.nonce.clone(),
            resources,
            requested: request.requested.allowed_with(&request.scopes, &scopes),
            scopes,
            dpop_jkt: request.dpop_jkt.clone(),
            acr: session.acr.clone(),
            amr: session.amr.clone(),
            credential_class: session.credential_class.clone(),
            auth_time: session.auth_time,
        }
    }
}

/// The id of a code's grant, derived from the code's digest without revealing it. When a code is presented again, this
/// id finds what it granted for as long as that lives, even after the code itself was deleted.
pub fn grant_of(code: &TokenDigest) -> FamilyId {
    let mut name = [0; 16];
    name.copy_from_slice(&digest::digest(&digest::SHA256, code.as_bytes()).as_ref()[..16]);
    FamilyId::new(uuid::Builder::from_random_bytes(name).into_uuid())
}

/// A code as stored, including used ones.
#[derive(Clone, Debug)]
pub struct StoredCode {
    /// The id of its grant.
    pub grant_id: FamilyId,
    /// The client that the code was issued to.
    pub client: String,
    /// What it is bound to.
    pub grant: CodeGrant,
    /// When it expires.
    pub expires_at: Time,
    /// Whether it was presented before.
    pub used: bool,
}

/// What a client presents with a code.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The authenticated client.
    pub client: &'a str,
    /// The redirect URI, sent again.
    pub redirect_uri: Option<&'a str>,
    /// The PKCE verifier.
    pub verifier: Option<&'a str>,
}

/// Why a code was refused. The client cannot tell the variants apart; the log does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefusal {
    /// It was issued to another client.
    #[error("the code belongs to another client")]
    OtherClient,
    /// It has expired.
    #[error("the code has expired")]
    Expired,
    /// Another redirect URI, or none.
    #[error("the redirect URI is not the one of the authorization request")]
    RedirectUri,
    /// The verifier is missing or wrong, or was sent although there was no challenge (a downgrade).
    #[error("the code_verifier does not fit the authorization request")]
    Verifier,
}

/// What to do with a presented code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a refusal or a replay must be acted on"]
pub enum Decision {
    /// Issue tokens.
    Redeem,
    /// It was presented before: revoke what it granted.
    Replayed,
    /// Refuse it for good: each code has one try.
    Refused(CodeRefusal),
}

impl StoredCode {
    /// Decides what happens to the code that a client presents at `now`.
    pub fn decide(&self, presented: &Presented<'_>, now: Time) -> Decision {
        if self.used {
            return Decision::Replayed;
        }
        if presented.client != self.client {
            return Decision::Refused(CodeRefusal::OtherClient);
        }
        if now >= self.expires_at {
            return Decision::Refused(CodeRefusal::Expired);
        }
        if presented.redirect_uri != Some(self.grant.redirect_uri.as_str()) {
            return Decision::Refused(CodeRefusal::RedirectUri);
        }
        let proven = match (&self.grant.challenge, presented.verifier) {
            (Some(challenge), Some(verifier)) => challenge.is_met_by(verifier),
            (None, None) => true,
            _ => false,
        };
        if proven { Decision::Redeem } else { Decision::Refused(CodeRefusal::Verifier) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Id;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn code(challenge: bool) -> StoredCode {
        StoredCode {
            grant_id: Id::random(),
            client: "app".into(),
            grant: CodeGrant {
                redirect_uri: "https://app.example/cb".into(),
                challenge: challenge.then(|| Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap()),
                nonce: None,
                scopes: Scopes::default(),
                resources: vec![],
                requested: RequestedClaims::default(),
                dpop_jkt: None,
                acr: "phr".into(),
                amr: vec![],
                credential_class: None,
                auth_time: Time::UNIX_EPOCH,
            },
            expires_at: Time::UNIX_EPOCH + CodeGrant::life(),
            used: false,
        }
    }

    #[test]
    fn what_a_code_gives_has_a_name_of_its_own_that_repeats() {
        let [one, other] = ["pma_one", "pma_other"].map(TokenDigest::of);
        assert_eq!(grant_of(&one), grant_of(&one));
        assert_ne!(grant_of(&one), grant_of(&other));
        assert_ne!(grant_of(&one).uuid().as_bytes()[..6], one.as_bytes()[..6], "no part of what is stored");
    }

    /// {client, time, redirect URI, verifier}: of sixteen combinations, one yields tokens.
    #[test]
    fn one_row_of_the_truth_table_is_accepted() {
        let mut accepted = 0;
        for row in 0..16_u8 {
            let right = |bit: u8| row & (1 << bit) != 0;
            let presented = Presented {
                client: if right(0) { "app" } else { "other" },
                redirect_uri: Some(if right(1) { "https://app.example/cb" } else { "https://app.example/other" }),
                verifier: Some(if right(2) { VERIFIER } else { "wrong-wrong-wrong-wrong-wrong-wrong-wrong-w" }),
            };
            let now = Time::UNIX_EPOCH + Duration::seconds(if right(3) { 59 } else { 60 });
            let decision = code(true).decide(&presented, now);
            accepted += u8::from(decision == Decision::Redeem);
            assert_eq!(decision == Decision::Redeem, row == 15, "{row:04b}");
            let used = StoredCode { used: true, ..code(true) };
            assert_eq!(used.decide(&presented, now), Decision::Replayed, "{row:04b}, used");
        }
        assert_eq!(accepted, 1);
    }

    #[test]
    fn what_is_missing_or_too_much_is_refused() {
        let now = Time::UNIX_EPOCH;
        let right = Presented { client: "app", redirect_uri: Some("https://app.example/cb"), verifier: Some(VERIFIER) };
        for (name, challenge, presented, refusal) in [
            ("no redirect URI", true, Presented { redirect_uri: None, ..right }, CodeRefusal::RedirectUri),
            ("no verifier", true, Presented { verifier: None, ..right }, CodeRefusal::Verifier),
            ("an empty verifier", true, Presented { verifier: Some(""), ..right }, CodeRefusal::Verifier),
            ("a verifier without a challenge", false, right, CodeRefusal::Verifier),
        ] {
            assert_eq!(code(challenge).decide(&presented, now), Decision::Refused(refusal), "{name}");
        }
        assert_eq!(code(false).decide(&Presented { verifier: None, ..right }, now), Decision::Redeem);
    }
}
