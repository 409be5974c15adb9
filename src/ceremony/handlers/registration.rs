//! Making passkeys over REST.

use actix_web::{HttpRequest, HttpResponse, web};
use webauthn_rs_core::proto::AuthenticatorAttachment;

use super::authentication::{answer, end_replaced, parse_email, signed_in, signed_in_response};
use super::dto::{
    AddedResponse, AttachmentChoice, OptionsResponse, PasskeyView, RegistrationOptionsRequest, RegistrationPurpose,
    VerifyRequest,
};
use super::management::parse_name;
use super::{Browser, FirstCall, Room, proof_key, second_call};
use crate::account::guards::{Guard, Identity, Via};
use crate::ceremony::CeremonyError;
use crate::ceremony::options::Choice;
use crate::ceremony::registration::{BeginSignUp, Registered};
use crate::ceremony::wanted::WantedRequest;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::limits::{Class, Limits};
use crate::web::origin::origin;
use crate::web::{Caller, Json};

/// Begins making a passkey: signed in, one more; as a stranger, an account.
#[utoipa::path(post, path = "/v1/passkeys/registration/options", tag = "Passkeys", request_body = RegistrationOptionsRequest,
    responses((status = 200, body = OptionsResponse<serde_json::Value>), (status = 401, description = "`reauthentication_required`"),
        (status = 403, description = "`wrong_origin`, `sign_up_closed`"), (status = 409, description = "`too_many_passkeys`"), (status = 429, description = "`rate_limited`")))]
pub async fn options(
    request: HttpRequest,
    room: Room,
    guard: web::Data<Guard>,
    limits: web::Data<Limits>,
    caller: Caller,
    body: Json<RegistrationOptionsRequest>,
) -> Result<HttpResponse, Problem> {
    limits.check(Class::Start, caller.network)?;
    let identity = guard.identify_on_own_site(&request).await?;
    let body = body.0;
    let choice = choice(&body)?;
    let for_client = !matches!(body.result, WantedRequest::Session);
    // A result for a client is a new person's, whoever's cookie the browser sent along.
    let purpose = body.purpose.unwrap_or(match identity {
        Some(_) if !for_client => RegistrationPurpose::Add,
        _ => RegistrationPurpose::SignUp,
    });
    if purpose == RegistrationPurpose::Add {
        if for_client {
            return Err(CeremonyError::Invalid("Adding a passkey gives no tokens: leave `result` out.").into());
        }
        return add_options(&request, &room, &guard, signed_in(identity)?, choice).await;
    }
    let call = FirstCall::read(&request, &room, &guard, &body.result)?;
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
    Ok(answer(&room, &guard, begun, call.browser))
}

async fn add_options(
    request: &HttpRequest,
    room: &Room,
    guard: &Guard,
    identity: Identity,
    choice: Choice,
) -> Result<HttpResponse, Problem> {
    identity.require_scope("passkeys")?;
    let browser = match identity.via {
        Via::Cookie => Some(Browser::of(request.headers(), guard)?),
        Via::Bearer { .. } => None,
    };
    let digest = browser.as_ref().map(|browser| browser.token.digest());
    let origin = origin(request.headers())?;
    let begun = room.begin_add(&identity.session, &identity.user, origin, digest, choice).await?;
    Ok(answer(room, guard, begun, browser))
}

/// Ends making a passkey.
#[utoipa::path(post, path = "/v1/passkeys/registration/verify", tag = "Passkeys", request_body = VerifyRequest,
    responses((status = 200, body = AddedResponse, description = "Added; a sign-up answers as a sign-in does"),
        (status = 400, description = "`verification_failed`, `user_verification_missing`"), (status = 409, description = "`credential_exists`"), (status = 410, description = "`ceremony_expired_or_used`")))]
pub async fn verify(
    request: HttpRequest,
    room: Room,
    guard: web::Data<Guard>,
    limits: web::Data<Limits>,
    caller: Caller,
    body: Json<VerifyRequest>,
) -> Result<HttpResponse, Problem> {
    limits.check(Class::Verify, caller.network)?;
    let identity = guard.identify_on_own_site(&request).await?;
    let body = body.0;
    let key = proof_key(&request, &guard).await?;
    let call = second_call(&request, &guard, identity.as_ref(), body.client_id.as_deref(), key.as_ref())?;
    let registered =
        room.finish_registration(&body.ceremony_id, body.credential.get().as_bytes(), call, &caller.provenance).await?;
    Ok(match registered {
        Registered::SignedUp(done) => {
            metrics::counter!("passmint_sign_ups_total").increment(1);
            end_replaced(&guard, identity.as_ref(), &done, &caller).await?;
            signed_in_response(&room, &guard, *done)
        }
        Registered::Added { passkey, signal } => HttpResponse::Ok().json(AddedResponse {
            kind: "passkey",
            passkey: PasskeyView::new(&passkey, identity.and_then(|identity| identity.session.passkey)),
            signals: vec![signal],
        }),
    })
}

fn choice(body: &RegistrationOptionsRequest) -> Result<Choice, Failure> {
    if body.hints.iter().any(|hint| hint != "security-key") {
        return Err(Failure::new(Kind::InvalidRequest, "The only hint taken here is `security-key`."));
    }
    Ok(Choice {
        attachment: body.attachment.map(|attachment| match attachment {
            AttachmentChoice::Platform => AuthenticatorAttachment::Platform,
            AttachmentChoice::CrossPlatform => AuthenticatorAttachment::CrossPlatform,
        }),
        security_key: !body.hints.is_empty(),
    })
}
