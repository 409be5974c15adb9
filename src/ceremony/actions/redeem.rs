//! Redeeming the result of an action: the only place that can guarantee single use.
//!
//! A backend can verify a result by itself with our key set; but only this server knows, for all of the backend's
//! servers together, that it was not used before.

use diesel::PgConnection;
use uuid::Uuid;

use super::super::Ceremonies;
use super::super::error::CeremonyError;
use super::Proved;
use crate::domain::action::ActionToken;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::Client;
use crate::domain::id::ActionTokenId;
use crate::domain::operation::Operation;
use crate::storage::{StorageError, action_tokens, audit};
use crate::tokens::claims::ActionResultClaims;
use crate::tokens::mint::RESULT_LIFE;
use crate::tokens::verifier::places;

impl Ceremonies {
    /// Returns once what was signed with one of a client's tokens, without the browser that could have brought it: no
    /// session depends on it, and it states what was signed. `None` if nothing was signed yet.
    pub async fn fetch_signed(
        &self,
        client: &Client,
        id: ActionTokenId,
        origin: &Provenance,
    ) -> Result<Option<ActionResultClaims>, CeremonyError> {
        let now = self.clock.now();
        let (name, provenance) = (client.id.clone(), origin.clone());
        let fetched = self
            .db
            .tx(move |conn| {
                let Some((token, proved)) = action_tokens::fetch_signed(conn, &name, id, now)? else {
                    return why_not(conn, &name, id).map(Err);
                };
                let event = Event {
                    user: Some(token.user),
                    client: Some(name),
                    subject: Some(id.to_string()),
                    detail: serde_json::json!({ "fetched": true }),
                    ..Event::new(EventKind::ResultRedeemed, now, &provenance)
                };
                audit::insert(conn, &event)?;
                let proved: Proved = serde_json::from_value(proved)
                    .map_err(|error| StorageError::corrupt("action_tokens", id, error))?;
                Ok(Ok((token, proved)))
            })
            .await?;
        match fetched {
            Ok((token, proved)) => Ok(Some(self.fetched(client, token, proved))),
            Err(None) => Ok(None),
            Err(Some(why)) => {
                let refused = Err(CeremonyError::Result(why.to_owned()));
                self.witness_result(client, id, refused, origin).await
            }
        }
    }

    fn fetched(&self, client: &Client, token: ActionToken, proved: Proved) -> ActionResultClaims {
        let signed_at = token.used_at.unwrap_or(token.created_at).timestamp();
        ActionResultClaims {
            iss: self.mint.issuer().to_owned(),
            sub: self.mint.subject_of(client, token.user),
            aud: client.id.as_str().into(),
            iat: signed_at,
            exp: signed_at + RESULT_LIFE.num_seconds(),
            jti: token.id.to_string(),
            action: token.action,
            action_token: token.id.to_string(),
            external_id: token.external_id,
            operation_hash: token.operation.as_ref().map(Operation::hash),
            operation: token.operation,
            credential: proved.credential,
            authentication: proved.authentication,
        }
    }

    /// Redeems the result of one of a client's tokens. A refusal is recorded in the audit trail.
    pub async fn redeem_result(
        &self,
        client: &Client,
        id: ActionTokenId,
        result: &str,
        origin: &Provenance,
    ) -> Result<ActionResultClaims, CeremonyError> {
        let redeemed = self.redeem(client, id, result, origin).await;
        self.witness_result(client, id, redeemed, origin).await
    }

    /// Passes the outcome of a result on; a refusal is first recorded.
    async fn witness_result<T>(
        &self,
        client: &Client,
        id: ActionTokenId,
        redeemed: Result<T, CeremonyError>,
        origin: &Provenance,
    ) -> Result<T, CeremonyError> {
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
        let redeemed = self
            .db
            .tx(move |conn| {
                if !action_tokens::redeem(conn, &name, id, jti, now)? {
                    return Ok(Err(why_not(conn, &name, id)?.unwrap_or("it is not the one result of its token")));
                }
                let user = action_tokens::get(conn, id)?.map(|token| token.user);
                let event = Event {
                    user,
                    client: Some(name),
                    subject: Some(id.to_string()),
                    ..Event::new(EventKind::ResultRedeemed, now, &origin)
                };
                audit::insert(conn, &event)?;
                Ok(Ok(()))
            })
            .await?;
        redeemed.map(|()| claims).map_err(refused)
    }
}

/// Why the result of a client's token is refused, described for the audit trail; `None` if there is no result yet.
fn why_not(conn: &mut PgConnection, client: &str, id: ActionTokenId) -> Result<Option<&'static str>, StorageError> {
    if action_tokens::was_redeemed(conn, client, id)? {
        return Ok(Some("it was redeemed before"));
    }
    let changed = action_tokens::person_changed(conn, client, id)?;
    Ok(changed.then_some("the account was disabled, or lost a passkey, since the token was made"))
}
