//! Rotation: one use for each refresh token, one live leaf for each family (RFC 9700 §4.14.2). Clients under FAPI 2.0 keep
//! their token, which only lives on.
//!
//! The usual case is one statement that rotates and tells the successor's end. Only when it changes nothing are the rows
//! read and [`Family::decide`](crate::domain::refresh::Family::decide) asked why.

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
    /// Ours, but not to be honoured.
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
    /// A resource that was not allowed.
    #[error("a resource was not among those allowed")]
    Target,
    /// The person may not use the client any more.
    #[error("the person is not in a group that may use this client")]
    NotInGroup,
    /// The exchange that the family came from would not be made today.
    #[error(transparent)]
    NotRenewed(NotRenewed),
    /// The grant is not the client's.
    #[error("this client may not refresh")]
    NotAllowed,
    /// A fault of ours.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// A fault of ours.
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

/// A genuine token, opened.
struct Presented {
    claims: RefreshClaims,
    family: FamilyId,
    session: SessionId,
    scopes: Scopes,
}

/// What the fresh access token is for.
struct Wanted<'a> {
    scopes: Scopes,
    /// Claims by name, but for those whose scope is not among the scopes any more.
    requested: RequestedClaims,
    audience: Vec<String>,
    key: Option<&'a Jkt>,
    /// What the rule of the exchange gives today, where the family came from one.
    exchange: Option<Granted>,
}

/// What a client sends.
pub struct Asked<'a> {
    /// The refresh token.
    pub token: &'a str,
    /// Narrower scopes, if wanted.
    pub scope: Option<&'a Scopes>,
    /// Resources, if fewer than were allowed (RFC 8707 §2.2).
    pub resources: &'a [&'a str],
    /// The DPoP key that the request proves.
    pub key: Option<&'a Jkt>,
}

/// Rotates a refresh token and gives fresh tokens.
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
    // Families of public clients are bound, and those of exchanges that proved a key; any other confidential client proves
    // itself, and may change keys (RFC 9449 §5).
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

/// The live token of a family, as far as it is needed to print it.
struct Leaf {
    /// The key it is signed with; none when it is the token that was presented, which its client has already.
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

/// What the fresh access token is for. What the client lost since is left out.
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
    // A token for one of several resources does not carry the others' scopes.
    let scopes = room.mint.resources().effective(&allowed.granted_by(&client.definition.scopes), &audience);
    let requested = presented.claims.claims.clone().within(&client.definition.scopes);
    let requested = requested.allowed_with(&presented.scopes, &scopes);
    Ok(Wanted { scopes, requested, audience, key: asked.key, exchange })
}

/// Whether the family's owner may use the client; looked up only where that is for the members of groups. The token does not
/// tell whose it is: it names the person as the client knows them.
async fn may_still_use(room: &Oidc, client: &AuthenticatedClient, family: FamilyId) -> Result<bool, StorageError> {
    if client.definition.allowed_groups.is_empty() {
        return Ok(true);
    }
    match room.db.run(move |conn| refresh_tokens::owner(conn, family)).await? {
        Some(owner) => room.may_use(client, owner).await,
        None => Ok(true),
    }
}

/// The resources asked for, all of them among those allowed; all allowed ones when none is named. Each must still be one that
/// the client may ask for, and enabled.
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

/// The statement changed nothing: a late retry, a replay, or something ended.
async fn why_not(
    room: &Oidc,
    client: &AuthenticatedClient,
    presented: &Presented,
    now: Time,
    origin: &Provenance,
) -> Result<(Leaf, User), RefreshError> {
    let family = presented.family;
    // By the family's row: the token names the person as its client knows them.
    let found = room.db.run(move |conn| refresh_tokens::find_with_user(conn, family, now)).await?;
    let Some((stored, user)) = found else { return Err(RefreshError::NoFamily) };
    let digest = TokenDigest::of(&presented.claims.jti);
    match stored.family.decide(&digest, &client.id, stored.standing, now, room.retry_window) {
        Decision::Repeat => {
            require_key(room, &stored.family.leaf_key, now).await?;
            Ok((leaf_of(stored), user))
        }
        // Another server rotated it between our two statements and time stood still: as good as a repeat, but never
        // looped for; the client asks again.
        Decision::Rotate => Err(RefreshError::Storage(StorageError::NoConnection(None))),
        Decision::Refused(refusal) => Err(refusal.into()),
        Decision::Replayed => {
            revoke_family(room, client, &stored, now, origin).await?;
            Err(RefreshError::Replayed)
        }
    }
}

/// A leaf whose key was revoked is dead, and asking again does not help. A key that is only not here yet is no refusal: the
/// printing says so.
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
            // Of many replays at once one revokes and writes the event.
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
        // Nobody tells of the end of a browser session that the tokens outlive.
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

/// The fresh access token of an exchange: what the rule gives, and no ID token.
fn exchanged(
    room: &Oidc,
    client: &AuthenticatedClient,
    (presented, wanted): (&Presented, &Wanted<'_>),
    (user, leaf, granted): (&User, &Leaf, &Granted),
    refresh_token: Option<String>,
    now: Time,
) -> Result<TokenSet, RefreshError> {
    // An exchange for a token of ours gave none of what hooks added to the person's own session.
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
