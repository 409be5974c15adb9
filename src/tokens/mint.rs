//! From a grant to tokens. Everything that is issued to a client passes here.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use serde_json::{Map, Value};

use super::claims::{AccessClaims, Authentication, Confirmation, Extra, IdClaims, RefreshClaims, at_hash};
use super::holder::Keys;
use super::keys::{Algorithm, Use};
use super::refresh::successor_jti;
use super::ring::SigningKey;
use super::signer::{SignError, Signer};
use super::typ;
use crate::clock::Time;
use crate::domain::claims::RequestedClaims;
use crate::domain::client::Client;
use crate::domain::id::{FamilyId, SessionId};
use crate::domain::scope::Scopes;
use crate::domain::secret::TokenDigest;
use crate::domain::session::SessionLifetimes;
use crate::domain::user::User;
use crate::storage::sign_in::NewFamily;

/// Why nothing could be issued: a fault of ours, answered as 503.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// No key signs for this use and algorithm yet.
    #[error("no {algorithm} key signs for {usage} now")]
    NoKey {
        /// The use.
        usage: String,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// This server has not heard from the database for too long: it may have missed a revocation.
    #[error("this server is cut off from its database and issues nothing")]
    CutOff,
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// How tokens are made.
#[derive(Clone, Debug)]
pub struct MintSettings {
    /// Our issuer URL.
    pub issuer: String,
    /// Algorithm of access tokens.
    pub algorithm: Algorithm,
    /// Life of access tokens, unless the client has its own.
    pub access_ttl: Duration,
    /// Life of ID tokens.
    pub id_ttl: Duration,
    /// Life of an unused refresh token.
    pub refresh_idle: Duration,
    /// Life of a refresh family.
    pub refresh_absolute: Duration,
}

/// The mint.
pub struct Mint {
    keys: Arc<Keys>,
    settings: MintSettings,
    signer: Signer,
}

/// What tokens are made from.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// Whose.
    pub user: &'a User,
    /// The session that the tokens live and end with.
    pub session: SessionId,
    /// The session that the ID token names, by which its client is told of the end; none: it names none.
    pub sid: Option<SessionId>,
    /// The grant, where tokens can be revoked by it without ending their session.
    pub grant_id: Option<FamilyId>,
    /// The DPoP key that the access token is bound to, by its thumbprint.
    pub jkt: Option<&'a str>,
    /// Claims that were asked for one by one.
    pub requested: &'a RequestedClaims,
    /// For which client.
    pub client: &'a Client,
    /// Granted scopes.
    pub scopes: &'a Scopes,
    /// Audiences of the access token.
    pub audience: &'a [String],
    /// Authentication context class reference.
    pub acr: &'a str,
    /// Authentication method references.
    pub amr: &'a [String],
    /// Our own claim.
    pub credential_class: Option<&'a str>,
    /// When the person authenticated.
    pub auth_time: Time,
    /// Copied into the ID token.
    pub nonce: Option<&'a str>,
}

/// What the first refresh token of a family is made from.
#[derive(Clone, Debug)]
pub struct RefreshSeed {
    family: FamilyId,
    jti: String,
    key: SigningKey,
    expires_at: Time,
    /// The audiences that access tokens of the family may have.
    resources: Vec<String>,
    /// The DPoP key that a public client's family is bound to.
    pub jkt: Option<String>,
}

/// The next refresh token of a family, before the database agreed to it.
#[derive(Clone, Debug)]
pub struct Successor {
    /// Digest of its `jti`.
    pub digest: TokenDigest,
    /// Key id it will be signed with.
    pub kid: String,
    /// Its end, unless the family ends before.
    pub expires_at: Time,
}

