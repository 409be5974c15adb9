//! The authorization code grant (RFC 6749 §4.1.3): one look-up, a pure decision, one statement that uses the code up.
//!
//! What must always hold: a code can be exchanged once; an attempt by another client, or without its key, verifier or
//! redirect URI, uses it up; a second exchange revokes what the first one issued, and nothing else.

use diesel::PgConnection;
use serde_json::{Map, Value, json};

use super::refresh_token::narrowed_audience;
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::authorization::{CodeRefusal, Decision, Presented, grant_of};
use crate::domain::client::GrantType;
use crate::domain::id::{FamilyId, Id, SessionId};
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::oidc::Oidc;
use crate::oidc::client_auth::AuthenticatedClient;
use crate::storage::authorization_codes::{self, FindCode, FoundCode};
use crate::storage::redemptions::{OfCode, Redemption};
use crate::storage::{StorageError, audit, refresh_tokens, revoked_tokens};
use crate::tokens::dpop::Jkt;
use crate::tokens::{Grant, MintError, RefreshSeed, TokenSet};
use crate::web::error::{Failure, Kind};

/// The parameters of the request.
pub struct Asked<'a> {
    /// The code.
    pub code: &'a str,
    /// The redirect URI of the authorization request, repeated.
    pub redirect_uri: Option<&'a str>,
    /// The PKCE verifier.
    pub verifier: Option<&'a str>,
    /// Resources, if fewer than were granted (RFC 8707 §2.2).
    pub resources: &'a [&'a str],
    /// The DPoP key that the request proves.
    pub key: Option<&'a Jkt>,
}

/// Why a code was refused.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// Not a code of ours, or nothing is left of it in the database.
    #[error("no such code")]
    Unknown,
    /// Not for this caller; the code is used up now.
    #[error(transparent)]
    Refused(#[from] CodeRefusal),
    /// Bound to a key that the request does not prove (RFC 9449 §10); the code is used up now.
    #[error("the code is bound to another DPoP key")]
    OtherKey,
    /// Used before: what it issued is revoked now.
    #[error("a used code was presented again; what it gave is revoked")]
    Replayed,
    /// The session or the person is gone, or may not use the client.
    #[error("the session has ended, or the account may not use this client")]
    Ended,
    /// A resource that was not granted.
    #[error("a resource was not among those allowed")]
    Target,
    /// The client may not use this grant.
    #[error("this client may not use authorization codes")]
    NotAllowed,
    /// A fault of this server.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// A fault of this server.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<CodeError> for Failure {
    fn from(error: CodeError) -> Self {
        let invalid = || Self::new(Kind::InvalidGrant, "The code is not valid, has expired, or was used before.");
        match error {
            CodeError::Storage(error) => error.into(),
            CodeError::Mint(error) => Self::unavailable(error),
            CodeError::Target => Self::new(Kind::InvalidTarget, "A resource was not among those that were allowed."),
            CodeError::NotAllowed => {
                Self::new(Kind::UnauthorizedClient, "This client may not use the authorization code grant.")
            }
            other => invalid().because(other),
        }
    }
}

/// Exchanges a code for tokens.
pub async fn redeem(
    room: &Oidc,
    client: &AuthenticatedClient,
    asked: &Asked<'_>,
    origin: &Provenance,
) -> Result<TokenSet, CodeError> {
    client.may_use(GrantType::AuthorizationCode).map_err(|_| CodeError::NotAllowed)?;
    let code = PlainToken::parse(TokenKind::AuthorizationCode, asked.code).ok_or(CodeError::Unknown)?;
    let exchange = Exchange { room, client, asked, digest: code.digest(), now: room.clock.now(), origin };
    exchange.run().await?.tokens(room, client, asked.key, exchange.now)
}

/// One attempt to exchange a code, with everything that decides it.
struct Exchange<'a> {
    room: &'a Oidc,
    client: &'a AuthenticatedClient,
    asked: &'a Asked<'a>,
    digest: TokenDigest,
    now: Time,
    origin: &'a Provenance,
}

