//! What comes of a trusted issuer's token: the person it means, and a session of their own for it.
//!
//! What must always hold: the token is used up, its person found or made, and the session opened in one transaction, so that
//! of many at once one counts and nothing is half done; the session is one factor of nothing (`acr` 0), its verification is
//! never fresh, and it lives no longer than what is issued in it.

use diesel::PgConnection;
use serde_json::{Map, Value};

use super::Believed;
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind};
use crate::domain::id::{SessionId, UserId};
use crate::domain::standard_claims::StandardClaims;
use crate::domain::text::Email;
use crate::domain::trust::{Mapping, Trust};
use crate::domain::user::{ADMINISTRATORS, User, UserStatus};
use crate::hooks::before::{Passed, Refusal};
use crate::storage::first_sessions::{ForeignSession, open_foreign};
use crate::storage::used_jti::{self, Kind, Spent};
use crate::storage::{StorageError, audit, people, users};

/// Longest `sub` of a foreign issuer.
const MAX_SUBJECT: usize = 255;

/// Somebody arrives with a token.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// What is believed of the issuer.
    pub trust: Trust,
    /// The issuer's name of the person.
    pub subject: String,
    /// The token's id, when it counts once, and from when on it is refused for its age.
    pub once: Option<(String, Time)>,
    /// The address that it proves.
    pub email: Option<Email>,
    /// What an account is made from.
    pub attributes: Map<String, Value>,
    /// The id of the account, where one is made.
    pub newcomer: UserId,
    /// Groups whose members may use the client; none: everybody may.
    pub members: Vec<String>,
    /// Whether administrators are refused, because what comes of it would be theirs as well.
    pub spares_administrators: bool,
    /// The session to open; none where only the person is wanted.
    pub session: Option<ForeignSession>,
    /// The event to write, but for whose it is.
    pub event: Event,
}

/// Who arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The person the token identifies.
    pub user: User,
    /// The session that was opened for them; without one, an id of nothing.
    pub session: SessionId,
    /// What hooks add to its tokens.
    pub hook_claims: Map<String, Value>,
}

/// Why nobody did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotArrived {
    /// The token was used before.
    #[error("the token was used before")]
    Replayed,
    /// A `sub` that is none of anybody.
    #[error("the subject of the token is too long, or not on one line")]
    Subject,
    /// It means nobody here.
    #[error("the token means nobody who has an account here")]
    Nobody,
    /// The account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// The person may not use the client.
    #[error("the person is not in a group that may use this client")]
    NotInGroup,
    /// An administrator, where nobody speaks for one.
    #[error("the person is an administrator, for whom no other issuer speaks")]
    Administrator,
    /// An account cannot be made of what it says.
    #[error("no account can be made: {0}")]
    NotMade(&'static str),
    /// A hook denied it or failed.
    #[error(transparent)]
    Hook(#[from] Refusal),
}

/// What the hooks said.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Whom they let in; none: nobody arrives, so they were not asked.
    pub(super) user: Option<UserId>,
    /// What they add.
    pub(super) passed: Passed,
}

/// Whom a token means.
enum Meant {
    /// Somebody whom the issuer's source knows by this `sub`.
    Known(User),
    /// Somebody with an address that it proves, to be linked.
    Unlinked(User),
    /// Nobody yet: an account is to be made.
    New,
}

impl Arrival {
    /// Of a token that is believed. `once` is its id and from when on it is refused for its age, when it counts once.
    pub fn new(
        believed: &Believed<'_>,
        once: Option<(String, Time)>,
        members: Vec<String>,
        session: Option<ForeignSession>,
        event: Event,
    ) -> Self {
        Self {
            trust: believed.trust.clone(),
            subject: believed.text("sub").unwrap_or_default().to_owned(),
            once,
            email: believed.trust.proven_email(&believed.claims),
            attributes: believed.trust.attributes_of(&believed.claims),
            newcomer: UserId::random(),
            members,
            spares_administrators: false,
            session,
            event,
        }
    }

    /// Uses the token up; `false` when it was used before.
    pub(super) fn spend(&self, conn: &mut PgConnection) -> Result<bool, StorageError> {
        let Some((jti, until)) = &self.once else { return Ok(true) };
        let signer = self.trust.issuer.clone();
        used_jti::spend(conn, &Spent { kind: Kind::TrustedToken, signer, jti: jti.clone(), expires_at: *until })
    }

