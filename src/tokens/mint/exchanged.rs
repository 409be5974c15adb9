//! Tokens issued in exchange for other tokens (RFC 8693).
//!
//! Invariants: how and when the person signed in is copied from the exchanged token, never from the session, which may
//! have been renewed since; the new token expires no later than the exchanged one.

use chrono::Duration;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::grant::TokenSet;
use super::refresh::{First, RefreshSeed};
use super::{Mint, MintError, id_algorithm, token_id, token_type};
use crate::clock::Time;
use crate::domain::claims::RequestedClaims;
use crate::domain::client::Client;
use crate::domain::exchange::{Actor, MayAct, Origin};
use crate::domain::id::{SessionId, UserId};
use crate::domain::scope::Scopes;
use crate::tokens::claims::{AccessClaims, Authentication, Confirmation, Extra, IdClaims};
use crate::tokens::typ;

/// What an exchanged token is made from.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The person the token is for.
    pub user: UserId,
    /// The client that the token is for.
    pub client: &'a Client,
    /// The session of the subject token. The new token ends with it.
    pub session: SessionId,
    /// The grant of the subject token. Revoking it also revokes the new token.
    pub grant_id: Option<&'a str>,
    /// Thumbprint of the DPoP key that it is bound to.
    pub jkt: Option<&'a str>,
    /// Its audience.
    pub audience: &'a [String],
    /// Its scopes.
    pub scopes: &'a Scopes,
    /// How the person signed in, as the subject token says.
    pub authentication: &'a Authentication,
    /// Who acts.
    pub act: Option<&'a Actor>,
    /// Who may act: a restriction of the subject token, which is kept.
    pub may_act: Option<&'a MayAct>,
    /// Its longest life.
    pub life: Duration,
    /// What hooks added, if the exchange is the sign-in.
    pub hook_claims: &'a Map<String, Value>,
}

/// A token issued in exchange for another.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// The token.
    pub token: String,
    /// Its id.
    pub jti: String,
    /// `Bearer`, `DPoP`, or `N_A` when it is not an access token (RFC 8693 §2.2.1).
    pub token_type: &'static str,
    /// Its life, in seconds.
    pub expires_in: i64,
    /// Its scopes.
    pub scope: String,
}

impl Exchanged {
    /// The response of the token endpoint, with the refresh token if there is one.
    pub fn with_refresh(self, refresh_token: Option<String>) -> TokenSet {
        TokenSet {
            access_token: self.token,
            token_type: self.token_type,
            expires_in: self.expires_in,
            id_token: None,
            refresh_token,
            scope: self.scope,
        }
    }
}

/// The `token_type` of a token that is not an access token.
pub const NOT_APPLICABLE: &str = "N_A";

impl Mint {
    /// Makes an access token.
    pub fn exchanged_access(&self, exchange: &Exchange<'_>, now: Time) -> Result<Exchanged, MintError> {
        self.keys.require_fresh()?;
        let life = self.life_for(exchange.client, exchange.audience).min(exchange.life);
        let jti = token_id();
        let scope = exchange.scopes.to_string();
        let claims = AccessClaims {
            iss: self.settings.issuer.clone(),
            sub: self.subject_of(exchange.client, exchange.user),
            aud: exchange.audience.to_vec().into(),
            client_id: exchange.client.id.clone(),
            iat: now.timestamp(),
            exp: (now + life).timestamp(),
            jti: jti.clone(),
            scope: scope.clone(),
            sid: Some(exchange.session.to_string()),
            authentication: exchange.authentication.clone(),
            cnf: exchange.jkt.map(|jkt| Confirmation { jkt: jkt.to_owned() }),
            act: exchange.act.and_then(as_claim),
            may_act: exchange.may_act.and_then(as_claim),
            grant_id: exchange.grant_id.map(ToOwned::to_owned),
            userinfo_claims: std::collections::BTreeSet::new(),
            extra: Extra::new(self.named_hook_claims(exchange.hook_claims)),
        };
        let token = self.sign_access(exchange.client, &claims, exchange.audience)?;
        Ok(Exchanged { token, jti, token_type: token_type(exchange.jkt), expires_in: claims.exp - claims.iat, scope })
    }

