//! `POST /v1/admin/bridges/{name}/test`.

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::admin::guard::{Admin, ReadBridges};
use crate::admin::{Room, unknown};
use crate::bridge::stored;
use crate::bridge::trial::Trial;
use crate::storage::bridges;
use crate::web::error::Problem;

/// Tests a bridge with sample users, without returning a token.
///
/// For each sample user the token is rendered, checked and signed. The answer shows its header, claims and size. To
/// test with a real user, an operator can run `passmint bridges test --user`.
#[utoipa::path(post, path = "/v1/admin/bridges/{name}/test", tag = "Administration: bridges", params(("name" = String, Path)),
    responses((status = 200, description = "`{ok, samples: [{for, ok, bytes, expiresIn, header, claims, error, byChoice}], outOfUse}`")))]
pub async fn test(_: Admin<ReadBridges>, room: Room, name: web::Path<String>) -> Result<HttpResponse, Problem> {
    let name = name.into_inner();
    let asked = name.clone();
    let found = room.db.run(move |conn| bridges::find(conn, &asked)).await?.ok_or_else(|| unknown("bridge", &name))?;
    // A stopped bridge can be tested as well, so that it can be checked before it is enabled again.
    let keys = room.bridges.keys();
    let answer = match stored::ready(&found, room.bridges.home(), &keys.master(), room.clock.now()) {
        Err(fault) => json!({ "ok": false, "samples": [], "outOfUse": fault.reasons() }),
        Ok(ready) => {
            let trials = Trial::samples(&room.bridges, &ready);
            let ok = trials.iter().all(|trial| trial.minted.is_ok() || trial.is_choice());
            let samples: Vec<_> = trials.iter().map(Trial::document).collect();
            json!({ "ok": ok, "samples": samples, "outOfUse": [] })
        }
    };
    Ok(HttpResponse::Ok().json(answer))
}
