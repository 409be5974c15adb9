//! Redeeming the result of an action: the one place where "once" is certain.
//!
//! A backend can verify a result by itself, by our key set; that it was not used before, only we know for all of a backend's
//! servers together.

use uuid::Uuid;

use super::super::Ceremonies;
use super::super::error::CeremonyError;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::Client;
use crate::domain::id::ActionTokenId;
use crate::storage::{action_tokens, audit};
use crate::tokens::claims::ActionResultClaims;
use crate::tokens::verifier::places;

impl Ceremonies {
    /// Redeems the result of one of a client's tokens. A refusal leaves an event in the audit trail.
    pub async fn redeem_result(
        &self,
        client: &Client,
        id: ActionTokenId,
        result: &str,
        origin: &Provenance,
    ) -> Result<ActionResultClaims, CeremonyError> {
        let redeemed = self.redeem(client, id, result, origin).await;
        let Err(CeremonyError::Result(why)) = &redeemed else { return redeemed };
        let event = Event {
            client: Some(client.id.clone()),
            subject: Some(id.to_string()),
            detail: serde_json::json!({ "reason": why }),
            ..Event::new(EventKind::ResultRefused, self.clock.now(), origin)
        };
        self.db.ask(event).await?;
        redeemed
    }

    async fn redeem(
        &self,
        client: &Client,
        id: ActionTokenId,
        result: &str,
        origin: &Provenance,
    ) -> Result<ActionResultClaims, CeremonyError> {
        let refused = |why: &str| CeremonyError::Result(why.to_owned());
        let now = self.clock.now();
        let ring = self.mint.keys().ring();
        let claims = places::action_result(&ring, self.mint.issuer(), &client.id, result, now)
            .map_err(|refusal| CeremonyError::Result(refusal.to_string()))?
            .into_claims();
        if claims.action_token != id.to_string() {
            return Err(refused("it is of another token"));
        }
        let jti: Uuid = claims.jti.parse().map_err(|_| refused("its id does not read"))?;
        let (name, origin) = (client.id.clone(), origin.clone());
        let first = self
            .db
            .tx(move |conn| {
                if !action_tokens::redeem(conn, &name, id, jti, now)? {
                    return Ok(false);
                }
                let user = action_tokens::get(conn, id)?.map(|token| token.user);
                let event = Event {
                    user,
                    client: Some(name),
                    subject: Some(id.to_string()),
                    ..Event::new(EventKind::ResultRedeemed, now, &origin)
                };
                audit::insert(conn, &event)?;
                Ok(true)
            })
            .await?;
        if first { Ok(claims) } else { Err(refused("it was redeemed before")) }
    }
}
