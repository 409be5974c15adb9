//! The REST endpoints for signing in.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::backend::SentToken;
use super::dto::{
    AuthenticationOptionsRequest, AuthenticationPurpose, OptionsResponse, RelyingPartyResponse, SignedInResponse,
    VerifyRequest,
};
use super::{Browser, FirstCall, Room, proof_key, second_call};
use crate::account::guards::{Guard, Identity, MaybeIdentity, Via};
use crate::account::views::UserView;
use crate::ceremony::CeremonyError;
use crate::ceremony::authentication::{BeginSignIn, Begun};
use crate::ceremony::outcome::{Given, SignedIn};
use crate::ceremony::wanted::WantedRequest;
use crate::domain::client::Client;
use crate::domain::scope::Scopes;
use crate::domain::text::Email;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::limits::{Class, Limits};
use crate::web::origin::{of_own_page, origin};
use crate::web::{Caller, Envelope, Json};

/// Begins a sign-in or a step-up.
///
/// Without `email`, any discoverable passkey may respond. With `email`, the response lists the same number of
/// credentials whether or not the account exists: the account's own among stable decoys. A step-up always requires user
/// verification. The requested `result` is fixed by this call; the verify call cannot change it.
///
/// With an action token for `sign_in` or `step_up` (`Authorization: ActionToken …`), only passkeys of the token's user
/// are accepted, and the result is intended for the backend that created the token.
#[utoipa::path(post, path = "/v1/passkeys/authentication/options", tag = "Passkeys",
    request_body = AuthenticationOptionsRequest,
    responses((status = 200, body = OptionsResponse<serde_json::Value>),
        (status = 400, description = "`invalid_scope`, `invalid_target`, `unauthorized_client`"), (status = 401, description = "`not_signed_in` (a step-up), `invalid_client`"),
        (status = 403, description = "`wrong_origin`, `action_token_unknown`, `action_token_misused`"), (status = 404, description = "`not_found` (the bridge), `no_passkey_yet`"),
        (status = 410, description = "`action_token_ended`"), (status = 429, description = "`rate_limited`")))]
pub async fn options(
    request: HttpRequest,
    room: Room,
    guard: web::Data<Guard>,
    limits: web::Data<Limits>,
    caller: Caller,
    body: Json<AuthenticationOptionsRequest>,
) -> Result<HttpResponse, Problem> {
    limits.check(Class::Start, caller.network)?;
    let body = body.0;
    if let Some(token) = SentToken::of(request.headers())? {
        let plain = body.purpose == AuthenticationPurpose::SignIn && matches!(body.result, WantedRequest::Session);
        if !plain || body.email.is_some() || body.relying_party.is_some() {
            let words = "An action token says itself for whom and what it is: leave out email, purpose, result and relyingParty.";
            return Err(CeremonyError::Invalid(words).into());
        }
        let here = guard.signed_in_here(&request).await?.map(|identity| identity.user.id);
        let begun = room.begin_proof(token.presented(&request, here, &caller.provenance)?).await?;
        return Ok(answer(&room, &guard, begun, None));
    }
    if body.purpose == AuthenticationPurpose::StepUp {
        return step_up_options(&request, &room, &guard).await;
    }
    let call = FirstCall::read(&request, &room, &guard, &body.result)?;
    let email = parse_email(body.email.as_deref())?;
    let begun = room
        .begin_sign_in(BeginSignIn {
            origin: call.origin,
            relying_party: body.relying_party.as_deref(),
            email: email.as_ref(),
            wanted: call.wanted,
            client: call.client.as_deref(),
            browser: call.browser.as_ref().map(|browser| browser.token.digest()),
        })
        .await?;
    Ok(answer(&room, &guard, begun, call.browser))
}

async fn step_up_options(request: &HttpRequest, room: &Room, guard: &Guard) -> Result<HttpResponse, Problem> {
    let identity = guard.identify(request).await?.ok_or_else(|| Failure::new(Kind::NotSignedIn, "Sign in first."))?;
    identity.require_cookie()?;
    let browser = Browser::of(request.headers(), guard)?;
    let origin = origin(request.headers())?;
    let begun = room.begin_step_up(&identity.session, &identity.user, origin, Some(browser.token.digest())).await?;
    Ok(answer(room, guard, begun, Some(browser)))
}

/// Builds the response of an options call, and sets the pre-session cookie if one was created.
pub(super) fn answer<O: serde::Serialize>(
    room: &Room,
    guard: &Guard,
    begun: Begun<O>,
    browser: Option<Browser>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(browser) = browser.filter(|browser| browser.is_new) {
        response.cookie(guard.cookies.set_pre_session(&browser.token));
    }
    response.json(OptionsResponse::new(begun, room.clock.now()))
}

/// Completes a sign-in or a step-up.
///
/// Verifies the passkey response and returns the `result` that the options call requested.
#[utoipa::path(post, path = "/v1/passkeys/authentication/verify", tag = "Passkeys", request_body = VerifyRequest,
    responses((status = 200, body = SignedInResponse), (status = 400, description = "`verification_failed`, `user_verification_missing`"),
        (status = 403, description = "`wrong_origin`, `sign_in_denied`, `sign_in_refused` (`reason`: `account_disabled`, `passkey_paused` or `no_group`), `forbidden` (the bridge is not available to this client or user)"), (status = 404, description = "`passkey_unknown`"),
        (status = 410, description = "`ceremony_expired_or_used`, `action_token_ended`"), (status = 503, description = "`unavailable` (also if a pre-sign-in hook failed)")))]