    /// Makes the first refresh token of a family started by the exchange. Its `jti` is secret, so the family's id
    /// identifies it.
    pub fn exchanged_refresh(
        &self,
        exchange: &Exchange<'_>,
        origin: Origin,
        seed: &RefreshSeed,
        now: Time,
    ) -> Result<Exchanged, MintError> {
        self.keys.require_fresh()?;
        let first = First {
            sub: self.subject_of(exchange.client, exchange.user),
            client: exchange.client,
            session: exchange.session,
            scope: exchange.scopes.to_string(),
            authentication: exchange.authentication.clone(),
            claims: RequestedClaims::default(),
            exchange: Some(origin),
        };
        Ok(Exchanged {
            token: self.print_first(first, seed, now)?,
            jti: exchange.grant_id.unwrap_or_default().to_owned(),
            token_type: NOT_APPLICABLE,
            expires_in: seed.expires_at().timestamp() - now.timestamp(),
            scope: exchange.scopes.to_string(),
        })
    }

    /// Makes an ID token for the client.
    pub fn exchanged_id(&self, exchange: &Exchange<'_>, now: Time) -> Result<Exchanged, MintError> {
        self.keys.require_fresh()?;
        let key = self.signing(&super::Use::Tokens, id_algorithm(exchange.client))?;
        let life = self.settings.id_ttl.min(exchange.life);
        let jti = token_id();
        let claims = IdClaims {
            iss: self.settings.issuer.clone(),
            sub: self.subject_of(exchange.client, exchange.user),
            aud: exchange.client.id.as_str().into(),
            iat: now.timestamp(),
            exp: (now + life).timestamp(),
            jti: jti.clone(),
            nonce: None,
            at_hash: None,
            azp: None,
            act: exchange.act.and_then(as_claim),
            may_act: exchange.may_act.and_then(as_claim),
            sid: Some(exchange.session.to_string()),
            authentication: Authentication { credential_class: None, ..exchange.authentication.clone() },
            extra: Extra::new(self.named_hook_claims(exchange.hook_claims)),
        };
        Ok(Exchanged {
            token: self.signer.sign(&key, typ::ID, &claims)?,
            jti,
            token_type: NOT_APPLICABLE,
            expires_in: claims.exp - claims.iat,
            scope: exchange.scopes.to_string(),
        })
    }
}

/// What an identity assertion is made from, in addition to the exchange.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// The client's id at the server that the assertion is for.
    pub client_id: &'a str,
    /// Our client under which that server signs people in; `None` if it knows them by their plain account id.
    pub known_as: Option<&'a Client>,
    /// The resources that were requested.
    pub resources: &'a [String],
}

/// Longest life of an identity assertion: the client takes it to the other server at once.
const ASSERTION_LIFE: Duration = Duration::minutes(5);

impl Mint {
    /// Makes an identity assertion for another authorization server (ID-JAG).
    pub fn id_jag(
        &self,
        exchange: &Exchange<'_>,
        assertion: &Assertion<'_>,
        now: Time,
    ) -> Result<Exchanged, MintError> {
        self.keys.require_fresh()?;
        let algorithm = self.settings.algorithm;
        let key = self.signing(&super::Use::Tokens, algorithm)?;
        let life = ASSERTION_LIFE.min(exchange.life);
        let (jti, scope) = (token_id(), exchange.scopes.to_string());
        let known = |client| self.subject_of(client, exchange.user);
        let mut claims = json!({
            "iss": self.settings.issuer,
            "sub": assertion.known_as.map_or_else(|| exchange.user.to_string(), known),
            "aud": exchange.audience.first(),
            "client_id": assertion.client_id,
            "jti": jti,
            "iat": now.timestamp(),
            "exp": (now + life).timestamp(),
        });
        let told = exchange.authentication;
        for (name, value) in [
            ("scope", (!scope.is_empty()).then(|| scope.as_str().into())),
            ("resource", as_claim(&assertion.resources).filter(|_| !assertion.resources.is_empty())),
            ("auth_time", told.auth_time.map(Value::from)),
            ("acr", told.acr.as_deref().map(Value::from)),
            ("amr", as_claim(&told.amr).filter(|_| !told.amr.is_empty())),
            ("act", exchange.act.and_then(as_claim)),
            ("cnf", exchange.jkt.map(|jkt| json!({ "jkt": jkt }))),
        ] {
            if let Some(value) = value {
                claims[name] = value;
            }
        }
        Ok(Exchanged {
            token: self.signer.sign(&key, typ::ID_JAG, &claims)?,
            jti,
            token_type: NOT_APPLICABLE,
            expires_in: life.num_seconds(),
            scope,
        })
    }
}

fn as_claim<T: Serialize>(value: &T) -> Option<Value> {
    serde_json::to_value(value).ok()
}
