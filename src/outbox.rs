//! Delivers the messages in the outbox: at least once, in the order of each lane, by whichever server claims them
//! first.
//!
//! What must always hold: a message is written in the transaction of its cause, never here; nothing here is needed for
//! safety, because a late message only delays what others learn; every failed delivery is visible in the log, in the
//! metrics and in the audit trail. Every receiver of events has its own line, so that a slow or dead one delays no
//! other. To add a kind: a constant, a line in [`Outbox::new`], and an arm in [`Outbox::deliver`] with a handler in its
//! own room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock::{Clock, Time};
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::delivery::{Undelivered, next_try};
use crate::hooks::{AfterSignIn, Webhooks, after, webhooks};
use crate::logout::backchannel::{self, Backchannel};
use crate::storage::outbox::{self, Claimed, Wanted};
use crate::storage::{Db, StorageError, audit};

/// The maximum number of logouts that are delivered at the same time.
const MOST: usize = 32;
/// The maximum number of events that are delivered to one receiver at the same time.
const MOST_OF_ONE: usize = 8;
/// The time limit for one attempt; handlers have shorter limits of their own.
const LONGEST: Duration = Duration::from_secs(15);
/// The interval of looking for messages that other servers and commands wrote, and for retries that are due.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a message is leased: longer than any attempt, so that nobody else starts before the attempt has ended.
fn lease() -> chrono::Duration {
    chrono::Duration::seconds(30)
}

/// Messages that are delivered independently of all others. A message for which no server has a line waits until one
/// does.
struct Line {
    which: Which,
    /// The maximum number that is delivered at the same time.
    most: usize,
    written: Notify,
}

/// Which messages a line delivers.
enum Which {
    /// Those of this kind, in the order of each lane.
    Kind(&'static str),
    /// Those of this lane, in any order.
    Lane(String),
}

/// The handler of each kind, in its own room.
pub struct Handlers {
    /// Delivers back-channel logouts.
    pub backchannel: Backchannel,
    /// Delivers events to webhooks.
    pub webhooks: Webhooks,
    /// Delivers sign-ins to hooks after a sign-in.
    pub after_sign_in: AfterSignIn,
}

/// The outbox.
pub struct Outbox {
    db: Db,
    clock: Clock,
    handlers: Handlers,
    lines: Vec<Line>,
    stopping: AtomicBool,
}

impl Outbox {
    /// Creates an outbox that delivers nothing until [`Outbox::run`].
    pub fn new(db: Db, clock: Clock, handlers: Handlers) -> Self {
        let line = |which, most| Line { which, most, written: Notify::new() };
        let logouts = line(Which::Kind(backchannel::KIND), MOST);
        let webhooks = handlers.webhooks.all.iter().map(|(webhook, _)| webhook.receiver());
        let receivers = webhooks.chain(handlers.after_sign_in.all.iter().map(|(hook, _)| hook.receiver()));
        let of_receivers = receivers.map(|receiver| line(Which::Lane(receiver.lane()), MOST_OF_ONE));
        let lines = std::iter::once(logouts).chain(of_receivers).collect();
        Self { db, clock, handlers, lines, stopping: AtomicBool::new(false) }
    }

    /// Signals that a message was written, so that it is delivered at once.
    pub fn wake(&self) {
        for line in &self.lines {
            line.written.notify_one();
        }
    }

    /// Starts no further attempts; [`Outbox::run`] ends when those in progress have ended.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    /// Delivers messages until it is stopped.
    pub async fn run(self: Arc<Self>) {
        let mut lines = JoinSet::new();
        for line in 0..self.lines.len() {
            lines.spawn_local(Arc::clone(&self).deliver_line(line));
        }
        while lines.join_next().await.is_some() {}
    }

    async fn deliver_line(self: Arc<Self>, line: usize) {
        let Line { which, most, written } = &self.lines[line];
        let mut in_flight = JoinSet::new();
        while !self.stopping.load(Ordering::Acquire) {
            while in_flight.try_join_next().is_some() {}
            let claimed = self.claim(which, None, most - in_flight.len()).await;
            let found = !claimed.is_empty();
            for message in claimed {
                in_flight.spawn_local(Arc::clone(&self).attempt(message));
            }
            if found && in_flight.len() < *most {
                continue;
            }
            tokio::select! {
                () = written.notified() => {}
                () = tokio::time::sleep(PAUSE) => {}
                Some(_) = in_flight.join_next() => {}
            }
        }
        while in_flight.join_next().await.is_some() {}
    }

    /// Attempts every logout in the lanes with this prefix, at once and concurrently, and waits until all were
    /// attempted or `patience` is over. Those that take longer continue in the background.
    pub async fn attempt_now(self: &Arc<Self>, lanes: &str, patience: Duration) {
        let mut attempts = JoinSet::new();
        for message in self.claim(&Which::Kind(backchannel::KIND), Some(lanes), MOST).await {
            attempts.spawn_local(Arc::clone(self).attempt(message));
        }
        // There may be more than could be claimed at once.
        self.wake();
        let all = async { while attempts.join_next().await.is_some() {} };
        if timeout(patience, all).await.is_err() {
            attempts.detach_all();
        }
    }

