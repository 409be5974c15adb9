//! `GET /v1/admin/bridges/{name}`.

use actix_web::http::header::ETAG;
use actix_web::{HttpResponse, web};

use super::{BridgeView, ShownBridge};
use crate::admin::guard::{Admin, ReadBridges};
use crate::admin::versions::etag;
use crate::admin::{Room, unknown};
use crate::storage::bridges;
use crate::web::error::Problem;

/// Returns a bridge. The `ETag` header is the version for `If-Match`.
#[utoipa::path(get, path = "/v1/admin/bridges/{name}", tag = "Administration: bridges", params(("name" = String, Path)),
    responses((status = 200, body = ShownBridge)))]
pub async fn show(_: Admin<ReadBridges>, room: Room, name: web::Path<String>) -> Result<HttpResponse, Problem> {
    let name = name.into_inner();
    let asked = name.clone();
    let found = room.db.run(move |conn| bridges::find(conn, &asked)).await?;
    Ok(answer(&room, BridgeView::from(&found.ok_or_else(|| unknown("bridge", &name))?)))
}

/// A bridge, with the version as `ETag`.
pub(super) fn answer(room: &Room, view: BridgeView) -> HttpResponse {
    let tag = etag(&view);
    HttpResponse::Ok().insert_header((ETAG, tag)).json(with_faults(room, view))
}

/// A bridge with the faults that this server finds.
pub(super) fn with_faults(room: &Room, bridge: BridgeView) -> ShownBridge {
    let out_of_use = room.bridges.faults(&bridge.name);
    ShownBridge { bridge, out_of_use }
}
