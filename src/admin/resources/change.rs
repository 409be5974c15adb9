//! `PUT /v1/admin/resources/{id}`, and what `passmint resources set` does.

use actix_web::{HttpResponse, web};
use diesel::PgConnection;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{ResourceView, lock, read_definition, show};
use crate::admin::guard::{Actor, Admin, ChangeResources};
use crate::admin::versions::IfMatch;
use crate::admin::{Room, missing};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::domain::resource::ResourceDefinition;
use crate::storage::resources::{self, StoredResource};
use crate::web::error::Problem;
use crate::web::json::Json;
use crate::web::refusal::Refusal;

/// Request to replace the settings of a resource.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceResource {
    /// All settings of the resource, named as in the configuration. Durations are in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
}

/// Replaces all settings of a resource.
#[utoipa::path(put, path = "/v1/admin/resources/{id}", tag = "Administration: resources", request_body = ReplaceResource,
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = ResourceView), (status = 400, description = "`invalid_field`"),
        (status = 409, description = "`managed_by_configuration`"), (status = 412, description = "`precondition_failed`"),
        (status = 428, description = "`precondition_required`")))]
pub async fn replace(
    admin: Admin<ChangeResources>,
    room: Room,
    version: IfMatch,
    id: web::Path<String>,
    body: Json<ReplaceResource>,
) -> Result<HttpResponse, Problem> {
    let version = version.required()?;
    let definition = read_definition(body.0.definition)?;
    let (actor, id, now) = (admin.actor, id.into_inner(), room.clock.now());
    let view = room
        .change(move |conn| {
            let old = lock(conn, &id)?;
            version.check(&ResourceView::from(&old))?;
            Ok(ResourceView::from(&store(conn, &actor, old, definition, now)?))
        })
        .await?;
    room.follow_resources().await?;
    Ok(show::answer(&view))
}

/// Stores the new settings of a resource whose row is locked, and records the audit event. A disabled resource stays
/// disabled.
pub fn store(
    conn: &mut PgConnection,
    actor: &Actor,
    old: StoredResource,
    definition: ResourceDefinition,
    now: Time,
) -> Result<StoredResource, Refusal> {
    let mut resource = old.resource;
    resource.definition = definition;
    resources::put(conn, &resource, None, now)?;
    if old.disabled_at.is_some() {
        resources::disable(conn, &resource.identifier, now)?;
    }
    let name = Some(resource.definition.name.as_str());
    actor.witness(conn, (EventKind::ResourceChanged, "settings"), (&resource.identifier, name), now)?;
    Ok(resources::find(conn, &resource.identifier)?.ok_or_else(|| missing("resource"))?)
}
