//! Listing and removing passkeys with a backend's permission.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::Ceremonies;
use super::super::error::CeremonyError;
use super::super::management::{removable, take_away};
use super::super::signals::Signal;
use super::{Permitted, Presented, acted, consume, event_of};
use crate::domain::action::{Action, ActionRefusal, ActionToken};
use crate::domain::audit::{Event, EventKind};
use crate::domain::id::PasskeyId;
use crate::storage::credentials::{self, StoredPasskey};
use crate::storage::{audit, users};

impl Ceremonies {
    /// The passkeys of a token's person, once.
    pub async fn list_by_action(
        &self,
        presented: Presented<'_>,
    ) -> Result<(Vec<StoredPasskey>, Vec<Signal>), CeremonyError> {
        let token = self.token_of(&presented).await?;
        let listed = self.listing(token.as_ref(), &presented).await;
        self.witness_action(token.as_ref(), listed, &presented).await
    }

    async fn listing(
        &self,
        token: Option<&ActionToken>,
        presented: &Presented<'_>,
    ) -> Result<(Vec<StoredPasskey>, Vec<Signal>), CeremonyError> {
        let Permitted { token, user, .. } = self.permitted(token, presented, &[Action::List]).await?;
        let (now, provenance) = (self.clock.now(), presented.provenance.clone());
        let owner = user.id;
        let passkeys = self
            .db
            .tx(move |conn| {
                if let Err(refusal) = consume(conn, &token, None, now)? {
                    return Ok(Err(refusal));
                }
                audit::insert(conn, &event_of(EventKind::ActionTokenUsed, &token, now, &provenance))?;
                Ok(Ok(credentials::of_users(conn, &[owner], None)?))
            })
            .await??;
        let signals = Signal::all(&user, &passkeys, []);
        Ok((passkeys, signals))
    }

    /// Removes a passkey of a token's person, and ends the sessions that it opened. It may be the last one, if the
    /// person has another way to sign in: the system that asks, which knows them by an ID of its own.
    pub async fn remove_by_action(
        &self,
        presented: Presented<'_>,
        id: PasskeyId,
    ) -> Result<Vec<Signal>, CeremonyError> {
        let token = self.token_of(&presented).await?;
        let removed = self.removal(token.as_ref(), &presented, id).await;
        self.witness_action(token.as_ref(), removed, &presented).await
    }

    async fn removal(
        &self,
        token: Option<&ActionToken>,
        presented: &Presented<'_>,
        id: PasskeyId,
    ) -> Result<Vec<Signal>, CeremonyError> {
        let Permitted { token, user, .. } = self.permitted(token, presented, &[Action::Delete]).await?;
        let (now, provenance, owner) = (self.clock.now(), presented.provenance.clone(), user.id);
        let rp_ids = self.rp_ids();
        self.db
            .tx(move |conn| {
                // Lock → decide → write: a concurrent removal changes what may be removed here.
                let Some(locked) = users::lock(conn, owner)? else { return Ok(Err(ActionRefusal::Person.into())) };
                let administers = users::is_administrator(conn, owner)?;
                if let Err(refusal) = token.judge_person(&locked, administers) {
                    return Ok(Err(refusal.into()));
                }
                let elsewhere = is_known_elsewhere(&token, &users::external_ids_of(conn, owner)?);
                let removal = match removable(conn, owner, id, &rp_ids, elsewhere)? {
                    Ok(removal) => removal,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                if let Err(refusal) = consume(conn, &token, None, now)? {
                    return Ok(Err(refusal.into()));
                }
                let ended = take_away(conn, &removal, None, now)?;
                let mut detail = acted(&token);
                detail["sessionsEnded"] = json!(ended);
                let event = Event {
                    user: Some(owner),
                    client: Some(token.client.clone()),
                    subject: Some(id.to_string()),
                    subject_name: Some(removal.gone.name.clone()),
                    detail,
                    ..Event::new(EventKind::PasskeyRemoved, now, &provenance)
                };
                audit::insert(conn, &event)?;
                Ok(Ok(removal.signals()))
            })
            .await?
    }
}

/// Whether the system behind a token knows its person by an ID of its own. The IDs of other systems do not count,
/// because the token's system cannot say whether the person can still sign in there.
fn is_known_elsewhere(token: &ActionToken, names: &BTreeMap<String, String>) -> bool {
    let called_by = token.external_id.as_ref().map(|id| id.source.as_str());
    names.keys().any(|source| *source == token.client || Some(source.as_str()) == called_by)
}