    pub(super) fn settle(
        self,
        conn: &mut PgConnection,
        asked: Option<Asked>,
    ) -> Result<Result<Arrived, NotArrived>, StorageError> {
        // As for every id of another system: an export with any other could not be imported.
        if self.subject.len() > MAX_SUBJECT || self.subject.chars().any(char::is_control) {
            return Ok(Err(NotArrived::Subject));
        }
        if !self.spend(conn)? {
            return Ok(Err(NotArrived::Replayed));
        }
        let meant = match self.meant(conn)? {
            Ok(meant) => meant,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Err(refusal) = self.judge(conn, &meant)? {
            return Ok(Err(refusal));
        }
        let user = match meant {
            Meant::Known(user) => user,
            Meant::Unlinked(user) => {
                // Known by another name already: the address went from one person there to another. Or by as many systems as
                // anybody may be.
                if !people::link(conn, user.id, &self.trust.source, &self.subject)? {
                    return Ok(Err(NotArrived::Nobody));
                }
                user
            }
            Meant::New => match self.create(conn)? {
                Ok(user) => user,
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        if asked.as_ref().is_some_and(|asked| asked.user != Some(user.id)) {
            return Err(StorageError::Conflict { constraint: "hooks were asked about somebody else".to_owned() });
        }
        let passed = asked.unwrap_or_default().passed;
        let session = self.session.as_ref().map_or_else(SessionId::random, |session| session.id);
        if let Some(opened) = &self.session
            && !open_foreign(conn, user.id, opened, &passed.claims)?
        {
            return Ok(Err(NotArrived::Disabled));
        }
        let in_session = self.session.is_some().then_some(session);
        let mut event = Event { user: Some(user.id), session: in_session, ..self.event };
        passed.note_failed(&mut event);
        audit::insert(conn, &event)?;
        Ok(Ok(Arrived { user, session, hook_claims: passed.claims }))
    }

    /// Whom the token means. Nothing is written yet.
    fn meant(&self, conn: &mut PgConnection) -> Result<Result<Meant, NotArrived>, StorageError> {
        if let Some(user) = people::find_by_external_id(conn, &self.trust.source, &self.subject)? {
            return Ok(Ok(Meant::Known(user)));
        }
        Ok(match (self.trust.mapping, &self.email) {
            (Mapping::Create, _) => Ok(Meant::New),
            (Mapping::VerifiedEmail, Some(email)) => {
                let found = people::find_by_verified_email(conn, email.as_str())?;
                found.map(Meant::Unlinked).ok_or(NotArrived::Nobody)
            }
            (Mapping::VerifiedEmail, None) | (Mapping::Linked, _) => Err(NotArrived::Nobody),
        })
    }

    /// Whether they may come in: asked before anybody is linked or made, so that a refusal leaves nothing behind.
    fn judge(&self, conn: &mut PgConnection, meant: &Meant) -> Result<Result<(), NotArrived>, StorageError> {
        let (is_member, administers) = match meant {
            Meant::Known(user) | Meant::Unlinked(user) => {
                if user.status != UserStatus::Active {
                    return Ok(Err(NotArrived::Disabled));
                }
                let is_member = self.members.is_empty() || users::is_in_any(conn, user.id, &self.members)?;
                (is_member, self.spares_administrators && users::is_administrator(conn, user.id)?)
            }
            Meant::New => {
                let groups = &self.trust.groups;
                let is_member = self.members.is_empty() || groups.iter().any(|group| self.members.contains(group));
                (is_member, self.spares_administrators && groups.iter().any(|group| group == ADMINISTRATORS))
            }
        };
        if !is_member {
            return Ok(Err(NotArrived::NotInGroup));
        }
        Ok(if administers { Err(NotArrived::Administrator) } else { Ok(()) })
    }

    fn create(&self, conn: &mut PgConnection) -> Result<Result<User, NotArrived>, StorageError> {
        let Ok(claims) = StandardClaims::parse(&self.attributes) else {
            return Ok(Err(NotArrived::NotMade("its claims are not those of a person")));
        };
        if let Some(missing) = people::unknown_group(conn, &self.trust.groups)? {
            tracing::warn!(trusted_issuer = self.trust.name, group = missing, "a default group does not exist");
            return Ok(Err(NotArrived::NotMade("a default group does not exist")));
        }
        let id = self.newcomer;
        people::insert(conn, (id, &crate::random::bytes::<32>()), &claims, self.event.at)?;
        people::link(conn, id, &self.trust.source, &self.subject)?;
        people::set_groups(conn, id, &self.trust.groups)?
            .map_err(|name| StorageError::corrupt("groups", name, "it was there a moment ago"))?;
        let event = Event {
            kind: EventKind::UserCreated,
            user: Some(id),
            subject_name: Some(self.trust.name.clone()),
            detail: serde_json::json!({ "change": "created", "trusted_issuer": self.trust.name }),
            ..self.event.clone()
        };
        audit::insert(conn, &event)?;
        let made = users::find(conn, id)?;
        made.map(Ok).ok_or_else(|| StorageError::corrupt("users", id, "it was just made and is gone"))
    }
}
