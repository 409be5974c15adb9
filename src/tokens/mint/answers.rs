//! Signed messages to clients and protected hosts that are not tokens: responses, assertions, logout tokens.
//!
//! Invariant: none of them can be used as a token.

use chrono::Duration;
use serde_json::{Map, Value, json};

use super::{Mint, MintError, id_algorithm, named, token_id};
use crate::clock::Time;
use crate::domain::client::Client;
use crate::domain::id::SessionId;
use crate::tokens::claims::{ForwardClaims, LOGOUT_EVENT, LogoutClaims};
use crate::tokens::keys::{Algorithm, Use};
use crate::tokens::typ;

/// Life of a signed authorization response: long enough to reach its client (JARM §2.1: ten minutes at most).
const ANSWER_LIFE: Duration = Duration::minutes(2);

/// Life of a logout token, which is signed only when it is delivered (OpenID Connect Back-Channel Logout §2.4: two
/// minutes at most).
const LOGOUT_TOKEN_LIFE: Duration = Duration::minutes(2);

impl Mint {
    /// Signs a userinfo response for a client (OpenID Connect Core §5.3.2). It has neither `typ` nor `exp`, so that it
    /// cannot be used as one of our tokens.
    pub fn userinfo(
        &self,
        client: &Client,
        algorithm: Algorithm,
        mut claims: Map<String, Value>,
    ) -> Result<String, MintError> {
        self.keys.require_fresh()?;
        let key = self.signing(&Use::Tokens, algorithm)?;
        claims.insert("iss".to_owned(), self.settings.issuer.as_str().into());
        claims.insert("aud".to_owned(), client.id.as_str().into());
        Ok(self.signer.sign_for_target(&key, None, Some(key.kid()), &claims)?)
    }

    /// Signs the response to an authorization request (JARM §2.1). It has no `typ`: relying parties do not expect one,
    /// and without it the response cannot be used as one of our tokens.
    pub fn authorization_answer(
        &self,
        client: &Client,
        parameters: &[(&'static str, String)],
        now: Time,
    ) -> Result<String, MintError> {
        self.keys.require_fresh()?;
        let algorithm = named(client.definition.authorization_response_algorithm.as_deref())
            .unwrap_or_else(|| id_algorithm(client));
        let key = self.signing(&Use::Tokens, algorithm)?;
        let mut claims: Map<String, Value> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        claims.insert("iss".to_owned(), self.settings.issuer.as_str().into());
        claims.insert("aud".to_owned(), client.id.as_str().into());
        claims.insert("exp".to_owned(), (now + ANSWER_LIFE).timestamp().into());
        Ok(self.signer.sign_for_target(&key, None, Some(key.kid()), &claims)?)
    }

    /// Signs the claims about a person for a protected host, with a separate key, so that they are accepted nowhere
    /// else.
    pub fn forward_assertion(&self, claims: &ForwardClaims) -> Result<String, MintError> {
        self.keys.require_fresh()?;
        Ok(self.signer.sign(&self.signing(&Use::Forward, Algorithm::ES256)?, typ::FORWARD, claims)?)
    }

    /// Signs an introspection response for the client that asked (RFC 9701 §5). The default is RS256, as in the
    /// standard; under a profile that forbids RS256 it is the algorithm of the client's ID tokens.
    pub fn introspection(&self, client: &Client, answer: &Value, now: Time) -> Result<String, MintError> {
        self.keys.require_fresh()?;
        let usual = if client.is_fapi2() { id_algorithm(client) } else { Algorithm::RS256 };
        let algorithm = named(client.definition.introspection_algorithm.as_deref()).unwrap_or(usual);
        let key = self.signing(&Use::Tokens, algorithm)?;
        let claims = json!({
            "iss": self.settings.issuer, "aud": client.id, "iat": now.timestamp(), "token_introspection": answer,
        });
        Ok(self.signer.sign(&key, typ::INTROSPECTION, &claims)?)
    }

    /// Signs a logout token. `subject` is how this client knows the person, `sid` the session that ended.
    pub fn logout_token(&self, client: &Client, subject: &str, sid: SessionId, now: Time) -> Result<String, MintError> {
        self.keys.require_fresh()?;
        let claims = LogoutClaims {
            iss: self.settings.issuer.clone(),
            sub: subject.to_owned(),
            aud: client.id.as_str().into(),
            iat: now.timestamp(),
            exp: (now + LOGOUT_TOKEN_LIFE).timestamp(),
            jti: token_id(),
            events: [(LOGOUT_EVENT.to_owned(), Map::new())].into(),
            sid: sid.to_string(),
        };
        Ok(self.signer.sign(&self.signing(&Use::Tokens, id_algorithm(client))?, typ::LOGOUT, &claims)?)
    }
}
