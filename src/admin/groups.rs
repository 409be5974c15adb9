//! `/v1/admin/groups`: named groups of users. Membership is set on the user.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::guard::{Actor, Admin, ChangeUsers, ReadUsers};
use super::idempotency::{Answer, IdempotencyKey};
use super::{Room, editable, in_path, missing, unknown};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::domain::group;
use crate::storage::groups::{self, Group};
use crate::web::error::{Failure, Kind, Problem};
use crate::web::json::Json;
use crate::web::paging::{Page, Query};
use crate::web::refusal::Refusal;
use crate::web::wrong_field::wrong_field;

/// A group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    /// The name of the group.
    pub name: String,
    /// The number of users in the group.
    pub members: i64,
    /// The configuration file that declares the group. If present, the group can be removed only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// When the group was created.
    pub created_at: DateTime<Utc>,
}

impl From<Group> for GroupView {
    fn from(group: Group) -> Self {
        Self { name: group.name, members: group.members, managed_by: group.managed_by, created_at: group.created_at }
    }
}

/// Request to create a group.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    /// The name, 1–100 characters on one line. If it contains a `/`, write it as `%2F` in a path.
    pub name: String,
}

/// Lists groups, sorted by name.
#[utoipa::path(get, path = "/v1/admin/groups", tag = "Administration: people",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<GroupView>)))]
pub async fn list(_: Admin<ReadUsers>, room: Room, query: Query) -> Result<web::Json<Page<GroupView>>, Problem> {
    query.only(&[])?;
    let (after, most) = (query.after::<String>()?, query.limit()? + 1);
    let found = room.db.run(move |conn| groups::page(conn, after.as_deref(), most)).await?;
    Ok(web::Json(query.page(found, |group| group.name.clone(), Into::into)?))
}

/// Creates a group.
#[utoipa::path(post, path = "/v1/admin/groups", tag = "Administration: people", request_body = CreateGroup,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = GroupView), (status = 400, description = "`invalid_field`"),
        (status = 409, description = "`already_exists`")))]
pub async fn create(
    admin: Admin<ChangeUsers>,
    room: Room,
    key: IdempotencyKey,
    body: Json<CreateGroup>,
) -> Result<HttpResponse, Problem> {
    let (actor, now, asked) = (admin.actor, room.clock.now(), body.0);
    let (witness, name) = (actor.clone(), asked.name.clone());
    let response = room
        .once(&actor, "create group", key, &asked, move |conn, _| {
            let view = GroupView::from(insert(conn, &witness, &name, now)?);
            Ok(Answer::created(format!("/v1/admin/groups/{}", in_path(&view.name)), &view))
        })
        .await?;
    Ok(response)
}

/// Stores a new group and records the audit event.
pub fn insert(conn: &mut PgConnection, actor: &Actor, name: &str, now: Time) -> Result<Group, Refusal> {
    match group::name(name) {
        Err(fault) => {
            let cure = format!("write 1 to {} characters on one line, none of them invisible", group::LONGEST_NAME);
            return Err(wrong_field("name", fault.to_string(), cure).into());
        }
        Ok(trimmed) if trimmed != name => {
            return Err(wrong_field("name", "has a space at its end", "leave it out").into());
        }
        Ok(_) => {}
    }
    actor.require_power_over(&[name.to_owned()])?;
    if !groups::insert(conn, name, now)? {
        return Err(Failure::new(Kind::AlreadyExists, "A group with this name already exists.").into());
    }
    actor.witness(conn, (EventKind::GroupChanged, "created"), (name, Some(name)), now)?;
    Ok(groups::lock(conn, name)?.ok_or_else(|| missing("group"))?)
}

/// Stores a group as [`insert`] does, unless a group with this name exists. Returns `true` if it was created.
pub fn ensure(conn: &mut PgConnection, actor: &Actor, name: &str, now: Time) -> Result<bool, Refusal> {
    if groups::lock(conn, name)?.is_some() {
        return Ok(false);
    }
    insert(conn, actor, name, now)?;
    Ok(true)
}

/// Deletes a group. Its members are not deleted.
#[utoipa::path(delete, path = "/v1/admin/groups/{name}", tag = "Administration: people", params(("name" = String, Path)),
    responses((status = 204),
        (status = 409, description = "`managed_by_configuration`")))]
pub async fn delete(admin: Admin<ChangeUsers>, room: Room, name: web::Path<String>) -> Result<HttpResponse, Problem> {
    let (actor, name, now) = (admin.actor, name.into_inner(), room.clock.now());
    loop {
        let (actor, name) = (actor.clone(), name.clone());
        if room.change(move |conn| delete_or_thin_out(conn, &actor, &name, now)).await? {
            return Ok(HttpResponse::NoContent().finish());
        }
    }
}

/// Deletes a group. If it has very many members, removes only some memberships and returns `false`; call it again then.
fn delete_or_thin_out(conn: &mut PgConnection, actor: &Actor, name: &str, now: Time) -> Result<bool, Refusal> {
    let group = groups::lock(conn, name)?.ok_or_else(|| unknown("group", name))?;
    editable(group.managed_by.as_deref())?;
    actor.require_power_over(&[name.to_owned()])?;
    if group.members > groups::PORTION {
        groups::thin_out(conn, name)?;
        return Ok(false);
    }
    groups::delete(conn, name)?;
    actor.witness(conn, (EventKind::GroupChanged, "deleted"), (name, Some(name)), now)?;
    Ok(true)
}
