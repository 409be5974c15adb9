//! Clients whose ID is the URL of a metadata document that describes them
//! (draft-ietf-oauth-client-id-metadata-document; used by MCP clients).
//!
//! The document is fetched through the outbound client, must satisfy the rules of registration, and is stored like a
//! client until it must be fetched again. Such a client has no secret: it is public, or has keys. If the document can
//! no longer be read, the last version stays in force for a day.

use std::sync::Arc;

use chrono::Duration;
use diesel::{Connection as _, PgConnection};
use serde_json::{Map, Value, json};
use url::Url;

use super::Registration;
use super::metadata::with_settings_of_operators;
use super::register::{require_room, wants_secret};
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::{Client, ClientDefinition};
use crate::storage::audit;
use crate::storage::client_records::{self, ClientRecord, NewClient, Source};
use crate::web::error::{Failure, Kind};
use crate::web::refusal::Refusal;

/// How long a document is considered fresh.
const FRESH: Duration = Duration::hours(1);
/// How long after that the last version stays in force if the document cannot be read.
const STALE: Duration = Duration::days(1);
/// How long no request tries again after a failure.
const PAUSE: Duration = Duration::seconds(30);
const UNREADABLE: &str = "The document at the client_id's address cannot be read: it must be JSON of at most 64 KiB at a public https address.";
/// Maximum length of a document URL, in bytes.
const LONGEST: usize = 500;

impl Registration {
    /// The client with this ID, which must already be known. If the ID is the URL of its document, the document is
    /// fetched again when it is due, but never for the first time: nobody can make this server fetch and store
    /// documents just by naming them.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub async fn known(&self, id: &str) -> Result<Option<Arc<Client>>, Failure> {
        if self.stored(id).await?.is_none() {
            return Ok(None);
        }
        self.resolve(id).await
    }

    /// The client with this ID, even if the ID is the URL of a document that was never fetched. For endpoints where a
    /// client may first appear: the authorization endpoint and pushed authorization requests. Everywhere else the
    /// client is already [`known`](Self::known).
    ///
    /// # Errors
    /// A document that cannot be used, in words for the person whose app it is; a storage fault.
    pub async fn resolve(&self, id: &str) -> Result<Option<Arc<Client>>, Failure> {
        if !self.policy.metadata_documents || !is_document_address(id) {
            return self.stored(id).await;
        }
        let (address, now) = (id.to_owned(), self.clock.now());
        let known = self.db.run(move |conn| client_records::find(conn, &address)).await?;
        if known.as_ref().is_some_and(|known| known.source != Source::MetadataDocument || known.disabled_at.is_some()) {
            return self.stored(id).await;
        }
        if known.as_ref().and_then(|known| known.fetch_again_at).is_some_and(|again| again > now) {
            return self.stored(id).await;
        }
        // One request at a time fetches it, and after a failure none does for a while.
        let asking = self.documents.get_with(id.to_owned(), Arc::default);
        let mut failed_at = asking.lock().await;
        let in_force = known.as_ref().and_then(|known| known.fetch_again_at).is_some_and(|again| now < again + STALE);
        if failed_at.is_some_and(|at| now < at + PAUSE) {
            let stored = if in_force { self.stored(id).await? } else { None };
            return stored.map(Some).ok_or_else(|| Failure::new(Kind::InvalidClient, UNREADABLE));
        }
        if self.is_fresh(id, now).await? {
            return self.stored(id).await;
        }
        match self.fetch_document(id).await.map_err(about_the_client) {
            Ok(definition) => self.keep(id, definition, known, now).await?,
            Err(failure) => {
                *failed_at = Some(now);
                if !in_force {
                    return Err(failure);
                }
                failure.log();
            }
        }
        self.stored(id).await
    }

    /// Whether [`resolve`](Self::resolve) may have to contact another server for an app that is not known yet.
    pub fn may_fetch(&self, id: &str) -> bool {
        self.policy.metadata_documents && is_document_address(id) && self.clients.find(id).is_none()
    }

    /// The client with this ID, even if another server stored it a moment ago.
    async fn stored(&self, id: &str) -> Result<Option<Arc<Client>>, Failure> {
        Ok(self.clients.find_stored(id, &self.db).await?)
    }

    /// Whether another request fetched the document while this one waited.
    async fn is_fresh(&self, id: &str, now: Time) -> Result<bool, Failure> {
        let id = id.to_owned();
        let known = self.db.run(move |conn| client_records::find(conn, &id)).await?;
        Ok(known.and_then(|known| known.fetch_again_at).is_some_and(|again| again > now))
    }

    async fn fetch_document(&self, id: &str) -> Result<ClientDefinition, Failure> {
        let refused = |what: &'static str| Failure::new(Kind::InvalidClient, what);
        let answer = self
            .outbound
            .get(id, "application/json", "client_document")
            .await
            .map_err(|error| refused(UNREADABLE).because(error))?;
        let members: Map<String, Value> =
            serde_json::from_slice(&answer.body).map_err(|error| refused(UNREADABLE).because(error))?;
        let definition = document_definition(&members, id, self)?;
        self.check_rules(&definition)?;
        self.check_sector(&definition).await?;
        Ok(definition)
    }

    async fn keep(
        &self,
        id: &str,
        definition: ClientDefinition,
        known: Option<ClientRecord>,
        now: Time,
    ) -> Result<(), Failure> {
        let (id, most) = (id.to_owned(), self.policy.max_clients);
        let work = move |conn: &mut PgConnection| {
            let again = now + FRESH;
            if let Some(known) = known {
                let definition = with_settings_of_operators(definition, &known.definition);
                if known.definition != definition {
                    client_records::set_definition(conn, &id, &definition, now)?;
                    audit::insert(conn, &event(EventKind::ClientChanged, &id, &definition, now))?;
                }
                client_records::fetch_again(conn, &id, again)?;
                return Ok::<_, Refusal>(());
            }
            require_room(conn, most, now)?;
            let client = Client { id, definition, secret: None, previous_secret: None, unverified_since: None };
            let new = NewClient {
                client: &client,
                source: Source::MetadataDocument,
                registration_token: None,
                fetch_again_at: Some(again),
            };
            if client_records::insert(conn, &new, now)? {
                audit::insert(conn, &event(EventKind::ClientRegistered, &client.id, &client.definition, now))?;
            }
            Ok(())
        };
        self.db.run(move |conn| Refusal::apart(conn.transaction(work))).await??;
        Ok(self.clients.reload(&self.db).await?)
    }
}

