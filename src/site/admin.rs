//! The administration listener, on loopback by default: metrics, detailed readiness, documentation.

use actix_web::HttpResponse;
use actix_web::http::{Method, header};
use actix_web::web::{Data, ServiceConfig};
use metrics_exporter_prometheus::PrometheusHandle;

use super::docs;
use crate::openapi;
use crate::web::health;
use crate::web::methods::route;
use crate::web::pages::assets;

/// Registers the routes of the administration listener.
pub fn register(config: &mut ServiceConfig) {
    config
        .route("/livez", route(Method::GET).to(health::livez))
        .route("/readyz", route(Method::GET).to(health::detail))
        .route("/metrics", route(Method::GET).to(metrics))
        .route("/openapi.json", route(Method::GET).to(document))
        .route("/docs", route(Method::GET).to(docs::index))
        .route("/docs/{page}", route(Method::GET).to(docs::page))
        .route("/assets/{name}", route(Method::GET).to(assets::serve));
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
