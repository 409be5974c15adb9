//! `GET /v1/admin/users`.

use actix_web::web;

use super::PersonView;
use crate::admin::Room;
use crate::admin::guard::{Admin, ReadUsers};
use crate::storage::people::{self, Filter};
use crate::web::error::{Failure, Problem};
use crate::web::paging::{Page, Query};
use crate::web::wrong_field::wrong_field;

/// Lists users, newest first.
#[utoipa::path(get, path = "/v1/admin/users", tag = "Administration: people",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query),
        ("email" = Option<String>, Query, description = "Only users whose e-mail address begins with this value, ignoring case"),
        ("group" = Option<String>, Query, description = "Only members of this group, by name"),
        ("source" = Option<String>, Query, description = "The system to which `externalId` belongs. Required with `externalId`"),
        ("externalId" = Option<String>, Query)),
    responses((status = 200, body = Page<PersonView>), (status = 400, description = "`invalid_field`")))]
pub async fn list(_: Admin<ReadUsers>, room: Room, query: Query) -> Result<web::Json<Page<PersonView>>, Problem> {
    query.only(&["email", "group", "source", "externalId"])?;
    let (filter, after, most) = (filter(&query)?, query.after()?, query.limit()? + 1);
    let found = room.db.run(move |conn| people::page(conn, &filter, after, most)).await?;
    let page = query.page(
        found,
        |person| (person.user.created_at, person.user.id.uuid()),
        |person| PersonView::from(&person),
    )?;
    Ok(web::Json(page))
}

fn filter(query: &Query) -> Result<Filter, Failure> {
    let text = |name: &str| query.find(name).map(ToOwned::to_owned);
    let external_id = match (text("source"), text("externalId")) {
        (None, None) => None,
        (Some(source), Some(id)) => Some((source, id)),
        _ => return Err(wrong_field("externalId", "and source belong together", "give both")),
    };
    Ok(Filter { email_prefix: text("email"), group: text("group"), external_id })
}
