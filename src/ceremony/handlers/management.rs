//! The REST endpoints for managing one's own passkeys.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::Room;
use super::backend::Holder;
use super::dto::{ChangeRequest, PasskeyView, PasskeysResponse, RemovedResponse};
use crate::account::guards::{Guard, Identity};
use crate::ceremony::CeremonyError;
use crate::ceremony::management::Change;
use crate::domain::id::PasskeyId;
use crate::domain::text::DisplayName;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::limits::{Class, Limits};
use crate::web::{Caller, Json};

/// The scope that an access token needs for these endpoints.
const SCOPE: &str = "passkeys";

/// Lists the signed-in user's passkeys.
///
/// With an action token for `list` (`Authorization: ActionToken …`), lists the passkeys of the token's user, and the
/// token is used up.
#[utoipa::path(get, path = "/v1/passkeys", tag = "Passkeys", responses((status = 200, body = PasskeysResponse), (status = 401, description = "`not_signed_in`, `invalid_token`"),
        (status = 403, description = "`insufficient_scope`, `action_token_unknown`, `action_token_misused`"), (status = 410, description = "`action_token_ended`")))]
pub async fn list(
    request: HttpRequest,
    room: Room,
    guard: web::Data<Guard>,
    limits: web::Data<Limits>,
    caller: Caller,
) -> Result<web::Json<PasskeysResponse>, Problem> {
    let (passkeys, signals, current) = match Holder::of(&request, &guard).await? {
        Holder::Themselves(identity) => {
            identity.require_scope(SCOPE)?;
            let (passkeys, signals) = room.passkeys_of(&identity.user).await?;
            (passkeys, signals, identity.session.passkey)
        }
        Holder::ByAction(token, session) => {
            limits.check(Class::Token, caller.network)?;
            let presented = token.presented(&request, session, &caller.provenance)?;
            let (passkeys, signals) = room.list_by_action(presented).await?;
            (passkeys, signals, None)
        }
    };
    let passkeys = passkeys.iter().map(|passkey| PasskeyView::new(passkey, current)).collect();
    Ok(web::Json(PasskeysResponse { passkeys, signals }))
}

/// Renames one of the signed-in user's passkeys, or lifts its suspension. Requires a recent passkey verification.
#[utoipa::path(patch, path = "/v1/passkeys/{id}", tag = "Passkeys", params(("id" = String, Path)), request_body = ChangeRequest,
    responses((status = 200, body = PasskeyView), (status = 400, description = "`invalid_request`"),
        (status = 401, description = "`not_signed_in`, `invalid_token`, `reauthentication_required`"), (status = 403, description = "`insufficient_scope`"), (status = 404, description = "`not_found`")))]
pub async fn change(
    room: Room,
    identity: Identity,
    caller: Caller,
    id: web::Path<String>,
    body: Json<ChangeRequest>,
) -> Result<web::Json<PasskeyView>, Problem> {
    identity.require_scope(SCOPE)?;
    let id = parse_id(&id)?;
    let change = match (body.0.name, body.0.suspended) {
        (Some(name), None) => Change::Rename(parse_name(&name)?),
        (None, Some(false)) => Change::Resume,
        _ => {
            return Err(Failure::new(Kind::InvalidRequest, "Send either a `name`, or `\"suspended\": false`.").into());
        }
    };
    let passkey = room.change(&identity.session, id, change, &caller.provenance).await?;
    Ok(web::Json(PasskeyView::new(&passkey, identity.session.passkey)))
}

/// Removes one of the signed-in user's passkeys.
///
/// Requires a recent passkey verification, and another passkey to sign in with. With an action token for `delete`
/// (`Authorization: ActionToken …`), removes a passkey of the token's user, and the token is used up.
#[utoipa::path(delete, path = "/v1/passkeys/{id}", tag = "Passkeys", params(("id" = String, Path)),
    responses((status = 200, body = RemovedResponse), (status = 401, description = "`not_signed_in`, `invalid_token`, `reauthentication_required`"), (status = 403, description = "`insufficient_scope`, `action_token_unknown`, `action_token_misused`"),
        (status = 404, description = "`not_found`"), (status = 409, description = "`last_sign_in_method`"), (status = 410, description = "`action_token_ended`")))]
pub async fn remove(
    request: HttpRequest,
    room: Room,
    guard: web::Data<Guard>,
    limits: web::Data<Limits>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let signals = match Holder::of(&request, &guard).await? {
        Holder::Themselves(identity) => {
            identity.require_scope(SCOPE)?;
            room.remove(&identity.session, parse_id(&id)?, &caller.provenance).await?
        }
        Holder::ByAction(token, session) => {
            limits.check(Class::Token, caller.network)?;
            let presented = token.presented(&request, session, &caller.provenance)?;
            room.remove_by_action(presented, parse_id(&id)?).await?
        }
    };
    Ok(HttpResponse::Ok().json(RemovedResponse { signals }))
}

/// A malformed ID is reported as not found.
pub(crate) fn parse_id(text: &str) -> Result<PasskeyId, Failure> {
    text.parse().map_err(|_| CeremonyError::NotFound.into())
}

/// Parses a name that a person typed. As for e-mail addresses, the error names the field, so that pages can show it
/// there.
pub(crate) fn parse_name(text: &str) -> Result<DisplayName, Failure> {
    DisplayName::parse(text)
        .map_err(|error| Failure::new(Kind::InvalidRequest, format!("The name {error}.")).with("field", json!("name")))
}
