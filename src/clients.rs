//! The clients this server knows, ready for every request: read from the database, re-read when they change.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use diesel::PgConnection;
use tokio::sync::Mutex;

use crate::clock::Time;
use crate::domain::client::{Client, ClientKind};
use crate::storage::{Db, StorageError, clients};

/// The directory. Reading it takes no lock.
#[derive(Default)]
pub struct Clients {
    live: ArcSwap<HashMap<String, Arc<Client>>>,
    /// Held from reading the database to taking up what was read, so that what is older never replaces what is newer.
    turn: Mutex<()>,
}

impl Clients {
    /// The client with this id, unless it is unknown or disabled.
    pub fn find(&self, id: &str) -> Option<Arc<Client>> {
        self.live.load().get(id).cloned()
    }

    /// Every client that may do something.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.live.load().values().cloned().collect()
    }

    /// Whether any client of these kinds has this web origin: what cross-origin preflights are answered by.
    pub fn any_has_origin(&self, origin: &str, kinds: &[ClientKind]) -> bool {
        let of_them = |client: &Client| kinds.contains(&client.definition.kind) && client.owns_origin(origin).is_ok();
        self.live.load().values().any(|client| of_them(client))
    }

    /// Reads all clients anew.
    pub async fn reload(&self, db: &Db) -> Result<(), StorageError> {
        let _turn = self.turn.lock().await;
        self.replace(db.run(clients::all).await?);
        Ok(())
    }

    /// Puts these clients in place of all: at the start, when nobody else reads them.
    pub fn replace(&self, stored: Vec<clients::StoredClient>) {
        let live = stored.into_iter().filter(|stored| stored.disabled_at.is_none());
        self.live.store(Arc::new(live.map(|stored| (stored.client.id.clone(), Arc::new(stored.client))).collect()));
    }
}

/// Makes the database agree with the configuration: declared clients are stored under its name, those it no longer
/// declares are disabled. A client of the same id that was made by other means is taken over. Call it under the start-up
/// lock.
pub fn apply_configuration(
    conn: &mut PgConnection,
    declared: &[Client],
    source: &str,
    now: Time,
) -> Result<(), StorageError> {
    let stored = clients::all(conn)?;
    for client in declared {
        let same = stored.iter().any(|old| {
            old.client.id == client.id
                && old.managed_by.as_deref() == Some(source)
                && old.disabled_at.is_none()
                && old.client.definition == client.definition
                && old.client.secret == client.secret
        });
        if !same {
            clients::put(conn, client, Some(source), now)?;
        }
    }
    for old in stored.iter().filter(|old| old.managed_by.is_some() && old.disabled_at.is_none()) {
        if !declared.iter().any(|client| client.id == old.client.id) {
            clients::disable(conn, &old.client.id, now)?;
        }
    }
    Ok(())
}
