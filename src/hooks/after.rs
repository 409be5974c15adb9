//! Hooks that are notified after a sign-in, and whose answer the person can read on their account page.
//!
//! The sign-in does not wait for them: their messages are in the outbox, like those of webhooks, and a hook's answer is
//! stored when it arrives.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::Value;

use super::event::Message;
use super::shown;
use super::webhooks::{Sender, person, undelivered};
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::domain::delivery::Undelivered;
use crate::domain::id::UserId;
use crate::domain::webhook::{Endpoint, Receiver};
use crate::storage::{Db, hook_results};

/// The kind of messages to these hooks in the outbox.
pub const KIND: &str = "after_sign_in";

/// A hook that is notified.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Its URL and secret.
    pub endpoint: Endpoint,
    /// Its time limit.
    pub within: Duration,
}

impl Hook {
    /// The receiver, for the trigger that fills the outbox.
    pub fn receiver(&self) -> Receiver {
        let events = [EventKind::SignedIn, EventKind::UserCreated].map(|kind| kind.as_str().to_owned()).to_vec();
        Receiver { kind: KIND, name: self.endpoint.name.clone(), events }
    }
}

/// The handler.
pub struct AfterSignIn {
    /// The hooks, each with its own sender.
    pub all: Vec<(Arc<Hook>, Sender)>,
    /// Stores their answers.
    pub db: Db,
}

impl AfterSignIn {
    /// Makes one attempt.
    ///
    /// # Errors
    /// [`Undelivered`], unless the hook answered with something that can be shown, or with nothing.
    pub async fn deliver(&self, payload: &Value, now: Time) -> Result<(), Undelivered> {
        let database = |_| Undelivered::Again("the database could not be asked".to_owned());
        let message = Message::deserialize(payload)
            .map_err(|error| Undelivered::Never(format!("the message cannot be read: {error}")))?;
        let (hook, sender) = self
            .all
            .iter()
            .find(|(hook, _)| hook.endpoint.name == message.to)
            .ok_or_else(|| Undelivered::Again("this server knows no such hook".to_owned()))?;
        let Some(user) = message.event.user_id.map(UserId::from) else { return Ok(()) };
        let at = message.event.at;
        let person = person(&self.db, &hook.endpoint, &message).await.map_err(database)?;
        let id = message.id(&sender.issuer);
        let body = message.body(person.as_ref());
        let sent = sender.ask(&hook.endpoint, (&id, body), KIND, (hook.within, now)).await;
        let answer = sent.map_err(|error| undelivered(&error))?;
        // A retry would get the same answer: one that cannot be read is given up, where an operator sees the reason.
        let shown = shown::read(answer.media_type.as_deref(), &answer.body)
            .map_err(|wrong| Undelivered::Never(wrong.to_owned()))?;
        let name = hook.endpoint.name.clone();
        let kept = match shown.map(serde_json::to_value) {
            Some(Ok(result)) => self.db.run(move |conn| hook_results::put(conn, user, &name, &result, at)).await,
            _ => self.db.run(move |conn| hook_results::remove(conn, user, &name, at)).await,
        };
        kept.map_err(database)
    }
}
