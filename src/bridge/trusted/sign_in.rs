//! The result of a trusted issuer's token: the person whom it identifies, and a session for them.
//!
//! What must always hold: the token is used up, its person found or created, and the session opened in one transaction,
//! so that of many simultaneous attempts one succeeds and nothing is left half done; the session counts as no
//! authentication factor (`acr` 0), its verification is never fresh, and it lives no longer than what is issued in it.

use diesel::PgConnection;
use serde_json::{Map, Value};

use super::Believed;
use crate::clock::Time;
use crate::domain::attributes::AttributeError;
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

/// The maximum length of a foreign issuer's `sub`, in bytes.
const MAX_SUBJECT: usize = 255;

/// A person who arrives with a token.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// How much the issuer is trusted.
    pub trust: Trust,
    /// The person's `sub` at the issuer.
    pub subject: String,
    /// The token's ID, if it is single use, and the time from which it is refused as expired.
    pub once: Option<(String, Time)>,
    /// The e-mail address that it verifies.
    pub email: Option<Email>,
    /// What a new account is created from.
    pub attributes: Map<String, Value>,
    /// What it says about the person's attributes, as changes to them.
    pub custom_attributes: Map<String, Value>,
    /// When it was issued.
    pub issued_at: Option<Time>,
    /// The ID of the account, if one is created.
    pub newcomer: UserId,
    /// Groups whose members may use the client; empty if everybody may.
    pub members: Vec<String>,
    /// Whether administrators are refused, because they would own the result as well.
    pub spares_administrators: bool,
    /// The session to open; `None` if only the person is needed.
    pub session: Option<ForeignSession>,
    /// The event to write, without its user.
    pub event: Event,
}

/// The person who was let in.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The person the token identifies.
    pub user: User,
    /// Their new session; without one, an unused ID.
    pub session: SessionId,
    /// What hooks add to the tokens of the session.
    pub hook_claims: Map<String, Value>,
}

/// Why nobody was let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotArrived {
    /// The token was used before.
    #[error("the token was used before")]
    Replayed,
    /// A malformed `sub`.
    #[error("the subject of the token is too long, or not on one line")]
    Subject,
    /// It identifies nobody here.
    #[error("the token means nobody who has an account here")]
    Nobody,
    /// The account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// The person may not use the client.
    #[error("the person is not in a group that may use this client")]
    NotInGroup,
    /// An administrator, for whom no issuer may vouch.
    #[error("the person is an administrator, for whom no other issuer speaks")]
    Administrator,
    /// An account cannot be created from the token.
    #[error("no account can be made: {0}")]
    NotMade(&'static str),
    /// A told attribute has no value that an attribute can have, or does not fit beside the person's others.
    #[error("what the token tells of the person: {0}")]
    Attributes(#[from] AttributeError),
    /// A hook denied it, or failed.
    #[error(transparent)]
    Hook(#[from] Refusal),
}

/// The answers of the hooks.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Whom they let in; `None` if nobody would arrive, so that they were not asked.
    pub(super) user: Option<UserId>,
    /// What they add.
    pub(super) passed: Passed,
}

/// Whom a token identifies.
enum Meant {
    /// A person with this `sub` in the issuer's source.
    Known(User),
    /// A person with the e-mail address that the token verifies, who is to be linked.
    Unlinked(User),
    /// Nobody yet: an account is to be created.
    New,
}

impl Arrival {
    /// For a verified token. `once` is its ID and the time from which it is refused as expired, if it is single use.
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
            custom_attributes: believed.trust.custom_attributes_of(&believed.claims),
            issued_at: believed.seconds("iat").and_then(|seconds| Time::from_timestamp(seconds, 0)),
            newcomer: UserId::random(),
            members,
            spares_administrators: false,
            session,
            event,
        }
    }

    /// Uses the token up; `false` if it was used before.
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
        // The same limits as for every external ID: otherwise an export could not be imported.
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
            Meant::Known(user) => self.tell(conn, user)?,
            Meant::Unlinked(user) => self.link(conn, user)?,
            Meant::New => self.create(conn)?,
        };
        let user = match user {
            Ok(user) => user,
            Err(refusal) => return Ok(Err(refusal)),
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

    /// Whom the token identifies. Nothing is written yet.
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

    /// Whether they may be let in. Checked before anybody is linked or created, so that a refusal leaves nothing
    /// behind.
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

    /// Links a person who has an account, and stores what the token says about them.
    fn link(&self, conn: &mut PgConnection, user: User) -> Result<Result<User, NotArrived>, StorageError> {
        // A refusal leaves no link behind.
        if let Err(refusal) = self.told_attributes(&user) {
            return Ok(Err(refusal));
        }
        // Without a link, the person is already linked to another `sub` of this source, so the address has moved from
        // one person there to another; or they have as many external IDs as anybody may have.
        if !people::link(conn, user.id, &self.trust.source, &self.subject)? {
            return Ok(Err(NotArrived::Nobody));
        }
        self.tell(conn, user)
    }

    fn create(&self, conn: &mut PgConnection) -> Result<Result<User, NotArrived>, StorageError> {
        let Ok(claims) = StandardClaims::parse(&self.attributes) else {
            return Ok(Err(NotArrived::NotMade("its claims are not those of a person")));
        };
        if let Some(missing) = people::unknown_group(conn, &self.trust.groups)? {
            tracing::warn!(trusted_issuer = self.trust.name, group = missing, "a default group does not exist");
            return Ok(Err(NotArrived::NotMade("a default group does not exist")));
        }
        let attributes = match self.first_attributes() {
            Ok(attributes) => attributes,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let id = self.newcomer;
        people::insert(conn, (id, &crate::random::bytes::<32>()), &claims, self.event.at)?;
        if !attributes.is_empty() {
            people::set_attributes(conn, id, &attributes, self.event.at)?;
        }
        people::link(conn, id, &self.trust.source, &self.subject)?;
        self.record_told(conn)?;
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
