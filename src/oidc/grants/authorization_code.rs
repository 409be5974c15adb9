//! The code grant (RFC 6749 §4.1.3): one SELECT, a pure decision, one statement that uses the code up.
//!
//! What must always hold: a code is good for one try; a second one revokes what the first gave, and nothing else.

use serde_json::json;

use super::refresh_token::narrowed_audience;
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::authorization::{CodeRefusal, Decision, Presented};
use crate::domain::client::GrantType;
use crate::domain::id::{Id, SessionId};
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::oidc::Oidc;
use crate::oidc::client_auth::AuthenticatedClient;
use crate::storage::authorization_codes::{self, FoundCode, Redemption};
use crate::storage::{StorageError, audit, refresh_tokens, revoked_tokens};
use crate::tokens::dpop::Jkt;
use crate::tokens::mint::bind_family;
use crate::tokens::{Grant, MintError, RefreshSeed, TokenSet};
use crate::web::error::{Failure, Kind};

/// What a client sends.
pub struct Asked<'a> {
    /// The code.
    pub code: &'a str,
    /// The redirect URI, once more.
    pub redirect_uri: Option<&'a str>,
    /// The PKCE verifier.
    pub verifier: Option<&'a str>,
    /// Resources, if fewer than were allowed (RFC 8707 §2.2).
    pub resources: &'a [&'a str],
    /// The DPoP key that the request proves.
    pub key: Option<&'a Jkt>,
}

/// Why a code gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// No code of ours, or one that was forgotten long ago.
    #[error("no such code")]
    Unknown,
    /// Not for this caller; it is burnt now.
    #[error(transparent)]
    Refused(#[from] CodeRefusal),
    /// Bound to a key that the request does not prove (RFC 9449 §10); it is burnt now.
    #[error("the code is bound to another DPoP key")]
    OtherKey,
    /// Presented before: what it gave is revoked now.
    #[error("a used code was presented again; what it gave is revoked")]
    Replayed,
    /// The session or the person is gone, or may not use the client.
    #[error("the session has ended, or the account may not use this client")]
    Ended,
    /// A resource that was not allowed.
    #[error("a resource was not among those allowed")]
    Target,
    /// The grant is not the client's.
    #[error("this client may not use authorization codes")]
    NotAllowed,
    /// A fault of ours.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// A fault of ours.
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
    let now = room.clock.now();
    let digest = PlainToken::parse(TokenKind::AuthorizationCode, asked.code).ok_or(CodeError::Unknown)?.digest();
    let found = find(room, digest).await?.ok_or(CodeError::Unknown)?;
    let presented = Presented { client: &client.id, redirect_uri: asked.redirect_uri, verifier: asked.verifier };
    match found.code.decide(&presented, now) {
        Decision::Redeem if found.code.grant.dpop_jkt.as_deref().is_some_and(|bound| !proves(asked.key, bound)) => {
            room.db.run(move |conn| authorization_codes::burn(conn, &digest, now)).await?;
            Err(CodeError::OtherKey)
        }
        Decision::Redeem => give(room, client, (digest, &found), asked, (now, origin)).await,
        Decision::Replayed => replayed(room, &found, now, origin).await,
        Decision::Refused(refusal) => {
            room.db.run(move |conn| authorization_codes::burn(conn, &digest, now)).await?;
            Err(refusal.into())
        }
    }
}

fn proves(key: Option<&Jkt>, bound: &str) -> bool {
    key.is_some_and(|key| key.as_str() == bound)
}

async fn find(room: &Oidc, digest: TokenDigest) -> Result<Option<FoundCode>, StorageError> {
    room.db.run(move |conn| authorization_codes::find(conn, &digest)).await
}

