//! The administration listener, on loopback unless configured otherwise: metrics, readiness in detail, documentation.

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, http::header};
use metrics_exporter_prometheus::PrometheusHandle;

use super::docs;
use crate::openapi;
use crate::web::health;
use crate::web::pages::assets;

/// Registers its routes.
pub fn register(config: &mut ServiceConfig) {
    config
        .route("/livez", web::get().to(health::livez))
        .route("/readyz", web::get().to(health::detail))
        .route("/metrics", web::get().to(metrics))
        .route("/openapi.json", web::get().to(document))
        .route("/docs", web::get().to(docs::index))
        .route("/docs/{page}", web::get().to(docs::page))
        .route("/assets/{name}", web::get().to(assets::serve));
}

async fn metrics(handle: Data<Option<PrometheusHandle>>) -> HttpResponse {
    match handle.get_ref() {
        Some(handle) => HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(handle.render()),
        None => HttpResponse::NotFound().finish(),
    }
}

async fn document() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(openapi::json())
}