pub async fn verify(
    request: HttpRequest,
    room: Room,
    guard: web::Data<Guard>,
    limits: web::Data<Limits>,
    caller: Caller,
    body: Envelope<VerifyRequest>,
) -> Result<HttpResponse, Problem> {
    limits.check(Class::Verify, caller.network)?;
    let body = body.0;
    let identity = guard.identify_on_own_site(&request).await?;
    let key = proof_key(&request, &guard).await?;
    let call = second_call(&request, &guard, identity.as_ref(), body.client_id.as_deref(), key.as_ref())?;
    let signed_in = room.finish_authentication(body.answer(call, &caller)).await?;
    metrics::counter!("passmint_sign_ins_total").increment(1);
    end_replaced(&guard, identity.as_ref(), &signed_in, &caller).await?;
    Ok(signed_in_response(&room, &guard, signed_in, "/account")?)
}

/// Ends the session of the cookie that a new one replaces: otherwise it would stay alive unseen.
pub(super) async fn end_replaced(
    guard: &Guard,
    identity: Option<&Identity>,
    signed_in: &SignedIn,
    caller: &Caller,
) -> Result<(), Failure> {
    match (&signed_in.given, identity) {
        (Given::Session(_), Some(Identity { session, via: Via::Cookie, .. })) if session.id != signed_in.session.id => {
            Ok(guard.accounts.sign_out(session, &caller.provenance).await?)
        }
        _ => Ok(()),
    }
}

/// Builds the response of a verify call that signs the user in and sets the session cookie, if any. Our own pages then
/// go to `next`.
pub(super) fn signed_in_response(
    room: &Room,
    guard: &Guard,
    signed_in: SignedIn,
    next: &str,
) -> Result<HttpResponse, Failure> {
    let mut response = HttpResponse::Ok();
    if let Given::Session(cookie) = &signed_in.given {
        response.cookie(guard.cookies.set_session(cookie, room.lifetimes.absolute.num_seconds()));
    }
    // A client is told only what its tokens reveal about the person.
    let client = signed_in.session.client.as_deref().and_then(|id| room.clients.find(id));
    let user = match client {
        Some(client) => UserView::within(&signed_in.user, &client, &scopes_of(&signed_in.given, &client), &room.mint),
        None => UserView::from(&signed_in.user),
    };
    let answer = SignedInResponse::new(signed_in, user, next).ok_or(CeremonyError::Foreign("kind"))?;
    Ok(response.json(answer))
}

/// The granted scopes. A custom token is minted with all the scopes its client may request.
fn scopes_of(given: &Given, client: &Client) -> Scopes {
    match given {
        Given::Tokens(tokens) => Scopes::parse(&tokens.scope).unwrap_or_default(),
        _ => client.definition.scopes.clone(),
    }
}

/// Parses an e-mail address that a person typed.
pub(super) fn parse_email(text: Option<&str>) -> Result<Option<Email>, Failure> {
    text.map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| {
            Email::parse(text).map_err(|error| {
                Failure::new(Kind::InvalidRequest, format!("The e-mail address {error}.")).with("field", json!("email"))
            })
        })
        .transpose()
}

/// Checks whether a passkey ceremony would work from the calling origin and, if not, why.
#[utoipa::path(get, path = "/v1/passkeys/relying-party", tag = "Passkeys", responses((status = 200, body = RelyingPartyResponse)))]
pub async fn relying_party(
    request: HttpRequest,
    room: Room,
    guard: web::Data<Guard>,
    _identity: MaybeIdentity,
) -> Result<web::Json<RelyingPartyResponse>, Problem> {
    let headers = request.headers();
    // A same-origin GET carries no `Origin`: it comes from one of our own pages.
    let by_browser = headers.contains_key("sec-fetch-site");
    let sent = origin(headers)?
        .map(ToOwned::to_owned)
        .or_else(|| by_browser.then(|| of_own_page(headers, &guard.public_origin)));
    let default = room.profiles.default_profile();
    let found = sent.as_deref().map(|origin| room.profiles.for_origin(origin));
    Ok(web::Json(match (&sent, found) {
        (_, Some(Some(party))) => RelyingPartyResponse {
            ok: true,
            rp_id: party.rp_id.clone(),
            origin: sent,
            origins: party.origins.clone(),
            reason: None,
            go_to: None,
        },
        (None, _) => RelyingPartyResponse {
            ok: true,
            rp_id: default.rp_id.clone(),
            origin: None,
            origins: default.origins.clone(),
            reason: None,
            go_to: None,
        },
        (Some(_), _) => RelyingPartyResponse {
            ok: false,
            rp_id: default.rp_id.clone(),
            go_to: default.origins.iter().find(|origin| origin.starts_with("http")).cloned(),
            origin: sent,
            origins: default.origins.clone(),
            reason: Some("wrong_origin"),
        },
    }))
}

/// Rejects callers that are not signed in, with this room's error.
pub(super) fn signed_in(identity: Option<Identity>) -> Result<Identity, Failure> {
    identity.ok_or_else(|| CeremonyError::NotSignedIn.into())
}
