//! Keeps a connection for each bridge with NATS auth callout, for as long as the bridge is on and unchanged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::answer::Desk;
use super::connection::{Connection, ConnectionError};
use super::{Address, Identity};
use crate::bridge::Way;
use crate::bridge::stored::Ready;
use crate::outbound::Outbound;

/// How often the bridges are checked for changes.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest and longest wait between two attempts.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A connection that lasted this long counts as successful. A server that accepts and drops us at once is not dialled
/// every second.
const LIVED: Duration = Duration::from_secs(30);

/// Keeps the connections.
pub struct Service {
    desk: Desk,
    outbound: Outbound,
    kept: HashMap<String, Kept>,
}

/// A connection, and the bridge as it was when the connection was started.
struct Kept {
    of: Arc<Ready>,
    task: JoinHandle<()>,
}

/// The connection ends when its owner is dropped.
impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    /// Starts without any connection.
    pub fn new(desk: Desk, outbound: &Outbound) -> Self {
        Self { desk, outbound: outbound.apart(), kept: HashMap::new() }
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        loop {
            self.follow();
            sleep(LOOK).await;
        }
    }

    /// Ends connections whose bridge is gone or has changed, and starts those that are missing, including any that
    /// ended through a fault of ours.
    fn follow(&mut self) {
        let wanted = self.desk.bridges.of_way(Way::NatsCallout);
        self.kept.retain(|name, kept| {
            let is_wanted = wanted.iter().any(|one| one.bridge.name() == name && Arc::ptr_eq(one, &kept.of));
            is_wanted && !kept.task.is_finished()
        });
        for ready in wanted {
            let name = ready.bridge.name().to_owned();
            if self.kept.contains_key(&name) {
                continue;
            }
            let line = Line { desk: self.desk.clone(), outbound: self.outbound.clone(), ready: Arc::clone(&ready) };
            let task = tokio::spawn(line.keep());
            self.kept.insert(name, Kept { of: ready, task });
        }
    }
}

/// The connection of one bridge to its NATS server.
struct Line {
    desk: Desk,
    outbound: Outbound,
    ready: Arc<Ready>,
}

impl Line {
    /// Connects, answers, and reconnects, with a longer wait after each failure.
    async fn keep(self) {
        let name = self.ready.bridge.name();
        let connected = metrics::gauge!("passmint_nats_connected", "bridge" => name.to_owned());
        // Also if the task is dropped.
        let _down = Down(connected.clone());
        let (mut wait, mut told) = (Duration::ZERO, String::new());
        loop {
            let begun = Instant::now();
            let error = match self.open().await {
                Ok(connection) => {
                    tracing::info!(bridge.name = name, "connected to NATS; its questions are answered");
                    connected.set(1.0);
                    told.clear();
                    let (desk, bridge) = (self.desk.clone(), name.to_owned());
                    connection
                        .serve(move |question| {
                            let (desk, bridge) = (desk.clone(), bridge.clone());
                            async move { desk.answer(&bridge, &question).await }
                        })
                        .await
                }
                Err(error) => error,
            };
            connected.set(0.0);
            // The same reason is logged once, not for every attempt.
            let words = error.to_string();
            if words != told {
                tracing::warn!(bridge.name = name, reason = words, "no connection to NATS; it is tried again");
                told = words;
            }
            wait = next_wait(wait, begun.elapsed());
            sleep(wait).await;
        }
    }

    async fn open(&self) -> Result<Connection, ConnectionError> {
        let bridge = &self.ready.bridge;
        let address = bridge.url().and_then(Address::parse);
        let identity = bridge.plan().nats.as_ref().and_then(Identity::of);
        // A bridge of this kind cannot exist without both.
        let (Some(address), Some(identity)) = (address, identity) else { return Err(ConnectionError::Closed) };
        Connection::open(&self.outbound, &address, &identity).await
    }
}

/// The wait after an attempt that lasted this long, if the wait before it was `last`.
fn next_wait(last: Duration, lasted: Duration) -> Duration {
    if lasted >= LIVED { WAIT.0 } else { (last * 2).clamp(WAIT.0, WAIT.1) }
}

struct Down(metrics::Gauge);

impl Drop for Down {
    fn drop(&mut self) {
        self.0.set(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_until_a_connection_has_lived() {
        for (last, lasted, next) in
            [(0, 0, 1), (1, 0, 2), (2, 29, 4), (16, 1, 30), (30, 0, 30), (30, 29, 30), (30, 30, 1), (0, 3600, 1)]
        {
            let seconds = Duration::from_secs;
            assert_eq!(next_wait(seconds(last), seconds(lasted)), seconds(next), "{last} s, then {lasted} s");
        }
    }
}
