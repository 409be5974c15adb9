//! `GET /v1/admin/clients/{id}`.

use actix_web::http::header::ETAG;
use actix_web::{HttpResponse, web};

use super::ClientView;
use crate::admin::guard::{Admin, ReadClients};
use crate::admin::versions::etag;
use crate::admin::{Room, unknown};
use crate::storage::client_records;
use crate::web::error::Problem;

/// Returns a client. The `ETag` header is the version for `If-Match`.
#[utoipa::path(get, path = "/v1/admin/clients/{id}", tag = "Administration: clients", params(("id" = String, Path)),
    responses((status = 200, body = ClientView)))]
pub async fn show(_: Admin<ReadClients>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    let asked = id.clone();
    let found = room.db.run(move |conn| client_records::find(conn, &asked)).await?;
    Ok(answer(&ClientView::from(&found.ok_or_else(|| unknown("client", &id))?)))
}

/// A client, with the version as `ETag`.
pub(super) fn answer(view: &ClientView) -> HttpResponse {
    HttpResponse::Ok().insert_header((ETAG, etag(view))).json(view)
}
