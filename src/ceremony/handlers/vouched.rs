//! A passkey for somebody whom a trusted issuer speaks for: its fresh token, as bearer, begins one ceremony.
//!
//! What must always hold: only an issuer that is marked for it, and only a sign-in there of the last minutes, which its token
//! tells of itself; the token is for us alone, of nobody who acts for another, bound to no key, and counts once; no issuer
//! speaks for an administrator. The session that is opened is the ceremony's own, opens nothing and ends with it.

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

/// A token of an issuer that may enrol.
pub(super) struct Voucher<'a> {
    issuer: &'a TrustedIssuer,
    token: &'a str,
}

/// The one that a request brings, if any; every other token is judged where access tokens are.
pub(super) fn voucher<'a>(trusted: &'a TrustedIssuers, headers: &'a HeaderMap) -> Option<Voucher<'a>> {
    let mut values = headers.get_all(AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let issuer = trusted.enrolling(token).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
    Some(Voucher { issuer, token })
}

/// Begins making a passkey for the person that the token means.
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

/// Why a token that is believed lets nobody make a passkey.
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

/// What a token must be beside what is believed of its issuer; gives its id, and from when on it is too old.
fn check_form(believed: &Believed<'_>, issuer: &str, now: Time) -> Result<(String, Time), Form> {
    // One that is for others as well, any of them could bring here.
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
