//! The device code grant (RFC 8628 §3.4): a device polls until a person has answered elsewhere.
//!
//! What must always hold: of any number of polls, one gets tokens; a code is useless to any client but its own; each
//! poll that comes too soon increases the interval permanently. Tokens share the lifetime of the browser session that
//! allowed them, unless `offline_access` was granted.

use super::refresh_token::narrowed_audience;
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::claims::RequestedClaims;
use crate::domain::client::GrantType;
use crate::domain::device::Poll;
use crate::domain::id::SessionId;
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::oidc::Oidc;
use crate::oidc::client_auth::AuthenticatedClient;
use crate::storage::device_codes::{self, DeviceRequest, StoredDevice};
use crate::storage::redemptions::{OfDevice, Redemption};
use crate::storage::sessions::TokenIds;
use crate::storage::sign_in::NewFamily;
use crate::storage::{StorageError, sessions};
use crate::tokens::dpop::Jkt;
use crate::tokens::{Grant, MintError, RefreshSeed, TokenSet};
use crate::web::error::{Failure, Kind};

/// Why a poll got no tokens.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The client may not use this grant.
    #[error("this client may not use device codes")]
    NotAllowed,
    /// Not a device code of ours, or already deleted.
    #[error("there is no such device code")]
    Unknown,
    /// It belongs to another client.
    #[error("the device code belongs to another client")]
    OtherClient,
    /// Tokens were already issued for it.
    #[error("the device code was used before")]
    Used,
    /// Nobody has answered yet.
    #[error("nobody has answered yet")]
    Pending,
    /// It polls too often. The number of seconds that it must wait from now on.
    #[error("the device polls too often")]
    TooSoon(i32),
    /// It has expired.
    #[error("the device code has expired")]
    Expired,
    /// The person denied it.
    #[error("the person refused the device")]
    Denied,
    /// The session that allowed it has ended, or the account is disabled.
    #[error("the session that allowed the device has ended, or the account is disabled")]
    Ended,
    /// The person may not use the client (any more).
    #[error("the account may not use this client")]
    NotInGroup,
    /// A resource that was not granted.
    #[error("a resource was not among those allowed")]
    Target,
    /// The client has lost a scope in the meantime.
    #[error("the client may not have these scopes any more")]
    Narrowed,
    /// A fault of this server.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// A fault of this server.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Storage(error) => error.into(),
            DeviceError::Mint(error) => Self::unavailable(error),
            DeviceError::Target => Self::new(Kind::InvalidTarget, "A resource was not among those that were allowed."),
            DeviceError::NotAllowed => Self::new(Kind::UnauthorizedClient, "This client may not use device codes."),
            DeviceError::Pending => {
                Self::new(Kind::AuthorizationPending, "The person has not answered yet. Poll again.")
            }
            DeviceError::TooSoon(seconds) => Self::new(
                Kind::SlowDown,
                format!("The device polls too often. Wait {seconds} seconds between polls from now on."),
            ),
            DeviceError::Expired => {
                Self::new(Kind::ExpiredToken, "The device code has expired. Begin device authorization again.")
            }
            DeviceError::Denied => Self::new(Kind::AccessDenied, "The person refused."),
            other => {
                Self::new(Kind::InvalidGrant, "The device code is not valid, was used, or may not be used any more.")
                    .because(other)
            }
        }
    }
}

/// A device that was allowed, with the person who allowed it.
struct Allowed {
    digest: TokenDigest,
    device: StoredDevice,
    browser: Session,
    user: User,
}

/// What is about to be written, and what is signed afterwards.
struct Plan {
    offline: Option<SessionId>,
    family: Option<NewFamily>,
    seed: Option<RefreshSeed>,
}

/// What the tokens contain besides the grant itself.
struct Given<'a> {
    audience: &'a [String],
    groups: &'a [String],
    key: Option<&'a Jkt>,
}

/// Answers a poll. `key` is the DPoP key that the device proved (RFC 9449 §5).
pub async fn poll(
    room: &Oidc,
    client: &AuthenticatedClient,
    (code, resources): (&str, &[&str]),
    key: Option<&Jkt>,
    origin: &Provenance,
) -> Result<TokenSet, DeviceError> {
    client.may_use(GrantType::DeviceCode).map_err(|_| DeviceError::NotAllowed)?;
    let digest = PlainToken::parse(TokenKind::DeviceCode, code).ok_or(DeviceError::Unknown)?.digest();
    let now = room.clock.now();
    let allowed = look(room, client, digest, now).await?;
    let DeviceRequest { scopes, audience, .. } = &allowed.device.request;
    let audience = narrowed_audience(room, client, audience, resources).map_err(|_| DeviceError::Target)?;
    if !room.may_use(client, allowed.user.id).await? {
        return Err(DeviceError::NotInGroup);
    }
    client.grant_scopes(Some(scopes)).map_err(|_| DeviceError::Narrowed)?;
    room.mint.wait_for_keys(client, scopes, &audience).await;
    room.mint.ready(client, scopes, &audience)?;
    let plan = plan(room, client, &allowed, key, now)?;
    let nothing = RequestedClaims::default();
    let groups = room.groups_for_id_token(client, (scopes, &nothing), allowed.user.id).await?;
    redeem(room, client, &allowed, &plan, now, origin).await?;
    let given = Given { audience: &audience, groups: &groups, key };
    issue(room, client, &allowed, &given, &plan, now)
}

