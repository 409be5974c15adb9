//! Resources: the APIs that access tokens are made for (RFC 8707), made, changed, switched off, deleted.
//!
//! A resource's settings are written in the words of the configuration (`definition`), and held to the same rules
//! ([`ResourceDefinition::check`]) however they come. The identifier is a segment of the path, percent-encoded.

pub mod change;
pub mod create;
pub mod delete;
pub mod list;
pub mod show;
pub mod switch;

use chrono::{DateTime, Utc};
use diesel::PgConnection;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{editable, unknown};
use crate::domain::json::read_object;
use crate::domain::resource::ResourceDefinition;
use crate::storage::resources::{self, StoredResource};
use crate::web::error::Failure;
use crate::web::refusal::Refusal;
use crate::web::wrong_field::{WrongField, wrong_field, wrong_fields};

/// A resource, as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceView {
    /// What tokens have in `aud` and requests in `resource`.
    pub identifier: String,
    /// Its settings in the words of the configuration; times in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
    /// The configuration file that declares it; such a resource is changed only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// Whether tokens are made for it.
    pub enabled: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<&StoredResource> for ResourceView {
    fn from(stored: &StoredResource) -> Self {
        Self {
            identifier: stored.resource.identifier.clone(),
            definition: serde_json::to_value(&stored.resource.definition).unwrap_or_default(),
            managed_by: stored.managed_by.clone(),
            enabled: stored.disabled_at.is_none(),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// A resource that may be changed, its row locked.
pub fn lock(conn: &mut PgConnection, identifier: &str) -> Result<StoredResource, Refusal> {
    let stored = resources::lock(conn, identifier)?.ok_or_else(|| unknown("resource", identifier))?;
    editable(stored.managed_by.as_deref())?;
    Ok(stored)
}

/// A definition as written; a member that is unknown or of the wrong type is named, and each that breaks a rule.
pub fn read_definition(definition: Value) -> Result<ResourceDefinition, Failure> {
    let definition: ResourceDefinition = read_object(definition).map_err(|error| {
        // serde's words name the member; the values in them are the caller's own settings.
        wrong_field("definition", format!("does not read ({error})"), "see the settings of resources in the reference")
    })?;
    let wrong: Vec<WrongField> = definition
        .check()
        .into_iter()
        .map(|misfit| WrongField {
            field: format!("definition.{}", misfit.field),
            what: misfit.what.into_owned(),
            cure: misfit.cure.into_owned(),
        })
        .collect();
    if wrong.is_empty() { Ok(definition) } else { Err(wrong_fields(&wrong)) }
}
