//! `GET /v1/admin/clients`.

use actix_web::web;

use super::ClientView;
use crate::admin::Room;
use crate::admin::guard::{Admin, ReadClients};
use crate::storage::client_records;
use crate::web::error::Problem;
use crate::web::paging::{Page, Query};

/// Lists clients, sorted by ID.
#[utoipa::path(get, path = "/v1/admin/clients", tag = "Administration: clients",
    params(("limit" = Option<i64>, Query, description = "Page size, 1–200. Default: 50"), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<ClientView>), (status = 400, description = "`invalid_field`")))]
pub async fn list(_: Admin<ReadClients>, room: Room, query: Query) -> Result<web::Json<Page<ClientView>>, Problem> {
    query.only(&[])?;
    let (after, most) = (query.after::<String>()?, query.limit()? + 1);
    let found = room.db.run(move |conn| client_records::page(conn, after.as_deref(), most)).await?;
    Ok(web::Json(query.page(found, |record| record.id.clone(), |record| ClientView::from(&record))?))
}
