//! Access and ID tokens of a grant: for a person, or for a client itself.

use std::collections::BTreeSet;

use chrono::Duration;
use serde_json::{Map, Value};

use super::refresh::{First, RefreshSeed};
use super::{Mint, MintError, id_algorithm, id_token_scopes, token_id, token_type};
use crate::clock::Time;
use crate::domain::claims::{RequestedClaims, attribute_claims, claims_for};
use crate::domain::client::Client;
use crate::domain::id::{FamilyId, SessionId};
use crate::domain::scope::Scopes;
use crate::domain::user::User;
use crate::tokens::claims::{AccessClaims, Authentication, Confirmation, Extra, IdClaims, at_hash};
use crate::tokens::keys::Use;
use crate::tokens::typ;

/// What tokens are made from.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The person the tokens are for.
    pub user: &'a User,
    /// Their groups; may be empty unless [`Mint::needs_groups`] asks for them.
    pub groups: &'a [String],
    /// The session of the tokens; they end with it.
    pub session: SessionId,
    /// The session that the ID token names, so that the client can be notified of its end; `None`: the token names
    /// none.
    pub sid: Option<SessionId>,
    /// The grant, if tokens can be revoked by it without ending their session.
    pub grant_id: Option<FamilyId>,
    /// Thumbprint of the DPoP key that the access token is bound to.
    pub jkt: Option<&'a str>,
    /// Claims that were requested by name.
    pub requested: &'a RequestedClaims,
    /// The client that the tokens are for.
    pub client: &'a Client,
    /// Granted scopes.
    pub scopes: &'a Scopes,
    /// Audiences of the access token.
    pub audience: &'a [String],
    /// Authentication context class reference.
    pub acr: &'a str,
    /// Authentication method references.
    pub amr: &'a [String],
    /// Our own claim `credential_class`.
    pub credential_class: Option<&'a str>,
    /// When the person authenticated.
    pub auth_time: Time,
    /// Copied into the ID token.
    pub nonce: Option<&'a str>,
    /// What hooks added at the sign-in.
    pub hook_claims: &'a Map<String, Value>,
}

/// What a client's own token is made from, without a person or a session (RFC 6749 §4.4).
#[derive(Clone, Copy, Debug)]
pub struct ClientGrant<'a> {
    /// The client that the token is for.
    pub client: &'a Client,
    /// Granted scopes.
    pub scopes: &'a Scopes,
    /// Audiences.
    pub audience: &'a [String],
    /// Thumbprint of the DPoP key that the token is bound to.
    pub jkt: Option<&'a str>,
}

/// The tokens of a token response (RFC 6749 §5.1).
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// The access token.
    pub access_token: String,
    /// `Bearer`, or `DPoP` when it is bound to a key.
    pub token_type: &'static str,
    /// Its life, in seconds.
    pub expires_in: i64,
    /// The ID token, when `openid` was granted.
    pub id_token: Option<String>,
    /// The refresh token, when the client may refresh.
    pub refresh_token: Option<String>,
    /// Granted scopes.
    pub scope: String,
}

impl Mint {
    /// Makes the tokens of a fresh grant.
    pub fn tokens(&self, grant: &Grant<'_>, seed: Option<&RefreshSeed>, now: Time) -> Result<TokenSet, MintError> {
        let refresh_token = seed.map(|seed| self.first_refresh_token(grant, seed, now)).transpose()?;
        self.access_and_id(grant, refresh_token, now)
    }

    /// Makes an access token, and an ID token when `openid` was granted. The refresh token is passed through.
    pub fn access_and_id(
        &self,
        grant: &Grant<'_>,
        refresh_token: Option<String>,
        now: Time,
    ) -> Result<TokenSet, MintError> {
        self.keys.require_fresh()?;
        let life = self.life_for(grant.client, grant.audience);
        // A token for one of several resources does not carry the scopes of the others; the refresh token still does.
        let scope = self.resources.effective(grant.scopes, grant.audience).to_string();
        let claims = AccessClaims { scope: scope.clone(), ..self.access_claims(grant, life, now) };
        let access_token = self.sign_access(grant.client, &claims, grant.audience)?;
        let id_token = grant.scopes.contains("openid").then(|| self.id_token(grant, &access_token, now)).transpose()?;
        Ok(TokenSet {
            access_token,
            token_type: token_type(grant.jkt),
            expires_in: life.num_seconds(),
            id_token,
            refresh_token,
            scope,
        })
    }

