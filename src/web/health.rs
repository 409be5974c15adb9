//! Liveness and readiness.
//!
//! Live means that the process answers. Ready means that it can be sent requests: the database answers and its clock
//! agrees, the keys can sign, and no other server would lose its ceremonies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use arc_swap::ArcSwapOption;
use serde::Serialize;

use crate::tokens::Keys;
use crate::tokens::keys::{Algorithm, Use};

/// The state that determines readiness.
pub struct Health {
    keys: Arc<Keys>,
    wanted: Vec<(Use, Algorithm)>,
    conflict: ArcSwapOption<String>,
    clock: ArcSwapOption<String>,
    reads_only: AtomicBool,
    stopping: AtomicBool,
}

/// A condition for readiness.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The name of the condition.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// What is wrong, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Health {
    /// Ready as soon as each of the `wanted` keys can sign.
    pub fn new(keys: Arc<Keys>, wanted: Vec<(Use, Algorithm)>) -> Self {
        Self {
            keys,
            wanted,
            conflict: ArcSwapOption::empty(),
            clock: ArcSwapOption::empty(),
            reads_only: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    /// Sets or clears a conflict with another server.
    pub fn set_conflict(&self, conflict: Option<String>) {
        self.conflict.store(conflict.map(Arc::new));
    }

    /// Sets or clears that the database is read-only.
    pub fn set_reads_only(&self, reads_only: bool) {
        self.reads_only.store(reads_only, Ordering::Relaxed);
    }

    /// Sets or clears that the database's clock differs from this server's.
    pub fn set_clock(&self, apart: Option<String>) {
        self.clock.store(apart.map(Arc::new));
    }

    /// Whether this server's clock agrees with the database's, as far as is known.
    pub fn has_the_time(&self) -> bool {
        self.clock.load().is_none()
    }

    /// Marks the server as shutting down, so that it gets no new requests.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// All conditions.
    pub fn checks(&self) -> Vec<Check> {
        let database = if self.keys.require_fresh().is_err() {
            Some("The database has not answered for 5 seconds; nothing is issued until it does.")
        } else if self.reads_only.load(Ordering::Relaxed) {
            Some("The database only reads: it is a standby, or was set so. Name the server that writes.")
        } else {
            None
        };
        let (conflict, clock) = (self.conflict.load_full(), self.clock.load_full());
        let missing = self.wanted.iter().find(|(usage, algorithm)| !self.keys.can_sign(usage, *algorithm));
        vec![
            Check { name: "database", ok: database.is_none(), detail: database.map(ToOwned::to_owned) },
            Check {
                name: "keys",
                ok: missing.is_none(),
                detail: missing.map(|(usage, algorithm)| {
                    format!("There is no {algorithm} key for {usage} yet; it is being created.")
                }),
            },
            Check { name: "clock", ok: clock.is_none(), detail: clock.map(|text| text.to_string()) },
            Check { name: "challenges", ok: conflict.is_none(), detail: conflict.map(|text| text.to_string()) },
            Check {
                name: "master_key",
                ok: true,
                detail: self.keys.awaits_master_key().then(|| {
                    "The database is sealed with another master key now; put its file in place before the next restart."
                        .to_owned()
                }),
            },
            Check { name: "serving", ok: !self.stopping.load(Ordering::Relaxed), detail: None },
        ]
    }
}

/// Liveness probe: answers as long as the process runs.
#[utoipa::path(get, path = "/livez", tag = "Operations", responses((status = 200, description = "`ok`")))]
pub async fn livez() -> &'static str {
    "ok"
}

/// Readiness probe: tells whether the server can be sent requests.
///
/// Only the administration listener says which condition fails.
#[utoipa::path(get, path = "/readyz", tag = "Operations", responses((status = 200, description = "`ready`"), (status = 503, description = "`not ready`")))]
pub async fn readyz(health: web::Data<Health>) -> HttpResponse {
    if health.checks().iter().all(|check| check.ok) {
        HttpResponse::Ok().content_type("text/plain").body("ready")
    } else {
        HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE).content_type("text/plain").body("not ready")
    }
}

/// All conditions, for the administration listener.
pub async fn detail(health: web::Data<Health>) -> HttpResponse {
    let checks = health.checks();
    let status = if checks.iter().all(|check| check.ok) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(status).json(checks)
}
