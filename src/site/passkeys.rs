//! The user's passkeys: the list, renaming, removing, resuming.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::{Site, done_of, require_identity, see_other, with_next};
use crate::account::guards::{Guard, Identity};
use crate::ceremony::handlers::Room;
use crate::ceremony::handlers::management::parse_id;
use crate::ceremony::management::Change;
use crate::ceremony::{CeremonyError, aaguid};
use crate::domain::id::PasskeyId;
use crate::domain::text::{DisplayName, TextError};
use crate::storage::credentials::StoredPasskey;
use crate::web::Caller;
use crate::web::error::{Failure, Kind};
use crate::web::form::PageForm;
use crate::web::pages::passkeys::{Kept, NameProblem, PasskeyCard, Passkeys, Remove, Rename, Resume};
use crate::web::pages::{Boot, PageKind};

/// The page that lists passkeys, and where one can be added.
pub async fn list(request: HttpRequest, site: web::Data<Site>, guard: web::Data<Guard>, room: Room) -> HttpResponse {
    let result = async {
        let identity = require_identity(&request, &guard).await?;
        let (passkeys, signals) = room.passkeys_of(&identity.user).await?;
        let boot = Boot {
            page: PageKind::Passkeys,
            signals: signals.into_iter().map(|signal| json!(signal)).collect(),
            ..Boot::default()
        };
        let current = identity.session.passkey;
        let unusable = room.unusable_of(identity.user.id).await?;
        let view = Passkeys {
            frame: site.frame(&request, Some(&identity), boot),
            done: done_of(&request),
            passkeys: passkeys.iter().map(|passkey| card(passkey, current)).collect(),
            unusable,
        };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }
    .await;
    site.answer(&request, result)
}

fn card(passkey: &StoredPasskey, current: Option<PasskeyId>) -> PasskeyCard {
    PasskeyCard {
        id: passkey.id,
        name: passkey.name.clone(),
        provider: passkey.aaguid.and_then(aaguid::name).map(ToOwned::to_owned),
        kept: if passkey.backup_flags_known {
            Kept::of(passkey.backup_eligible, passkey.backup_state, &passkey.transports)
        } else {
            Kept::Unknown
        },
        created: passkey.created_at,
        last_used: passkey.last_used_at,
        current: current == Some(passkey.id),
        suspended: passkey.suspended_at.is_some(),
    }
}

/// Redirects to the confirmation page if the verification is too old, so that the form that follows is accepted when
/// posted.
fn needs_confirming(room: &Room, identity: &Identity, request: &HttpRequest) -> Option<HttpResponse> {
    room.require_fresh(&identity.session).is_err().then(|| see_other(&with_next("/confirm", request.path())))
}

/// The rename form.
pub async fn rename_form(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Room,
    id: web::Path<String>,
) -> HttpResponse {
    let result = async {
        let identity = require_identity(&request, &guard).await?;
        if let Some(confirm) = needs_confirming(&room, &identity, &request) {
            return Ok(confirm);
        }
        let passkey = room.passkey_of(identity.user.id, parse_id(&id)?).await?;
        rename_page(&site, &request, &identity, &passkey, (passkey.name.clone(), None))
    }
    .await;
    site.answer(&request, result)
}

fn rename_page(
    site: &Site,
    request: &HttpRequest,
    identity: &Identity,
    passkey: &StoredPasskey,
    (typed, problem): (String, Option<NameProblem>),
) -> Result<HttpResponse, Failure> {
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let view = Rename {
        frame: site.frame(request, Some(identity), Boot::default()),
        id: passkey.id,
        name: passkey.name.clone(),
        typed,
        problem,
    };
    Site::page(&view, &view.frame.nonce.clone(), status)
}

/// Handles the form that renames a passkey.
pub async fn rename(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Room,
    caller: Caller,
    id: web::Path<String>,
    form: PageForm,
) -> HttpResponse {
    let result = async {
        let identity = site.posted_by(&request, &guard, &form).await?;
        let id = parse_id(&id)?;
        let typed = form.0.find("name").unwrap_or_default();
        match DisplayName::parse(typed) {
            Ok(name) => {
                let renamed = room.change(&identity.session, id, Change::Rename(name), &caller.provenance).await;
                confirmed(renamed.map(drop), "/account/passkeys?done=passkey-renamed", &request)
            }
            Err(error) => {
                let passkey = room.passkey_of(identity.user.id, id).await?;
                let problem = match error {
                    TextError::Empty => NameProblem::Empty,
                    TextError::TooLong(_) => NameProblem::Long,
                    TextError::Unprintable | TextError::NotAnEmail => NameProblem::Unprintable,
                };
                let typed = typed.chars().take(DisplayName::LONGEST * 2).collect();
                rename_page(&site, &request, &identity, &passkey, (typed, Some(problem)))
            }
        }
    }
    .await;
    site.answer(&request, result)
}

