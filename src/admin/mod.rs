//! Administration over HTTP, by operators and their programs. The commands share its functions.
//!
//! What must always hold: the right that an operation requires is the type of its [`guard::Admin`] argument; every
//! change and its audit event are one transaction; what the configuration declares is read-only ([`editable`]); a
//! change names the version that it changes ([`versions::IfMatch`]); a request that creates something can be repeated
//! with the same `Idempotency-Key` ([`idempotency`]); no one can grant, or take over, more rights than they have
//! ([`guard::Actor::require_power`]).
//!
//! To add an operation: one file with its request, handler, errors and documentation; a line in `routes` and `openapi`;
//! its rows in `tests/it/admin`. If the command line offers the same, put the shared part beside the handler, as a
//! function on a connection.

pub mod audit_events;
pub mod bridges;
pub mod clients;
pub mod groups;
pub mod guard;
pub mod idempotency;
pub mod outbox;
pub mod registration_tokens;
pub mod resources;
pub mod users;
pub mod versions;

use std::sync::Arc;

use actix_web::web;
use aws_lc_rs::hmac;
use diesel::{Connection as _, PgConnection};

use crate::bridge::Bridges;
use crate::bridge::stored::WantedKeys;
use crate::clients::Clients;
use crate::clients::rules::Rules;
use crate::clock::Clock;
use crate::key_plan::{self, KeyPlan};
use crate::resources::Resources;
use crate::storage::Db;
use crate::storage::db::{AT_LENGTH, patiently};
use crate::web::error::{Failure, Kind};
use crate::web::refusal::Refusal;

/// The state of this room.
pub struct Administration {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// The clients, reloaded after a change so that it takes effect on this server at once.
    pub clients: Arc<Clients>,
    /// The resources, reloaded in the same way.
    pub resources: Arc<Resources>,
    /// The bridges, reloaded in the same way.
    pub bridges: Arc<Bridges>,
    /// Which keys are created, including those of new bridges.
    pub key_plan: KeyPlan,
    /// How recent a sign-in must be for dangerous changes.
    pub fresh_within: chrono::Duration,
    /// Rules for clients that depend on the configuration, in addition to those of the domain.
    pub client_rules: Rules,
    /// Derives the secrets of repeatable answers, so that the secrets are not stored.
    pub one_time: hmac::Key,
}

/// The state of this room, as handlers receive it.
pub type Room = web::Data<Arc<Administration>>;

impl Administration {
    /// Makes a change in one transaction. A refusal rolls it back.
    pub async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Failure> {
        self.db.run(move |conn| Refusal::apart(conn.transaction(work))).await?
    }

    /// Like [`change`](Self::change), for a change that may affect very many rows.
    pub async fn change_at_length<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Failure> {
        self.db.run_at_length(move |conn| Refusal::apart(patiently(conn, AT_LENGTH, work))).await?
    }

    /// Reloads the clients on this server. Other servers reload them by themselves.
    pub async fn follow_clients(&self) -> Result<(), Failure> {
        Ok(self.clients.reload(&self.db).await?)
    }

    /// Reloads the resources on this server.
    pub async fn follow_resources(&self) -> Result<(), Failure> {
        Ok(self.resources.reload(&self.db).await?)
    }

    /// Reloads the bridges on this server and creates a key for each that has none yet. If that fails, the background
    /// work retries.
    pub async fn follow_bridges(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let rows = self.bridges.reload(now).await?;
        let keys = self.bridges.keys();
        // The keys of a deleted bridge are gone: a new bridge with the same name must not find them.
        if let Err(error) = keys.reload(&self.db, now).await {
            tracing::warn!(error = %error, "the keys could not be read anew and will be tried again");
        }
        let mut plan = self.key_plan.clone();
        plan.want_bridges(WantedKeys::of(&rows, &self.bridges.home().issuer));
        let wanted = plan.at_start.iter().chain(&plan.later);
        let missing: Vec<_> = wanted.filter(|(usage, algorithm)| !keys.can_sign(usage, *algorithm)).cloned().collect();
        if !missing.is_empty() {
            key_plan::make_keys(&self.db, &plan, keys, missing, &self.clock).await;
        }
        Ok(())
    }

    /// The rules that bridges are checked against.
    pub fn bridge_rules(&self) -> bridges::rules::Rules {
        bridges::rules::Rules {
            home: self.bridges.home().clone(),
            master: self.bridges.keys().master(),
            fresh_within: self.fresh_within,
        }
    }
}

/// Encodes a name as a path segment.
pub(crate) fn in_path(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Refuses to change an object that the configuration declares.
pub fn editable(managed_by: Option<&str>) -> Result<(), Failure> {
    let Some(file) = managed_by else { return Ok(()) };
    let detail = format!("It is declared by {file}: change it there and restart the server.");
    Err(Failure::new(Kind::ManagedByConfiguration, detail).with("managedBy", file.into()))
}

/// `not_found` that repeats the name, in case the caller mistyped it.
pub fn unknown(what: &str, name: &str) -> Failure {
    Failure::new(Kind::NotFound, format!("There is no {what} `{name}`."))
}

/// `not_found` for an object looked up by ID.
pub fn missing(what: &str) -> Failure {
    Failure::new(Kind::NotFound, format!("There is no such {what}."))
}
