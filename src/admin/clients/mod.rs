//! Clients: made, changed, switched off, deleted.
//!
//! A client's settings are written in the words of the configuration (`definition`), and held to the same rules
//! ([`Rules::check`](crate::clients::rules::Rules::check)) however they come.

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

/// A client, as administrators see it; never its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientView {
    /// `client_id`.
    pub id: String,
    /// Its settings in the words of the configuration; times in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
    /// `configuration`, `administration`, `registration` or `metadata_document`.
    pub source: &'static str,
    /// The configuration file that declares it; such a client is changed only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// Whether it has a secret.
    pub has_secret: bool,
    /// Until when the secret before the last rotation is good as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// Whether it may do anything.
    pub enabled: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
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

/// A client that this actor may change, its row locked.
pub fn lock(conn: &mut PgConnection, id: &str, actor: &Actor) -> Result<ClientRecord, Refusal> {
    let record = client_records::lock(conn, id)?.ok_or_else(|| unknown("client", id))?;
    editable(record.managed_by.as_deref())?;
    actor.require_power(&record.definition.scopes)?;
    Ok(record)
}
