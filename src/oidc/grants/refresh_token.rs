//! Refresh token rotation: each refresh token is used once, and each family has one live leaf (RFC 9700 §4.14.2).
//! Clients under FAPI 2.0 keep their token, whose lifetime is extended instead.
//!
//! The usual case is one statement that rotates and returns the expiry of the successor. Only if it changes nothing are
//! the rows read and [`Family::decide`](crate::domain::refresh::Family::decide) asked for the reason.

use serde_json::{Map, Value, json};

use crate::clock::Time;
use crate::domain::audience::known_as;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::authentication::CredentialClass;
use crate::domain::claims::RequestedClaims;
use crate::domain::client::{Client, GrantType};
use crate::domain::exchange::{Granted, Issuer};
use crate::domain::id::{FamilyId, SessionId};
use crate::domain::refresh::{Decision, RefreshRefusal};
use crate::domain::scope::Scopes;
use crate::domain::secret::TokenDigest;
use crate::domain::user::User;
use crate::oidc::Oidc;
use crate::oidc::client_auth::AuthenticatedClient;
use crate::oidc::grants::token_exchange::{NotRenewed, renew};
use crate::storage::refresh_tokens::{self, Rotated, Rotation, StoredFamily};
use crate::storage::{StorageError, audit, signing_keys};
use crate::tokens::claims::RefreshClaims;
use crate::tokens::dpop::Jkt;
use crate::tokens::keys::Use;
use crate::tokens::mint::{Exchange, Successor};
use crate::tokens::verifier::places;
use crate::tokens::{Grant, MintError, TokenSet};
use crate::web::error::{Failure, Kind};

/// Why a refresh was refused.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Not a refresh token of ours.
    #[error("not a refresh token of ours: {0}")]
    NotOurs(crate::tokens::verifier::Refusal),
    /// Ours, but not accepted.
    #[error(transparent)]
    Refused(#[from] RefreshRefusal),
    /// No such family: it ended long ago, or the database was restored.
    #[error("the refresh token's family is not stored")]
    NoFamily,
    /// The key that signed the live token was revoked.
    #[error("the key of the family's live token was revoked")]
    KeyRevoked,
    /// Used before: the family is revoked now.
    #[error("a used refresh token was presented again; its family is revoked")]
    Replayed,
    /// More than was granted.
    #[error("the scope is wider than what was granted")]
    Wider,
    /// Bound to a key that the request does not prove.
    #[error("the refresh token is bound to another DPoP key")]
    OtherKey,
    /// A resource that was not granted.
    #[error("a resource was not among those allowed")]
    Target,
    /// The person may no longer use the client.
    #[error("the person is not in a group that may use this client")]
    NotInGroup,
    /// The exchange that the family came from would not be allowed today.
    #[error(transparent)]
    NotRenewed(NotRenewed),
    /// The client may not use this grant.
    #[error("this client may not refresh")]
    NotAllowed,
    /// A fault of this server.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// A fault of this server.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<NotRenewed> for RefreshError {
    fn from(error: NotRenewed) -> Self {
        match error {
            NotRenewed::Storage(fault) => Self::Storage(fault),
            other => Self::NotRenewed(other),
        }
    }
}

impl From<RefreshError> for Failure {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Storage(error) => error.into(),
            RefreshError::Mint(error) => Self::unavailable(error),
            RefreshError::Wider => Self::new(Kind::InvalidScope, "The scope is wider than what was granted."),
            RefreshError::Target => Self::new(Kind::InvalidTarget, "A resource was not among those that were allowed."),
            RefreshError::NotAllowed => Self::new(Kind::UnauthorizedClient, "This client may not use refresh tokens."),
            RefreshError::NotOurs(refusal) => invalid().because(refusal),
            other => invalid().because(other),
        }
    }
}

fn invalid() -> Failure {
    Failure::new(Kind::InvalidGrant, "The refresh token is not valid, has expired, or was already used or revoked.")
}

/// A genuine token, parsed.
struct Presented {
    claims: RefreshClaims,
    family: FamilyId,
    session: SessionId,
    scopes: Scopes,
}

/// What the new access token is for.
struct Wanted<'a> {
    scopes: Scopes,
    /// Claims requested by name, except those whose scope is no longer granted.
    requested: RequestedClaims,
    audience: Vec<String>,
    key: Option<&'a Jkt>,
    /// What the exchange rule grants today, if the family came from an exchange.
    exchange: Option<Granted>,
}