/// Reports any broken rule of registration as a client that cannot be used.
fn about_the_client(failure: Failure) -> Failure {
    if failure.kind().status().is_client_error() {
        Failure::new(Kind::InvalidClient, failure.detail().to_owned())
    } else {
        failure
    }
}

/// The audit event for a client described by a document. It names no origin: the caller whose request led to the fetch
/// did nothing to the client.
fn event(kind: EventKind, id: &str, definition: &ClientDefinition, now: Time) -> Event {
    Event {
        client: Some(id.to_owned()),
        subject: Some(id.to_owned()),
        subject_name: Some(definition.name.clone()),
        detail: json!({ "change": "read from its document" }),
        ..Event::new(kind, now, &Provenance::default())
    }
}

/// An https URL with a path, in a form that cannot be read in two ways.
fn is_document_address(id: &str) -> bool {
    let Ok(url) = Url::parse(id) else { return false };
    url.scheme() == "https"
        && id.len() <= LONGEST
        && url.as_str() == id
        && url.path() != "/"
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

fn document_definition(
    members: &Map<String, Value>,
    id: &str,
    room: &Registration,
) -> Result<ClientDefinition, Failure> {
    let refused = |what: &'static str| Err(Failure::new(Kind::InvalidClient, what));
    if members.get("client_id").and_then(Value::as_str) != Some(id) {
        return refused("The document at the client_id's address does not name that address as its client_id.");
    }
    if members.contains_key("client_secret") || members.contains_key("client_secret_expires_at") {
        return refused("The document at the client_id's address contains a secret, which is no longer secret.");
    }
    let mut members = members.clone();
    members.entry("token_endpoint_auth_method").or_insert_with(|| "none".into());
    let definition = room.definition(&members)?;
    if wants_secret(&definition) {
        return refused("A client described by a document has no secret: it authenticates by keys, or not at all.");
    }
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_https_address_is_a_document() {
        assert!(is_document_address("https://app.example/client.json"));
        for (name, id) in [
            ("no path", "https://app.example/"),
            ("http", "http://app.example/client.json"),
            ("a fragment", "https://app.example/client.json#x"),
            ("a user", "https://me@app.example/client.json"),
            ("dots", "https://app.example/a/../client.json"),
            ("upper case", "https://APP.example/client.json"),
            ("the default port", "https://app.example:443/client.json"),
            ("no address", "web"),
        ] {
            assert!(!is_document_address(id), "{name}");
        }
        assert!(!is_document_address(&format!("https://app.example/{}", "x".repeat(LONGEST))));
    }
}
