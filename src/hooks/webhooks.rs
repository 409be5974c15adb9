//! Webhooks: receivers are notified of events, and asked nothing.

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

/// The kind of messages to webhooks in the outbox.
pub const KIND: &str = "webhook";

/// The time limit for a receiver.
const LONGEST: Duration = Duration::from_secs(5);

/// A webhook that is notified.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where messages go.
    pub endpoint: Endpoint,
    /// The events that it is notified of.
    pub events: Vec<String>,
}

impl Webhook {
    /// The receiver, for the trigger that fills the outbox.
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
    /// A sender for each of these, with separate DNS look-ups: if the name of one receiver does not resolve, no other
    /// is delayed.
    pub fn apart_for<T>(&self, all: &[Arc<T>]) -> Vec<(Arc<T>, Self)> {
        let apart = || Self { outbound: self.outbound.apart(), issuer: self.issuer.clone() };
        all.iter().map(|one| (Arc::clone(one), apart())).collect()
    }

    /// Makes one attempt, and reads the answer.
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

    /// Makes one attempt. The status says whether the receiver accepted the message; the rest of the response is
    /// ignored.
    ///
    /// # Errors
    /// [`OutboundError`], unless the receiver accepted the message.
    async fn tell(&self, endpoint: &Endpoint, (id, body): (&str, Vec<u8>), now: Time) -> Result<(), OutboundError> {
        let headers = endpoint.headers(id, now, &body);
        let usual = Post::new(&endpoint.url, "application/json", body, KIND);
        self.outbound.post(Post { headers: &headers, within: LONGEST, answer: Body::Ignored, ..usual }).await.map(drop)
    }

    /// Sends a message without an event, to test a webhook.
    ///
    /// # Errors
    /// [`OutboundError`], unless the receiver accepted the message.
    pub async fn test(&self, endpoint: &Endpoint, now: Time) -> Result<(), OutboundError> {
        let id = id(&self.issuer, &crate::random::uuid().to_string());
        let body = json!({ "type": "webhook.test", "timestamp": now, "data": { "webhook": endpoint.name } });
        self.tell(endpoint, (&id, body.to_string().into_bytes()), now).await
    }
}

/// Why a message was not delivered, and whether to try again.
pub fn undelivered(error: &OutboundError) -> Undelivered {
    match error {
        OutboundError::Status(410) => Undelivered::Never("the receiver is gone (status 410)".to_owned()),
        // A retry would have the same outcome.
        OutboundError::Address | OutboundError::TooLarge | OutboundError::Encoded => {
            Undelivered::Never(error.to_string())
        }
        error => Undelivered::Again(error.to_string()),
    }
}

/// Delivers messages to webhooks.
pub struct Webhooks {
    /// The webhooks, each with its own sender.
    pub all: Vec<(Arc<Webhook>, Sender)>,
    /// Finds the person whom an event is about.
    pub db: Db,
}

impl Webhooks {
    /// Makes one attempt.
    ///
    /// # Errors
    /// [`Undelivered`], unless the receiver accepted the message.
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

/// The person whom an event is about, for a receiver that may get personal data.
pub async fn person(db: &Db, endpoint: &Endpoint, message: &Message) -> Result<Option<User>, StorageError> {
    match message.event.user_id {
        Some(user) if endpoint.personal_data => db.run(move |conn| users::find(conn, UserId::from(user))).await,
        _ => Ok(None),
    }
}
