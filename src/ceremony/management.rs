//! What their owner does with passkeys: list, rename, remove, lift a suspension.

use diesel::PgConnection;
use serde_json::json;

use super::Ceremonies;
use super::error::CeremonyError;
use super::relying_party::RelyingParties;
use super::signals::Signal;
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::id::{PasskeyId, SessionId, UserId};
use crate::domain::session::Session;
use crate::domain::text::DisplayName;
use crate::domain::user::User;
use crate::storage::credentials::{self, StoredPasskey};
use crate::storage::{StorageError, audit, sessions, unusable_passkeys, users};

/// A change of one passkey.
#[derive(Clone, Debug)]
pub enum Change {
    /// Another name.
    Rename(DisplayName),
    /// The suspension is lifted. Only by somebody who proved themselves with another passkey.
    Resume,
}

impl Ceremonies {
    /// The RP ids that are configured.
    pub(super) fn rp_ids(&self) -> RpIds {
        RpIds::of(&self.profiles)
    }

    /// Names of a person's imported passkeys that cannot be used and that they should make anew.
    pub async fn unusable_of(&self, owner: UserId) -> Result<Vec<String>, CeremonyError> {
        Ok(self.db.run(move |conn| unusable_passkeys::to_make_anew(conn, owner)).await?)
    }

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
        // By another one that is known: of an access token that is older than its session's last sign-in it is not.
        if matches!(change, Change::Resume) && session.passkey.is_none_or(|used| used == id) {
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
        let rp_ids = self.rp_ids();
        self.db
            .tx_at_length(move |conn| {
                let removal = match removable(conn, owner, id, &rp_ids, false)? {
                    Ok(removal) => removal,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let ended = take_away(conn, &removal, Some(session), now)?;
                let event = Event {
                    user: Some(owner),
                    session: Some(session),
                    subject: Some(id.to_string()),
                    subject_name: Some(removal.gone.name.clone()),
                    detail: json!({ "sessionsEnded": ended }),
                    ..Event::new(EventKind::PasskeyRemoved, now, &origin)
                };
                audit::insert(conn, &event)?;
                Ok(Ok(removal.signals()))
            })
            .await?
    }
}

/// The RP ids that people sign in under.
#[derive(Clone, Debug)]
pub(super) struct RpIds(Vec<String>);

impl RpIds {
    /// Those of these profiles.
    pub(super) fn of(profiles: &RelyingParties) -> Self {
        Self(profiles.iter().map(|party| party.rp_id.clone()).collect())
    }

    /// Whether a passkey is for one of them. Passkeys of another one sign nobody in: it was given up, or waits to be configured.
    fn serve(&self, passkey: &StoredPasskey) -> bool {
        self.0.contains(&passkey.rp_id)
    }

    /// How many passkeys are for one of them, paused ones too.
    pub(super) fn count(&self, passkeys: &[StoredPasskey]) -> usize {
        passkeys.iter().filter(|passkey| self.serve(passkey)).count()
    }

    /// How many of them sign their owner in.
    fn ways_in(&self, passkeys: &[StoredPasskey]) -> usize {
        passkeys.iter().filter(|passkey| self.serve(passkey) && passkey.suspended_at.is_none()).count()
    }
}

/// A passkey that may be removed, its owner's row locked.
pub(super) struct Removal {
    owner: User,
    pub(super) gone: StoredPasskey,
    left: Vec<StoredPasskey>,
}

impl Removal {
    /// What to tell the passkey managers afterwards.
    pub(super) fn signals(&self) -> Vec<Signal> {
        Signal::all(&self.owner, &self.left, [self.gone.rp_id.clone()])
    }
}

/// Whether a passkey may be removed: it is its owner's, and not their last way in, unless they have one `elsewhere`. The
/// person's row is locked first, so that two parallel removals cannot leave nothing.
pub(super) fn removable(
    conn: &mut PgConnection,
    owner: UserId,
    id: PasskeyId,
    rp_ids: &RpIds,
    elsewhere: bool,
) -> Result<Result<Removal, CeremonyError>, StorageError> {
    let Some(owner) = users::lock(conn, owner)? else { return Ok(Err(CeremonyError::NotSignedIn)) };
    let passkeys = credentials::of_users(conn, &[owner.id], None)?;
    let (gone, left): (Vec<_>, Vec<_>) = passkeys.into_iter().partition(|passkey| passkey.id == id);
    let Some(gone) = gone.into_iter().next() else { return Ok(Err(CeremonyError::NotFound)) };
    if !elsewhere && rp_ids.ways_in(&left) == 0 {
        return Ok(Err(CeremonyError::LastMethod));
    }
    Ok(Ok(Removal { owner, gone, left }))
}

/// Removes it, and ends the sessions that it opened but `spared`; gives how many.
pub(super) fn take_away(
    conn: &mut PgConnection,
    removal: &Removal,
    spared: Option<SessionId>,
    now: Time,
) -> Result<usize, StorageError> {
    let (owner, id) = (removal.owner.id, removal.gone.id);
    credentials::delete(conn, owner, id, now)?;
    let ended = sessions::revoke_opened_by(conn, id, owner, spared, now)?;
    users::raise_epoch(conn, owner, now)?;
    Ok(ended)
}