/// The parameters of the request.
pub struct Asked<'a> {
    /// The refresh token.
    pub token: &'a str,
    /// Scopes, if fewer than were granted.
    pub scope: Option<&'a Scopes>,
    /// Resources, if fewer than were granted (RFC 8707 §2.2).
    pub resources: &'a [&'a str],
    /// The DPoP key that the request proves.
    pub key: Option<&'a Jkt>,
}

/// Rotates a refresh token and issues new tokens.
pub async fn refresh(
    room: &Oidc,
    client: &AuthenticatedClient,
    asked: &Asked<'_>,
    origin: &Provenance,
) -> Result<TokenSet, RefreshError> {
    client.may_use(GrantType::RefreshToken).map_err(|_| RefreshError::NotAllowed)?;
    let now = room.clock.now();
    let presented = open(room, asked.token, now)?;
    if presented.claims.client_id != client.id {
        return Err(RefreshRefusal::OtherClient.into());
    }
    // Families of public clients are bound to a key, and so are those of exchanges that proved one. Any other
    // confidential client authenticates itself, and may change keys (RFC 9449 §5).
    if let Some(bound) = &presented.claims.cnf
        && asked.key.is_none_or(|key| key.as_str() != bound.jkt)
    {
        return Err(RefreshError::OtherKey);
    }
    let exchange = match presented.claims.exchange.as_deref() {
        Some(origin) => {
            let given = (presented.claims.resources.as_slice(), &presented.scopes);
            Some(renew(room, client, origin, given, presented.family, now).await?)
        }
        None => None,
    };
    let wanted = narrowed(room, client, &presented, asked, exchange)?;
    if !may_still_use(room, client, presented.family).await? {
        return Err(RefreshError::NotInGroup);
    }
    room.mint.wait_for_keys(client, &wanted.scopes, &wanted.audience).await;
    room.mint.ready(client, &wanted.scopes, &wanted.audience)?;

    let successor = client
        .rotates_refresh_tokens()
        .then(|| room.mint.successor(&presented.claims, presented.family))
        .transpose()?;
    let rotation = rotation(room, client, &presented, successor.as_ref(), now);
    let rotated = room.db.ask(rotation).await?.transpose()?;
    let (leaf, user) = match rotated {
        Some(Rotated { leaf_expires_at: expires_at, offline, user, hook_claims }) => {
            let kid = successor.map(|successor| successor.kid);
            (Leaf { kid, issued_at: now, expires_at, offline, hook_claims }, user)
        }
        None => why_not(room, client, &presented, now, origin).await?,
    };
    let groups = room.groups_for_id_token(client, (&wanted.scopes, &wanted.requested), user.id).await?;
    issue(room, client, &presented, &wanted, (&user, &groups), &leaf, now)
}

/// The live token of a family, as far as needed to print it.
struct Leaf {
    /// The key it is signed with. `None` if it is the presented token, which the client already has.
    kid: Option<String>,
    issued_at: Time,
    expires_at: Time,
    offline: bool,
    /// What hooks added to the session.
    hook_claims: Map<String, Value>,
}

fn open(room: &Oidc, token: &str, now: Time) -> Result<Presented, RefreshError> {
    let claims = places::refresh_token(&room.mint.keys().ring(), room.mint.issuer(), token, now)
        .map_err(RefreshError::NotOurs)?
        .into_claims();
    let family = claims.fid.parse().map_err(|_| RefreshError::NoFamily)?;
    let session = claims.sid.as_deref().and_then(|sid| sid.parse().ok()).ok_or(RefreshError::NoFamily)?;
    let scopes = Scopes::parse(&claims.scope).map_err(|_| RefreshError::NoFamily)?;
    Ok(Presented { claims, family, session, scopes })
}

