//! Tells a client, server to server, that a session ended (OpenID Connect Back-Channel Logout 1.0).
//!
//! The message is written by a trigger of the schema in the transaction that ends the session; here it is delivered. The
//! logout token is signed for each attempt, because it lives for two minutes and its message for a day.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::subject_of;
use crate::clients::Clients;
use crate::clock::Time;
use crate::domain::id::{SessionId, UserId};
use crate::outbox::Undelivered;
use crate::tokens::Mint;

/// What the outbox calls these messages.
pub const KIND: &str = "backchannel_logout";
/// How long a client may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the outbox keeps of a logout.
#[derive(Debug, Deserialize)]
struct Notice {
    session: SessionId,
    user: UserId,
    client: String,
}

/// The lanes of one session's messages begin so.
pub fn lanes_of(session: SessionId) -> String {
    format!("logout/{session}/")
}

/// The handler.
pub struct Backchannel {
    /// Signs.
    pub mint: Arc<Mint>,
    /// Knows where clients are told.
    pub clients: Arc<Clients>,
}

impl Backchannel {
    /// One attempt (§2.5, §2.8).
    ///
    /// # Errors
    /// [`Undelivered`], unless the client answers 200 or 204.
    pub async fn deliver(&self, payload: &Value, now: Time) -> Result<(), Undelivered> {
        let notice = Notice::deserialize(payload)
            .map_err(|error| Undelivered::Never(format!("the message cannot be read: {error}")))?;
        let client = self
            .clients
            .find(&notice.client)
            .ok_or_else(|| Undelivered::Never("the client is disabled or gone".to_owned()))?;
        let Some(uri) = &client.definition.backchannel_logout_uri else {
            return Err(Undelivered::Never("the client has no backchannel_logout_uri any more".to_owned()));
        };
        let token = self
            .mint
            .logout_token(&client, &subject_of(&client, notice.user), notice.session, now)
            .map_err(|error| Undelivered::Again(error.to_string()))?;
        match super::post::post_form(uri, &[("logout_token", &token)], PATIENCE).await {
            Ok(200 | 204) => Ok(()),
            Ok(400) => Err(Undelivered::Never("the client refused the logout token (400)".to_owned())),
            Ok(status) => Err(Undelivered::Again(format!("the client answered {status}"))),
            Err(error) => Err(Undelivered::Again(error)),
        }
    }
}