/// Tokens as the token endpoint answers them (RFC 6749 §5.1).
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
    /// A mint.
    pub fn new(keys: Arc<Keys>, settings: MintSettings) -> Self {
        Self { keys, settings, signer: Signer::new() }
    }

    /// Our issuer URL.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// The keys.
    pub const fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// How long a session lives that exists through tokens only: as long as its refresh family.
    pub const fn session_lifetimes(&self) -> SessionLifetimes {
        SessionLifetimes { sliding: self.settings.refresh_absolute, absolute: self.settings.refresh_absolute }
    }

    /// How long a session lives that gives a single token: as long as an access token.
    pub const fn single_token_lifetimes(&self) -> SessionLifetimes {
        SessionLifetimes { sliding: self.settings.access_ttl, absolute: self.settings.access_ttl }
    }

    /// How long access tokens of a client live.
    pub fn access_life(&self, client: &Client) -> Duration {
        client.definition.access_ttl.map_or(self.settings.access_ttl, Duration::seconds)
    }

    /// Checks that everything for this client could be signed now, so that nothing is written in vain.
    pub fn ready(&self, client: &Client, scopes: &Scopes) -> Result<(), MintError> {
        self.keys.require_fresh()?;
        let ring = self.keys.ring();
        let id_token = scopes.contains("openid").then(|| (Use::Tokens, id_algorithm(client)));
        let always = [(Use::Tokens, self.settings.algorithm), (Use::Refresh, Algorithm::HS256)];
        for (usage, algorithm) in always.into_iter().chain(id_token) {
            if ring.signing(&usage, algorithm).is_none() {
                return Err(MintError::NoKey { usage: usage.to_string(), algorithm });
            }
        }
        Ok(())
    }

    /// Decides the first refresh token of a new family.
    pub fn new_family(
        &self,
        family: FamilyId,
        scopes: &Scopes,
        audience: &[String],
        now: Time,
    ) -> Result<(NewFamily, RefreshSeed), MintError> {
        let key = self.signing(&Use::Refresh, Algorithm::HS256)?;
        let jti = URL_SAFE_NO_PAD.encode(crate::random::bytes::<32>());
        let ends_at = now + self.settings.refresh_absolute;
        let expires_at = (now + self.settings.refresh_idle).min(ends_at);
        let row = NewFamily {
            id: family,
            scope: scopes.to_string(),
            audience: audience.to_vec(),
            leaf: TokenDigest::of(&jti),
            leaf_key: key.kid().to_owned(),
            leaf_expires_at: expires_at,
            ends_at,
        };
        Ok((row, RefreshSeed { family, jti, key, expires_at, resources: audience.to_vec(), jkt: None }))
    }

    /// Decides the successor of a genuine refresh token.
    pub fn successor(&self, presented: &RefreshClaims, family: FamilyId, now: Time) -> Result<Successor, MintError> {
        let key = self.signing(&Use::Refresh, Algorithm::HS256)?;
        let jti = successor_jti(self.keys.successor_key(), &presented.jti, family);
        Ok(Successor {
            digest: TokenDigest::of(&jti),
            kid: key.kid().to_owned(),
            expires_at: now + self.settings.refresh_idle,
        })
    }

    /// Prints the successor of a genuine refresh token, as it was decided: the same bytes on every server, at every try.
    pub fn print_successor(
        &self,
        presented: &RefreshClaims,
        family: FamilyId,
        kid: &str,
        (issued_at, expires_at): (Time, Time),
    ) -> Result<String, MintError> {
        let ring = self.keys.ring();
        let usage = Use::Refresh;
        let missing = || MintError::NoKey { usage: usage.to_string(), algorithm: Algorithm::HS256 };
        let key = ring.signing_by_kid(&usage, kid).ok_or_else(missing)?;
        let claims = RefreshClaims {
            jti: successor_jti(self.keys.successor_key(), &presented.jti, family),
            iat: issued_at.timestamp(),
            exp: expires_at.timestamp(),
            ..presented.clone()
        };
        Ok(self.signer.sign(key, typ::REFRESH, &claims)?)
    }

    /// Makes the tokens of a fresh grant.
    pub fn tokens(&self, grant: &Grant<'_>, seed: Option<&RefreshSeed>, now: Time) -> Result<TokenSet, MintError> {
        let refresh_token = seed.map(|seed| self.first_refresh_token(grant, seed, now)).transpose()?;
        self.access_and_id(grant, refresh_token, now)
    }

    /// Makes an access token, an ID token when `openid` was granted, and passes the refresh token on.
    pub fn access_and_id(
        &self,
        grant: &Grant<'_>,
        refresh_token: Option<String>,
        now: Time,
    ) -> Result<TokenSet, MintError> {
        self.keys.require_fresh()?;
        let life = self.access_life(grant.client);
        let access_token = self.access_token(grant, life, now)?;
        let id_token = grant.scopes.contains("openid").then(|| self.id_token(grant, &access_token, now)).transpose()?;
        Ok(TokenSet {
            access_token,
            token_type: if grant.jkt.is_some() { "DPoP" } else { "Bearer" },
            expires_in: life.num_seconds(),
            id_token,
            refresh_token,
            scope: grant.scopes.to_string(),
        })
    }

    fn access_token(&self, grant: &Grant<'_>, life: Duration, now: Time) -> Result<String, MintError> {
        let claims = AccessClaims {
            iss: self.settings.issuer.clone(),
            sub: grant.user.id.to_string(),
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
            grant_id: grant.grant_id.map(|id| id.to_string()),
            userinfo_claims: grant.requested.userinfo.clone(),
            extra: Extra::default(),
        };
        Ok(self.signer.sign(&self.signing(&Use::Tokens, self.settings.algorithm)?, typ::ACCESS, &claims)?)
    }

    fn id_token(&self, grant: &Grant<'_>, access_token: &str, now: Time) -> Result<String, MintError> {
        let key = self.signing(&Use::Tokens, id_algorithm(grant.client))?;
        let claims = IdClaims {
            iss: self.settings.issuer.clone(),
            sub: grant.user.id.to_string(),
            aud: grant.client.id.as_str().into(),
            iat: now.timestamp(),
            exp: (now + self.settings.id_ttl).timestamp(),
            jti: token_id(),
            nonce: grant.nonce.map(ToOwned::to_owned),
            at_hash: Some(at_hash(key.algorithm(), access_token)),
            azp: None,
            sid: grant.sid.map(|sid| sid.to_string()),
            authentication: authentication(grant),
            extra: Extra::new(profile(grant)),
        };
        Ok(self.signer.sign(&key, typ::ID, &claims)?)
    }

    fn first_refresh_token(&self, grant: &Grant<'_>, seed: &RefreshSeed, now: Time) -> Result<String, MintError> {
        let claims = RefreshClaims {
            v: 1,
            iss: self.settings.issuer.clone(),
            aud: self.settings.issuer.clone(),
            sub: grant.user.id.to_string(),
            client_id: grant.client.id.clone(),
            jti: seed.jti.clone(),
            fid: seed.family.to_string(),
            sid: Some(grant.session.to_string()),
            scope: grant.scopes.to_string(),
            resources: seed.resources.clone(),
            iat: now.timestamp(),
            exp: seed.expires_at.timestamp(),
            authentication: authentication(grant),
            cnf: seed.jkt.clone().map(|jkt| Confirmation { jkt }),
            claims: grant.requested.clone(),
        };
        Ok(self.signer.sign(&seed.key, typ::REFRESH, &claims)?)
    }

    fn signing(&self, usage: &Use, algorithm: Algorithm) -> Result<SigningKey, MintError> {
        let missing = || MintError::NoKey { usage: usage.to_string(), algorithm };
        self.keys.ring().signing(usage, algorithm).cloned().ok_or_else(missing)
    }
}

/// The algorithm of a client's ID tokens: RS256 unless it says otherwise, as OpenID Connect expects.
pub fn id_algorithm(client: &Client) -> Algorithm {
    client.definition.id_token_algorithm.as_deref().and_then(|name| name.parse().ok()).unwrap_or(Algorithm::RS256)
}

fn token_id() -> String {
    crate::random::uuid().to_string()
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

/// Standard claims by scope (OpenID Connect Core §5.4).
fn profile(grant: &Grant<'_>) -> Map<String, Value> {
    let mut claims = Map::new();
    if grant.scopes.contains("profile") {
        if let Some(name) = &grant.user.name {
            claims.insert("name".to_owned(), Value::from(name.as_str()));
        }
        if let Some(locale) = &grant.user.locale {
            claims.insert("locale".to_owned(), Value::from(locale.as_str()));
        }
    }
    if grant.scopes.contains("email")
        && let Some(email) = &grant.user.email
    {
        claims.insert("email".to_owned(), Value::from(email.as_str()));
        claims.insert("email_verified".to_owned(), Value::from(grant.user.email_verified_at.is_some()));
    }
    claims
}
