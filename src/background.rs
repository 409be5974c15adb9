//! What a server does between requests: follows changes, reports that it is alive, rotates keys, sweeps.
//!
//! Invariants: a server that loses contact with the database becomes stale (see [`Keys::require_fresh`]); everything
//! here may be late without becoming unsafe. Work that may have to wait (for a lock, or on a long list) runs beside
//! work that must not wait, so that a held lock never makes a server look cut off.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use diesel::Connection as _;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep};
use uuid::Uuid;

use crate::bridge::Bridges;
use crate::bridge::stored::WantedKeys;
use crate::clients::Clients;
use crate::clock::{self, Clock, MOST_FROM_DATABASE, Time};
use crate::key_plan::{KeyPlan, Rotated, rotate_due, wanted_algorithms};
use crate::outbox::Outbox;
use crate::resources::Resources;
use crate::storage::changes::{self, ChangeKind};
use crate::storage::{Db, StorageError, client_records, outbox, servers, sweep};
use crate::tokens::{Keys, KeysError};
use crate::web::health::Health;
use crate::web::limits::Limits;
use crate::web::tls::Certificate;

/// How many of the newest changes are read again, because sequence numbers can commit out of order.
const MARGIN: i64 = 100;
/// How often to look for keys that are due, and for what has expired.
const UPKEEP: Duration = Duration::from_secs(600);
/// How soon to retry after a key could not be made.
const AGAIN: Duration = Duration::from_secs(30);
/// How soon to retry while another server holds the lock: the key has most likely been made by then.
const AGAIN_AFTER_OTHERS: Duration = Duration::from_secs(1);

/// The background work of a server.
pub struct Background {
    /// This server's id.
    pub server: Uuid,
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The keys.
    pub keys: Arc<Keys>,
    /// The clients.
    pub clients: Arc<Clients>,
    /// The resources.
    pub resources: Arc<Resources>,
    /// The bridges.
    pub bridges: Arc<Bridges>,
    /// The conditions of readiness.
    pub health: Arc<Health>,
    /// The limits.
    pub limits: Arc<Limits>,
    /// Which keys are rotated.
    pub key_plan: KeyPlan,
    /// The server's own certificate, if it terminates TLS itself.
    pub certificate: Option<Arc<Certificate>>,
    /// The messages to deliver.
    pub outbox: Arc<Outbox>,
    /// How long unused registered clients are kept.
    pub unused_clients: Option<chrono::Duration>,
    /// How long audit events are kept; `None`: forever.
    pub keep_events: Option<chrono::Duration>,
    /// `memory` or `database`.
    pub challenge_store: &'static str,
}

impl Background {
    /// Runs until it is dropped.
    pub async fn run(self) {
        let (wanting, wanted) = watch::channel(self.key_plan.clone());
        tokio::join!(self.keep(wanting), self.tend(), self.make_due_keys(wanted), self.sweep_now_and_then());
    }

