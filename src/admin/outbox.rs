//! `/v1/admin/outbox`: messages to other systems that have not been delivered.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::guard::{Admin, ChangeOutbox, ReadOutbox};
use super::{Room, missing};
use crate::domain::audit::{Event, EventKind};
use crate::storage::audit;
use crate::storage::outbox::{self, Filter, Stored};
use crate::web::error::{Failure, Problem};
use crate::web::paging::{Page, Query};
use crate::web::wrong_field::wrong_field;

/// An undelivered message. Its content is never shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutboxMessage {
    /// The number of the message. Later messages have higher numbers.
    pub id: i64,
    /// The kind of message: `webhook`, `after_sign_in` or `backchannel_logout`.
    pub kind: String,
    /// The delivery lane, which names the receiver, or the session and the client.
    pub lane: String,
    /// The number of delivery attempts.
    pub attempts: i32,
    /// When the message was written, or last retried by an operator.
    pub created_at: DateTime<Utc>,
    /// When the next delivery attempt is due. Absent if delivery was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<DateTime<Utc>>,
    /// When delivery was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_up_at: Option<DateTime<Utc>>,
    /// Why the last delivery attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

impl From<Stored> for OutboxMessage {
    fn from(message: Stored) -> Self {
        Self {
            id: message.id,
            kind: message.kind,
            lane: message.lane,
            attempts: message.attempts,
            created_at: message.created_at,
            next_try_at: message.given_up_at.is_none().then_some(message.next_try_at),
            given_up_at: message.given_up_at,
            last_error: message.last_error,
        }
    }
}

/// The result of a retry.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Retried {
    /// The number of messages to be retried.
    pub retried: usize,
}

/// Lists messages that are waiting or were given up, newest first.
#[utoipa::path(get, path = "/v1/admin/outbox", tag = "Administration: outbox",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query),
        ("kind" = Option<String>, Query, description = "Only messages of this kind, for example `webhook`"),
        ("state" = Option<String>, Query, description = "Only messages in this state: `waiting` or `given_up`")),
    responses((status = 200, body = Page<OutboxMessage>), (status = 400, description = "`invalid_field`")))]
pub async fn list(_: Admin<ReadOutbox>, room: Room, query: Query) -> Result<web::Json<Page<OutboxMessage>>, Problem> {
    query.only(&["kind", "state"])?;
    let (filter, after, most) = (filter(&query)?, query.after()?, query.limit()? + 1);
    let found = room.db.run(move |conn| outbox::undelivered(conn, &filter, after, most)).await?;
    Ok(web::Json(query.page(found, |message| message.id, Into::into)?))
}

fn filter(query: &Query) -> Result<Filter, Failure> {
    let given_up = match query.find("state") {
        None => None,
        Some("waiting") => Some(false),
        Some("given_up") => Some(true),
        Some(_) => return Err(wrong_field("state", "is none that there is", "write waiting or given_up")),
    };
    Ok(Filter { kind: query.find("kind").map(ToOwned::to_owned), given_up })
}

/// Retries an undelivered message at once.
///
/// As with a new message, delivery is attempted for up to 24 hours before it is given up.
#[utoipa::path(post, path = "/v1/admin/outbox/{id}/retry", tag = "Administration: outbox", params(("id" = i64, Path)),
    responses((status = 200, body = Retried), (status = 404, description = "`not_found`: no undelivered message has this number, or its receiver no longer exists")))]
pub async fn retry(admin: Admin<ChangeOutbox>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id: i64 = id.parse().map_err(|_| missing("message"))?;
    retried(&admin, &room, Some(id)).await
}

/// Retries all messages that were given up, except those to receivers that no longer exist.
#[utoipa::path(post, path = "/v1/admin/outbox/retry", tag = "Administration: outbox",
    responses((status = 200, body = Retried)))]
pub async fn retry_all(admin: Admin<ChangeOutbox>, room: Room) -> Result<HttpResponse, Problem> {
    retried(&admin, &room, None).await
}

async fn retried(admin: &Admin<ChangeOutbox>, room: &Room, id: Option<i64>) -> Result<HttpResponse, Problem> {
    let (actor, now) = (admin.actor.clone(), room.clock.now());
    let retried = room
        .change_at_length(move |conn| {
            let retried = outbox::retry(conn, id, now)?;
            if id.is_some() && retried == 0 {
                return Err(missing("message").into());
            }
            if retried > 0 {
                let detail = actor.detail("retried", json!({ "messages": retried }));
                let event = actor.event(EventKind::DeliveryRetried, now, "retried");
                audit::insert(conn, &Event { subject: id.map(|id| id.to_string()), detail, ..event })?;
            }
            Ok(retried)
        })
        .await?;
    Ok(HttpResponse::Ok().json(Retried { retried }))
}
