//! Users: their claims, attributes, groups and external IDs; their sessions and passkeys.
//!
//! Only administration can declare an e-mail address verified without sending mail; its owner cannot. Anything that
//! concerns a member of the administrators' group requires the whole scope `admin`.

pub mod change;
pub mod create;
pub mod delete;
pub mod list;
pub mod passkeys;
pub mod sessions;
pub mod show;
pub mod switch;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::PgConnection;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::guard::Actor;
use super::{editable, missing};
use crate::domain::attributes::AttributeError;
use crate::domain::group;
use crate::domain::id::UserId;
use crate::domain::standard_claims::ClaimError;
use crate::domain::user::{MOST_EXTERNAL_IDS, UserStatus};
use crate::storage::StorageError;
use crate::storage::people::{self, Person};
use crate::web::error::{Failure, Kind};
use crate::web::refusal::Refusal;
use crate::web::wrong_field::wrong_field;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonView {
    /// The ID of the user. Also the `sub` of their tokens, except for clients with pairwise subjects.
    pub id: Uuid,
    /// Whether the user can sign in.
    pub enabled: bool,
    /// The user's standard claims, named as in OpenID Connect.
    #[schema(value_type = Object)]
    pub claims: Map<String, Value>,
    /// Further facts for backends: name → text, whole number, boolean or list of texts.
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    /// The names of the user's groups.
    pub groups: Vec<String>,
    /// The IDs of the user in other systems: source → ID.
    pub external_ids: BTreeMap<String, String>,
    /// The configuration file that declares the user. If present, the user can be changed only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// When the user was created.
    pub created_at: DateTime<Utc>,
    /// When the user was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<&Person> for PersonView {
    fn from(person: &Person) -> Self {
        Self {
            id: person.user.id.uuid(),
            enabled: person.user.status == UserStatus::Active,
            claims: person.claims.as_map().clone(),
            attributes: person.user.attributes.to_map(),
            groups: person.groups.clone(),
            external_ids: person.external_ids.clone(),
            managed_by: person.managed_by.clone(),
            created_at: person.user.created_at,
            updated_at: person.updated_at,
        }
    }
}

/// Loads a user whom this actor may change, and locks the row.
pub fn lock(conn: &mut PgConnection, id: UserId, actor: &Actor) -> Result<Person, Refusal> {
    let person = people::lock(conn, id)?.ok_or_else(|| missing("person"))?;
    editable(person.managed_by.as_deref())?;
    actor.require_power_over(&person.groups)?;
    Ok(person)
}

/// The user ID in a path. Anything that is not an ID is answered like an unknown ID.
fn id_of(text: &str) -> Result<UserId, Failure> {
    text.parse().map_err(|_| missing("person"))
}

/// The refusal of a claim.
fn wrong_claim(error: &ClaimError) -> Failure {
    wrong_field(&format!("claims.{}", error.claim), error.what, "see OpenID Connect Core §5.1")
}

/// The refusal of an attribute.
fn wrong_attribute(error: &AttributeError) -> Failure {
    wrong_field(&error.place(), error.what, "see *attributes* on the page on administration")
}

/// The refusal of a unique value that belongs to another user.
fn of_another(error: StorageError) -> Refusal {
    let StorageError::Conflict { constraint } = &error else { return error.into() };
    let detail = match constraint.as_str() {
        "users_verified_email" => "Another account has this verified e-mail address.",
        _ => "Another account has this external id.",
    };
    Failure::new(Kind::AlreadyExists, detail).into()
}

/// Checks the number and form of external IDs.
fn check_external_ids(links: &BTreeMap<String, String>) -> Result<(), Failure> {
    let fits = |text: &String| (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
    if links.len() > MOST_EXTERNAL_IDS {
        let what = format!("has more than {MOST_EXTERNAL_IDS}");
        return Err(wrong_field("externalIds", what, "keep those that are in use"));
    }
    if links.iter().all(|(source, id)| fits(source) && fits(id)) {
        Ok(())
    } else {
        Err(wrong_field("externalIds", "has a name or id that is not 1 to 256 bytes on one line", "shorten it"))
    }
}

/// Sets a user's groups, or refuses with `invalid_field`.
fn join(conn: &mut PgConnection, actor: &Actor, id: UserId, names: &[String]) -> Result<(), Refusal> {
    actor.require_power_over(names)?;
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    if names.len() > group::MOST_OF_A_PERSON {
        let what = format!("has more than {}", group::MOST_OF_A_PERSON);
        return Err(wrong_field("groups", what, "keep those that are in use").into());
    }
    // PostgreSQL does not accept NUL in a text, not even in a query.
    if names.iter().any(|name| name.contains('\0')) {
        return Err(no_such_group());
    }
    people::set_groups(conn, id, &names)?.map_err(|_| no_such_group())
}

fn no_such_group() -> Refusal {
    wrong_field("groups", "names a group that there is not", "make it first: POST /v1/admin/groups").into()
}
