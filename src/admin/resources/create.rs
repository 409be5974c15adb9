//! `POST /v1/admin/resources`, and what `passmint resources create` does.

use actix_web::HttpResponse;
use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{ResourceView, read_definition};
use crate::admin::guard::{Actor, Admin, ChangeResources};
use crate::admin::idempotency::{Answer, IdempotencyKey};
use crate::admin::{Room, in_path, missing};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::domain::resource::{Resource, check_identifier};
use crate::storage::resources::{self, StoredResource};
use crate::web::error::{Failure, Kind, Problem};
use crate::web::json::Json;
use crate::web::refusal::Refusal;
use crate::web::wrong_field::wrong_field;

/// Request to create a resource.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateResource {
    /// The identifier, which becomes the `aud` of access tokens: preferably the URL of the API. 1–512 bytes without
    /// spaces.
    pub identifier: String,
    /// The settings, named as in the configuration. Durations are in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
}

/// Creates a resource.
#[utoipa::path(post, path = "/v1/admin/resources", tag = "Administration: resources", request_body = CreateResource,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat for 24 hours")),
    responses((status = 201, body = ResourceView), (status = 400, description = "`invalid_field`"),
        (status = 409, description = "`already_exists`")))]
pub async fn create(
    admin: Admin<ChangeResources>,
    room: Room,
    key: IdempotencyKey,
    body: Json<CreateResource>,
) -> Result<HttpResponse, Problem> {
    let (actor, now, asked) = (admin.actor, room.clock.now(), body.0);
    let definition = read_definition(asked.definition.clone())?;
    let (witness, resource) = (actor.clone(), Resource { identifier: asked.identifier.clone(), definition });
    let issuer = room.bridges.home().issuer.clone();
    let response = room
        .once(&actor, "create resource", key, &asked, move |conn, _| {
            let view = ResourceView::from(&insert(conn, &witness, &resource, &issuer, now)?);
            Ok(Answer::created(format!("/v1/admin/resources/{}", in_path(&view.identifier)), &view))
        })
        .await?;
    room.follow_resources().await?;
    Ok(response)
}

/// Stores a new resource whose definition was checked, and records the audit event.
pub fn insert(
    conn: &mut PgConnection,
    actor: &Actor,
    resource: &Resource,
    issuer: &str,
    now: Time,
) -> Result<StoredResource, Refusal> {
    let identifier = &resource.identifier;
    if let Err(fault) = check_identifier(identifier, issuer) {
        return Err(wrong_field("identifier", fault.what, fault.cure).into());
    }
    if resources::is_known(conn, identifier)? || !resources::insert(conn, resource, now)? {
        return Err(Failure::new(Kind::AlreadyExists, "A resource with this identifier already exists.").into());
    }
    let name = Some(resource.definition.name.as_str());
    actor.witness(conn, (EventKind::ResourceChanged, "created"), (identifier, name), now)?;
    Ok(resources::find(conn, identifier)?.ok_or_else(|| missing("resource"))?)
}
