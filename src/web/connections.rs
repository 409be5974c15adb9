//! Limits how many connections one caller holds, so that no caller can use up all of the server's connections
//! (`limits.connections`).
//!
//! What must always hold: a connection counts from its first byte until it is closed, whatever it is used for;
//! connections of trusted proxies, which serve many callers, never count.

use std::any::Any;
use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use rustix::net::Shutdown;

use super::caller::{Network, TrustedProxies};

/// The connections of all callers.
#[derive(Clone, Debug)]
pub struct Connections {
    held: Arc<Held>,
    most: u32,
    proxies: TrustedProxies,
}

/// The number of connections of each caller that has any.
#[derive(Debug, Default)]
struct Held(Mutex<HashMap<Network, u32>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<Network, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a connection until it is dropped together with the connection.
#[derive(Debug)]
struct Counted {
    held: Arc<Held>,
    network: Network,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        if let Some(count) = held.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.network);
            }
        }
    }
}

impl Connections {
    /// Allows at most `most` connections per caller, except for trusted proxies.
    pub fn new(most: u32, proxies: TrustedProxies) -> Self {
        Self { held: Arc::default(), most, proxies }
    }

    /// Counts an accepted connection, or closes it if it exceeds the limit. It is closed without an answer, so that a
    /// caller who holds so many has nothing to wait for.
    pub fn welcome(&self, stream: &dyn Any, of_connection: &mut Extensions) {
        let Some((peer, socket)) = ends_of(stream) else { return };
        if self.proxies.trusts(peer) {
            return;
        }
        if let Some(counted) = self.count(Network::of(peer)) {
            of_connection.insert(counted);
            return;
        }
        metrics::counter!("passmint_connections_refused_total").increment(1);
        // If this fails, the connection is already closed.
        let _ = rustix::net::shutdown(socket, Shutdown::Both);
    }

    fn count(&self, network: Network) -> Option<Counted> {
        let mut held = self.held.lock();
        let count = held.entry(network).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(held);
        Some(Counted { held: Arc::clone(&self.held), network })
    }
}

/// The peer's address, and the socket.
fn ends_of(stream: &dyn Any) -> Option<(IpAddr, BorrowedFd<'_>)> {
    let plain = stream.downcast_ref::<TcpStream>();
    let tcp = plain.or_else(|| stream.downcast_ref::<TlsStream<TcpStream>>().map(|stream| stream.get_ref().0))?;
    Some((tcp.peer_addr().ok()?.ip(), tcp.as_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    #[test]
    fn each_caller_holds_so_many_and_no_more() {
        let connections = Connections::new(2, TrustedProxies::default());
        let (here, next_door, elsewhere) = (network("192.0.2.1"), network("192.0.2.2"), network("198.51.100.1"));
        let first = connections.count(here).expect("the first");
        let second = connections.count(next_door).expect("the second of the network");
        assert!(connections.count(here).is_none(), "one too many");
        assert!(connections.count(elsewhere).is_some(), "that is nothing to others");
        drop(first);
        let third = connections.count(here).expect("in place of the first");
        drop((second, third));
        assert!(connections.held.lock().is_empty(), "nothing is kept of who holds none");
    }
}