    /// Work that needs no database, and must not wait for one.
    async fn tend(&self) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for tick in 1_u64.. {
            ticks.tick().await;
            if let Some(certificate) = &self.certificate {
                certificate.follow(self.clock.now());
            }
            if tick % 60 == 0 {
                self.limits.sweep();
            }
        }
    }

    /// Follows the database. Nothing here waits for other servers.
    async fn keep(&self, wanting: watch::Sender<KeyPlan>) {
        let mut seen = Seen::default();
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for tick in 0_u64.. {
            ticks.tick().await;
            if let Err(error) = self.follow(&mut seen, &wanting).await {
                tracing::warn!(error = %error, "the database was not heard from");
            }
            if tick % 5 == 0 {
                self.beat().await;
            }
            if tick % 60 == 0 {
                self.count_messages().await;
            }
        }
    }

    /// Makes wanted keys, at once if none exists, and rotates them when they are due.
    async fn make_due_keys(&self, mut wanted: watch::Receiver<KeyPlan>) {
        loop {
            let plan = wanted.borrow_and_update().clone();
            let pause = match self.rotate(plan).await {
                Ok(Rotated::Done) => UPKEEP,
                Ok(Rotated::Busy) => AGAIN_AFTER_OTHERS,
                Err(error) => {
                    tracing::warn!(error = %error, "key rotation failed and will be tried again");
                    AGAIN
                }
            };
            tokio::select! {
                // Without a sender the keeper has ended, and everything with it.
                changed = wanted.changed() => if changed.is_err() { return; },
                () = sleep(pause) => {}
            }
        }
    }

    async fn sweep_now_and_then(&self) {
        let mut ticks = interval_at(Instant::now() + UPKEEP, UPKEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sweep().await;
        }
    }

    /// Reads changes, and reloads what they affect.
    async fn follow(&self, seen: &mut Seen, wanting: &watch::Sender<KeyPlan>) -> Result<(), KeysError> {
        let now = self.clock.now();
        let after = seen.after();
        seen.note(&self.db.run(move |conn| changes::since(conn, after)).await?);
        let due = self.keys.ring().next_change().is_some_and(|at| at <= now) || self.keys.awaits_master_key();
        if due || seen.keys {
            self.keys.reload(&self.db, now).await?;
            // Another master key may open bridges that were closed before.
            (seen.keys, seen.bridges) = (false, true);
        }
        if seen.clients || seen.resources || seen.bridges {
            self.follow_declarations(wanting, now).await?;
            (seen.clients, seen.resources, seen.bridges) = (false, false, false);
        }
        self.keys.heard();
        Ok(())
    }

    /// Reloads clients, resources and bridges, and requests the keys that they newly need.
    async fn follow_declarations(&self, wanting: &watch::Sender<KeyPlan>, now: Time) -> Result<(), StorageError> {
        self.clients.reload(&self.db).await?;
        self.resources.reload(&self.db).await?;
        let bridges = self.bridges.reload(now).await?;
        // The task that makes keys is woken only if one is missing.
        wanting.send_if_modified(|plan| {
            plan.want_bridges(WantedKeys::of(&bridges, &self.bridges.home().issuer));
            plan.want(wanted_algorithms(&self.clients, &self.resources));
            let mut all = plan.at_start.iter().chain(&plan.later);
            all.any(|(usage, algorithm)| !self.keys.can_sign(usage, *algorithm))
        });
        Ok(())
    }

    async fn beat(&self) {
        let (server, store, now) = (self.server, self.challenge_store, self.clock.now());
        // The machine's clock, whatever clock this server was given.
        let real = Clock::system();
        let result = self
            .db
            .run(move |conn| {
                servers::beat(conn, server, store, now)?;
                let (before, there) = (real.now(), servers::time(conn)?);
                Ok((servers::others(conn, server, now)?, clock::ahead(before, there, real.now())))
            })
            .await;
        self.health.set_reads_only(result.as_ref().is_err_and(StorageError::is_read_only));
        if let Ok(((others, any_in_memory), ahead)) = result {
            let apart = (ahead.abs() > MOST_FROM_DATABASE).then(|| clock::too_far_apart(ahead));
            if let (Some(apart), true) = (&apart, self.health.has_the_time()) {
                tracing::warn!("{apart}; until then this server is not ready, and deletes nothing that has ended");
            }
            self.health.set_clock(apart);
            let in_conflict = others > 0 && (any_in_memory || store == "memory");
            self.health.set_conflict(in_conflict.then(|| {
                format!("{others} other live server(s) use this database while ceremonies are kept in memory: set challenges.store = \"database\" on all of them")
            }));
        }
        let (connections, idle) = self.db.connections();
        metrics::gauge!("passmint_database_connections").set(f64::from(connections));
        metrics::gauge!("passmint_database_connections_idle").set(f64::from(idle));
    }

    async fn count_messages(&self) {
        if let Ok((waiting, given_up)) = self.db.run(outbox::count).await {
            metrics::gauge!("passmint_outbox_messages", "state" => "waiting").set(small(waiting));
            metrics::gauge!("passmint_outbox_messages", "state" => "given_up").set(small(given_up));
        }
    }

    async fn sweep(&self) {
        // With a clock that is ahead, it would delete what others still need.
        if !self.health.has_the_time() {
            return;
        }
        let (now, keep_events) = (self.clock.now(), self.keep_events);
        match self.db.run_long(move |conn| sweep::sweep(conn, now, keep_events)).await {
            Ok(rows) => tracing::debug!(rows, "swept"),
            Err(error) => tracing::warn!(error = %error, "the sweep failed and will be tried again"),
        }
        let Some(unused) = self.unused_clients else { return };
        let work = move |conn: &mut _| client_records::sweep(conn, now - unused, now);
        match self.db.run_long(move |conn| conn.transaction(work)).await {
            Ok(clients) => tracing::debug!(clients, "swept unused registrations"),
            Err(error) => tracing::warn!(error = %error, "the sweep of clients failed and will be tried again"),
        }
    }

    /// Makes or rotates the keys that are due, unless another server is doing so, and reloads all keys.
    async fn rotate(&self, plan: KeyPlan) -> Result<Rotated, KeysError> {
        let (keys, clock) = (Arc::clone(&self.keys), self.clock.clone());
        let rotated = self.db.run_long(move |conn| Ok(rotate_due(conn, &plan, &keys, &clock))).await?;
        // Also after a failure: another server may have made the missing key meanwhile.
        if !matches!(rotated, Ok(Rotated::Busy)) {
            self.keys.reload(&self.db, self.clock.now()).await?;
        }
        rotated
    }

    /// Removes this server from the list, so that no other server counts it.
    pub async fn leave(db: &Db, server: Uuid) {
        // If the database is gone already, there is nothing to do.
        let _ = db.run(move |conn| servers::leave(conn, server)).await;
    }
}

