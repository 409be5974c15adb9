//! What owners do with their passkeys: list, rename, remove, lift a suspension.

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

/// A change to a passkey.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new name.
    Rename(DisplayName),
    /// Lifts the suspension. Requires that the person was verified with another passkey.
    Resume,
}

impl Ceremonies {
    /// The RP IDs that are configured.
    pub(super) fn rp_ids(&self) -> RpIds {
        RpIds::of(&self.profiles)
    }

    /// The names of a person's imported passkeys that cannot be used, and that they should register again.
    pub async fn unusable_of(&self, owner: UserId) -> Result<Vec<String>, CeremonyError> {
        Ok(self.db.run(move |conn| unusable_passkeys::to_make_anew(conn, owner)).await?)
    }

    /// A person's passkeys, oldest first, and the signals for their passkey managers.
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

    /// Changes a passkey. Requires a fresh verification; somebody else's passkey is reported as not found.
    pub async fn change(
        &self,
        session: &Session,
        id: PasskeyId,
        change: Change,
        origin: &Provenance,
    ) -> Result<StoredPasskey, CeremonyError> {
        self.require_fresh(session)?;
        // The other passkey must be known: it is not, for an access token that is older than its session's last
        // sign-in.
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

    /// Removes a passkey, unless nothing would be left to sign in with. Requires a fresh verification.
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

/// The RP IDs that people sign in under.
#[derive(Clone, Debug)]
pub(super) struct RpIds(Vec<String>);

impl RpIds {
    /// The RP IDs of these profiles.
    pub(super) fn of(profiles: &RelyingParties) -> Self {
        Self(profiles.iter().map(|party| party.rp_id.clone()).collect())
    }

    /// Whether a passkey belongs to one of them. Passkeys of another RP ID cannot be used: it was given up, or is not
    /// configured yet.
    fn serve(&self, passkey: &StoredPasskey) -> bool {
        self.0.contains(&passkey.rp_id)
    }

    /// The number of passkeys that belong to one of them, including suspended ones.
    pub(super) fn count(&self, passkeys: &[StoredPasskey]) -> usize {
        passkeys.iter().filter(|passkey| self.serve(passkey)).count()
    }

    /// The number of those that can be used to sign in.
    fn ways_in(&self, passkeys: &[StoredPasskey]) -> usize {
        passkeys.iter().filter(|passkey| self.serve(passkey) && passkey.suspended_at.is_none()).count()
    }
}

/// A passkey that may be removed; its owner's row is locked.
pub(super) struct Removal {
    owner: User,
    pub(super) gone: StoredPasskey,
    left: Vec<StoredPasskey>,
}

impl Removal {
    /// The signals for the passkey managers afterwards.
    pub(super) fn signals(&self) -> Vec<Signal> {
        Signal::all(&self.owner, &self.left, [self.gone.rp_id.clone()])
    }
}

/// Checks whether a passkey may be removed: it belongs to the owner, and is not their last way to sign in, unless they
/// have one `elsewhere`. The person's row is locked first, so that two concurrent removals cannot leave nothing.
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

/// Removes it, and ends the sessions that it opened except `spared`. Returns how many ended.
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
