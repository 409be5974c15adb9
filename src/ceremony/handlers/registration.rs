//! The REST endpoints for registering passkeys.

use actix_web::{HttpRequest, HttpResponse, web};
use webauthn_rs_core::proto::AuthenticatorAttachment;

use super::authentication::{answer, end_replaced, parse_email, signed_in, signed_in_response};
use super::backend::SentToken;
use super::dto::{
    AddedResponse, AttachmentChoice, EnrolledResponse, OptionsResponse, PasskeyView, RegisteredResponse,
    RegistrationOptionsRequest, RegistrationPurpose, VerifyRequest,
};
use super::management::parse_name;
use super::vouched;
use super::{Browser, FirstCall, Room, known_client, proof_key, second_call};
use crate::account::guards::{Guard, Identity, Via};
use crate::bridge::trusted::TrustedIssuers;
use crate::ceremony::CeremonyError;
use crate::ceremony::options::Choice;
use crate::ceremony::registration::{BeginAdd, BeginSignUp, Registered};
use crate::ceremony::wanted::WantedRequest;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::limits::{Class, Limits};
use crate::web::origin::origin;
use crate::web::{Caller, Envelope, Json};

/// Begins the registration of a passkey.
///
/// The authorization of the request decides whose passkey it is:
///
/// - Session cookie or access token: adds a passkey to the signed-in user's account.
/// - None: creates a new account.
/// - `Authorization: ActionToken …` for the action `enrol`: adds a passkey to the account of the token's user.
/// - `Authorization: Bearer …` with a fresh token of a trusted issuer that may enrol users: registers a passkey for the
///   user whom the token identifies.
#[utoipa::path(post, path = "/v1/passkeys/registration/options", tag = "Passkeys", request_body = RegistrationOptionsRequest,
    responses((status = 200, body = OptionsResponse<serde_json::Value>), (status = 400, description = "`invalid_scope`, `invalid_target`, `unauthorized_client`"),
        (status = 401, description = "`not_signed_in`, `invalid_token`, `reauthentication_required`, `invalid_client`"),
        (status = 403, description = "`wrong_origin`, `sign_up_closed`, `action_token_unknown`, `action_token_misused`"),
        (status = 409, description = "`too_many_passkeys`, `enrol_over_existing`"), (status = 410, description = "`action_token_ended`"), (status = 429, description = "`rate_limited`")))]
pub async fn options(
    request: HttpRequest,
    room: Room,
    guard: web::Data<Guard>,
    trusted: web::Data<TrustedIssuers>,
    limits: web::Data<Limits>,
    caller: Caller,
    body: Json<RegistrationOptionsRequest>,
) -> Result<HttpResponse, Problem> {
    limits.check(Class::Start, caller.network)?;
    let body = body.0;
    let choice = choice(&body)?;
    if let Some(token) = SentToken::of(request.headers())? {
        refuse_a_choice_of_person(&body, body.purpose.is_some())?;
        let here = guard.signed_in_here(&request).await?.map(|identity| identity.user.id);
        let begun = room.begin_enrolment(token.presented(&request, here, &caller.provenance)?, choice).await?;
        return Ok(answer(&room, &guard, begun, None));
    }
    if let Some(voucher) = vouched::voucher(&trusted, request.headers()) {
        refuse_a_choice_of_person(&body, matches!(body.purpose, Some(RegistrationPurpose::SignUp)))?;
        let begun = vouched::begin(&request, &room, &voucher, choice, &caller.provenance).await?;
        return Ok(answer(&room, &guard, begun, None));
    }
    let identity = guard.identify_on_own_site(&request).await?;
    let for_client = !matches!(body.result, WantedRequest::Session);
    // A result for a client always means a new person, no matter whose cookie the browser sent along.
    let purpose = body.purpose.unwrap_or(match identity {
        Some(_) if !for_client => RegistrationPurpose::Add,
        _ => RegistrationPurpose::SignUp,
    });
    if purpose == RegistrationPurpose::SignUp {
        return sign_up_options(&request, &room, &guard, &body, choice).await;
    }
    if for_client {
        return Err(CeremonyError::Invalid("Adding a passkey gives no tokens: leave `result` out.").into());
    }
    let named = body.relying_party.as_deref();
    add_options(&request, &room, &guard, signed_in(identity)?, (named, choice)).await
}

/// A token that is issued for one person already determines the person and the relying party.
fn refuse_a_choice_of_person(body: &RegistrationOptionsRequest, other_purpose: bool) -> Result<(), CeremonyError> {
    if other_purpose || body.email.is_some() || body.name.is_some() || body.relying_party.is_some() {
        let words = "The token says itself for whom the passkey is: leave out purpose, name, email and relyingParty.";
        return Err(CeremonyError::Invalid(words));
    }
    Ok(())
}