/// Decides a poll under the row's lock, and records it.
async fn look(
    room: &Oidc,
    client: &AuthenticatedClient,
    digest: TokenDigest,
    now: Time,
) -> Result<Allowed, DeviceError> {
    let client = client.id.clone();
    room.db
        .tx(move |conn| {
            let Some(device) = device_codes::lock(conn, &digest)? else { return Ok(Err(DeviceError::Unknown)) };
            Ok(Err(match device.waiting.poll(&client, now) {
                Poll::Granted => {
                    let Some(session) = device.session else { return Ok(Err(DeviceError::Ended)) };
                    let ids = TokenIds { session, jti: None, grant: None };
                    return Ok(match sessions::find_live_of_token(conn, &ids, now)? {
                        Some((browser, user)) => Ok(Allowed { digest, device, browser, user }),
                        None => Err(DeviceError::Ended),
                    });
                }
                Poll::Pending => {
                    device_codes::note_poll(conn, &digest, device.waiting.interval, now)?;
                    DeviceError::Pending
                }
                Poll::TooSoon(interval) => {
                    device_codes::note_poll(conn, &digest, interval, now)?;
                    DeviceError::TooSoon(interval)
                }
                Poll::Denied => DeviceError::Denied,
                Poll::Expired => DeviceError::Expired,
                Poll::OtherClient => DeviceError::OtherClient,
                Poll::Used => DeviceError::Used,
            }))
        })
        .await?
}

fn plan(
    room: &Oidc,
    client: &AuthenticatedClient,
    allowed: &Allowed,
    key: Option<&Jkt>,
    now: Time,
) -> Result<Plan, DeviceError> {
    let (request, grant) = (&allowed.device.request, allowed.device.grant);
    let family = room.mint.open_family((client, key), grant, &request.scopes, &request.audience, now)?;
    let (family, seed) = family.unzip();
    let is_offline = family.is_some() && request.scopes.contains("offline_access");
    Ok(Plan { offline: is_offline.then(SessionId::random), family, seed })
}

async fn redeem(
    room: &Oidc,
    client: &AuthenticatedClient,
    allowed: &Allowed,
    plan: &Plan,
    now: Time,
    origin: &Provenance,
) -> Result<(), DeviceError> {
    let browser = &allowed.browser;
    let redemption = Redemption {
        digest: allowed.digest,
        client: client.id.clone(),
        user: browser.user,
        session: browser.id,
        offline: plan.offline,
        family: plan.family.clone(),
        acr: browser.acr.clone(),
        amr: browser.amr.clone(),
        credential_class: browser.credential_class.clone(),
        auth_time: browser.auth_time,
        tells_client: allowed.device.request.scopes.contains("openid"),
        now,
        event: Event::new(EventKind::DeviceRedeemed, now, origin),
    };
    let won = room.db.ask(OfDevice(redemption)).await?;
    // Another poll was first, or the session ended since it was read.
    if won.is_some() { Ok(()) } else { Err(DeviceError::Used) }
}

fn issue(
    room: &Oidc,
    client: &AuthenticatedClient,
    allowed: &Allowed,
    given: &Given<'_>,
    plan: &Plan,
    now: Time,
) -> Result<TokenSet, DeviceError> {
    let Allowed { device, browser, user, .. } = allowed;
    let grant = Grant {
        user,
        groups: given.groups,
        session: plan.offline.unwrap_or(browser.id),
        sid: Some(browser.id),
        grant_id: Some(device.grant),
        jkt: given.key.map(Jkt::as_str),
        requested: &RequestedClaims::default(),
        client,
        scopes: &device.request.scopes,
        audience: given.audience,
        acr: &browser.acr,
        amr: &browser.amr,
        credential_class: browser.credential_class.as_deref(),
        auth_time: browser.auth_time,
        nonce: None,
        hook_claims: &browser.hook_claims,
    };
    Ok(room.mint.tokens(&grant, plan.seed.as_ref(), now)?)
}
