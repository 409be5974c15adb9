//! Tells a client, server to server, that a session ended (OpenID Connect Back-Channel Logout 1.0).
//!
//! The message is written by a trigger of the schema in the transaction that ends the session; here it is delivered. The
//! logout token is signed for each attempt, because it lives for two minutes and its message for a day.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::clients::Clients;
use crate::clock::Time;
use crate::domain::delivery::Undelivered;
use crate::domain::id::{SessionId, UserId};
use crate::outbound::{Body, Outbound, OutboundError, Post};
use crate::tokens::Mint;

/// How often a client may refuse before it is given up: for some six minutes, by the pauses of the outbox.
const REFUSALS: i32 = 6;

/// What the outbox calls these messages.
pub const KIND: &str = "backchannel_logout";

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
    /// Signs the logout tokens.
    pub mint: Arc<Mint>,
    /// Knows where clients are told.
    pub clients: Arc<Clients>,
    /// Sends the logout tokens.
    pub outbound: Outbound,
}

impl Backchannel {
    /// One attempt, the how manieth (§2.5, §2.8). A refusal may pass: clients answer so also when their logout failed.
    ///
    /// # Errors
    /// [`Undelivered`], unless the client took the token.
    pub async fn deliver(&self, payload: &Value, attempt: i32, now: Time) -> Result<(), Undelivered> {
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
            .logout_token(&client, &self.mint.subject_of(&client, notice.user), notice.session, now)
            .map_err(|error| Undelivered::Again(error.to_string()))?;
        let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", &token).finish();
        let usual = Post::new(uri, "application/x-www-form-urlencoded", form.into_bytes(), KIND);
        // The status says whether it was taken; what else the answer says is nobody's concern.
        match self.outbound.post(Post { answer: Body::Ignored, ..usual }).await {
            Ok(_) => Ok(()),
            Err(OutboundError::Status(400)) => {
                let error = "the client refused the logout token (status 400)".to_owned();
                Err(if attempt < REFUSALS { Undelivered::Again(error) } else { Undelivered::Never(error) })
            }
            Err(OutboundError::Address) => Err(Undelivered::Never(OutboundError::Address.to_string())),
            Err(error) => Err(Undelivered::Again(error.to_string())),
        }
    }
}
