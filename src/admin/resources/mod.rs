//! Resources, the APIs that access tokens are issued for (RFC 8707): creating, changing, disabling, deleting.
//!
//! A resource's settings (`definition`) have the names that they have in the configuration, and are checked against the
//! same rules ([`ResourceDefinition::check`]) wherever they come from. In a path, the identifier is one percent-encoded
//! segment.

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

/// A resource (an API).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceView {
    /// The identifier: the `aud` of access tokens and the `resource` of requests.
    pub identifier: String,
    /// The settings, named as in the configuration. Durations are in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
    /// The configuration file that declares the resource. If present, the resource can be changed only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// Whether the resource is enabled. No tokens are issued for a disabled resource.
    pub enabled: bool,
    /// When the resource was created.
    pub created_at: DateTime<Utc>,
    /// When the resource was last changed.
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

/// Loads a resource that may be changed, and locks the row.
pub fn lock(conn: &mut PgConnection, identifier: &str) -> Result<StoredResource, Refusal> {
    let stored = resources::lock(conn, identifier)?.ok_or_else(|| unknown("resource", identifier))?;
    editable(stored.managed_by.as_deref())?;
    Ok(stored)
}

/// Reads and checks a definition. The refusal names a member that is unknown or has the wrong type, or every member
/// that breaks a rule.
pub fn read_definition(definition: Value) -> Result<ResourceDefinition, Failure> {
    let definition: ResourceDefinition = read_object(definition).map_err(|error| {
        // serde's message names the member. The values in it are the caller's own settings.
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