async fn sign_up_options(
    request: &HttpRequest,
    room: &Room,
    guard: &Guard,
    body: &RegistrationOptionsRequest,
    choice: Choice,
) -> Result<HttpResponse, Problem> {
    let call = FirstCall::read(request, room, guard, &body.result)?;
    let email = parse_email(body.email.as_deref())?;
    let name = body.name.as_deref().filter(|name| !name.trim().is_empty()).map(parse_name).transpose()?;
    let begun = room
        .begin_sign_up(BeginSignUp {
            origin: call.origin,
            relying_party: body.relying_party.as_deref(),
            email: email.as_ref(),
            name: name.as_ref(),
            wanted: call.wanted,
            client: call.client.as_deref(),
            browser: call.browser.as_ref().map(|browser| browser.token.digest()),
            choice,
        })
        .await?;
    Ok(answer(room, guard, begun, call.browser))
}

async fn add_options(
    request: &HttpRequest,
    room: &Room,
    guard: &Guard,
    identity: Identity,
    (relying_party, choice): (Option<&str>, Choice),
) -> Result<HttpResponse, Problem> {
    identity.require_scope("passkeys")?;
    // With a cookie, the ceremony is for our own pages, even if the browser sends no `Origin`: no other profile
    // applies.
    let (origin, client, browser) = match &identity.via {
        Via::Cookie => (Some(guard.public_origin.as_str()), None, Some(Browser::of(request.headers(), guard)?)),
        Via::Bearer { client, .. } => (origin(request.headers())?, Some(known_client(room, client)?), None),
    };
    let begun = room
        .begin_add(BeginAdd {
            session: &identity.session,
            user: &identity.user,
            asked_by: client.as_deref(),
            origin,
            relying_party,
            browser: browser.as_ref().map(|browser| browser.token.digest()),
            choice,
        })
        .await?;
    Ok(answer(room, guard, begun, browser))
}

/// Completes the registration of a passkey.
///
/// Verifies the response of the authenticator and stores the passkey.
#[utoipa::path(post, path = "/v1/passkeys/registration/verify", tag = "Passkeys", request_body = VerifyRequest,
    responses((status = 200, body = RegisteredResponse, description = "The passkey was registered. The response depends on how the ceremony began: `kind` is `passkey` if a signed-in user added a passkey, `enrolled` with a `result` for the backend if an action token permitted it, and otherwise as for a sign-in"),
        (status = 400, description = "`verification_failed`, `user_verification_missing`"), (status = 409, description = "`credential_exists`"), (status = 410, description = "`ceremony_expired_or_used`, `action_token_ended`")))]
pub async fn verify(
    request: HttpRequest,
    room: Room,
    guard: web::Data<Guard>,
    limits: web::Data<Limits>,
    caller: Caller,
    body: Envelope<VerifyRequest>,
) -> Result<HttpResponse, Problem> {
    limits.check(Class::Verify, caller.network)?;
    let identity = guard.identify_on_own_site(&request).await?;
    let body = body.0;
    let key = proof_key(&request, &guard).await?;
    let call = second_call(&request, &guard, identity.as_ref(), body.client_id.as_deref(), key.as_ref())?;
    let registered = room.finish_registration(body.answer(call, &caller)).await?;
    Ok(match registered {
        Registered::SignedUp(done) => {
            metrics::counter!("passmint_sign_ups_total").increment(1);
            end_replaced(&guard, identity.as_ref(), &done, &caller).await?;
            signed_in_response(&room, &guard, *done, "/account?done=welcome")?
        }
        Registered::Added { passkey, signal } => HttpResponse::Ok().json(RegisteredResponse::Added(AddedResponse {
            kind: "passkey",
            passkey: PasskeyView::new(&passkey, identity.and_then(|identity| identity.session.passkey)),
            signals: vec![signal],
        })),
        Registered::Enrolled { passkey, signal, result } => {
            metrics::counter!("passmint_enrolments_total").increment(1);
            let enrolled = EnrolledResponse::new(&passkey, signal, *result);
            HttpResponse::Ok().json(RegisteredResponse::Enrolled(enrolled))
        }
    })
}

fn choice(body: &RegistrationOptionsRequest) -> Result<Choice, Failure> {
    if body.hints.iter().any(|hint| hint != "security-key") {
        return Err(Failure::new(Kind::InvalidRequest, "The only hint accepted here is `security-key`."));
    }
    Ok(Choice {
        attachment: body.attachment.map(|attachment| match attachment {
            AttachmentChoice::Platform => AuthenticatorAttachment::Platform,
            AttachmentChoice::CrossPlatform => AuthenticatorAttachment::CrossPlatform,
        }),
        security_key: !body.hints.is_empty(),
    })
}
