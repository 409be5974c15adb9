//! Clients: creating, changing, disabling, deleting.
//!
//! A client's settings (`definition`) have the names that they have in the configuration, and are checked against the
//! same rules ([`Rules::check`](crate::clients::rules::Rules::check)) wherever they come from.

pub mod change;
pub mod create;
pub mod delete;
pub mod list;
pub mod rotate_secret;
pub mod show;
pub mod switch;

use chrono::{DateTime, Utc};
use diesel::PgConnection;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::guard::Actor;
use super::{editable, unknown};
use crate::storage::client_records::{self, ClientRecord};
use crate::web::refusal::Refusal;

/// A client, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientView {
    /// The `client_id`.
    pub id: String,
    /// The settings, named as in the configuration. Durations are in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
    /// Where the client comes from: `configuration`, `administration`, `registration` or `metadata_document`.
    pub source: &'static str,
    /// The configuration file that declares the client. If present, the client can be changed only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// Whether the client has a secret.
    pub has_secret: bool,
    /// Until when the previous secret, from before the last rotation, also stays valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// Whether the client is enabled. Every request of a disabled client is refused.
    pub enabled: bool,
    /// When the client was created.
    pub created_at: DateTime<Utc>,
    /// When the client was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<&ClientRecord> for ClientView {
    fn from(record: &ClientRecord) -> Self {
        Self {
            id: record.id.clone(),
            definition: serde_json::to_value(&record.definition).unwrap_or_default(),
            source: record.source.as_str(),
            managed_by: record.managed_by.clone(),
            has_secret: record.secret.is_some(),
            previous_secret_until: record.previous_secret_until,
            enabled: record.disabled_at.is_none(),
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

/// Loads a client that this actor may change, and locks the row.
pub fn lock(conn: &mut PgConnection, id: &str, actor: &Actor) -> Result<ClientRecord, Refusal> {
    let record = client_records::lock(conn, id)?.ok_or_else(|| unknown("client", id))?;
    editable(record.managed_by.as_deref())?;
    actor.require_power(&record.definition.scopes)?;
    Ok(record)
}
