//! Device authorization (RFC 8628): a device without a keyboard asks here, and a person approves or denies it on
//! another device.
//!
//! What must always hold: only clients that are registered for this grant may ask, and never for administration scopes;
//! the person's part takes place in a single signed-in browser session, the first one that enters the code; wrong codes
//! are counted under a lock before the next one is tried.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Duration;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::authorize::{audience, check_resources};
use super::client_auth::{AuthenticatedClient, authenticate};
use super::{Oidc, Room};
use crate::account::guards::Identity;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::authorization::{Refusal, resources, scopes};
use crate::domain::client::{Client, GrantType};
use crate::domain::device::{self, Answer, Halt, INTERVAL, Length, UserCode};
use crate::domain::id::Id;
use crate::domain::secret::{PlainToken, TokenKind};
use crate::storage::device_codes::{self, DeviceRequest, Guesser, NewDevice, StoredDevice};
use crate::storage::{StorageError, audit, consents};
use crate::web::Caller;
use crate::web::error::{Failure, Kind, OAuthFailure};
use crate::web::form::{Form, OAuthForm};
use crate::web::limits::{Class, Limits};

/// Where people enter codes, relative to our public URL.
pub const PAGE: &str = "/device";

/// How many user codes are tried before giving up, if other devices already have them.
const DRAWS: usize = 4;

/// The device authorization response (RFC 8628 §3.2).
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceAuthorization {
    /// The code with which the device polls the token endpoint.
    pub device_code: String,
    /// The code that the user enters.
    pub user_code: String,
    /// The URL of the page where the user enters the code.
    pub verification_uri: String,
    /// The same URL with the code included, for a QR code. The page still asks the user to confirm.
    pub verification_uri_complete: String,
    /// Lifetime of both codes, in seconds.
    pub expires_in: i64,
    /// Minimum number of seconds between polling requests.
    pub interval: i32,
}

/// Begins the device authorization flow (RFC 8628 §3.1).
#[utoipa::path(post, path = "/oauth/device", tag = "OAuth",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded", description = "`scope` and `resource`, both optional, and the client authentication, as for the token endpoint"),
    responses((status = 200, body = DeviceAuthorization), (status = 400, description = "`unauthorized_client`, `invalid_scope`, `invalid_target`, …"), (status = 401, description = "`invalid_client`")))]
pub async fn post(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    form: OAuthForm,
) -> Result<HttpResponse, OAuthFailure> {
    limits.check(Class::Token, caller.network)?;
    let client = authenticate(&room, request.headers(), &form.0).await?;
    let asked = read(&room, &client, &form.0, &caller.provenance)?;
    let begun = begin(&room, &client, asked, &caller.provenance).await?;
    Ok(HttpResponse::Ok().insert_header(("pragma", "no-cache")).json(begun))
}

fn read(room: &Oidc, client: &AuthenticatedClient, form: &Form, origin: &Provenance) -> Result<DeviceRequest, Failure> {
    client.may_use(GrantType::DeviceCode).map_err(|refusal| {
        Failure::new(Kind::UnauthorizedClient, "This client may not use device codes.").because(refusal)
    })?;
    let scopes = scopes(form.find("scope"), client)
        .map_err(|refusal| Failure::new(Kind::InvalidScope, refusal.description()))?;
    if !scopes.iter().all(device::may_have) {
        return Err(Failure::new(Kind::InvalidScope, "Administrative scopes are never granted to a device."));
    }
    let issuer = room.mint.issuer();
    let resources = resources(form.all("resource"), client, issuer)
        .map_err(|refusal| Failure::new(Kind::InvalidTarget, refusal.description()))?;
    check_resources(room.mint.resources(), client, (&scopes, &resources), issuer).map_err(|refusal| {
        let kind = if refusal == Refusal::Target { Kind::InvalidTarget } else { Kind::InvalidScope };
        Failure::new(kind, refusal.description())
    })?;
    let audience = audience(client, &scopes, &resources, issuer);
    // Devices rarely send a user agent that is known from browsers.
    let device = origin.user_agent.clone().filter(|words| words != "Unknown");
    Ok(DeviceRequest { scopes, audience, device })
}

