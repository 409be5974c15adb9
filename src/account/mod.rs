//! Self-service for users: their profile, sessions, consents and activity.
//!
//! What must always hold: every lookup includes the owner's ID, so that another user's object is simply not found;
//! ending a session ends everything that was issued in it.

pub mod consents;
pub mod guards;
pub mod handlers;
pub mod page_tokens;
pub mod views;

use std::sync::Arc;

use crate::clock::{Clock, Time};
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::id::SessionId;
use crate::domain::secret::TokenDigest;
use crate::domain::session::{Session, SessionLifetimes};
use crate::domain::user::User;
use crate::hooks::shown::Shown;
use crate::logout::backchannel;
use crate::outbox::Outbox;
use crate::storage::sessions::{LiveOfToken, TokenIds};
use crate::storage::{Db, StorageError, audit, hook_results, sessions};

/// The state of this room.
pub struct Accounts {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// The lifetimes of sessions.
    pub lifetimes: SessionLifetimes,
    /// Notifies apps of ended sessions.
    pub outbox: Arc<Outbox>,
}

/// How long a sign-out waits at most for the apps to be notified.
const TELL_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

impl Accounts {
    /// The active session of a cookie, and its owner. Extends the session if the last extension is long enough ago to
    /// justify a write.
    pub async fn by_cookie(&self, cookie: TokenDigest) -> Result<Option<(Session, User)>, StorageError> {
        let (now, lifetimes) = (self.clock.now(), self.lifetimes);
        self.db
            .run(move |conn| {
                let found = sessions::find_live(conn, &cookie, now)?;
                if let Some((session, _)) = &found
                    && let Some(expires_at) = session.slide(now, lifetimes)
                {
                    sessions::slide(conn, session.id, now, expires_at)?;
                }
                Ok(found)
            })
            .await
    }

    /// The active session of a verified access token, and its owner; `None` if the token was revoked.
    pub async fn by_token(&self, token: TokenIds) -> Result<Option<(Session, User)>, StorageError> {
        let now = self.clock.now();
        self.db.ask(LiveOfToken { token, now }).await
    }

    /// A user's active sessions, most recently used first.
    pub async fn sessions_of(&self, user: &User) -> Result<Vec<Session>, StorageError> {
        let (owner, now) = (user.id, self.clock.now());
        self.db.run(move |conn| sessions::live_of(conn, owner, now)).await
    }

    /// The latest events on a user's account, newest first.
    pub async fn activity_of(&self, user: &User, most: i64) -> Result<Vec<audit::Seen>, StorageError> {
        let owner = user.id;
        self.db.run(move |conn| audit::newest_of(conn, owner, most)).await
    }

    /// What hooks asked to show a user after a sign-in, with the time of each. Entries that can no longer be read are
    /// left out.
    pub async fn said_to(&self, user: &User) -> Result<Vec<(Shown, Time)>, StorageError> {
        let owner = user.id;
        let rows = self.db.run(move |conn| hook_results::of_user(conn, owner)).await?;
        Ok(rows.into_iter().filter_map(|(result, at)| Some((serde_json::from_value(result).ok()?, at))).collect())
    }

    /// Signs out.
    pub async fn sign_out(&self, session: &Session, origin: &Provenance) -> Result<(), StorageError> {
        self.end(session, session.id, EventKind::SignedOut, origin).await?;
        self.outbox.wake();
        Ok(())
    }

    /// Signs out, and attempts to notify the apps of the session before the browser continues: a user who returns to an
    /// app at once should find themselves signed out there. The wait is limited; a slow app is notified later.
    pub async fn sign_out_and_tell(&self, session: &Session, origin: &Provenance) -> Result<(), StorageError> {
        self.end(session, session.id, EventKind::SignedOut, origin).await?;
        self.outbox.attempt_now(&backchannel::lanes_of(session.id), TELL_WITHIN).await;
        Ok(())
    }

    /// Ends another session of the same user. Returns `false` if there is no such active session.
    pub async fn revoke(&self, session: &Session, other: SessionId, origin: &Provenance) -> Result<bool, StorageError> {
        let ended = self.end(session, other, EventKind::SessionRevoked, origin).await?;
        self.outbox.wake();
        Ok(ended)
    }

    async fn end(
        &self,
        session: &Session,
        ended: SessionId,
        kind: EventKind,
        origin: &Provenance,
    ) -> Result<bool, StorageError> {
        let now = self.clock.now();
        let owner = session.user;
        let event = about(session, ended, kind, now, origin);
        self.db
            .tx(move |conn| {
                let done = sessions::revoke(conn, owner, ended, now)?;
                if done {
                    audit::insert(conn, &event)?;
                }
                Ok(done)
            })
            .await
    }

    /// Ends every session except this one. Returns how many were ended.
    pub async fn revoke_others(&self, session: &Session, origin: &Provenance) -> Result<usize, StorageError> {
        let now = self.clock.now();
        let (session, origin) = (session.clone(), origin.clone());
        let ended = self
            .db
            .tx_at_length(move |conn| {
                let ended = sessions::revoke_others(conn, session.user, Some(session.id), now)?;
                let about = |id: &SessionId| about(&session, *id, EventKind::SessionRevoked, now, &origin);
                audit::insert_all(conn, &ended.iter().map(about).collect::<Vec<_>>())?;
                Ok(ended.len())
            })
            .await?;
        self.outbox.wake();
        Ok(ended)
    }
}

fn about(session: &Session, subject: SessionId, kind: EventKind, now: Time, origin: &Provenance) -> Event {
    Event {
        user: Some(session.user),
        session: Some(session.id),
        client: session.client.clone(),
        subject: Some(subject.to_string()),
        ..Event::new(kind, now, origin)
    }
}
