//! `GET /v1/admin/resources/{id}`.

use actix_web::http::header::ETAG;
use actix_web::{HttpResponse, web};

use super::ResourceView;
use crate::admin::guard::{Admin, ReadResources};
use crate::admin::versions::etag;
use crate::admin::{Room, unknown};
use crate::storage::resources;
use crate::web::error::Problem;

/// Returns a resource. The `ETag` header is the version for `If-Match`.
#[utoipa::path(get, path = "/v1/admin/resources/{id}", tag = "Administration: resources", params(("id" = String, Path)),
    responses((status = 200, body = ResourceView)))]
pub async fn show(_: Admin<ReadResources>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    let asked = id.clone();
    let found = room.db.run(move |conn| resources::find(conn, &asked)).await?;
    Ok(answer(&ResourceView::from(&found.ok_or_else(|| unknown("resource", &id))?)))
}

/// A resource, with the version as `ETag`.
pub(super) fn answer(view: &ResourceView) -> HttpResponse {
    HttpResponse::Ok().insert_header((ETAG, etag(view))).json(view)
}
