//! A trusted issuer's token as a grant (RFC 7523 §2.1): the token is verified, its person found, and an access token
//! issued.
//!
//! What must always hold: the token is intended for this server alone, lives for at most five minutes and counts once,
//! except for an identity assertion (ID-JAG), which its client may present again until it expires; only the clients
//! that the trust lists may present it; there is no refresh token, because the issuer is asked again.

use serde::Deserialize;
use serde_json::Value;

use crate::bridge::trusted::{Arrival, Asking, Believed, NotArrived, TrustError, TrustedIssuer, arrive};
use crate::clock::Time;
use crate::domain::audience::known_as;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::GrantType;
use crate::domain::exchange::{Actor, LONGEST_CHAIN, MayAct, SubjectKind};
use crate::domain::id::SessionId;
use crate::domain::scope::Scopes;
use crate::oidc::Oidc;
use crate::oidc::client_auth::AuthenticatedClient;
use crate::storage::StorageError;
use crate::storage::first_sessions::ForeignSession;
use crate::tokens::claims::Authentication;
use crate::tokens::dpop::Jkt;
use crate::tokens::mint::Exchange;
use crate::tokens::verifier::Refusal;
use crate::tokens::{MintError, TokenSet};
use crate::web::error::{Failure, Kind};

/// Maximum lifetime of an assertion, in seconds (RFC 7523 §3 leaves it to the server).
const MAX_LIFE: i64 = 300;

/// The parameters of the request.
pub struct Asked<'a> {
    /// The token.
    pub assertion: &'a str,
    /// Scopes, if named.
    pub scope: Option<&'a Scopes>,
    /// Resources that the access token is for, if named (RFC 8707).
    pub resources: &'a [&'a str],
    /// The DPoP key that the request proves.
    pub key: Option<&'a Jkt>,
}

