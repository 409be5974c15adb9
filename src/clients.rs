//! The clients that this server knows, in memory for every request: read from the database, and read again when they
//! change.

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

/// How to ask whether a web origin belongs to a client: [`Client::owns_origin`] or [`Client::owns_page`].
pub type Owns = fn(&Client, &str) -> Result<(), ClientRefusal>;

/// The directory of clients. Reading it takes no lock.
#[derive(Default)]
pub struct Clients {
    live: ArcSwap<HashMap<String, Known>>,
    /// Held from reading the database until the result is in place, so that older data never replaces newer data.
    turn: Mutex<()>,
}

struct Known {
    client: Arc<Client>,
    /// When it was created, in the unit of token timestamps.
    made_at: i64,
}

impl Clients {
    /// The client with this ID, unless it is unknown or disabled.
    pub fn find(&self, id: &str) -> Option<Arc<Client>> {
        self.live.load().get(id).map(|known| Arc::clone(&known.client))
    }

    /// The client that a token was issued to, by the token's `client_id` and `iat`. A client that was created later
    /// with the same ID is another client: it does not own the tokens of the earlier one.
    ///
    /// The two times may come from two servers, so the difference between their clocks is tolerated.
    pub fn holder(&self, id: &str, issued_at: i64) -> Option<Arc<Client>> {
        self.live
            .load()
            .get(id)
            .filter(|known| known.made_at <= issued_at + MOST_APART.num_seconds())
            .map(|known| Arc::clone(&known.client))
    }

    /// As [`find`](Self::find), but also finds a client that another server stored a moment ago: an unknown ID is
    /// looked up in the database, and only if it is there are all clients read again. An ID that nobody has costs one
    /// index look-up.
    pub async fn find_stored(&self, id: &str, db: &Db) -> Result<Option<Arc<Client>>, StorageError> {
        if let Some(client) = self.find(id) {
            return Ok(Some(client));
        }
        // No row can have this ID, and the query would fail.
        if id.contains('\0') {
            return Ok(None);
        }
        let sought = id.to_owned();
        if db.run(move |conn| clients::is_enabled(conn, &sought)).await? {
            let _turn = self.turn.lock().await;
            // If many requests wait for one client, only the first reads it.
            if self.find(id).is_none() {
                self.replace(db.run(clients::all).await?);
            }
        }
        Ok(self.find(id))
    }

    /// Every client that is not disabled.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.live.load().values().map(|known| Arc::clone(&known.client)).collect()
    }

    /// Whether any client of these kinds owns this web origin. This decides the response to cross-origin preflight
    /// requests.
    pub fn any_has_origin(&self, origin: &str, kinds: &[ClientKind], owns: Owns) -> bool {
        let of_them = |client: &Client| kinds.contains(&client.definition.kind) && owns(client, origin).is_ok();
        self.live.load().values().any(|known| of_them(&known.client))
    }

    /// Reads all clients again.
    pub async fn reload(&self, db: &Db) -> Result<(), StorageError> {
        let _turn = self.turn.lock().await;
        self.replace(db.run(clients::all).await?);
        Ok(())
    }

    /// Replaces all clients by these: at start-up, when nothing else reads them.
    pub fn replace(&self, stored: Vec<clients::StoredClient>) {
        let live = stored.into_iter().filter(|stored| stored.disabled_at.is_none());
        let known = live.map(|stored| {
            let made_at = stored.made_at.timestamp();
            (stored.client.id.clone(), Known { client: Arc::new(stored.client), made_at })
        });
        self.live.store(Arc::new(known.collect()));
    }
}

/// Makes the database agree with the configuration: declared clients are stored as managed by it, and clients that it
/// no longer declares are disabled. A client with the same ID that was created by other means is taken over. Call it
/// under the start-up lock, in a transaction.
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
