//! `PATCH /v1/admin/users/{id}`, and what `passmint users set` does.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use diesel::PgConnection;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{PersonView, check_external_ids, id_of, join, lock, of_another, show, wrong_attribute, wrong_claim};
use crate::admin::guard::{Actor, Admin, ChangeUsers};
use crate::admin::versions::IfMatch;
use crate::admin::{Room, missing};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::storage::people::{self, Person};
use crate::web::error::Problem;
use crate::web::json::Json;
use crate::web::refusal::Refusal;

/// Request to change a user. Members that are omitted stay unchanged.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangePerson {
    /// Claims to set. A null value removes the claim (RFC 7396).
    #[serde(default)]
    #[schema(value_type = Object)]
    pub claims: Map<String, Value>,
    /// Attributes to set. A null value removes the attribute (RFC 7396).
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    /// The names of all groups of the user. Replaces the current groups; null is not accepted.
    #[serde(default, deserialize_with = "given")]
    pub groups: Option<Vec<String>>,
    /// All IDs of the user in other systems: source → ID. Replaces the current IDs; null is not accepted.
    #[serde(default, deserialize_with = "given")]
    pub external_ids: Option<BTreeMap<String, String>>,
}

/// Reads a member that was sent. Null is refused, not read as omitted: the caller means to remove the value, which
/// would stay.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Changes a user's claims, attributes, groups and external IDs.
#[utoipa::path(patch, path = "/v1/admin/users/{id}", tag = "Administration: people", request_body = ChangePerson,
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, body = PersonView), (status = 400, description = "`invalid_field`"),
        (status = 409, description = "`already_exists`, `managed_by_configuration`"),
        (status = 412, description = "`precondition_failed`"), (status = 428, description = "`precondition_required`")))]
pub async fn patch(
    admin: Admin<ChangeUsers>,
    room: Room,
    version: IfMatch,
    id: web::Path<String>,
    body: Json<ChangePerson>,
) -> Result<HttpResponse, Problem> {
    let (version, id) = (version.required()?, id_of(&id)?);
    let (actor, now, changes) = (admin.actor, room.clock.now(), body.0);
    let view = room
        .change(move |conn| {
            let person = lock(conn, id, &actor)?;
            version.check(&PersonView::from(&person))?;
            Ok(PersonView::from(&store(conn, &actor, &person, &changes, now)?))
        })
        .await?;
    Ok(show::answer(&view))
}

/// Changes a user whose row is locked. The audit event names what changed, without the values.
pub fn store(
    conn: &mut PgConnection,
    actor: &Actor,
    person: &Person,
    changes: &ChangePerson,
    now: Time,
) -> Result<Person, Refusal> {
    let id = person.user.id;
    let mut names: Vec<&str> = changes.claims.keys().map(String::as_str).collect();
    let mut claims = person.claims.clone();
    claims.merge(&changes.claims).map_err(|error| wrong_claim(&error))?;
    people::set_claims(conn, &person.user, &claims, now).map_err(of_another)?;
    if !changes.attributes.is_empty() {
        let attributes =
            person.user.attributes.changed(&changes.attributes).map_err(|error| wrong_attribute(&error))?;
        people::set_attributes(conn, id, &attributes, now)?;
        names.push("attributes");
    }
    if let Some(links) = &changes.external_ids {
        check_external_ids(links)?;
        people::set_external_ids(conn, id, links).map_err(of_another)?;
        names.push("external ids");
    }
    if let Some(groups) = &changes.groups {
        join(conn, actor, id, groups)?;
        names.push("groups");
    }
    actor.witness_of(conn, (EventKind::UserChanged, &names.join(", ")), id, now)?;
    Ok(people::find(conn, id)?.ok_or_else(|| missing("person"))?)
}