async fn begin(
    room: &Oidc,
    client: &AuthenticatedClient,
    request: DeviceRequest,
    origin: &Provenance,
) -> Result<DeviceAuthorization, Failure> {
    room.mint.wait_for_keys(client, &request.scopes, &request.audience).await;
    room.mint.ready(client, &request.scopes, &request.audience).map_err(Failure::unavailable)?;
    let own = PlainToken::random(TokenKind::DeviceCode);
    let (now, digest, client, network) =
        (room.clock.now(), own.digest(), client.id.clone(), origin.address_class.clone());
    let code = room
        .db
        .tx(move |conn| {
            let length = Length::of_new_code(device_codes::wrong_of_length(conn, Length::Short, now)?);
            for _ in 0..DRAWS {
                let Some(code) = UserCode::from_random(length, &crate::random::bytes::<64>()) else { continue };
                let new = NewDevice {
                    digest,
                    code,
                    grant: Id::random(),
                    client: client.clone(),
                    request: request.clone(),
                    network: network.clone(),
                    now,
                    expires_at: now + device::life(),
                };
                if device_codes::insert(conn, &new)? {
                    return Ok(Some(new.code));
                }
            }
            Ok(None)
        })
        .await?
        .ok_or_else(|| Failure::unavailable("no code for people was free"))?;
    let page = format!("{}{PAGE}", room.mint.issuer());
    Ok(DeviceAuthorization {
        device_code: own.expose().to_owned(),
        user_code: code.to_string(),
        verification_uri_complete: format!("{page}?user_code={code}"),
        verification_uri: page,
        expires_in: device::life().num_seconds(),
        interval: INTERVAL,
    })
}

/// The outcome of entering a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a code that was not taken must be told"]
pub enum Opening {
    /// The session may now answer the request.
    Opened,
    /// The code is wrong, expired, already used, or claimed by another session.
    Unusable,
    /// Too many wrong codes: no code is accepted for now.
    Halted(Halt),
}

/// A device as shown on its page, with its client.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The device.
    pub device: StoredDevice,
    /// Its client.
    pub client: std::sync::Arc<Client>,
}

impl Oidc {
    /// Tries a code that somebody entered, and binds its device to their session.
    pub async fn open_device(
        &self,
        identity: &Identity,
        code: UserCode,
        origin: &Provenance,
    ) -> Result<Opening, StorageError> {
        let now = self.clock.now();
        let session = identity.session.id;
        let guesser = Guesser { session, network: origin.address_class.clone().unwrap_or_default() };
        let event = Event {
            user: Some(identity.user.id),
            session: Some(session),
            ..Event::new(EventKind::DeviceCodeRefused, now, origin)
        };
        self.db
            .tx(move |conn| {
                device_codes::lock_guesses(conn)?;
                let wrong = device_codes::wrong_codes(conn, &guesser, code.length(), now)?;
                if let Err(halt) = wrong.may_try(code.length()) {
                    return Ok(Opening::Halted(halt));
                }
                if device_codes::claim(conn, &code, session, now)? {
                    return Ok(Opening::Opened);
                }
                device_codes::insert_wrong(conn, &guesser, code.length(), now)?;
                audit::insert(conn, &event)?;
                Ok(Opening::Unusable)
            })
            .await
    }

    /// The device that a session has claimed, as long as its client may use the device grant.
    pub async fn opened_device(&self, identity: &Identity, code: UserCode) -> Result<Option<Opened>, StorageError> {
        let (now, session) = (self.clock.now(), identity.session.id);
        let device = self.db.run(move |conn| device_codes::find_claimed(conn, &code, session, now)).await?;
        Ok(device.and_then(|device| {
            let client = self.clients.find(&device.waiting.client)?;
            client.may_use(GrantType::DeviceCode).ok()?;
            Some(Opened { device, client })
        }))
    }

    /// Stores the answer of the session that claimed a device, and remembers what the person allowed. Returns `false`
    /// if there is nothing left to answer.
    pub async fn answer_device(
        &self,
        identity: &Identity,
        Opened { device, client }: &Opened,
        answer: Answer,
        origin: &Provenance,
    ) -> Result<bool, StorageError> {
        let (now, code, who) = (self.clock.now(), device.code.clone(), (identity.session.id, identity.user.id));
        let (origin, remembers) = (origin.clone(), answer == Answer::Allowed && !client.definition.first_party);
        let kind = match answer {
            Answer::Allowed => EventKind::DeviceAllowed,
            Answer::Denied => EventKind::DeviceDenied,
        };
        self.db
            .tx(move |conn| {
                let Some(device) = device_codes::answer(conn, &code, who, answer, now)? else { return Ok(false) };
                let (client, request) = (&device.waiting.client, &device.request);
                if remembers {
                    consents::add(conn, (who.1, client), &request.scopes, &request.audience, now)?;
                }
                let event = Event {
                    user: Some(who.1),
                    session: Some(who.0),
                    client: Some(client.clone()),
                    subject: Some(device.grant.to_string()),
                    detail: json!({ "scope": request.scopes.to_string() }),
                    ..Event::new(kind, now, &origin)
                };
                audit::insert(conn, &event)?;
                Ok(true)
            })
            .await
    }
}

/// The minutes after which a wrong code no longer counts.
pub fn halt_minutes() -> u64 {
    let life: Duration = device::life();
    u64::try_from(life.num_minutes()).unwrap_or_default()
}
