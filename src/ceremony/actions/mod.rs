//! Action tokens: a trusted backend permits one of its people to enrol, sign in, step up, sign, or manage passkeys,
//! once.
//!
//! What must always hold: a token is checked, counted when a ceremony begins, and used up by the statement or
//! transaction that does what it permits, so that a cancelled prompt loses nothing and one of many answers succeeds;
//! every refusal is recorded with its reason; an action opens no session of ours, and its result is for the backend
//! alone.
//!
//! To add an action: a variant of [`Action`], and either a ceremony ([`enrol`], [`prove`]) or an operation of its own
//! ([`manage`]).

mod enrol;
mod link;
mod make;
mod manage;
mod prove;
mod redeem;

use std::sync::Arc;

use diesel::PgConnection;
pub use link::{EnrolmentLink, enrolment_link};
pub use make::{Made, NewAction, Rights, Whom};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Ceremonies;
use super::error::CeremonyError;
use super::relying_party::RelyingParty;
use super::state::Permit;
use crate::clock::Time;
use crate::domain::action::{Action, ActionRefusal, ActionToken, COMMAND_LINE};
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::Client;
use crate::domain::id::UserId;
use crate::domain::secret::PlainToken;
use crate::domain::user::User;
use crate::storage::{StorageError, action_tokens, credentials, users};
use crate::tokens::claims::Authentication;

/// A request that is authorized by an action token.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The token; `None` if what was sent is malformed.
    pub token: Option<&'a PlainToken>,
    /// The request's `Origin`.
    pub origin: Option<&'a str>,
    /// The person who is signed in in the browser that sent it.
    pub session: Option<UserId>,
    /// Where the request came from.
    pub provenance: &'a Provenance,
}

/// A token that may be used, with its client and its person.
pub(super) struct Permitted {
    token: ActionToken,
    client: Arc<Client>,
    user: User,
}

impl Permitted {
    fn permit(&self) -> Permit {
        Permit {
            token: self.token.id,
            action: self.token.action,
            user: self.user.id,
            origin: self.token.origin.clone(),
        }
    }
}

impl Ceremonies {
    /// The purpose and the person of an action token, without using it: for the page that asks the person.
    pub async fn look_at_action(
        &self,
        presented: Presented<'_>,
        actions: &[Action],
    ) -> Result<(ActionToken, Arc<Client>, User), CeremonyError> {
        let token = self.token_of(&presented).await?;
        let looked = self.permitted(token.as_ref(), &presented, actions).await;
        let permitted = self.witness_action(token.as_ref(), looked, &presented).await?;
        let ready = self.would_begin(&permitted, presented.origin).await;
        self.witness_action(token.as_ref(), ready, &presented).await?;
        Ok((permitted.token, permitted.client, permitted.user))
    }

    /// Whether a ceremony could begin now.
    async fn would_begin(&self, permitted: &Permitted, origin: Option<&str>) -> Result<(), CeremonyError> {
        let (token, owner) = (&permitted.token, permitted.user.id);
        token.judge_begin(self.clock.now())?;
        let party = self.party_of(token, origin)?;
        if token.action == Action::Enrol {
            let existing = self.db.run(move |conn| credentials::of_users(conn, &[owner], None)).await?;
            token.judge_enrolment(&permitted.client, self.rp_ids().count(&existing))?;
        }
        if token.action == Action::Sign && self.listed_of(vec![owner], &party.rp_id).await?.is_empty() {
            return Err(CeremonyError::NoPasskeyYet);
        }
        Ok(())
    }

    /// The token of a request, in any state.
    async fn token_of(&self, presented: &Presented<'_>) -> Result<Option<ActionToken>, CeremonyError> {
        let Some(digest) = presented.token.map(PlainToken::digest) else { return Ok(None) };
        Ok(self.db.run(move |conn| action_tokens::find(conn, &digest)).await?)
    }

    /// Checks whether the token may be used for one of these actions, from this origin, for its person.
    async fn permitted(
        &self,
        token: Option<&ActionToken>,
        presented: &Presented<'_>,
        actions: &[Action],
    ) -> Result<Permitted, CeremonyError> {
        let token = token.ok_or(ActionRefusal::Unknown)?.clone();
        let client = self.client_behind(&token.client).ok_or(ActionRefusal::Client)?;
        token.judge_use(actions, &client, presented.origin, self.mint.issuer())?;
        token.judge(self.clock.now())?;
        if presented.session.is_some_and(|signed_in| signed_in != token.user) {
            return Err(ActionRefusal::Session.into());
        }
        let (owner, groups) = (token.user, client.definition.allowed_groups.clone());
        let found = self.db.run(move |conn| Standing::of(conn, owner, &groups)).await?;
        let standing = found.ok_or(ActionRefusal::Person)?;
        standing.judge(&token)?;
        Ok(Permitted { token, client, user: standing.user })
    }

