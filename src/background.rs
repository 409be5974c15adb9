//! What a server does between requests: follows changes, says that it is alive, rotates keys, sweeps.
//!
//! What must always hold: a server that cannot hear from the database says so by growing stale (see
//! [`Keys::require_fresh`]), and everything here may be late without anything becoming unsafe. What may wait for others (a lock,
//! a long list) waits beside what must not: nobody who holds a lock makes a server look as if it heard nothing.

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

/// How far behind the newest change is read again: sequence numbers can commit out of order.
const MARGIN: i64 = 100;
/// How often is looked for keys whose time has come, and for what has ended.
const UPKEEP: Duration = Duration::from_secs(600);
/// How soon a key is looked for again that could not be made.
const AGAIN: Duration = Duration::from_secs(30);
/// The same where another server was at it: most likely it is made already.
const AGAIN_AFTER_OTHERS: Duration = Duration::from_secs(1);

/// The keeper.
pub struct Background {
    /// This server.
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
    /// What is rotated.
    pub key_plan: KeyPlan,
    /// The server's own certificate, where it ends TLS itself.
    pub certificate: Option<Arc<Certificate>>,
    /// What is to be delivered.
    pub outbox: Arc<Outbox>,
    /// How long registered clients are kept that nobody uses.
    pub unused_clients: Option<chrono::Duration>,
    /// How long audit events are kept; none: for ever.
    pub keep_events: Option<chrono::Duration>,
    /// `memory` or `database`.
    pub challenge_store: &'static str,
}

impl Background {
    /// Works until it is dropped.
    pub async fn run(self) {
        let (wanting, wanted) = watch::channel(self.key_plan.clone());
        tokio::join!(self.keep(wanting), self.tend(), self.make_due_keys(wanted), self.sweep_now_and_then());
    }

    /// What needs no database, and must not wait for one.
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

    /// Keeps up with the database: nothing here waits for others.
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

    /// Makes the keys that are wanted, at once where there is none, and rotates them when their time has come.
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
                // Without a sender the keeper has ended, and all with it.
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

    /// Reads what changed, and renews what it touches.
    async fn follow(&self, seen: &mut Seen, wanting: &watch::Sender<KeyPlan>) -> Result<(), KeysError> {
        let now = self.clock.now();
        let after = seen.after();
        seen.note(&self.db.run(move |conn| changes::since(conn, after)).await?);
        let due = self.keys.ring().next_change().is_some_and(|at| at <= now) || self.keys.awaits_master_key();
        if due || seen.keys {
            self.keys.reload(&self.db, now).await?;
            // Another master key may open what was closed.
            (seen.keys, seen.bridges) = (false, true);
        }
        if seen.clients || seen.resources || seen.bridges {
            self.follow_declarations(wanting, now).await?;
            (seen.clients, seen.resources, seen.bridges) = (false, false, false);
        }
        self.keys.heard();
        Ok(())
    }

    /// Reads clients, resources and bridges, and has the keys made that they want and nobody wanted before.
    async fn follow_declarations(&self, wanting: &watch::Sender<KeyPlan>, now: Time) -> Result<(), StorageError> {
        self.clients.reload(&self.db).await?;
        self.resources.reload(&self.db).await?;
        let bridges = self.bridges.reload(now).await?;
        // Whoever makes keys is woken only where one is missing.
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
        // The machine's, whatever the time is that this server was given.
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
        // By a clock that is ahead it would forget what others still need to know.
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

    /// Makes or rotates what is due, unless somebody else is at it, and reads all keys anew.
    async fn rotate(&self, plan: KeyPlan) -> Result<Rotated, KeysError> {
        let (keys, clock) = (Arc::clone(&self.keys), self.clock.clone());
        let rotated = self.db.run_long(move |conn| Ok(rotate_due(conn, &plan, &keys, &clock))).await?;
        // After a failure as well: somebody else may have made meanwhile what is missing here.
        if !matches!(rotated, Ok(Rotated::Busy)) {
            self.keys.reload(&self.db, self.clock.now()).await?;
        }
        rotated
    }

    /// Says goodbye, so that nobody counts on this server any more.
    pub async fn leave(db: &Db, server: Uuid) {
        // A database that is gone already has nothing to be told.
        let _ = db.run(move |conn| servers::leave(conn, server)).await;
    }
}

/// A count for a gauge.
fn small(count: i64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Which changes were acted on.
#[derive(Default)]
struct Seen {
    numbers: BTreeSet<i64>,
    /// Whether the keys have yet to be read again; stays so until that succeeded.
    keys: bool,
    /// The same for the clients.
    clients: bool,
    /// The same for the resources.
    resources: bool,
    /// The same for the bridges.
    bridges: bool,
}

impl Seen {
    /// From where to read again.
    fn after(&self) -> i64 {
        self.numbers.last().map_or(0, |newest| newest.saturating_sub(MARGIN))
    }

    /// Notes what a read brought that no read before it did.
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
