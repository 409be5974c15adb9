//! Webhooks: receivers are told of events, and asked nothing.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::event::{Message, id};
use crate::clock::Time;
use crate::domain::delivery::Undelivered;
use crate::domain::id::UserId;
use crate::domain::user::User;
use crate::domain::webhook::{Endpoint, Receiver};
use crate::outbound::{Answer, Body, Outbound, OutboundError, Post};
use crate::storage::{Db, StorageError, users};

/// What the outbox calls messages to webhooks.
pub const KIND: &str = "webhook";

/// How long a receiver may take.
const LONGEST: Duration = Duration::from_secs(5);

/// A webhook that is told.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where messages go.
    pub endpoint: Endpoint,
    /// What it is told of.
    pub events: Vec<String>,
}

impl Webhook {
    /// As the trigger that fills the outbox knows it.
    pub fn receiver(&self) -> Receiver {
        Receiver { kind: KIND, name: self.endpoint.name.clone(), events: self.events.clone() }
    }
}

/// Signs messages and sends them.
#[derive(Clone)]
pub struct Sender {
    /// Sends the messages.
    pub outbound: Outbound,
    /// Our issuer URL.
    pub issuer: String,
}

impl Sender {
    /// One for each of these, with lookups of its own: a receiver whose name hangs holds up no other.
    pub fn apart_for<T>(&self, all: &[Arc<T>]) -> Vec<(Arc<T>, Self)> {
        let apart = || Self { outbound: self.outbound.apart(), issuer: self.issuer.clone() };
        all.iter().map(|one| (Arc::clone(one), apart())).collect()
    }

    /// One attempt, whose answer is read.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn ask(
        &self,
        endpoint: &Endpoint,
        (id, body): (&str, Vec<u8>),
        purpose: &'static str,
        (within, now): (Duration, Time),
    ) -> Result<Answer, OutboundError> {
        let headers = endpoint.headers(id, now, &body);
        let post = Post { headers: &headers, within, ..Post::new(&endpoint.url, "application/json", body, purpose) };
        self.outbound.post(post).await
    }

    /// One attempt. Receivers say by the status whether they took a message; what else they say is nobody's concern.
    ///
    /// # Errors
    /// [`OutboundError`], unless the receiver took it.
    async fn tell(&self, endpoint: &Endpoint, (id, body): (&str, Vec<u8>), now: Time) -> Result<(), OutboundError> {
        let headers = endpoint.headers(id, now, &body);
        let usual = Post::new(&endpoint.url, "application/json", body, KIND);
        self.outbound.post(Post { headers: &headers, within: LONGEST, answer: Body::Ignored, ..usual }).await.map(drop)
    }

    /// Sends a message that tells of nothing, to try a webhook out.
    ///
    /// # Errors
    /// [`OutboundError`], unless the receiver took it.
    pub async fn test(&self, endpoint: &Endpoint, now: Time) -> Result<(), OutboundError> {
        let id = id(&self.issuer, &crate::random::uuid().to_string());
        let body = json!({ "type": "webhook.test", "timestamp": now, "data": { "webhook": endpoint.name } });
        self.tell(endpoint, (&id, body.to_string().into_bytes()), now).await
    }
}

/// Why a message did not arrive, and whether it may yet.
pub fn undelivered(error: &OutboundError) -> Undelivered {
    match error {
        OutboundError::Status(410) => Undelivered::Never("the receiver is gone (status 410)".to_owned()),
        // The same answer would come again.
        OutboundError::Address | OutboundError::TooLarge | OutboundError::Encoded => {
            Undelivered::Never(error.to_string())
        }
        error => Undelivered::Again(error.to_string()),
    }
}

/// The handler.
pub struct Webhooks {
    /// Those that are told, each with what signs and sends.
    pub all: Vec<(Arc<Webhook>, Sender)>,
    /// Looks up the person an event is about.
    pub db: Db,
}

impl Webhooks {
    /// One attempt.
    ///
    /// # Errors
    /// [`Undelivered`], unless the receiver took the message.
    pub async fn deliver(&self, payload: &Value, now: Time) -> Result<(), Undelivered> {
        let message = Message::deserialize(payload)
            .map_err(|error| Undelivered::Never(format!("the message cannot be read: {error}")))?;
        let (webhook, sender) = self
            .all
            .iter()
            .find(|(webhook, _)| webhook.endpoint.name == message.to)
            .ok_or_else(|| Undelivered::Again("this server knows no such webhook".to_owned()))?;
        let person = person(&self.db, &webhook.endpoint, &message)
            .await
            .map_err(|_| Undelivered::Again("the database could not be asked".to_owned()))?;
        let id = message.id(&sender.issuer);
        let told = sender.tell(&webhook.endpoint, (&id, message.body(person.as_ref())), now).await;
        told.map_err(|error| undelivered(&error))
    }
}

/// The person whom an event is about, for a receiver that may know who they are.
pub async fn person(db: &Db, endpoint: &Endpoint, message: &Message) -> Result<Option<User>, StorageError> {
    match message.event.user_id {
        Some(user) if endpoint.personal_data => db.run(move |conn| users::find(conn, UserId::from(user))).await,
        _ => Ok(None),
    }
}
