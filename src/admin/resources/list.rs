//! `GET /v1/admin/resources`.

use actix_web::web;

use super::ResourceView;
use crate::admin::Room;
use crate::admin::guard::{Admin, ReadResources};
use crate::storage::resources;
use crate::web::error::Problem;
use crate::web::paging::{Page, Query};

/// Lists resources, sorted by identifier.
#[utoipa::path(get, path = "/v1/admin/resources", tag = "Administration: resources",
    params(("limit" = Option<i64>, Query, description = "Page size, 1–200. Default: 50"), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<ResourceView>), (status = 400, description = "`invalid_field`")))]
pub async fn list(_: Admin<ReadResources>, room: Room, query: Query) -> Result<web::Json<Page<ResourceView>>, Problem> {
    query.only(&[])?;
    let (after, most) = (query.after::<String>()?, query.limit()? + 1);
    let found = room.db.run(move |conn| resources::page(conn, after.as_deref(), most)).await?;
    Ok(web::Json(query.page(found, |one| one.resource.identifier.clone(), |one| ResourceView::from(&one))?))
}
