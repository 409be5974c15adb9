//! Notifies a client's server that a session ended (OpenID Connect Back-Channel Logout 1.0).
//!
//! The message is written by a trigger of the schema in the transaction that ends the session; here it is delivered.
//! The logout token is signed for each attempt, because it is valid for two minutes and its message for a day.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::clients::Clients;
use crate::clock::Time;
use crate::domain::delivery::Undelivered;
use crate::domain::id::{SessionId, UserId};
use crate::outbound::{Body, Outbound, OutboundError, Post};
use crate::tokens::Mint;

/// How often a client may refuse before the message is given up: for about six minutes, given the intervals of the
/// outbox.
const REFUSALS: i32 = 6;

/// The kind of these messages in the outbox.
pub const KIND: &str = "backchannel_logout";

/// A logout message as stored in the outbox.
#[derive(Debug, Deserialize)]
struct Notice {
    session: SessionId,
    user: UserId,
    client: String,
}

/// The prefix of the lanes of one session's messages.
pub fn lanes_of(session: SessionId) -> String {
    format!("logout/{session}/")
}

/// Delivers back-channel logout messages.
pub struct Backchannel {
    /// Signs the logout tokens.
    pub mint: Arc<Mint>,
    /// Knows the clients' logout URLs.
    pub clients: Arc<Clients>,
    /// Sends the logout tokens.
    pub outbound: Outbound,
}

impl Backchannel {
    /// Makes one attempt, of which `attempt` is the number (§2.5, §2.8). A refusal may be temporary: clients also
    /// refuse if their own logout failed.
    ///
    /// # Errors
    /// [`Undelivered`], unless the client accepted the token.
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
        // The status says whether the token was accepted; the rest of the response is ignored.
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
