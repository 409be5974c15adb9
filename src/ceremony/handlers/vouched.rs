//! Registering a passkey for a person whom a trusted issuer vouches for: its fresh token, sent as a bearer token,
//! begins one ceremony.
//!
//! What must always hold: the issuer is configured for it, and its token says that the person signed in there within
//! the last minutes; the token is intended for this server alone, has no actor, is bound to no key, and counts once; no
//! issuer vouches for an administrator. The session that is opened belongs to the ceremony: it gives access to nothing
//! and ends with it.

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};

use super::Room;
use crate::bridge::trusted::{Arrival, Believed, TrustedIssuer, TrustedIssuers, arrive};
use crate::ceremony::CeremonyError;
use crate::ceremony::authentication::Begun;
use crate::ceremony::options::{Choice, PublicKeyCredentialCreationOptions};
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::id::SessionId;
use crate::domain::trust::FRESH_FOR_ENROLMENT;
use crate::storage::first_sessions::ForeignSession;
use crate::web::error::{Failure, Kind};
use crate::web::origin::origin;

/// A token of an issuer that may enrol people.
pub(super) struct Voucher<'a> {
    issuer: &'a TrustedIssuer,
    token: &'a str,
}

/// The voucher that a request carries, if any. Every other token is judged where access tokens are.
pub(super) fn voucher<'a>(trusted: &'a TrustedIssuers, headers: &'a HeaderMap) -> Option<Voucher<'a>> {
    let mut values = headers.get_all(AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let issuer = trusted.enrolling(token).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
    Some(Voucher { issuer, token })
}

/// Begins the registration of a passkey for the person whom the token identifies.
pub(super) async fn begin(
    request: &HttpRequest,
    room: &Room,
    voucher: &Voucher<'_>,
    choice: Choice,
    provenance: &Provenance,
) -> Result<Begun<PublicKeyCredentialCreationOptions>, Failure> {
    let now = room.clock.now();
    let origin = origin(request.headers())?;
    room.profiles.choose(origin, None, None)?;
    let refused = || {
        Failure::new(
            Kind::InvalidToken,
            "The token is not valid here, was already used, or identifies \
        nobody here.",
        )
    };
    let believed = voucher.issuer.believe_any(voucher.token, now).await.map_err(|error| refused().because(error))?;
    let once = check_form(&believed, room.mint.issuer(), now).map_err(|fault| refused().because(fault))?;
    let signed_in_at = believed.signed_in_at();
    if !believed.trust.permits_enrolment(signed_in_at, now) {
        return Err(CeremonyError::NotFresh(FRESH_FOR_ENROLMENT).into());
    }
    let session = ForeignSession {
        id: SessionId::random(),
        client: None,
        auth_time: signed_in_at,
        now,
        ends_at: now + room.policy.challenge_ttl,
        origin: provenance.clone(),
    };
    let event = Event {
        subject_name: Some(believed.trust.name.clone()),
        detail: serde_json::json!({ "trusted_issuer": believed.trust.name, "action": "enrol" }),
        ..Event::new(EventKind::TrustedTokenBelieved, now, provenance)
    };
    let arrival = Arrival::new(&believed, Some(once), Vec::new(), Some(session), event);
    let arrival = Arrival { spares_administrators: true, ..arrival };
    let arrived = arrive(&room.db, None, arrival).await?.map_err(|error| refused().because(error))?;
    Ok(room.begin_vouched(&arrived.user, arrived.session, origin, choice).await?)
}

/// Why a valid token does not permit the registration of a passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Form {
    #[error("the token is for others beside this server")]
    Audience,
    #[error("the token is of somebody who acts for the person")]
    Actor,
    #[error("the token is bound to a key, which nobody can prove here")]
    Key,
    #[error("the token has no jti, and must count once")]
    NoId,
}

/// Checks what a token must satisfy beyond being valid. Returns its ID, and the time from which it is too old.
fn check_form(believed: &Believed<'_>, issuer: &str, now: Time) -> Result<(String, Time), Form> {
    // If the token had other audiences, any of them could send it here.
    if believed.audience() != [issuer] {
        return Err(Form::Audience);
    }
    if believed.claims.contains_key("act") {
        return Err(Form::Actor);
    }
    if !believed.is_proven_by(None) {
        return Err(Form::Key);
    }
    believed.id(now).ok_or(Form::NoId)
}
