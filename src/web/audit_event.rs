//! The JSON form of an audit event, for administrators and the receivers of webhooks.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::storage::audit::Recorded;

/// An event of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// The number of the event. Later events have higher numbers.
    pub id: i64,
    /// When the event happened.
    pub at: DateTime<Utc>,
    /// The kind of event: a stable name.
    pub kind: String,
    /// The ID of the user whose account the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Uuid>,
    /// The ID of the session in which it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// The `client_id` of the client involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The ID of the object acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The name of the object at that moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_name: Option<String>,
    /// The network of the caller (/24 or /56).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_class: Option<String>,
    /// The ID of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Further facts about the event.
    #[schema(value_type = Object)]
    pub detail: Value,
}

impl From<Recorded> for AuditEvent {
    fn from(event: Recorded) -> Self {
        Self {
            id: event.id,
            at: event.at,
            kind: event.kind,
            user_id: event.user_id,
            session_id: event.session_id,
            client_id: event.client_id,
            subject: event.subject,
            subject_name: event.subject_name,
            address_class: event.address_class,
            request_id: event.request_id,
            detail: event.detail,
        }
    }
}
