//! From a grant to tokens. Everything that is issued to a client passes here.

mod exchanged;

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::claims::{
    AccessClaims, ActionResultClaims, Authentication, Confirmation, Extra, ForwardClaims, IdClaims, LOGOUT_EVENT,
    LogoutClaims, RefreshClaims, TransactionProofClaims, at_hash,
};
use super::dpop::Jkt;
use super::holder::Keys;
use super::keys::{Algorithm, Use};
use super::refresh::successor_jti;
use super::ring::SigningKey;
use super::signer::{SignError, Signer};
use super::typ;
use crate::clock::Time;
use crate::domain::action::{Action, ExternalId};
use crate::domain::claims::{RequestedClaims, claims_for, wants_groups};
use crate::domain::client::{Client, ClientKind};
use crate::domain::id::{ActionTokenId, FamilyId, SessionId, UserId};
use crate::domain::operation::Operation;
use crate::domain::resource::Resource;
use crate::domain::scope::Scopes;
use crate::domain::secret::TokenDigest;
use crate::domain::session::SessionLifetimes;
use crate::domain::user::User;
use crate::resources::Resources;
use crate::storage::sign_in::NewFamily;

pub use self::exchanged::{Assertion, Exchange, Exchanged, NOT_APPLICABLE};

/// Life of a signed authorization answer: long enough to reach its client (JARM §2.1: ten minutes at most).
const ANSWER_LIFE: Duration = Duration::minutes(2);

/// Life of a logout token: it is signed when it is delivered (OpenID Connect Back-Channel Logout §2.4: two minutes at most).
const LOGOUT_TOKEN_LIFE: Duration = Duration::minutes(2);

/// Life of the result of an action: it goes from our answer to its client, by the person's browser at most.
pub const RESULT_LIFE: Duration = Duration::seconds(60);

/// Life of the proof of a signed operation: it goes through the person's app to the backend that does the operation.
pub const PROOF_LIFE: Duration = Duration::minutes(2);

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
    /// The claim that holds what hooks add.
    pub hook_claims: String,
}

/// The mint.
pub struct Mint {
    keys: Arc<Keys>,
    settings: MintSettings,
    resources: Arc<Resources>,
    signer: Signer,
}

/// What tokens are made from.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// Whose.
    pub user: &'a User,
    /// Their groups; may be empty unless [`Mint::needs_groups`].
    pub groups: &'a [String],
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
    /// What hooks added at the sign-in.
    pub hook_claims: &'a Map<String, Value>,
}

/// What the token of a client for itself is made from: there is no person and no session (RFC 6749 §4.4).
#[derive(Clone, Copy, Debug)]
pub struct ClientGrant<'a> {
    /// For which client.
    pub client: &'a Client,
    /// Granted scopes.
    pub scopes: &'a Scopes,
    /// Audiences.
    pub audience: &'a [String],
    /// The DPoP key that the token is bound to, by its thumbprint.
    pub jkt: Option<&'a str>,
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
}

/// What the result of an action tells.
#[derive(Clone, Debug)]
pub struct ActionOutcome {
    /// The result's own id, as it was stored when the token was used up.
    pub id: Uuid,
    /// The token that was used.
    pub token: ActionTokenId,
    /// What was done.
    pub action: Action,
    /// The name that the client called the person by.
    pub external_id: Option<ExternalId>,
    /// The passkey's credential id.
    pub credential_id: Vec<u8>,
    /// What the ceremony proved.
    pub authentication: Authentication,
}

/// What the proof of a signed operation tells.
#[derive(Clone, Debug)]
pub struct SignedOperation {
    /// What was signed.
    pub operation: Operation,
    /// Its hash.
    pub hash: String,
    /// The client that the proof is for.
    pub audience: String,
    /// The app that asked.
    pub asked_by: String,
    /// The session that it was signed in.
    pub session: SessionId,
    /// The passkey's credential id.
    pub credential_id: Vec<u8>,
    /// What the ceremony proved.
    pub authentication: Authentication,
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
    /// A mint. Tokens for one of the resources alone have its lifetime and algorithm.
    pub fn new(keys: Arc<Keys>, settings: MintSettings, resources: Arc<Resources>) -> Self {
        Self { keys, settings, resources, signer: Signer::new() }
    }