/// Converts a count for a gauge.
fn small(count: i64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Which changes have been handled.
#[derive(Default)]
struct Seen {
    numbers: BTreeSet<i64>,
    /// Whether the keys must still be reloaded; set until that succeeds.
    keys: bool,
    /// Whether the clients must.
    clients: bool,
    /// Whether the resources must.
    resources: bool,
    /// Whether the bridges must.
    bridges: bool,
}

impl Seen {
    /// Where to start reading again.
    fn after(&self) -> i64 {
        self.numbers.last().map_or(0, |newest| newest.saturating_sub(MARGIN))
    }

    /// Records the changes that no earlier read returned.
    fn note(&mut self, announced: &[(i64, Option<ChangeKind>)]) {
        for (number, kind) in announced {
            if self.numbers.insert(*number) {
                self.keys |= *kind == Some(ChangeKind::Keys);
                self.clients |= *kind == Some(ChangeKind::Clients);
                self.resources |= *kind == Some(ChangeKind::Resources);
                self.bridges |= *kind == Some(ChangeKind::Bridges);
            }
        }
        let keep_from = self.after();
        self.numbers.retain(|number| *number > keep_from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_is_committed_late_is_still_followed_and_each_only_once() {
        let (mut seen, keys, clients) = (Seen::default(), Some(ChangeKind::Keys), Some(ChangeKind::Clients));
        seen.note(&[(1, clients), (3, clients)]);
        assert!(seen.clients && !seen.keys);
        seen.clients = false;
        // 2 was drawn before 3 and committed after it.
        seen.note(&[(1, clients), (2, keys), (3, clients)]);
        assert!(seen.keys && !seen.clients);
        seen.keys = false;
        seen.note(&[(1, clients), (2, keys), (3, clients), (4, None)]);
        assert!(!seen.keys && !seen.clients);
        seen.note(&[(1000, keys)]);
        assert_eq!((seen.after(), seen.numbers.len()), (900, 1));
    }
}
