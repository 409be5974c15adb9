//! `POST /v1/admin/clients/{id}/secret`.

use actix_web::{HttpResponse, web};
use chrono::Duration;
use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::create::wants_secret;
use super::{ClientView, lock};
use crate::admin::guard::{Actor, Admin, ChangeClients};
use crate::admin::idempotency::{Answer, IdempotencyKey, WithSecret};
use crate::admin::{Room, missing};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::domain::client::ClientKind;
use crate::domain::secret::{TokenDigest, TokenKind};
use crate::storage::client_records::{self, ClientRecord};
use crate::web::error::Problem;
use crate::web::json::Json;
use crate::web::refusal::Refusal;
use crate::web::wrong_field::wrong_field;

/// Longest time for which two secrets are valid, in seconds: 30 days.
pub const LONGEST_OVERLAP: i64 = 30 * 86_400;

/// Request to rotate a client secret.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateSecret {
    /// How long the old secret stays valid, in seconds, at most 2592000 (30 days). Default: 0.
    #[serde(default)]
    pub keep_previous_for: i64,
}

/// Replaces the secret of a client.
///
/// The new secret is in `secret`. It is shown only in this answer.
#[utoipa::path(post, path = "/v1/admin/clients/{id}/secret", tag = "Administration: clients", request_body = RotateSecret,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = WithSecret<ClientView>), (status = 400, description = "`invalid_field`"),
        (status = 409, description = "`managed_by_configuration`")))]
pub async fn rotate(
    admin: Admin<ChangeClients>,
    room: Room,
    key: IdempotencyKey,
    id: web::Path<String>,
    body: Json<RotateSecret>,
) -> Result<HttpResponse, Problem> {
    let (actor, id, now) = (admin.actor, id.into_inner(), room.clock.now());
    let overlap = body.0.keep_previous_for;
    let (asked, witness) = ((id.clone(), body.0), actor.clone());
    let response = room
        .once(&actor, "rotate client secret", key, &asked, move |conn, seed| {
            let digest = seed.secret(TokenKind::ClientSecret).digest();
            let record = lock(conn, &id, &witness)?;
            let record = store(conn, &witness, &record, (&digest, overlap), now)?;
            Ok(Answer::ok(&ClientView::from(&record)).with_secret(TokenKind::ClientSecret, seed))
        })
        .await?;
    room.follow_clients().await?;
    Ok(response)
}

/// Stores the new secret of a client whose row is locked. The old secret stays valid for `overlap` seconds.
pub fn store(
    conn: &mut PgConnection,
    actor: &Actor,
    record: &ClientRecord,
    (secret, overlap): (&TokenDigest, i64),
    now: Time,
) -> Result<ClientRecord, Refusal> {
    if record.definition.kind == ClientKind::Public {
        let cure = "it runs on its users' devices and cannot keep a secret";
        return Err(wrong_field("kind", "is public", cure).into());
    }
    if (record.secret.is_none() || !record.definition.federated.is_empty()) && !wants_secret(&record.definition) {
        let cure = "it authenticates by its keys, or as a workload elsewhere; change auth_method or federated first";
        return Err(wrong_field("auth_method", "wants no secret", cure).into());
    }
    if !(0..=LONGEST_OVERLAP).contains(&overlap) {
        let cure = format!("choose from 0 to {LONGEST_OVERLAP} seconds");
        return Err(wrong_field("keepPreviousFor", "is out of range", cure).into());
    }
    let until = (overlap > 0).then(|| now + Duration::seconds(overlap));
    client_records::rotate_secret(conn, &record.id, Some(secret), until, now)?;
    let name = Some(record.definition.name.as_str());
    actor.witness(conn, (EventKind::ClientChanged, "secret replaced"), (&record.id, name), now)?;
    Ok(client_records::find(conn, &record.id)?.ok_or_else(|| missing("client"))?)
}
