//! What their owner does with passkeys: list, rename, remove, lift a suspension.

use serde_json::json;

use super::Ceremonies;
use super::error::CeremonyError;
use super::signals::Signal;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::id::{PasskeyId, UserId};
use crate::domain::session::Session;
use crate::domain::text::DisplayName;
use crate::domain::user::User;
use crate::storage::credentials::{self, StoredPasskey};
use crate::storage::{audit, sessions, users};

/// A change of one passkey.
#[derive(Clone, Debug)]
pub enum Change {
    /// Another name.
    Rename(DisplayName),
    /// The suspension is lifted. Only by somebody who proved themselves with another passkey.
    Resume,
}

impl Ceremonies {
    /// A person's passkeys, oldest first, and what to tell their passkey managers.
    pub async fn passkeys_of(&self, user: &User) -> Result<(Vec<StoredPasskey>, Vec<Signal>), CeremonyError> {
        let owner = user.id;
        let passkeys = self.db.run(move |conn| credentials::of_users(conn, &[owner], None)).await?;
        let signals = Signal::all(user, &passkeys, []);
        Ok((passkeys, signals))
    }

    /// One of a person's passkeys.
    pub async fn passkey_of(&self, owner: UserId, id: PasskeyId) -> Result<StoredPasskey, CeremonyError> {
        let passkeys = self.db.run(move |conn| credentials::of_users(conn, &[owner], None)).await?;
        passkeys.into_iter().find(|passkey| passkey.id == id).ok_or(CeremonyError::NotFound)
    }

    /// Changes a passkey. Wants a fresh verification; somebody else's passkey is simply not there.
    pub async fn change(
        &self,
        session: &Session,
        id: PasskeyId,
        change: Change,
        origin: &Provenance,
    ) -> Result<StoredPasskey, CeremonyError> {
        self.require_fresh(session)?;
        if matches!(change, Change::Resume) && session.passkey == Some(id) {
            return Err(CeremonyError::NotFresh(self.policy.fresh_verification));
        }
        let (owner, session, now, origin) = (session.user, session.id, self.clock.now(), origin.clone());
        self.db
            .tx(move |conn| {
                let changed = match &change {
                    Change::Rename(name) => credentials::rename(conn, owner, id, name.as_str())?,
                    Change::Resume => credentials::resume(conn, owner, id)?,
                };
                let stored = credentials::of_users(conn, &[owner], None)?.into_iter().find(|passkey| passkey.id == id);
                let Some(stored) = stored.filter(|_| changed) else { return Ok(Err(CeremonyError::NotFound)) };
                let kind = match change {
                    Change::Rename(_) => EventKind::PasskeyRenamed,
                    Change::Resume => EventKind::PasskeyResumed,
                };
                let event = Event {
                    user: Some(owner),
                    session: Some(session),
                    subject: Some(id.to_string()),
                    subject_name: Some(stored.name.clone()),
                    ..Event::new(kind, now, &origin)
                };
                audit::insert(conn, &event)?;
                Ok(Ok(stored))
            })
            .await?
    }

    /// Removes a passkey, unless nothing would be left to sign in with. Wants a fresh verification.
    pub async fn remove(
        &self,
        session: &Session,
        id: PasskeyId,
        origin: &Provenance,
    ) -> Result<Vec<Signal>, CeremonyError> {
        self.require_fresh(session)?;
        let (owner, session, now, origin) = (session.user, session.id, self.clock.now(), origin.clone());
        self.db
            .tx(move |conn| {
                // The person's row is locked first, so that two parallel removals cannot leave nothing.
                let Some(user) = users::lock(conn, owner)? else { return Ok(Err(CeremonyError::NotSignedIn)) };
                let passkeys = credentials::of_users(conn, &[owner], None)?;
                let (gone, left): (Vec<_>, Vec<_>) = passkeys.into_iter().partition(|passkey| passkey.id == id);
                let Some(gone) = gone.into_iter().next() else { return Ok(Err(CeremonyError::NotFound)) };
                if !left.iter().any(|passkey| passkey.suspended_at.is_none()) {
                    return Ok(Err(CeremonyError::LastMethod));
                }
                credentials::delete(conn, owner, id)?;
                let ended = sessions::revoke_opened_by(conn, id, owner, Some(session), now)?;
                users::raise_epoch(conn, owner, now)?;
                let event = Event {
                    user: Some(owner),
                    session: Some(session),
                    subject: Some(id.to_string()),
                    subject_name: Some(gone.name),
                    detail: json!({ "sessionsEnded": ended }),
                    ..Event::new(EventKind::PasskeyRemoved, now, &origin)
                };
                audit::insert(conn, &event)?;
                Ok(Ok(Signal::all(&user, &left, [gone.rp_id])))
            })
            .await?
    }
}