/// What the new access token is for. What the client has lost since is left out.
fn narrowed<'a>(
    room: &Oidc,
    client: &Client,
    presented: &Presented,
    asked: &Asked<'a>,
    exchange: Option<Granted>,
) -> Result<Wanted<'a>, RefreshError> {
    let scopes = match asked.scope {
        None => &presented.scopes,
        Some(asked) if asked.is_subset(&presented.scopes) => asked,
        Some(_) => return Err(RefreshError::Wider),
    };
    let resources = exchange.as_ref().map_or(&presented.claims.resources, |granted| &granted.audience);
    let audience = narrowed_audience(room, client, resources, asked.resources)?;
    let allowed = exchange.as_ref().map_or_else(|| scopes.clone(), |granted| scopes.granted_by(&granted.scopes));
    // A token for one of several resources does not carry the scopes of the others.
    let scopes = room.mint.resources().effective(&allowed.granted_by(&client.definition.scopes), &audience);
    let requested = presented.claims.claims.clone().within(&client.definition.scopes);
    let requested = requested.allowed_with(&presented.scopes, &scopes);
    Ok(Wanted { scopes, requested, audience, key: asked.key, exchange })
}

/// Whether the family's owner may use the client; looked up only if the client is restricted to groups. The token does
/// not identify the owner: it contains the `sub` that the client knows them by.
async fn may_still_use(room: &Oidc, client: &AuthenticatedClient, family: FamilyId) -> Result<bool, StorageError> {
    if client.definition.allowed_groups.is_empty() {
        return Ok(true);
    }
    match room.db.run(move |conn| refresh_tokens::owner(conn, family)).await? {
        Some(owner) => room.may_use(client, owner).await,
        None => Ok(true),
    }
}

/// The requested resources, all of which must have been granted; all granted ones if none is named. Each must still be
/// one that the client may request, and be enabled.
pub(super) fn narrowed_audience(
    room: &Oidc,
    client: &Client,
    allowed: &[String],
    asked: &[&str],
) -> Result<Vec<String>, RefreshError> {
    let issuer = room.mint.issuer();
    let own = [issuer.to_owned()];
    let allowed = if allowed.is_empty() { own.as_slice() } else { allowed };
    let known = || allowed.iter().map(String::as_str);
    let wanted: Option<Vec<&str>> = if asked.is_empty() {
        Some(known().collect())
    } else {
        asked.iter().map(|resource| known_as(known(), resource)).collect()
    };
    let wanted = wanted.ok_or(RefreshError::Target)?;
    room.mint.resources().audience(client, wanted, issuer).map_err(|_| RefreshError::Target)
}

fn rotation(
    room: &Oidc,
    client: &AuthenticatedClient,
    presented: &Presented,
    successor: Option<&Successor>,
    now: Time,
) -> Rotation {
    let digest = TokenDigest::of(&presented.claims.jti);
    Rotation {
        family: presented.family,
        client: client.id.clone(),
        presented: digest,
        successor: successor.map_or(digest, |successor| successor.digest),
        successor_key: successor.map(|successor| successor.kid.clone()),
        successor_expires_at: room.mint.idle_end(now),
        now,
    }
}

/// Why the statement changed nothing: a late retry, a replay, or something ended.
async fn why_not(
    room: &Oidc,
    client: &AuthenticatedClient,
    presented: &Presented,
    now: Time,
    origin: &Provenance,
) -> Result<(Leaf, User), RefreshError> {
    let family = presented.family;
    // By the family's row: the token contains only the `sub` that its client knows the person by.
    let found = room.db.run(move |conn| refresh_tokens::find_with_user(conn, family, now)).await?;
    let Some((stored, user)) = found else { return Err(RefreshError::NoFamily) };
    let digest = TokenDigest::of(&presented.claims.jti);
    match stored.family.decide(&digest, &client.id, stored.standing, now, room.retry_window) {
        Decision::Repeat => {
            require_key(room, &stored.family.leaf_key, now).await?;
            Ok((leaf_of(stored), user))
        }
        // Another server rotated it between our two statements at the same instant of the clock. This is equivalent to
        // a repeat, but never retried in a loop; the client tries again.
        Decision::Rotate => Err(RefreshError::Storage(StorageError::NoConnection(None))),
        Decision::Refused(refusal) => Err(refusal.into()),
        Decision::Replayed => {
            revoke_family(room, client, &stored, now, origin).await?;
            Err(RefreshError::Replayed)
        }
    }
}

/// Refuses a leaf whose key was revoked: it is dead, and trying again does not help. A key that is just not loaded here
/// yet is no reason to refuse; printing the token reports that.
async fn require_key(room: &Oidc, kid: &str, now: Time) -> Result<(), RefreshError> {
    if room.mint.keys().ring().signing_by_kid(&Use::Refresh, kid).is_some() {
        return Ok(());
    }
    let rows = room.db.run(signing_keys::all).await?;
    let revoked = rows.iter().any(|row| row.kid == kid && row.revoked_at.is_some_and(|at| at <= now));
    if revoked { Err(RefreshError::KeyRevoked) } else { Ok(()) }
}