/// Why the grant was refused.
#[derive(Debug, thiserror::Error)]
pub enum BearerError {
    /// The client may not use this grant.
    #[error("this client may not use assertions as grants")]
    NotAllowed,
    /// The token is not valid.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The trust does not list the client.
    #[error("the tokens of this issuer are not taken of this client")]
    Client,
    /// It lives too long, has no ID, or has further audiences.
    #[error("the assertion {0}")]
    Form(&'static str),
    /// It identifies nobody, or was used before.
    #[error(transparent)]
    NotArrived(#[from] NotArrived),
    /// A scope that is not granted.
    #[error("a scope is not given for tokens of this issuer")]
    Scope,
    /// A resource that the client may not request.
    #[error("a resource is not among those of the client")]
    Target,
    /// A fault of this server.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// A fault of this server.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl BearerError {
    /// Whether the assertion itself was bad, for a reason other than expiry: what somebody who guesses gets.
    pub const fn is_in_vain(&self) -> bool {
        match self {
            Self::Trust(error) => error.is_in_vain(),
            Self::Form(_) => true,
            _ => false,
        }
    }
}

impl From<BearerError> for Failure {
    fn from(error: BearerError) -> Self {
        let (kind, words) = match error {
            BearerError::Storage(error) => return error.into(),
            BearerError::Mint(error) => return Self::unavailable(error),
            BearerError::NotArrived(NotArrived::Hook(refusal)) => return refusal.into(),
            BearerError::NotAllowed => (Kind::UnauthorizedClient, "This client may not use assertions as grants."),
            BearerError::Scope => {
                (Kind::InvalidScope, "This client may not get one of the scopes for such an assertion.")
            }
            BearerError::Target => (Kind::InvalidTarget, "This client may not request tokens for that resource."),
            _ => (
                Kind::InvalidGrant,
                "The assertion is not valid: it must be from a trusted issuer, for this client and this server alone, \
                 not used before, valid for at most five minutes, and for a person who has an account here.",
            ),
        };
        Self::new(kind, words).because(error)
    }
}

/// Issues an access token for an assertion.
///
/// # Errors
/// [`BearerError`].
pub async fn grant(
    room: &Oidc,
    client: &AuthenticatedClient,
    asked: &Asked<'_>,
    origin: &Provenance,
) -> Result<TokenSet, BearerError> {
    client.may_use(GrantType::JwtBearer).map_err(|_| BearerError::NotAllowed)?;
    let now = room.clock.now();
    let issuer = room.trusted_issuers.of_token(asked.assertion)?;
    if !issuer.grant().clients.contains(&client.id) {
        return Err(BearerError::Client);
    }
    let (believed, is_identity) = believed(room, issuer, client, asked.assertion, now).await?;
    if !believed.is_proven_by(asked.key) {
        return Err(BearerError::Form("is bound to a key that the request does not prove"));
    }
    let (act, may_act) = acting(&believed, client, room.mint.issuer())?;
    let once = check_form(&believed, now)?;
    // An identity assertion may be presented again until it expires: it is bound to its client.
    let once = (!is_identity).then_some(once);

    let audience = audience(room, client, &believed, asked.resources)?;
    let allowed = allowed(client, issuer, &believed, is_identity)?;
    let scopes = granted(room, &allowed, asked.scope, &audience)?;
    let life = room.mint.access_life(client);
    // The assertion counts once, so nothing may fail after it is used up.
    room.mint.ready(client, &scopes, &audience)?;
    let auth_time = believed.signed_in_at();
    let session = ForeignSession {
        id: SessionId::random(),
        client: Some(client.id.clone()),
        auth_time,
        now,
        ends_at: now + life,
        origin: origin.clone(),
    };
    let event = Event {
        client: Some(client.id.clone()),
        subject_name: Some(believed.trust.name.clone()),
        detail: serde_json::json!({ "trusted_issuer": believed.trust.name, "scope": scopes.to_string(), "audience": audience }),
        ..Event::new(EventKind::TrustedTokenBelieved, now, origin)
    };
    let members = client.definition.allowed_groups.clone();
    let arrival = Arrival::new(&believed, once, members, Some(session), event);
    let asking = Asking { hooks: &room.ceremonies.hooks, result: "tokens" };
    let arrived = arrive(&room.db, Some(asking), arrival).await??;
    let auth_time = auth_time.map(|at| at.timestamp());
    let exchange = Exchange {
        user: arrived.user.id,
        client,
        session: arrived.session,
        grant_id: None,
        jkt: asked.key.map(Jkt::as_str),
        audience: &audience,
        scopes: &scopes,
        authentication: &Authentication { auth_time, acr: Some("0".to_owned()), ..Authentication::default() },
        act: act.as_ref(),
        may_act: may_act.as_ref(),
        life,
        hook_claims: &arrived.hook_claims,
    };
    Ok(room.mint.exchanged_access(&exchange, now)?.with_refresh(None))
}

/// The scopes that this grant may give the client. An identity assertion states its own.
fn allowed(
    client: &AuthenticatedClient,
    issuer: &TrustedIssuer,
    believed: &Believed<'_>,
    is_identity: bool,
) -> Result<Scopes, BearerError> {
    let allowed = issuer.grant().scopes.granted_by(&client.definition.scopes);
    if !is_identity {
        return Ok(allowed);
    }
    let told = Scopes::parse(believed.text("scope").unwrap_or_default()).map_err(|_| BearerError::Scope)?;
    Ok(allowed.granted_by(&told))
}

/// Checks what an assertion must satisfy beyond being valid. Returns its ID, and the time from which it is too old.
fn check_form(believed: &Believed<'_>, now: Time) -> Result<(String, Time), BearerError> {
    let (Some(iat), Some(exp)) = (believed.seconds("iat"), believed.seconds("exp")) else {
        return Err(BearerError::Form("has no iat"));
    };
    let leeway = i64::from(believed.trust.leeway);
    if exp - iat > MAX_LIFE || exp - now.timestamp() > MAX_LIFE + leeway {
        return Err(BearerError::Form("lives too long"));
    }
    // If the assertion were also accepted by another server, that server could have received it and sent it here
    // (rfc7523bis).
    if believed.audience().len() != 1 {
        return Err(BearerError::Form("is for others beside this server"));
    }
    believed.id(now).ok_or(BearerError::Form("has no jti"))
}

/// Verifies the assertion, as a plain one or as an identity assertion, which names the client that may present it.
async fn believed<'a>(
    room: &Oidc,
    issuer: &'a TrustedIssuer,
    client: &AuthenticatedClient,
    assertion: &str,
    now: Time,
) -> Result<(Believed<'a>, bool), BearerError> {
    let endpoint = format!("{}/oauth/token", room.mint.issuer());
    let audiences = [room.mint.issuer(), endpoint.as_str()];
    let audiences = if issuer.grant().token_endpoint_audience { &audiences[..] } else { &audiences[..1] };
    if issuer.trust().kinds.contains(&SubjectKind::Jwt) {
        match issuer.believe_for(assertion, SubjectKind::Jwt, audiences, now).await {
            Err(TrustError::Token(Refusal::WrongType)) => {}
            other => return Ok((other?, false)),
        }
    }
    let believed = issuer.believe_for(assertion, SubjectKind::IdJag, &audiences[..1], now).await?;
    if believed.text("client_id") != Some(&client.id) {
        return Err(BearerError::Form("is for another client"));
    }
    Ok((believed, true))
}

/// The actors for the person so far, which the issued token repeats. If the assertion says who may act, this client
/// must be among them (RFC 8693 §4.1, §4.4).
fn acting(
    believed: &Believed<'_>,
    client: &AuthenticatedClient,
    issuer: &str,
) -> Result<(Option<Actor>, Option<MayAct>), BearerError> {
    let (act, may_act) = believed.acting().map_err(|_| BearerError::Form("names an actor that is none"))?;
    if act.as_ref().is_some_and(|act| act.depth() > LONGEST_CHAIN) {
        return Err(BearerError::Form("names too many actors"));
    }
    if may_act.as_ref().is_some_and(|may| !may.permits(&Actor::client(&client.id), issuer)) {
        return Err(BearerError::Form("is to be brought by somebody else"));
    }
    Ok((act, may_act))
}

/// The requested resources. All must be allowed for the client and, if the assertion names any, be among those.
fn audience(
    room: &Oidc,
    client: &AuthenticatedClient,
    believed: &Believed<'_>,
    asked: &[&str],
) -> Result<Vec<String>, BearerError> {
    let told: Vec<&str> = match believed.claims.get("resource") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        // If a list contains anything but strings, it is unclear what it allows.
        Some(list) => Vec::<&str>::deserialize(list).map_err(|_| BearerError::Target)?,
    };
    let wanted = if asked.is_empty() { told.clone() } else { asked.to_vec() };
    if !told.is_empty() && wanted.iter().any(|one| known_as(told.iter().copied(), one).is_none()) {
        return Err(BearerError::Target);
    }
    room.mint.resources().audience(client, wanted, room.mint.issuer()).map_err(|_| BearerError::Target)
}

/// Exactly the requested scopes, or everything that is allowed.
fn granted(room: &Oidc, allowed: &Scopes, asked: Option<&Scopes>, audience: &[String]) -> Result<Scopes, BearerError> {
    let resources = room.mint.resources();
    let Some(asked) = asked else { return Ok(resources.effective(allowed, audience)) };
    if !asked.is_subset(allowed) {
        return Err(BearerError::Scope);
    }
    resources.require_resource_of(asked, audience).map_err(|_| BearerError::Scope)?;
    Ok(asked.clone())
}
