//! `POST /v1/bridges/{name}/token`: a custom token for somebody who is signed in.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{BridgeError, BridgeToken, Bridges, CallError, Denied, MintRequest};
use crate::account::guards::{Identity, Via};
use crate::clients::Clients;
use crate::clock::Time;
use crate::domain::audit::Event;
use crate::domain::client::Client;
use crate::storage::Db;
use crate::storage::credentials::StoredPasskey;
use crate::web::Caller;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::json::OptionalJson;
use crate::web::limits::{Class, Limits};

/// What the endpoint works with.
pub struct BridgeDesk {
    /// The bridges.
    pub bridges: Arc<Bridges>,
    /// The clients.
    pub clients: Arc<Clients>,
    /// The database.
    pub db: Db,
    /// The client that our own pages act as.
    pub own_client: Arc<Client>,
    /// The time.
    pub clock: crate::clock::Clock,
    /// How long public keys may be cached, in seconds.
    pub keys_max_age: i64,
}

/// The inputs of the bridge. The body may be omitted if the bridge declares no required inputs.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BridgeTokenRequest {
    /// Values for the inputs that the bridge declares, by name, for example `{"room": "blue"}`.
    #[schema(value_type = Option<Object>)]
    pub inputs: Option<Map<String, Value>>,
}

/// A custom token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BridgeTokenResponse {
    /// The name of the bridge.
    pub bridge: String,
    /// The custom token, intended only for the bridge's target system.
    pub token: String,
    /// Lifetime of the token, in seconds. `0` if the token does not expire.
    pub expires_in: i64,
    /// The user's ID in the target system, if the target's client library needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Mints a custom token for the signed-in user.
///
/// Requires the session cookie on this server's own pages, or an access token with the scope `bridge:{name}`.
#[utoipa::path(post, path = "/v1/bridges/{name}/token", tag = "Bridges", params(("name" = String, Path)),
    request_body(content = Option<BridgeTokenRequest>),
    responses((status = 200, body = BridgeTokenResponse), (status = 400, description = "`invalid_request`"), (status = 401, description = "`not_signed_in`, `invalid_token`, `reauthentication_required`"),
        (status = 403, description = "`forbidden`, `insufficient_scope`"), (status = 404, description = "`not_found`"), (status = 429, description = "`rate_limited`"), (status = 503, description = "`unavailable`")))]
pub async fn token(
    desk: web::Data<BridgeDesk>,
    limits: web::Data<Limits>,
    identity: Identity,
    caller: Caller,
    name: web::Path<String>,
    body: OptionalJson<BridgeTokenRequest>,
) -> Result<HttpResponse, Problem> {
    let asking = Asking::of(&desk, &limits, &caller, identity, &name).await?;
    limits.check_mint(asking.identity.user.id, &name)?;
    let now = desk.clock.now();
    let request = MintRequest { inputs: body.0.as_ref().and_then(|body| body.inputs.as_ref()), ..asking.request() };
    let minted = desk.bridges.mint(&name, &request, now).await?;
    desk.db.ask(asking.event(&minted, now, &caller)).await?;
    Ok(HttpResponse::Ok().json(BridgeTokenResponse {
        bridge: minted.bridge,
        token: minted.token,
        expires_in: minted.expires_in,
        subject: minted.subject,
    }))
}

/// The caller of a bridge, identified by cookie or access token.
pub(super) struct Asking {
    identity: Identity,
    client: Arc<Client>,
    passkey: Option<StoredPasskey>,
}

impl Asking {
    /// Determines the facts of a request to that bridge, and counts it for its network. Endpoints that issue tokens
    /// also count those. Signatures for channels are not counted separately: a page requests one for each channel, all
    /// at once, and none works elsewhere.
    pub(super) async fn of(
        desk: &BridgeDesk,
        limits: &Limits,
        caller: &Caller,
        identity: Identity,
        name: &str,
    ) -> Result<Self, Failure> {
        limits.check(Class::Token, caller.network)?;
        let client = client_of(desk, &identity)?;
        let passkey = desk.bridges.passkey_used(name, &identity).await?;
        Ok(Self { identity, client, passkey })
    }