async fn give(
    room: &Oidc,
    client: &AuthenticatedClient,
    (digest, found): (TokenDigest, &FoundCode),
    asked: &Asked<'_>,
    (now, origin): (Time, &Provenance),
) -> Result<TokenSet, CodeError> {
    let grant = &found.code.grant;
    let audience = narrowed_audience(room, client, &grant.resources, asked.resources).map_err(|_| CodeError::Target)?;
    // What the client lost since is not given any more.
    if client.grant_scopes(Some(&grant.scopes)).is_err() || !room.may_use(client, found.user.id).await? {
        return Err(CodeError::Ended);
    }
    room.mint.ready(client, &grant.scopes, &audience)?;
    let (redemption, seed) = plan(room, client, (digest, found), asked.key, now)?;
    let tokens_session = redemption.offline.unwrap_or(found.session);
    let event = Event {
        user: Some(found.user.id),
        session: Some(found.session),
        client: Some(client.id.clone()),
        subject: Some(found.code.grant_id.to_string()),
        detail: json!({ "scope": grant.scopes.to_string() }),
        ..Event::new(EventKind::CodeRedeemed, now, origin)
    };
    if !room.db.run(move |conn| authorization_codes::redeem(conn, &redemption, &event)).await? {
        return why_not(room, digest, now, origin).await;
    }
    let groups = room.groups_for_id_token(client, &grant.scopes, found.user.id).await?;
    let grant = Grant {
        user: &found.user,
        groups: &groups,
        session: tokens_session,
        sid: Some(found.session),
        grant_id: Some(found.code.grant_id),
        jkt: asked.key.map(Jkt::as_str),
        requested: &grant.requested,
        client,
        scopes: &grant.scopes,
        audience: &audience,
        acr: &grant.acr,
        amr: &grant.amr,
        credential_class: grant.credential_class.as_deref(),
        auth_time: grant.auth_time,
        nonce: grant.nonce.as_deref(),
    };
    Ok(room.mint.tokens(&grant, seed.as_ref(), now)?)
}

/// Decides ids and keys before anything is written.
fn plan(
    room: &Oidc,
    client: &AuthenticatedClient,
    (digest, found): (TokenDigest, &FoundCode),
    key: Option<&Jkt>,
    now: Time,
) -> Result<(Redemption, Option<RefreshSeed>), CodeError> {
    let grant = &found.code.grant;
    let (family, seed) = if client.may_use(GrantType::RefreshToken).is_ok() {
        let (mut family, mut seed) = room.mint.new_family(found.code.grant_id, &grant.scopes, &grant.resources, now)?;
        bind_family(client, key, &mut family, &mut seed);
        (Some(family), Some(seed))
    } else {
        (None, None)
    };
    let offline = family.is_some() && grant.scopes.contains("offline_access");
    let redemption = Redemption {
        digest,
        client: client.id.clone(),
        user: found.user.id,
        session: found.session,
        offline: offline.then(SessionId::random),
        family,
        grant: grant.clone(),
        now,
    };
    Ok((redemption, seed))
}

/// The statement changed nothing: another caller was first, or something ended in between.
async fn why_not(room: &Oidc, digest: TokenDigest, now: Time, origin: &Provenance) -> Result<TokenSet, CodeError> {
    let found = find(room, digest).await?.ok_or(CodeError::Unknown)?;
    if found.code.used {
        return replayed(room, &found, now, origin).await;
    }
    Err(CodeError::Ended)
}

async fn replayed(room: &Oidc, found: &FoundCode, now: Time, origin: &Provenance) -> Result<TokenSet, CodeError> {
    let grant_id = found.code.grant_id;
    let event = Event {
        user: Some(found.user.id),
        session: Some(found.session),
        client: Some(found.code.client.clone()),
        subject: Some(grant_id.to_string()),
        detail: json!({ "revoked": "grant" }),
        ..Event::new(EventKind::CodeReplayed, now, origin)
    };
    metrics::counter!("passmint_code_replays_total").increment(1);
    room.db
        .tx(move |conn| {
            let ended = refresh_tokens::revoke(conn, grant_id, None, "its code was replayed", now)?;
            // A client that may not refresh has no family; its access tokens know the grant all the same.
            let refused = revoked_tokens::insert(conn, Id::uuid(grant_id), now + chrono::Duration::days(1))?;
            if ended || refused {
                audit::insert(conn, &event)?;
            }
            Ok(())
        })
        .await?;
    Err(CodeError::Replayed)
}
