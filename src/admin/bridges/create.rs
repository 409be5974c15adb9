//! `POST /v1/admin/bridges`, and what `passmint bridges create` does.

use actix_web::HttpResponse;
use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::BridgeView;
use super::rules::{Draft, Rules};
use super::sent_key::SentKey;
use crate::admin::guard::{Actor, Admin, ChangeBridges};
use crate::admin::idempotency::{Answer, IdempotencyKey};
use crate::admin::{Room, in_path, missing};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::storage::bridges::{self, KeyChange, StoredBridge};
use crate::web::error::{Failure, Kind, Problem};
use crate::web::json::Json;
use crate::web::refusal::Refusal;

/// Request to create a bridge.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBridge {
    /// The name by which clients request the bridge: 1 to 63 of `a-z 0-9 _ -`.
    pub name: String,
    /// The settings, named as in the configuration. Durations are in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
    /// A key to import, as an object with one member: `pem`, `jwk`, `service_account`, `nkey` (the seed of a NATS
    /// account), `secret` or `secret_base64`. It is stored encrypted and never shown again.
    #[schema(value_type = Option<Object>)]
    pub key: Option<SentKey>,
}

/// What distinguishes one request from another. Of a key it has only the public fingerprint, so that no digest of a
/// secret is stored.
#[derive(Serialize)]
struct Asked {
    name: String,
    definition: Value,
    key: Option<String>,
}

/// Creates a bridge.
#[utoipa::path(post, path = "/v1/admin/bridges", tag = "Administration: bridges", request_body = CreateBridge,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat for 24 hours")),
    responses((status = 201, body = BridgeView), (status = 400, description = "`invalid_field`"),
        (status = 401, description = "`reauthentication_required`: the bridge is dangerous, or a deleted bridge had this name and may still be trusted"),
        (status = 409, description = "`already_exists`")))]
pub async fn create(
    admin: Admin<ChangeBridges>,
    room: Room,
    key: IdempotencyKey,
    body: Json<CreateBridge>,
) -> Result<HttpResponse, Problem> {
    let (actor, now, CreateBridge { name, definition, key: sent }) = (admin.actor, room.clock.now(), body.0);
    let upload = SentKey::read(sent)?;
    let print = upload.as_ref().and_then(|upload| upload.read().ok()).map(|material| material.fingerprint());
    let asked = Asked { name: name.clone(), definition: definition.clone(), key: print };
    let draft = Draft::read(&name, definition, upload)?;
    let (witness, rules) = (actor.clone(), room.bridge_rules());
    let response = room
        .once(&actor, "create bridge", key, &asked, move |conn, _| {
            let view = BridgeView::from(&insert(conn, &rules, &witness, &draft, now)?);
            Ok(Answer::created(format!("/v1/admin/bridges/{}", in_path(&view.name)), &view))
        })
        .await?;
    room.follow_bridges().await?;
    Ok(response)
}

/// Checks and stores a new bridge, and records the audit event.
pub fn insert(
    conn: &mut PgConnection,
    rules: &Rules,
    actor: &Actor,
    draft: &Draft,
    now: Time,
) -> Result<StoredBridge, Refusal> {
    let name = &draft.definition.name;
    let checked = rules.check(conn, actor, draft, None, now)?;
    let key = match checked.key {
        KeyChange::Set(key) => key,
        KeyChange::Keep => None,
    };
    if !bridges::insert(conn, &StoredBridge::new(name, checked.definition, key, now))? {
        return Err(Failure::new(Kind::AlreadyExists, "A bridge with this name already exists.").into());
    }
    witness(conn, actor, "created", draft, now)?;
    Ok(bridges::find(conn, name)?.ok_or_else(|| missing("bridge"))?)
}

/// Records the audit event of a change, with whether a key was sent and whether the bridge is dangerous.
pub(super) fn witness(
    conn: &mut PgConnection,
    actor: &Actor,
    change: &str,
    draft: &Draft,
    now: Time,
) -> Result<(), Refusal> {
    let mut event = actor.event(EventKind::BridgeChanged, now, change);
    event.subject = Some(draft.definition.name.clone());
    event.subject_name = Some(draft.definition.preset.as_str().to_owned());
    event.detail = actor.detail(change, json!({ "key": draft.key.is_some(), "dangerous": draft.definition.dangerous }));
    Ok(crate::storage::audit::insert(conn, &event)?)
}
