//! `PUT` and `PATCH /v1/admin/clients/{id}`, and what `passmint clients set` does.

use actix_web::{HttpResponse, web};
use diesel::PgConnection;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::create::read_definition;
use super::{ClientView, lock, show};
use crate::admin::guard::{Actor, Admin, ChangeClients};
use crate::admin::versions::IfMatch;
use crate::admin::{Room, missing};
use crate::clients::rules::Rules;
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::domain::client::ClientDefinition;
use crate::storage::client_records::{self, ClientRecord};
use crate::web::error::Problem;
use crate::web::json::Json;
use crate::web::refusal::Refusal;

/// Request to replace the settings of a client.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceClient {
    /// All settings of the client, named as in the configuration. Durations are in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
}

/// Request to change some settings of a client.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeClient {
    /// The settings to change. A null value removes the setting (RFC 7396).
    #[schema(value_type = Object)]
    pub definition: Map<String, Value>,
}

/// Replaces all settings of a client.
#[utoipa::path(put, path = "/v1/admin/clients/{id}", tag = "Administration: clients", request_body = ReplaceClient,
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = ClientView), (status = 400, description = "`invalid_field`"),
        (status = 409, description = "`managed_by_configuration`"), (status = 412, description = "`precondition_failed`"),
        (status = 428, description = "`precondition_required`")))]
pub async fn replace(
    admin: Admin<ChangeClients>,
    room: Room,
    version: IfMatch,
    id: web::Path<String>,
    body: Json<ReplaceClient>,
) -> Result<HttpResponse, Problem> {
    let definition = read_definition(body.0.definition)?;
    make(room, admin.actor, version, id.into_inner(), move |_| Ok(definition)).await
}

/// Changes some settings of a client. The others stay unchanged.
#[utoipa::path(patch, path = "/v1/admin/clients/{id}", tag = "Administration: clients", request_body = ChangeClient,
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = ClientView), (status = 400, description = "`invalid_field`"),
        (status = 409, description = "`managed_by_configuration`"), (status = 412, description = "`precondition_failed`"),
        (status = 428, description = "`precondition_required`")))]
pub async fn patch(
    admin: Admin<ChangeClients>,
    room: Room,
    version: IfMatch,
    id: web::Path<String>,
    body: Json<ChangeClient>,
) -> Result<HttpResponse, Problem> {
    let changes = body.0.definition;
    make(room, admin.actor, version, id.into_inner(), move |old| merged(old, &changes)).await
}

async fn make(
    room: Room,
    actor: Actor,
    version: IfMatch,
    id: String,
    decide: impl FnOnce(&ClientDefinition) -> Result<ClientDefinition, Refusal> + Send + 'static,
) -> Result<HttpResponse, Problem> {
    let version = version.required()?;
    let (rules, now) = (room.client_rules.clone(), room.clock.now());
    let view = room
        .change(move |conn| {
            let record = lock(conn, &id, &actor)?;
            version.check(&ClientView::from(&record))?;
            let definition = decide(&record.definition)?;
            Ok(ClientView::from(&store(conn, &actor, &rules, &record, &definition, now)?))
        })
        .await?;
    room.follow_clients().await?;
    Ok(show::answer(&view))
}

/// Applies changes to some of the settings.
pub fn merged(old: &ClientDefinition, changes: &Map<String, Value>) -> Result<ClientDefinition, Refusal> {
    let mut whole = serde_json::to_value(old).unwrap_or_default();
    if let Value::Object(members) = &mut whole {
        for (name, value) in changes {
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(read_definition(whole)?)
}

/// Stores the new settings of a client whose row is locked. The audit event names the settings that changed.
pub fn store(
    conn: &mut PgConnection,
    actor: &Actor,
    rules: &Rules,
    old: &ClientRecord,
    definition: &ClientDefinition,
    now: Time,
) -> Result<ClientRecord, Refusal> {
    rules.check(definition, old.secret.is_some())?;
    actor.require_power(&definition.scopes)?;
    client_records::set_definition(conn, &old.id, definition, now)?;
    let mut change = format!("settings: {}", changed_names(&old.definition, definition).join(", "));
    if !definition.federated.is_empty() && (old.secret.is_some() || old.previous_secret_until.is_some()) {
        // If the secret stayed, it would be valid again once the client is no longer a workload.
        client_records::rotate_secret(conn, &old.id, None, None, now)?;
        change += "; secret removed";
    }
    actor.witness(conn, (EventKind::ClientChanged, &change), (&old.id, Some(definition.name.as_str())), now)?;
    Ok(client_records::find(conn, &old.id)?.ok_or_else(|| missing("client"))?)
}

fn changed_names(old: &ClientDefinition, new: &ClientDefinition) -> Vec<String> {
    let members = |definition: &ClientDefinition| match serde_json::to_value(definition) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let (old, new) = (members(old), members(new));
    let mut names: Vec<String> =
        old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name)).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
}