    /// Our issuer URL.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// The keys.
    pub const fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// The resources that tokens are made for.
    pub const fn resources(&self) -> &Arc<Resources> {
        &self.resources
    }

    /// The `sub` of a person in everything that a client is given; also what a token's `sub` is compared with.
    pub fn subject_of(&self, client: &Client, user: UserId) -> String {
        self.keys.subjects().of(client, user).to_string()
    }

    /// What hooks added, under the one name that it has everywhere; nothing, where it is nothing.
    pub fn named_hook_claims(&self, claims: &Map<String, Value>) -> Map<String, Value> {
        let named = (!claims.is_empty()).then(|| (self.settings.hook_claims.clone(), Value::Object(claims.clone())));
        named.into_iter().collect()
    }

    /// Whether a person's groups are told in ID tokens of this client under these scopes, so that they must be read.
    pub fn needs_groups(&self, client: &Client, scopes: &Scopes) -> bool {
        client.definition.claims_in_id_token && wants_groups(scopes)
    }

    /// How long a session lives that exists through tokens only: as long as its refresh family.
    pub const fn session_lifetimes(&self) -> SessionLifetimes {
        SessionLifetimes { sliding: self.settings.refresh_absolute, absolute: self.settings.refresh_absolute }
    }

    /// How long a session lives that gives a single token: as long as an access token.
    pub const fn single_token_lifetimes(&self) -> SessionLifetimes {
        SessionLifetimes { sliding: self.settings.access_ttl, absolute: self.settings.access_ttl }
    }

    /// How long access tokens of a client live at most.
    pub fn access_life(&self, client: &Client) -> Duration {
        client.definition.access_ttl.map_or(self.settings.access_ttl, Duration::seconds)
    }

    /// Checks that everything for this client could be signed now, so that nothing is written in vain.
    pub fn ready(&self, client: &Client, scopes: &Scopes, audience: &[String]) -> Result<(), MintError> {
        self.keys.require_fresh()?;
        let ring = self.keys.ring();
        let id_token = scopes.contains("openid").then(|| (Use::Tokens, id_algorithm(client)));
        let always = [(Use::Tokens, self.access_algorithm(audience)), (Use::Refresh, Algorithm::HS256)];
        for (usage, algorithm) in always.into_iter().chain(id_token) {
            if ring.signing(&usage, algorithm).is_none() {
                return Err(MintError::NoKey { usage: usage.to_string(), algorithm });
            }
        }
        Ok(())
    }

    /// Decides the first refresh token of a new family. One that is never replaced is printed with the family's end; that it
    /// is not left unused for long, its row sees to.
    pub fn new_family(
        &self,
        client: &Client,
        family: FamilyId,
        scopes: &Scopes,
        audience: &[String],
        now: Time,
    ) -> Result<(NewFamily, RefreshSeed), MintError> {
        let key = self.signing(&Use::Refresh, Algorithm::HS256)?;
        let jti = URL_SAFE_NO_PAD.encode(crate::random::bytes::<32>());
        let ends_at = now + self.settings.refresh_absolute;
        let expires_at = self.idle_end(now).min(ends_at);
        let row = NewFamily {
            id: family,
            scope: scopes.to_string(),
            audience: audience.to_vec(),
            leaf: TokenDigest::of(&jti),
            leaf_key: key.kid().to_owned(),
            leaf_expires_at: expires_at,
            ends_at,
            jkt: None,
        };
        let expires_at = if client.rotates_refresh_tokens() { expires_at } else { ends_at };
        Ok((row, RefreshSeed { family, jti, key, expires_at, resources: audience.to_vec(), jkt: None }))
    }

    /// When a refresh token ends that was used now and is not used again, unless its family ends before.
    pub fn idle_end(&self, now: Time) -> Time {
        now + self.settings.refresh_idle
    }

