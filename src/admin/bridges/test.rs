//! `POST /v1/admin/bridges/{name}/test`.

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::admin::guard::{Admin, ReadBridges};
use crate::admin::{Room, missing};
use crate::bridge::stored;
use crate::bridge::trial::Trial;
use crate::storage::bridges;
use crate::web::error::Problem;

/// Renders, checks and signs what a bridge would mint for sample users, and shows header, claims and size: no token. For a real
/// person there is `passmint bridges test --user`, which only an operator has.
#[utoipa::path(post, path = "/v1/admin/bridges/{name}/test", tag = "Administration: bridges", params(("name" = String, Path)),
    responses((status = 200, description = "`{ok, samples: [{for, ok, bytes, expiresIn, header, claims, error, byChoice}], outOfUse}`"),
        (status = 404, description = "`not_found`")))]
pub async fn test(_: Admin<ReadBridges>, room: Room, name: web::Path<String>) -> Result<HttpResponse, Problem> {
    let name = name.into_inner();
    let found = room.db.run(move |conn| bridges::find(conn, &name)).await?.ok_or_else(|| missing("bridge"))?;
    // Also one that is stopped: before it is let go again is when one wants to see it.
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
