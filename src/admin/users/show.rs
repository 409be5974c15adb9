//! `GET /v1/admin/users/{id}`.

use actix_web::http::header::ETAG;
use actix_web::{HttpResponse, web};

use super::{PersonView, id_of};
use crate::admin::guard::{Admin, ReadUsers};
use crate::admin::versions::etag;
use crate::admin::{Room, missing};
use crate::storage::people;
use crate::web::error::Problem;

/// Returns a user. The `ETag` header is the version for `If-Match`.
#[utoipa::path(get, path = "/v1/admin/users/{id}", tag = "Administration: people", params(("id" = String, Path)),
    responses((status = 200, body = PersonView)))]
pub async fn show(_: Admin<ReadUsers>, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = id_of(&id)?;
    let found = room.db.run(move |conn| people::find(conn, id)).await?;
    Ok(answer(&PersonView::from(&found.ok_or_else(|| missing("person"))?)))
}

/// A user, with the version as `ETag`.
pub(super) fn answer(view: &PersonView) -> HttpResponse {
    HttpResponse::Ok().insert_header((ETAG, etag(view))).json(view)
}