    async fn claim(&self, which: &Which, lanes: Option<&str>, most: usize) -> Vec<Claimed> {
        if most == 0 {
            return Vec::new();
        }
        let (now, lanes) = (self.clock.now(), lanes.map(ToOwned::to_owned));
        let leased_until = now + lease();
        let claimed = match which {
            Which::Kind(kind) => {
                let kind = *kind;
                let claim = move |conn: &mut diesel::PgConnection| {
                    outbox::claim(conn, &Wanted { kind, lanes: lanes.as_deref(), most, now, leased_until })
                };
                self.db.run(claim).await
            }
            Which::Lane(lane) => {
                let lane = lane.clone();
                self.db.run(move |conn| outbox::claim_any_of(conn, &lane, most, now, leased_until)).await
            }
        };
        claimed.unwrap_or_else(|error| {
            tracing::warn!(error = %error, "the outbox could not be read");
            Vec::new()
        })
    }

    async fn attempt(self: Arc<Self>, message: Claimed) {
        let result = timeout(LONGEST, self.deliver(&message))
            .await
            .unwrap_or_else(|_| Err(Undelivered::Again("it took too long".to_owned())));
        let noted = match result {
            Ok(()) => self.note_delivered(&message).await,
            Err(undelivered) => self.note_failed(&message, undelivered).await,
        };
        // If the outcome is not recorded, the lease ends and the message is delivered again: at least once.
        if let Err(error) = noted {
            tracing::warn!(error = %error, message.id = message.id, "what became of a message could not be noted");
        }
    }

    async fn deliver(&self, message: &Claimed) -> Result<(), Undelivered> {
        match message.kind.as_str() {
            backchannel::KIND => {
                self.handlers.backchannel.deliver(&message.payload, message.attempt, self.clock.now()).await
            }
            webhooks::KIND => self.handlers.webhooks.deliver(&message.payload, self.clock.now()).await,
            after::KIND => self.handlers.after_sign_in.deliver(&message.payload, self.clock.now()).await,
            kind => Err(Undelivered::Again(format!("this server delivers no {kind:?}"))),
        }
    }

    async fn note_delivered(&self, message: &Claimed) -> Result<(), StorageError> {
        count(message, "delivered");
        let (id, now) = (message.id, self.clock.now());
        self.db.run(move |conn| outbox::delivered(conn, id, now)).await
    }

    async fn note_failed(&self, message: &Claimed, undelivered: Undelivered) -> Result<(), StorageError> {
        let now = self.clock.now();
        let [spread] = crate::random::bytes::<1>();
        let (error, next) = match undelivered {
            Undelivered::Again(error) => (error, next_try(message.attempt, message.created_at, now, spread)),
            Undelivered::Never(error) => (error, None),
        };
        count(message, if next.is_some() { "failed" } else { "given_up" });
        tracing::warn!(
            message.id = message.id,
            message.kind = message.kind,
            message.attempt = message.attempt,
            message.about = %about(message),
            error,
            next_try_at = next.map(tracing::field::display),
            "{}",
            if next.is_some() { "a message did not arrive" } else { "a message did not arrive and is given up" }
        );
        let event = event_of_failure(message, &error, next, now);
        let message = message.clone();
        self.db
            .tx(move |conn| match (outbox::failed(conn, &message, &error, next, now)?, event) {
                (true, Some(event)) => audit::insert(conn, &event),
                _ => Ok(()),
            })
            .await
    }
}

/// What a message is about, in a few words that identify nobody.
fn about(message: &Claimed) -> Value {
    let payload = &message.payload;
    match message.kind.as_str() {
        backchannel::KIND => payload.clone(),
        _ => json!({ "to": payload["to"], "event": payload["event"]["id"], "type": payload["event"]["kind"] }),
    }
}

/// The event of a message that was not delivered. A receiver of events that is down for a day misses thousands, each
/// tried a dozen times: for those the audit trail records only which were given up.
fn event_of_failure(message: &Claimed, error: &str, next: Option<Time>, now: Time) -> Option<Event> {
    let is_logout = message.kind == backchannel::KIND;
    if !is_logout && next.is_some() {
        return None;
    }
    let mut detail = json!({ "kind": message.kind, "attempt": message.attempt, "error": error, "nextTryAt": next });
    if is_logout {
        detail["session"] = message.payload["session"].clone();
    } else {
        detail["message"] = about(message);
    }
    Some(Event {
        client: message.payload["client"].as_str().map(ToOwned::to_owned),
        subject: Some(message.id.to_string()),
        detail,
        ..Event::new(EventKind::DeliveryFailed, now, &Provenance::default())
    })
}

fn count(message: &Claimed, outcome: &'static str) {
    let known = [backchannel::KIND, webhooks::KIND, after::KIND];
    let kind = known.into_iter().find(|kind| *kind == message.kind).unwrap_or("other");
    metrics::counter!("passmint_outbox_attempts_total", "kind" => kind, "outcome" => outcome).increment(1);
}