    /// The request, without inputs.
    pub(super) fn request(&self) -> MintRequest<'_> {
        let session = &self.identity.session;
        let (scopes, audience): (_, &[String]) = match &self.identity.via {
            Via::Cookie => (&self.client.definition.scopes, &[]),
            Via::Bearer { scopes, audience, .. } => (scopes, audience),
        };
        MintRequest {
            user: &self.identity.user,
            session: session.id,
            acr: &session.acr,
            amr: &session.amr,
            auth_time: session.auth_time,
            passkey: self.passkey.as_ref(),
            client: &self.client,
            scopes,
            audience,
            act: self.identity.act(),
            inputs: None,
            longest: None,
        }
    }

    /// The audit event.
    pub(super) fn event(&self, minted: &BridgeToken, now: Time, caller: &Caller) -> Event {
        let Identity { user, session, .. } = &self.identity;
        minted.event(user.id, session.id, Some(&self.client.id), now, &caller.provenance)
    }
}

/// The client that makes the request.
fn client_of(desk: &BridgeDesk, identity: &Identity) -> Result<Arc<Client>, Failure> {
    match &identity.via {
        Via::Cookie => Ok(Arc::clone(&desk.own_client)),
        Via::Bearer { client, .. } => desk
            .clients
            .find(client)
            .ok_or_else(|| Failure::new(Kind::InvalidToken, "The client of this access token is disabled.")),
    }
}

/// How each refusal is reported.
impl From<BridgeError> for Failure {
    fn from(error: BridgeError) -> Self {
        match error {
            BridgeError::Unknown => Self::new(Kind::NotFound, "There is no such bridge, or it is switched off."),
            BridgeError::OtherWay(way) => Self::new(Kind::InvalidRequest, way.elsewhere()),
            BridgeError::Denied(denied @ (Denied::Acr | Denied::AuthAge(_) | Denied::UserVerification)) => {
                let words = "This bridge requires a fresh sign-in with a passkey.";
                let failure = Self::new(Kind::ReauthenticationRequired, words).because(denied);
                match denied {
                    Denied::AuthAge(most) => failure.fresh_within(most),
                    _ => failure,
                }
            }
            BridgeError::Denied(denied @ Denied::Scope) => {
                Self::new(Kind::InsufficientScope, "The scope for this bridge is missing.").because(denied)
            }
            BridgeError::Denied(denied @ Denied::Client) => {
                Self::new(Kind::Forbidden, "This client may not use this bridge.").because(denied)
            }
            BridgeError::Denied(denied @ Denied::Actor) => {
                let words =
                    "Somebody else acts with this access token (`act`), which a token of this bridge cannot say.";
                Self::new(Kind::Forbidden, words).because(denied)
            }
            BridgeError::Denied(denied @ (Denied::Group | Denied::Email)) => {
                Self::new(Kind::Forbidden, "This bridge makes no token for this account.").because(denied)
            }
            BridgeError::Inputs(refusal) => {
                Self::new(Kind::InvalidRequest, format!("This bridge refuses what was asked: {refusal}."))
            }
            BridgeError::Channel => Self::new(Kind::Forbidden, "This account may not use this channel.").because(error),
            BridgeError::Render(error) => {
                Self::new(Kind::Forbidden, "This bridge cannot make a token for this account.").because(error)
            }
            BridgeError::OwnAudience => {
                Self::new(Kind::Forbidden, "This bridge makes no tokens for an app of this server.").because(error)
            }
            BridgeError::Call(error @ CallError::Person(_)) => {
                Self::new(Kind::Forbidden, "This bridge cannot make a token for this account.").because(error)
            }
            BridgeError::Call(error) => Self::unavailable(error),
            BridgeError::Mint(error) => Self::unavailable(error),
            BridgeError::Storage(error) => error.into(),
        }
    }
}
