//! `PUT /v1/admin/bridges/{name}`, and what `passmint bridges update` does.

use actix_web::{HttpResponse, web};
use diesel::PgConnection;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::rules::{Draft, Rules};
use super::sent_key::SentKey;
use super::{BridgeView, ShownBridge, create, lock, show};
use crate::admin::guard::{Actor, Admin, ChangeBridges};
use crate::admin::versions::IfMatch;
use crate::admin::{Room, missing};
use crate::clock::Time;
use crate::storage::bridges::{self, StoredBridge};
use crate::web::error::Problem;
use crate::web::json::Json;
use crate::web::refusal::Refusal;

/// Request to replace the settings of a bridge.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceBridge {
    /// All settings of the bridge, named as in the configuration. Durations are in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
    /// A key to import, in the same form as for a new bridge. It replaces the stored key. If omitted, the stored key is
    /// kept, unless `definition.key` names another source, which removes it. If the preset or the address changes, an
    /// imported key must be sent again.
    #[schema(value_type = Option<Object>)]
    pub key: Option<SentKey>,
}

/// Replaces all settings of a bridge. A stopped bridge stays stopped.
#[utoipa::path(put, path = "/v1/admin/bridges/{name}", tag = "Administration: bridges", request_body = ReplaceBridge,
    params(("name" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = ShownBridge), (status = 400, description = "`invalid_field`"),
        (status = 401, description = "`reauthentication_required`: the bridge is dangerous, or the change replaces its preset, its key source or its published key"),
        (status = 409, description = "`managed_by_configuration`"), (status = 412, description = "`precondition_failed`"),
        (status = 428, description = "`precondition_required`")))]
pub async fn replace(
    admin: Admin<ChangeBridges>,
    room: Room,
    version: IfMatch,
    name: web::Path<String>,
    body: Json<ReplaceBridge>,
) -> Result<HttpResponse, Problem> {
    let version = version.required()?;
    let ReplaceBridge { definition, key } = body.0;
    let draft = Draft::read(&name, definition, SentKey::read(key)?)?;
    let (actor, now, rules) = (admin.actor, room.clock.now(), room.bridge_rules());
    let view = room
        .change(move |conn| {
            let old = lock(conn, &draft.definition.name)?;
            version.check(&BridgeView::from(&old))?;
            Ok(BridgeView::from(&store(conn, &rules, &actor, (&draft, &old), now)?))
        })
        .await?;
    room.follow_bridges().await?;
    Ok(show::answer(&room, view))
}

/// Stores the new settings of a bridge whose row is locked, and records the audit event.
pub fn store(
    conn: &mut PgConnection,
    rules: &Rules,
    actor: &Actor,
    (draft, old): (&Draft, &StoredBridge),
    now: Time,
) -> Result<StoredBridge, Refusal> {
    let checked = rules.check(conn, actor, draft, Some(old), now)?;
    bridges::change(conn, &old.name, &checked.definition, checked.key, now)?;
    create::witness(conn, actor, "settings", draft, now)?;
    Ok(bridges::find(conn, &old.name)?.ok_or_else(|| missing("bridge"))?)
}
