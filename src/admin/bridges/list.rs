//! `GET /v1/admin/bridges`.

use actix_web::web;

use super::{BridgeView, ShownBridge, show};
use crate::admin::Room;
use crate::admin::guard::{Admin, ReadBridges};
use crate::storage::bridges;
use crate::web::error::Problem;
use crate::web::paging::{Page, Query};

/// Lists bridges, sorted by name.
#[utoipa::path(get, path = "/v1/admin/bridges", tag = "Administration: bridges",
    params(("limit" = Option<i64>, Query, description = "Page size, 1–200. Default: 50"), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<ShownBridge>), (status = 400, description = "`invalid_field`")))]
pub async fn list(_: Admin<ReadBridges>, room: Room, query: Query) -> Result<web::Json<Page<ShownBridge>>, Problem> {
    query.only(&[])?;
    let (after, most) = (query.after::<String>()?, query.limit()? + 1);
    let found = room.db.run(move |conn| bridges::page(conn, after.as_deref(), most)).await?;
    let shown = |one| show::with_faults(&room, BridgeView::from(&one));
    Ok(web::Json(query.page(found, |one| one.name.clone(), shown)?))
}
