//! `GET /v1/admin/bridges`.

use actix_web::web;

use super::{BridgeView, ShownBridge, show};
use crate::admin::Room;
use crate::admin::guard::{Admin, ReadBridges};
use crate::storage::bridges;
use crate::web::error::Problem;
use crate::web::paging::{Page, Query};

/// Lists bridges, by name.
#[utoipa::path(get, path = "/v1/admin/bridges", tag = "Administration: bridges",
    params(("limit" = Option<i64>, Query, description = "1–200; 50 when left out"), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<ShownBridge>), (status = 400, description = "`invalid_field`"),
        (status = 401, description = "`not_signed_in`, `invalid_token`"), (status = 403, description = "`insufficient_scope`")))]
pub async fn list(_: Admin<ReadBridges>, room: Room, query: Query) -> Result<web::Json<Page<ShownBridge>>, Problem> {
    query.only(&[])?;
    let (after, most) = (query.after::<String>()?, query.limit()? + 1);
    let found = room.db.run(move |conn| bridges::page(conn, after.as_deref(), most)).await?;
    let shown = |one| show::with_faults(&room, BridgeView::from(&one));
    Ok(web::Json(query.page(found, |one| one.name.clone(), shown)?))
}