    /// Makes a client's own access token. Its `sub` is the client's id, which is never the id of a person.
    pub fn client_token(&self, grant: &ClientGrant<'_>, now: Time) -> Result<TokenSet, MintError> {
        self.keys.require_fresh()?;
        let life = self.life_for(grant.client, grant.audience);
        let claims = AccessClaims {
            iss: self.settings.issuer.clone(),
            sub: grant.client.id.clone(),
            aud: grant.audience.to_vec().into(),
            client_id: grant.client.id.clone(),
            iat: now.timestamp(),
            exp: (now + life).timestamp(),
            jti: token_id(),
            scope: grant.scopes.to_string(),
            sid: None,
            authentication: Authentication::default(),
            cnf: grant.jkt.map(|jkt| Confirmation { jkt: jkt.to_owned() }),
            act: None,
            may_act: None,
            grant_id: None,
            userinfo_claims: BTreeSet::new(),
            extra: Extra::default(),
        };
        Ok(TokenSet {
            access_token: self.sign_access(grant.client, &claims, grant.audience)?,
            token_type: token_type(grant.jkt),
            expires_in: life.num_seconds(),
            id_token: None,
            refresh_token: None,
            scope: grant.scopes.to_string(),
        })
    }

    fn access_claims(&self, grant: &Grant<'_>, life: Duration, now: Time) -> AccessClaims {
        AccessClaims {
            iss: self.settings.issuer.clone(),
            sub: self.subject_of(grant.client, grant.user.id),
            aud: grant.audience.to_vec().into(),
            client_id: grant.client.id.clone(),
            iat: now.timestamp(),
            exp: (now + life).timestamp(),
            jti: token_id(),
            scope: grant.scopes.to_string(),
            sid: Some(grant.session.to_string()),
            authentication: authentication(grant),
            cnf: grant.jkt.map(|jkt| Confirmation { jkt: jkt.to_owned() }),
            act: None,
            may_act: None,
            grant_id: grant.grant_id.map(|id| id.to_string()),
            userinfo_claims: grant.requested.userinfo.clone(),
            extra: Extra::new(self.named_hook_claims(grant.hook_claims)),
        }
    }

    fn id_token(&self, grant: &Grant<'_>, access_token: &str, now: Time) -> Result<String, MintError> {
        let key = self.signing(&Use::Tokens, id_algorithm(grant.client))?;
        let mut told = told_in_id_token(grant);
        told.extend(self.named_hook_claims(grant.hook_claims));
        let claims = IdClaims {
            iss: self.settings.issuer.clone(),
            sub: self.subject_of(grant.client, grant.user.id),
            aud: grant.client.id.as_str().into(),
            iat: now.timestamp(),
            exp: (now + self.settings.id_ttl).timestamp(),
            jti: token_id(),
            nonce: grant.nonce.map(ToOwned::to_owned),
            at_hash: Some(at_hash(key.algorithm(), access_token)),
            azp: None,
            act: None,
            may_act: None,
            sid: grant.sid.map(|sid| sid.to_string()),
            // Our own claim is meant for APIs; relying parties did not ask for it.
            authentication: Authentication { credential_class: None, ..authentication(grant) },
            extra: Extra::new(told),
        };
        Ok(self.signer.sign(&key, typ::ID, &claims)?)
    }

    fn first_refresh_token(&self, grant: &Grant<'_>, seed: &RefreshSeed, now: Time) -> Result<String, MintError> {
        let first = First {
            sub: self.subject_of(grant.client, grant.user.id),
            client: grant.client,
            session: grant.session,
            scope: grant.scopes.to_string(),
            authentication: authentication(grant),
            claims: grant.requested.clone(),
            exchange: None,
        };
        self.print_first(first, seed, now)
    }
}

fn authentication(grant: &Grant<'_>) -> Authentication {
    Authentication {
        auth_time: Some(grant.auth_time.timestamp()),
        acr: Some(grant.acr.to_owned()),
        amr: grant.amr.to_vec(),
        credential_class: grant
            .credential_class
            .and_then(|class| serde_json::from_value(Value::String(class.to_owned())).ok()),
    }
}

/// The claims about the person in the ID token: those requested by name, and all claims of the scopes for a client that
/// reads them only there. Others get the claims of scopes from userinfo (OpenID Connect Core §5.4).
fn told_in_id_token(grant: &Grant<'_>) -> Map<String, Value> {
    let scopes = id_token_scopes(grant.client, grant.scopes);
    let mut told = claims_for(grant.user, grant.groups, scopes, &grant.requested.id_token);
    told.extend(attribute_claims(grant.user, &grant.client.definition.attribute_claims, scopes));
    told
}
