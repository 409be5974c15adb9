//! The clients this server knows, ready for every request: read from the database, re-read when they change.

pub mod rules;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use diesel::PgConnection;
use tokio::sync::Mutex;

use crate::clock::{MOST_APART, Time};
use crate::domain::audit::{Event, EventKind};
use crate::domain::client::{Client, ClientKind, ClientRefusal};
use crate::storage::{Db, StorageError, audit, clients};

/// How a client is asked whether a web origin is its own: [`Client::owns_origin`], or [`Client::owns_page`].
pub type Owns = fn(&Client, &str) -> Result<(), ClientRefusal>;

/// The directory. Reading it takes no lock.
#[derive(Default)]
pub struct Clients {
    live: ArcSwap<HashMap<String, Known>>,
    /// Held from reading the database to taking up what was read, so that what is older never replaces what is newer.
    turn: Mutex<()>,
}

struct Known {
    client: Arc<Client>,
    /// When it was made, as tokens tell the time.
    made_at: i64,
}

impl Clients {
    /// The client with this id, unless it is unknown or disabled.
    pub fn find(&self, id: &str) -> Option<Arc<Client>> {
        self.live.load().get(id).map(|known| Arc::clone(&known.client))
    }

    /// The client that a token was given to, by the token's `client_id` and `iat`. One that was made later and has the same id
    /// is another client: what the one before it held is none of its own.
    ///
    /// The two times may be of two servers, whose clocks may differ by so much.
    pub fn holder(&self, id: &str, issued_at: i64) -> Option<Arc<Client>> {
        self.live
            .load()
            .get(id)
            .filter(|known| known.made_at <= issued_at + MOST_APART.num_seconds())
            .map(|known| Arc::clone(&known.client))
    }

    /// As [`find`](Self::find), also when another server stored the client a moment ago: one that is not here is looked for in
    /// the database, and only when it is there all are read anew. An id that nobody has costs one look at an index.
    pub async fn find_stored(&self, id: &str, db: &Db) -> Result<Option<Arc<Client>>, StorageError> {
        if let Some(client) = self.find(id) {
            return Ok(Some(client));
        }
        // No row can have it, and to ask would be a fault.
        if id.contains('\0') {
            return Ok(None);
        }
        let sought = id.to_owned();
        if db.run(move |conn| clients::is_enabled(conn, &sought)).await? {
            let _turn = self.turn.lock().await;
            // Of many who wait for one client the first reads it.
            if self.find(id).is_none() {
                self.replace(db.run(clients::all).await?);
            }
        }
        Ok(self.find(id))
    }

    /// Every client that may do something.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.live.load().values().map(|known| Arc::clone(&known.client)).collect()
    }

    /// Whether any client of these kinds owns this web origin: what cross-origin preflights are answered by.
    pub fn any_has_origin(&self, origin: &str, kinds: &[ClientKind], owns: Owns) -> bool {
        let of_them = |client: &Client| kinds.contains(&client.definition.kind) && owns(client, origin).is_ok();
        self.live.load().values().any(|known| of_them(&known.client))
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
        let known = live.map(|stored| {
            let made_at = stored.made_at.timestamp();
            (stored.client.id.clone(), Known { client: Arc::new(stored.client), made_at })
        });
        self.live.store(Arc::new(known.collect()));
    }
}

/// Makes the database agree with the configuration: declared clients are stored under its name, those it no longer
/// declares are disabled. A client of the same id that was made by other means is taken over. Call it under the start-up
/// lock, in a transaction.
pub fn apply_configuration(
    conn: &mut PgConnection,
    declared: &[Client],
    source: &str,
    now: Time,
) -> Result<(), StorageError> {
    let event = |change, id: &str| Event::of_configuration(EventKind::ClientChanged, change, id, source, now);
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
            audit::insert(conn, &event("declared", &client.id))?;
        }
    }
    for old in stored.iter().filter(|old| old.managed_by.is_some() && old.disabled_at.is_none()) {
        if !declared.iter().any(|client| client.id == old.client.id) {
            clients::disable(conn, &old.client.id, now)?;
            audit::insert(conn, &event("no longer declared", &old.client.id))?;
        }
    }
    Ok(())
}
