//! An event of the audit trail, as administrators and the receivers of webhooks see it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::storage::audit::Recorded;

/// One event of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Its number; later events have greater ones.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// What: a stable name.
    pub kind: String,
    /// Whose account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Uuid>,
    /// In which session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// Through which client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Id of the thing acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its name at that moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_name: Option<String>,
    /// The network it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_class: Option<String>,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Further facts.
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