    /// Decides the successor of a genuine refresh token.
    pub fn successor(&self, presented: &RefreshClaims, family: FamilyId) -> Result<Successor, MintError> {
        let key = self.signing(&Use::Refresh, Algorithm::HS256)?;
        let jti = successor_jti(self.keys.successor_key(), &presented.jti, family);
        Ok(Successor { digest: TokenDigest::of(&jti), kid: key.kid().to_owned() })
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
        let life = self.life_for(grant.client, grant.audience);
        // A token for one of several resources does not carry the others' scopes; the refresh token still does.
        let scope = self.resources.effective(grant.scopes, grant.audience).to_string();
        let claims = AccessClaims { scope: scope.clone(), ..self.access_claims(grant, life, now) };
        let access_token = self.sign_access(&claims, grant.audience)?;
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

    /// Makes the access token of a client for itself. Its `sub` is the client's id, which is never that of a person.
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
            access_token: self.sign_access(&claims, grant.audience)?,
            token_type: token_type(grant.jkt),
            expires_in: life.num_seconds(),
            id_token: None,
            refresh_token: None,
            scope: grant.scopes.to_string(),
        })
    }

    /// Signs an answer of userinfo for a client (OpenID Connect Core §5.3.2). Without a `typ` and without `exp` it passes
    /// for none of our tokens.
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

    /// Signs the answer to an authorization request (JARM §2.1). It has no `typ`, which relying parties would not expect, and
    /// so passes for no token of ours.
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

    /// Signs what a protected host is told of a person: with a key of its own, so that it passes for nothing anywhere else.
    pub fn forward_assertion(&self, claims: &ForwardClaims) -> Result<String, MintError> {
        self.keys.require_fresh()?;
        Ok(self.signer.sign(&self.signing(&Use::Forward, Algorithm::ES256)?, typ::FORWARD, claims)?)
    }

    /// Signs an answer of introspection for the client that asked (RFC 9701 §5).
    pub fn introspection(&self, client: &Client, answer: &Value, now: Time) -> Result<String, MintError> {
        self.keys.require_fresh()?;
        let algorithm = named(client.definition.introspection_algorithm.as_deref()).unwrap_or(Algorithm::RS256);
        let key = self.signing(&Use::Tokens, algorithm)?;
        let claims = json!({
            "iss": self.settings.issuer, "aud": client.id, "iat": now.timestamp(), "token_introspection": answer,
        });
        Ok(self.signer.sign(&key, typ::INTROSPECTION, &claims)?)
    }

    /// The resource that a token is for alone; a token for several has nobody's own rules.
    fn resource(&self, audience: &[String]) -> Option<Arc<Resource>> {
        match audience {
            [one] => self.resources.find(one),
            _ => None,
        }
    }

    /// The shorter of what client and resource want.
    fn life_for(&self, client: &Client, audience: &[String]) -> Duration {
        let resource = self.resource(audience).and_then(|resource| resource.definition.access_ttl);
        let longest = self.access_life(client);
        resource.map_or(longest, |life| longest.min(Duration::seconds(life)))
    }

    fn access_algorithm(&self, audience: &[String]) -> Algorithm {
        let resource = self.resource(audience);
        let own = resource.as_ref().and_then(|resource| named(resource.definition.algorithm.as_deref()));
        own.unwrap_or(self.settings.algorithm)
    }

    fn sign_access(&self, claims: &AccessClaims, audience: &[String]) -> Result<String, MintError> {
        let key = self.signing(&Use::Tokens, self.access_algorithm(audience))?;
        Ok(self.signer.sign(&key, typ::ACCESS, claims)?)
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
            // Our own claim is for APIs; relying parties did not ask for it.
            authentication: Authentication { credential_class: None, ..authentication(grant) },
            extra: Extra::new(told),
        };
        Ok(self.signer.sign(&key, typ::ID, &claims)?)
    }

    /// Makes a logout token: `subject` is how this client knows the person, `sid` the session that ended.
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

    /// Makes the result of an action, for the client that asked for it. Always ES256: what reads it is new, and small keys are
    /// always there.
    pub fn action_result(
        &self,
        client: &Client,
        user: UserId,
        outcome: &ActionOutcome,
        now: Time,
    ) -> Result<String, MintError> {
        self.keys.require_fresh()?;
        let claims = ActionResultClaims {
            iss: self.settings.issuer.clone(),
            sub: self.subject_of(client, user),
            aud: client.id.as_str().into(),
            iat: now.timestamp(),
            exp: (now + RESULT_LIFE).timestamp(),
            jti: outcome.id.to_string(),
            action: outcome.action,
            action_token: outcome.token.to_string(),
            external_id: outcome.external_id.clone(),
            credential: name_of_passkey(&outcome.credential_id),
            authentication: outcome.authentication.clone(),
        };
        Ok(self.signer.sign(&self.signing(&Use::Tokens, Algorithm::ES256)?, typ::ACTION_RESULT, &claims)?)
    }

    /// Makes the proof of a signed operation, for the client that does it.
    pub fn transaction_proof(
        &self,
        client: &Client,
        user: UserId,
        signed: &SignedOperation,
        now: Time,
    ) -> Result<String, MintError> {
        self.keys.require_fresh()?;
        let claims = TransactionProofClaims {
            iss: self.settings.issuer.clone(),
            sub: self.subject_of(client, user),
            aud: client.id.as_str().into(),
            client_id: signed.asked_by.clone(),
            iat: now.timestamp(),
            exp: (now + PROOF_LIFE).timestamp(),
            jti: token_id(),
            sid: signed.session.to_string(),
            operation: signed.operation.clone(),
            operation_hash: signed.hash.clone(),
            credential: name_of_passkey(&signed.credential_id),
            authentication: signed.authentication.clone(),
        };
        Ok(self.signer.sign(&self.signing(&Use::Tokens, Algorithm::ES256)?, typ::TRANSACTION_PROOF, &claims)?)
    }

    fn first_refresh_token(&self, grant: &Grant<'_>, seed: &RefreshSeed, now: Time) -> Result<String, MintError> {
        let claims = RefreshClaims {
            v: 1,
            iss: self.settings.issuer.clone(),
            aud: self.settings.issuer.clone(),
            // Clients can read it, so it says no more than the other tokens.
            sub: self.subject_of(grant.client, grant.user.id),
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

/// Binds a new family to the DPoP key of a public client, which has nothing else to prove itself with (RFC 9449 §5).
pub fn bind_family(client: &Client, key: Option<&Jkt>, row: &mut NewFamily, seed: &mut RefreshSeed) {
    if client.definition.kind == ClientKind::Public {
        row.jkt = key.map(|key| key.as_str().to_owned());
        seed.jkt.clone_from(&row.jkt);
    }
}

/// The algorithm of a client's ID tokens: RS256 unless it says otherwise, as OpenID Connect expects.
pub fn id_algorithm(client: &Client) -> Algorithm {
    named(client.definition.id_token_algorithm.as_deref()).unwrap_or(Algorithm::RS256)
}

fn named(algorithm: Option<&str>) -> Option<Algorithm> {
    algorithm.and_then(|name| name.parse().ok())
}

const fn token_type(jkt: Option<&str>) -> &'static str {
    if jkt.is_some() { "DPoP" } else { "Bearer" }
}

/// What a client is told of a passkey: it is known again by it, and nothing else is told.
fn name_of_passkey(credential_id: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, credential_id))
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

/// Claims of scopes are answered by userinfo; in the ID token are those asked for by name, and all of them for a client that
/// looks nowhere else (OpenID Connect Core §5.4).
fn told_in_id_token(grant: &Grant<'_>) -> Map<String, Value> {
    let none = Scopes::default();
    let scopes = if grant.client.definition.claims_in_id_token { grant.scopes } else { &none };
    claims_for(grant.user, grant.groups, scopes, &grant.requested.id_token)
}
