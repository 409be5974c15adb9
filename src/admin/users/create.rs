//! `POST /v1/admin/users`, and what `passmint users create` does.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{PersonView, check_external_ids, join, of_another, wrong_attribute, wrong_claim};
use crate::admin::guard::{Actor, Admin, ChangeUsers};
use crate::admin::idempotency::{Answer, IdempotencyKey};
use crate::admin::{Room, missing};
use crate::clock::Time;
use crate::domain::attributes::Attributes;
use crate::domain::audit::EventKind;
use crate::domain::id::UserId;
use crate::domain::standard_claims::StandardClaims;
use crate::storage::people::{self, Person};
use crate::web::error::Problem;
use crate::web::json::Json;
use crate::web::refusal::Refusal;

/// Request to create a user.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreatePerson {
    /// Standard claims of OpenID Connect, except `sub` and `updated_at`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub claims: Map<String, Value>,
    /// Further facts for backends: name → text, whole number, boolean or list of texts.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    /// The names of the user's groups. Each group must exist.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The IDs of the user in other systems: source → ID.
    #[serde(default)]
    pub external_ids: BTreeMap<String, String>,
}

/// Creates a user.
///
/// The user has no passkey yet.
#[utoipa::path(post, path = "/v1/admin/users", tag = "Administration: people", request_body = CreatePerson,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat for 24 hours")),
    responses((status = 201, body = PersonView), (status = 400, description = "`invalid_field`"),
        (status = 409, description = "`already_exists`")))]
pub async fn create(
    admin: Admin<ChangeUsers>,
    room: Room,
    key: IdempotencyKey,
    body: Json<CreatePerson>,
) -> Result<HttpResponse, Problem> {
    let (actor, now, asked) = (admin.actor, room.clock.now(), body.0);
    let (witness, new) = (actor.clone(), asked.clone());
    let response = room
        .once(&actor, "create user", key, &asked, move |conn, _| {
            let person = insert(conn, &witness, &new, now)?;
            Ok(Answer::created(format!("/v1/admin/users/{}", person.user.id), &PersonView::from(&person)))
        })
        .await?;
    Ok(response)
}

/// Stores a new user and records the audit event.
pub fn insert(conn: &mut PgConnection, actor: &Actor, new: &CreatePerson, now: Time) -> Result<Person, Refusal> {
    let claims = StandardClaims::parse(&new.claims).map_err(|error| wrong_claim(&error))?;
    let attributes = Attributes::parse(&new.attributes).map_err(|error| wrong_attribute(&error))?;
    check_external_ids(&new.external_ids)?;
    let id = UserId::random();
    let handle = crate::random::bytes::<32>();
    people::insert(conn, (id, &handle), &claims, now).map_err(of_another)?;
    if !attributes.is_empty() {
        people::set_attributes(conn, id, &attributes, now)?;
    }
    people::set_external_ids(conn, id, &new.external_ids).map_err(of_another)?;
    join(conn, actor, id, &new.groups)?;
    actor.witness_of(conn, (EventKind::UserCreated, "created"), id, now)?;
    Ok(people::find(conn, id)?.ok_or_else(|| missing("person"))?)
}
