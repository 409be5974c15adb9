//! Bridges, the systems that custom tokens are minted for: creating, changing, stopping, testing, deleting.
//!
//! A definition has the names that it has in the configuration (durations in seconds) and passes the same check
//! wherever it comes from ([`rules`]). Imported keys are never returned: only their kind and public ID are shown. A
//! bridge that the configuration declares is read-only, except for the emergency stop.

pub mod change;
pub mod create;
pub mod delete;
pub mod list;
pub mod rules;
pub mod sent_key;
pub mod show;
pub mod switch;
pub mod test;

use chrono::{DateTime, Utc};
use diesel::PgConnection;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{editable, unknown};
use crate::bridge::{BridgeDefinition, KeySource, PresetKind};
use crate::storage::bridges::{self, StoredBridge};
use crate::web::refusal::Refusal;

/// A bridge.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BridgeView {
    /// The name by which clients request the bridge.
    pub name: String,
    /// The settings, named as in the configuration. Durations are in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
    /// How it was verified that the target accepts the preset's tokens: `live`, `source` or `unverified`. Absent if
    /// this server version does not know the preset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
    /// Whether the bridge is enabled: neither disabled in the configuration nor stopped.
    pub enabled: bool,
    /// When the bridge was stopped by the API or a command. It stays stopped, also after restarts, until it is enabled
    /// again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<DateTime<Utc>>,
    /// Who stopped the bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
    /// The key that signs the tokens.
    pub key: KeyView,
    /// The configuration file that declares the bridge. If present, the bridge can be changed only there, but can be
    /// stopped here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// A number that increases with every change.
    pub version: i64,
    /// When the bridge was created.
    pub created_at: DateTime<Utc>,
    /// When the bridge was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Public facts about a bridge's key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// Where the key comes from: `own` (created for the bridge), `provider` (the key of the server's own tokens) or
    /// `imported`.
    pub source: String,
    /// What was imported: `private key`, `service account` or `secret`. Absent if the key is not imported, or is read
    /// from a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The public ID of the imported key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl From<&StoredBridge> for BridgeView {
    fn from(stored: &StoredBridge) -> Self {
        Self {
            name: stored.name.clone(),
            definition: stored.definition.clone(),
            verified: preset_of(stored).map(|preset| preset.about().verified.as_str().to_owned()),
            enabled: stored.is_on(),
            stopped_at: stored.stopped_at,
            stopped_by: stored.stopped_by.clone(),
            key: KeyView {
                source: source_of(stored).as_str().to_owned(),
                kind: stored.key_kind.clone(),
                id: stored.key_id.clone(),
            },
            managed_by: stored.managed_by.clone(),
            version: stored.version,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// The preset of a bridge; `None` if only a newer server version knows it.
pub fn preset_of(stored: &StoredBridge) -> Option<PresetKind> {
    PresetKind::parse(stored.definition["preset"].as_str()?)
}

fn source_of(stored: &StoredBridge) -> KeySource {
    let said = serde_json::from_value(stored.definition.clone()).ok().and_then(|read: BridgeDefinition| read.key);
    said.unwrap_or(if stored.sealed_key.is_some() { KeySource::Imported } else { KeySource::Own })
}

/// A bridge with the faults that keep it from being used. The faults are not part of its version.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownBridge {
    /// The bridge itself.
    #[serde(flatten)]
    pub bridge: BridgeView,
    /// Why the bridge mints no tokens although it is enabled. Absent if there are no faults.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub out_of_use: Vec<String>,
}

/// Loads a bridge that may be changed, and locks the row.
pub fn lock(conn: &mut PgConnection, name: &str) -> Result<StoredBridge, Refusal> {
    let stored = bridges::lock(conn, name)?.ok_or_else(|| unknown("bridge", name))?;
    editable(stored.managed_by.as_deref())?;
    Ok(stored)
}