/// A code that was used up for its tokens.
struct Redeemed {
    found: FoundCode,
    audience: Vec<String>,
    /// The session whose lifetime the tokens share.
    session: SessionId,
    seed: Option<RefreshSeed>,
    /// The person's groups, if the ID token contains them.
    groups: Vec<String>,
    /// What hooks added to the session.
    hook_claims: Map<String, Value>,
}

impl Exchange<'_> {
    async fn run(&self) -> Result<Redeemed, CodeError> {
        let found = match self.find().await {
            Err(CodeError::Unknown) => return self.forgotten().await,
            found => found?,
        };
        let presented =
            Presented { client: &self.client.id, redirect_uri: self.asked.redirect_uri, verifier: self.asked.verifier };
        match found.code.decide(&presented, self.now) {
            Decision::Redeem if !self.proves_key_of(&found) => self.burn(CodeError::OtherKey).await,
            Decision::Redeem => self.give(found).await,
            Decision::Replayed => self.replayed(&found).await,
            Decision::Refused(refusal) => self.burn(refusal.into()).await,
        }
    }

    async fn find(&self) -> Result<FoundCode, CodeError> {
        self.room.db.ask(FindCode { digest: self.digest }).await?.ok_or(CodeError::Unknown)
    }

    /// Whether the request proves the key that the code is bound to, if it is bound to one.
    fn proves_key_of(&self, found: &FoundCode) -> bool {
        let bound = found.code.grant.dpop_jkt.as_deref();
        bound.is_none_or(|bound| self.asked.key.is_some_and(|key| key.as_str() == bound))
    }

    async fn burn(&self, error: CodeError) -> Result<Redeemed, CodeError> {
        let (digest, now) = (self.digest, self.now);
        self.room.db.run(move |conn| authorization_codes::burn(conn, &digest, now)).await?;
        Err(error)
    }

    async fn give(&self, found: FoundCode) -> Result<Redeemed, CodeError> {
        let (mint, client, grant) = (&self.room.mint, self.client, &found.code.grant);
        let audience = narrowed_audience(self.room, client, &grant.resources, self.asked.resources)
            .map_err(|_| CodeError::Target)?;
        // The client does not get what it has lost since.
        if !self.room.may_use(client, found.user.id).await? || client.grant_scopes(Some(&grant.scopes)).is_err() {
            return Err(CodeError::Ended);
        }
        mint.wait_for_keys(client, &grant.scopes, &audience).await;
        mint.ready(client, &grant.scopes, &audience)?;
        let groups = self.room.groups_for_id_token(client, (&grant.scopes, &grant.requested), found.user.id).await?;
        let (redemption, seed) = self.plan(&found)?;
        let session = redemption.offline.unwrap_or(found.session);
        let Some(hook_claims) = self.room.db.ask(OfCode(redemption)).await? else {
            return self.why_not().await;
        };
        Ok(Redeemed { found, audience, session, seed, groups, hook_claims })
    }

    /// Decides IDs and keys before anything is written.
    fn plan(&self, found: &FoundCode) -> Result<(Redemption, Option<RefreshSeed>), CodeError> {
        let (client, grant, now) = (self.client, &found.code.grant, self.now);
        let holder = (&**client, self.asked.key);
        let family = self.room.mint.open_family(holder, found.code.grant_id, &grant.scopes, &grant.resources, now)?;
        let (family, seed) = family.unzip();
        let offline = family.is_some() && grant.scopes.contains("offline_access");
        let redemption = Redemption {
            digest: self.digest,
            client: client.id.clone(),
            user: found.user.id,
            session: found.session,
            offline: offline.then(SessionId::random),
            family,
            acr: grant.acr.clone(),
            amr: grant.amr.clone(),
            credential_class: grant.credential_class.clone(),
            auth_time: grant.auth_time,
            // This was recorded when the code was issued. It is recorded again for a person who may since have left one
            // of the client's groups and come back.
            tells_client: !client.definition.allowed_groups.is_empty() && grant.scopes.contains("openid"),
            now,
            event: Event {
                client: Some(client.id.clone()),
                detail: json!({ "scope": grant.scopes.to_string() }),
                ..self.event(EventKind::CodeRedeemed, found)
            },
        };
        Ok((redemption, seed))
    }

    /// Why the statement changed nothing: another request was first, or something ended in between.
    async fn why_not(&self) -> Result<Redeemed, CodeError> {
        let found = self.find().await?;
        if found.code.used { self.replayed(&found).await } else { Err(CodeError::Ended) }
    }

    async fn replayed(&self, found: &FoundCode) -> Result<Redeemed, CodeError> {
        let client = Some(found.code.client.clone());
        let event = Event { client, ..self.event(EventKind::CodeReplayed, found) };
        self.end(found.code.grant_id, event).await
    }

    /// A used code is kept as long as its access tokens can live. After that, its refresh tokens are still found by the
    /// code itself.
    async fn forgotten(&self) -> Result<Redeemed, CodeError> {
        let (grant_id, now) = (grant_of(&self.digest), self.now);
        let given = self.room.db.run(move |conn| refresh_tokens::find(conn, grant_id, now)).await?;
        let given = given.ok_or(CodeError::Unknown)?;
        let event = Event {
            user: Some(given.user),
            session: Some(given.session),
            client: Some(given.family.client),
            subject: Some(grant_id.to_string()),
            ..Event::new(EventKind::CodeReplayed, now, self.origin)
        };
        self.end(grant_id, event).await
    }

    /// Revokes what a code issued, because the code was used again.
    async fn end(&self, grant_id: FamilyId, event: Event) -> Result<Redeemed, CodeError> {
        let now = self.now;
        let event = Event { detail: json!({ "revoked": "grant" }), ..event };
        metrics::counter!("passmint_code_replays_total").increment(1);
        let revoke = move |conn: &mut PgConnection| {
            let ended = refresh_tokens::revoke(conn, grant_id, None, "its code was replayed", now)?;
            // A client that may not refresh has no family, but its access tokens name the grant all the same.
            let refused = revoked_tokens::insert(conn, Id::uuid(grant_id), now + chrono::Duration::days(1))?;
            refresh_tokens::revoke_descendants(conn, grant_id, now)?;
            if ended || refused { audit::insert(conn, &event) } else { Ok(()) }
        };
        self.room.db.tx(revoke).await?;
        Err(CodeError::Replayed)
    }

    fn event(&self, kind: EventKind, found: &FoundCode) -> Event {
        Event {
            user: Some(found.user.id),
            session: Some(found.session),
            subject: Some(found.code.grant_id.to_string()),
            ..Event::new(kind, self.now, self.origin)
        }
    }
}

impl Redeemed {
    fn tokens(
        &self,
        room: &Oidc,
        client: &AuthenticatedClient,
        key: Option<&Jkt>,
        now: Time,
    ) -> Result<TokenSet, CodeError> {
        let (found, grant) = (&self.found, &self.found.code.grant);
        let grant = Grant {
            user: &found.user,
            groups: &self.groups,
            session: self.session,
            sid: Some(found.session),
            grant_id: Some(found.code.grant_id),
            jkt: key.map(Jkt::as_str),
            requested: &grant.requested,
            client,
            scopes: &grant.scopes,
            audience: &self.audience,
            acr: &grant.acr,
            amr: &grant.amr,
            credential_class: grant.credential_class.as_deref(),
            auth_time: grant.auth_time,
            nonce: grant.nonce.as_deref(),
            hook_claims: &self.hook_claims,
        };
        Ok(room.mint.tokens(&grant, self.seed.as_ref(), now)?)
    }
}