fn leaf_of(stored: StoredFamily) -> Leaf {
    Leaf {
        kid: Some(stored.family.leaf_key),
        issued_at: stored.family.leaf_issued_at,
        expires_at: stored.family.leaf_expires_at,
        offline: stored.offline,
        hook_claims: stored.hook_claims,
    }
}

async fn revoke_family(
    room: &Oidc,
    client: &AuthenticatedClient,
    stored: &StoredFamily,
    now: Time,
    origin: &Provenance,
) -> Result<(), StorageError> {
    let event = Event {
        user: Some(stored.user),
        session: Some(stored.session),
        client: Some(client.id.clone()),
        subject: Some(stored.family.id.to_string()),
        detail: json!({ "revoked": "family" }),
        ..Event::new(EventKind::RefreshReplayed, now, origin)
    };
    let family = stored.family.id;
    metrics::counter!("passmint_refresh_replays_total").increment(1);
    room.db
        .tx(move |conn| {
            // If a token is replayed several times at once, only one request revokes the family and writes the event.
            if refresh_tokens::revoke(conn, family, None, "replayed", now)? {
                audit::insert(conn, &event)?;
            }
            Ok(())
        })
        .await
}

fn issue(
    room: &Oidc,
    client: &AuthenticatedClient,
    presented: &Presented,
    wanted: &Wanted<'_>,
    (user, groups): (&User, &[String]),
    leaf: &Leaf,
    now: Time,
) -> Result<TokenSet, RefreshError> {
    let print = |kid: &String| {
        room.mint.print_successor(&presented.claims, presented.family, kid, (leaf.issued_at, leaf.expires_at))
    };
    let printed = leaf.kid.as_ref().map(print).transpose()?;
    if let Some(granted) = &wanted.exchange {
        return exchanged(room, client, (presented, wanted), (user, leaf, granted), printed, now);
    }
    let authentication = &presented.claims.authentication;
    let auth_time = authentication.at().unwrap_or(leaf.issued_at);
    let grant = Grant {
        user,
        groups,
        session: presented.session,
        // For tokens that outlive the browser session, nobody will announce its end.
        sid: (!leaf.offline).then_some(presented.session),
        grant_id: Some(presented.family),
        jkt: wanted.key.map(Jkt::as_str),
        requested: &wanted.requested,
        client,
        scopes: &wanted.scopes,
        audience: &wanted.audience,
        acr: authentication.acr.as_deref().unwrap_or("0"),
        amr: &authentication.amr,
        credential_class: authentication.credential_class.map(CredentialClass::as_str),
        auth_time,
        nonce: None,
        hook_claims: &leaf.hook_claims,
    };
    Ok(room.mint.access_and_id(&grant, printed, now)?)
}

/// The new access token of an exchange: what the rule grants, and no ID token.
fn exchanged(
    room: &Oidc,
    client: &AuthenticatedClient,
    (presented, wanted): (&Presented, &Wanted<'_>),
    (user, leaf, granted): (&User, &Leaf, &Granted),
    refresh_token: Option<String>,
    now: Time,
) -> Result<TokenSet, RefreshError> {
    // An exchange of one of our own tokens carried none of the claims that hooks added to the person's own session.
    let origin = presented.claims.exchange.as_deref();
    let is_foreign = origin.is_some_and(|origin| origin.issuer != Issuer::Own);
    let none = Map::new();
    let exchange = Exchange {
        user: user.id,
        client,
        session: presented.session,
        grant_id: Some(&presented.claims.fid),
        jkt: wanted.key.map(Jkt::as_str),
        audience: &wanted.audience,
        scopes: &wanted.scopes,
        authentication: &presented.claims.authentication,
        act: granted.act.as_ref(),
        may_act: origin.and_then(|origin| origin.may_act.as_ref()),
        life: granted.life.min(leaf.expires_at - now),
        hook_claims: if is_foreign { &leaf.hook_claims } else { &none },
    };
    Ok(room.mint.exchanged_access(&exchange, now)?.with_refresh(refresh_token))
}
