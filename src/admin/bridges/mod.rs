//! Bridges: systems that custom tokens are minted for, made, changed, stopped, tried, deleted.
//!
//! A definition is written in the words of the configuration (times in seconds) and held to the same check however it comes
//! ([`rules`]). Imported keys go in and never come out: what is shown of them is their kind and public name. A bridge that the
//! configuration declares is read-only but for the emergency stop.

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

/// A bridge, as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BridgeView {
    /// Its name, as clients ask for it.
    pub name: String,
    /// Its settings in the words of the configuration; times in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
    /// How it is known that the preset's target takes such tokens: `live`, `source` or `unverified`; none for a preset of a
    /// newer server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
    /// Whether tokens are minted, as far as switches go.
    pub enabled: bool,
    /// When it was stopped by administration or command; it stays so, also over restarts, until it is enabled again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<DateTime<Utc>>,
    /// Who stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
    /// Whose key signs.
    pub key: KeyView,
    /// The configuration file that declares it; such a bridge is changed only there, and stopped also here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What may be known of a bridge's key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// `own`, `provider` or `imported`.
    pub source: String,
    /// What was imported: `private key`, `service account` or `secret`; none for one in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its public name.
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

/// Its preset; none that a newer server knows.
pub fn preset_of(stored: &StoredBridge) -> Option<PresetKind> {
    PresetKind::parse(stored.definition["preset"].as_str()?)
}

fn source_of(stored: &StoredBridge) -> KeySource {
    let said = serde_json::from_value(stored.definition.clone()).ok().and_then(|read: BridgeDefinition| read.key);
    said.unwrap_or(if stored.sealed_key.is_some() { KeySource::Imported } else { KeySource::Own })
}

/// A bridge with what keeps it from being used: that is no part of its version.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownBridge {
    /// The bridge.
    #[serde(flatten)]
    pub bridge: BridgeView,
    /// Why it mints nothing although it is on; empty for a sound one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub out_of_use: Vec<String>,
}

/// A bridge that may be changed, its row locked.
pub fn lock(conn: &mut PgConnection, name: &str) -> Result<StoredBridge, Refusal> {
    let stored = bridges::lock(conn, name)?.ok_or_else(|| unknown("bridge", name))?;
    editable(stored.managed_by.as_deref())?;
    Ok(stored)
}
