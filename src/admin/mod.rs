//! Administration: what operators' programs and operators do over HTTP, and the commands do beside it.
//!
//! What must always hold: the right that an operation needs is the type of its [`guard::Admin`] argument; every change and
//! its audit event are one transaction; what the configuration declares is read-only ([`editable`]); a change names the
//! version it changes ([`versions::IfMatch`]); a creation can be sent again with the same `Idempotency-Key`
//! ([`idempotency`]); nobody gives away, or takes over, more power than they have ([`guard::Actor::require_power`]).
//!
//! To add an operation: one file with its request, handler, errors and documentation; a line in `routes` and `openapi`;
//! its rows in `tests/it/admin`. What the command line does as well is a function on a connection beside the handler.

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

/// The room.
pub struct Administration {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The clients, read again after a change so that this server follows at once.
    pub clients: Arc<Clients>,
    /// The resources, likewise.
    pub resources: Arc<Resources>,
    /// The bridges, likewise.
    pub bridges: Arc<Bridges>,
    /// What is made for a new bridge: its key.
    pub key_plan: KeyPlan,
    /// How fresh a sign-in must be for what is dangerous.
    pub fresh_within: chrono::Duration,
    /// What clients are held to beside the rules of the domain.
    pub client_rules: Rules,
    /// Makes secrets that an answer can be repeated with without being stored.
    pub one_time: hmac::Key,
}

/// The room, as handlers are given it.
pub type Room = web::Data<Arc<Administration>>;

impl Administration {
    /// Makes a change in one transaction; a refusal rolls it back.
    pub async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Failure> {
        self.db.run(move |conn| Refusal::apart(conn.transaction(work))).await?
    }

    /// The same for a change that may concern very many rows.
    pub async fn change_at_length<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Failure> {
        self.db.run_at_length(move |conn| Refusal::apart(patiently(conn, AT_LENGTH, work))).await?
    }

    /// Lets this server know clients as they are now; the others follow by themselves.
    pub async fn follow_clients(&self) -> Result<(), Failure> {
        Ok(self.clients.reload(&self.db).await?)
    }

    /// The same for resources.
    pub async fn follow_resources(&self) -> Result<(), Failure> {
        Ok(self.resources.reload(&self.db).await?)
    }

    /// The same for bridges, with a key for each that has none yet. Where making it fails, the background work tries again.
    pub async fn follow_bridges(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let rows = self.bridges.reload(now).await?;
        let keys = self.bridges.keys();
        // A bridge that was deleted has lost its keys: another one of its name must not find them.
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

    /// What bridges are held to.
    pub fn bridge_rules(&self) -> bridges::rules::Rules {
        bridges::rules::Rules {
            home: self.bridges.home().clone(),
            master: self.bridges.keys().master(),
            fresh_within: self.fresh_within,
        }
    }
}

/// A name as a segment of a path.
pub(crate) fn in_path(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Refuses to change what the configuration declares.
pub fn editable(managed_by: Option<&str>) -> Result<(), Failure> {
    let Some(file) = managed_by else { return Ok(()) };
    let detail = format!("It is declared by {file}: change it there and restart the server.");
    Err(Failure::new(Kind::ManagedByConfiguration, detail).with("managedBy", file.into()))
}

/// Nothing of this name here, told to somebody who may have mistyped it.
pub fn unknown(what: &str, name: &str) -> Failure {
    Failure::new(Kind::NotFound, format!("There is no {what} `{name}`."))
}

/// Nothing of this id here.
pub fn missing(what: &str) -> Failure {
    Failure::new(Kind::NotFound, format!("There is no such {what}."))
}