    /// The relying party of a token. The page that begins the ceremony must be one of its own.
    fn party_of(&self, token: &ActionToken, origin: Option<&str>) -> Result<&RelyingParty, CeremonyError> {
        let party = self.profiles.named(&token.relying_party).ok_or(CeremonyError::NoSuchRelyingParty)?;
        match origin {
            Some(origin) if !party.has_origin(origin) => Err(ActionRefusal::RelyingParty.into()),
            _ => Ok(party),
        }
    }

    /// Counts a ceremony that begins with a token.
    async fn reserve(&self, token: &ActionToken) -> Result<(), CeremonyError> {
        let (id, now) = (token.id, self.clock.now());
        let (counted, after) = self
            .db
            .run(move |conn| Ok((action_tokens::reserve(conn, id, now)?, action_tokens::get(conn, id)?)))
            .await?;
        if counted {
            return Ok(());
        }
        Err(after.and_then(|token| token.judge_begin(now).err()).unwrap_or(ActionRefusal::Unknown).into())
    }

    /// When a ceremony of a token ends: never after the token expires.
    fn deadline_of(&self, token: &ActionToken) -> Time {
        (self.clock.now() + self.policy.challenge_ttl).min(token.expires_at)
    }

    /// Passes a result on; the refusal of a token is first recorded, with the reason.
    async fn witness_action<T>(
        &self,
        token: Option<&ActionToken>,
        result: Result<T, CeremonyError>,
        presented: &Presented<'_>,
    ) -> Result<T, CeremonyError> {
        let Err(CeremonyError::Action(refusal)) = &result else { return result };
        let mut event = Event::new(EventKind::ActionTokenRefused, self.clock.now(), presented.provenance);
        event.detail = json!({ "reason": refusal.to_string() });
        if let Some(token) = token {
            event.user = Some(token.user);
            event.client = token.audited_client();
            event.subject = Some(token.id.to_string());
            event.detail["action"] = token.action.as_str().into();
        }
        self.db.ask(event).await?;
        result
    }
}

/// What a signature proved, kept until the backend fetches it.
#[derive(Serialize, Deserialize)]
struct Proved {
    /// SHA-256 of the passkey's credential ID, base64url.
    credential: String,
    /// The authentication that the ceremony achieved.
    #[serde(flatten)]
    authentication: Authentication,
}

/// The facts about a person on which tokens for them depend.
struct Standing {
    user: User,
    administers: bool,
    may_use: bool,
}

impl Standing {
    /// Reads them, for a client whose use is restricted to these groups; empty if it is not.
    fn of(conn: &mut PgConnection, id: UserId, groups: &[String]) -> Result<Option<Self>, StorageError> {
        let Some(user) = users::find(conn, id)? else { return Ok(None) };
        let administers = users::is_administrator(conn, id)?;
        Ok(Some(Self { user, administers, may_use: groups.is_empty() || users::is_in_any(conn, id, groups)? }))
    }

    fn judge(&self, token: &ActionToken) -> Result<(), ActionRefusal> {
        token.judge_person(&self.user, self.administers)?;
        token.judge_member(self.may_use)
    }
}

/// The event of something that a backend permitted. Its client is the actor for the person (RFC 8693 §4.1).
fn event_of(kind: EventKind, token: &ActionToken, now: Time, origin: &Provenance) -> Event {
    Event {
        user: Some(token.user),
        client: token.audited_client(),
        subject: Some(token.id.to_string()),
        detail: acted(token),
        ..Event::new(kind, now, origin)
    }
}

fn acted(token: &ActionToken) -> Value {
    let mut detail = json!({ "action": token.action.as_str(), "actionToken": token.id.to_string() });
    match token.audited_client() {
        Some(client) => detail["act"] = json!({ "client": client }),
        // Recorded like administration on the command line.
        None => detail["by"] = json!(COMMAND_LINE),
    }
    detail
}

/// Uses a token up in a transaction, or returns the reason why it cannot be used.
fn consume(
    conn: &mut PgConnection,
    token: &ActionToken,
    result: Option<uuid::Uuid>,
    now: Time,
) -> Result<Result<(), ActionRefusal>, StorageError> {
    if action_tokens::consume(conn, token.id, result, now)? {
        return Ok(Ok(()));
    }
    let after = action_tokens::get(conn, token.id)?;
    Ok(Err(after.and_then(|token| token.judge(now).err()).unwrap_or(ActionRefusal::Unknown)))
}