/// The page that asks before a passkey is removed.
pub async fn remove_form(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Room,
    id: web::Path<String>,
) -> HttpResponse {
    let result = async {
        let identity = require_identity(&request, &guard).await?;
        if let Some(confirm) = needs_confirming(&room, &identity, &request) {
            return Ok(confirm);
        }
        let id = parse_id(&id)?;
        let (passkeys, _) = room.passkeys_of(&identity.user).await?;
        let passkey = passkeys
            .iter()
            .find(|passkey| passkey.id == id)
            .ok_or_else(|| Failure::new(Kind::NotFound, "There is no such passkey on this account."))?;
        let view = Remove {
            frame: site.frame(&request, Some(&identity), Boot::default()),
            passkey: card(passkey, identity.session.passkey),
            last_way: !passkeys.iter().any(|other| other.id != id && other.suspended_at.is_none()),
        };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }
    .await;
    site.answer(&request, result)
}

/// Handles the form that removes a passkey.
pub async fn remove(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Room,
    caller: Caller,
    id: web::Path<String>,
    form: PageForm,
) -> HttpResponse {
    let result = async {
        let identity = site.posted_by(&request, &guard, &form).await?;
        let removed = match room.remove(&identity.session, parse_id(&id)?, &caller.provenance).await {
            // A passkey that is already gone is what was wanted. Another user's passkey gets the same answer.
            Err(CeremonyError::NotFound) => Ok(()),
            other => other.map(drop),
        };
        confirmed(removed, "/account/passkeys?done=passkey-removed", &request)
    }
    .await;
    site.answer(&request, result)
}

/// The page that asks before a paused passkey is resumed. The session must have been opened with another passkey:
/// whoever holds a copy of the paused one could otherwise resume it.
pub async fn resume_form(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Room,
    id: web::Path<String>,
) -> HttpResponse {
    let result = async {
        let identity = require_identity(&request, &guard).await?;
        let passkey = room.passkey_of(identity.user.id, parse_id(&id)?).await?;
        if passkey.suspended_at.is_none() {
            return Ok(see_other("/account/passkeys"));
        }
        if identity.session.passkey == Some(passkey.id) {
            return Ok(see_other(&with_next("/confirm", request.path())));
        }
        if let Some(confirm) = needs_confirming(&room, &identity, &request) {
            return Ok(confirm);
        }
        let frame = site.frame(&request, Some(&identity), Boot::default());
        let view = Resume { frame, id: passkey.id, name: passkey.name };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }
    .await;
    site.answer(&request, result)
}

/// Handles the form that resumes a paused passkey.
pub async fn resume(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Room,
    caller: Caller,
    id: web::Path<String>,
    form: PageForm,
) -> HttpResponse {
    let result = async {
        let identity = site.posted_by(&request, &guard, &form).await?;
        let passkey = room.passkey_of(identity.user.id, parse_id(&id)?).await?;
        if passkey.suspended_at.is_none() {
            return Ok(see_other("/account/passkeys"));
        }
        let resumed = room.change(&identity.session, passkey.id, Change::Resume, &caller.provenance).await;
        confirmed(resumed.map(drop), "/account/passkeys?done=passkey-resumed", &request)
    }
    .await;
    site.answer(&request, result)
}

/// After a change: continues to `next`, or redirects to the confirmation page and then back to the form.
fn confirmed(result: Result<(), CeremonyError>, next: &str, request: &HttpRequest) -> Result<HttpResponse, Failure> {
    match result.map_err(Failure::from) {
        Ok(()) => Ok(see_other(next)),
        Err(failure) if failure.kind() == Kind::ReauthenticationRequired => {
            Ok(see_other(&with_next("/confirm", request.path())))
        }
        Err(failure) => Err(failure),
    }
}
