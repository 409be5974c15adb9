//! Action tokens: a trusted backend lets one of its people enrol, sign in, step up, or manage passkeys, once.
//!
//! What must always hold: a token is looked at, counted when a ceremony begins, and used up by the statement or transaction
//! that does what it permits, so that a cancelled prompt loses nothing and one of many answers wins; whatever is refused is
//! written down with its reason; an action opens no session of ours, and its result is for the backend alone.
//!
//! To add an action: a variant of [`Action`], and either a ceremony ([`enrol`], [`prove`]) or a deed of its own
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

/// A request that proves its right by an action token.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The token; none when what came has not even the form of one.
    pub token: Option<&'a PlainToken>,
    /// The request's `Origin`.
    pub origin: Option<&'a str>,
    /// Who is signed in in the browser that sent it.
    pub session: Option<UserId>,
    /// Where it comes from.
    pub provenance: &'a Provenance,
}

/// A token that may be used, with whom it concerns.
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
    /// What an action token is for, and for whom, without using it: for the page that asks the person.
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

    /// The token of a request, in whatever state.
    async fn token_of(&self, presented: &Presented<'_>) -> Result<Option<ActionToken>, CeremonyError> {
        let Some(digest) = presented.token.map(PlainToken::digest) else { return Ok(None) };
        Ok(self.db.run(move |conn| action_tokens::find(conn, &digest)).await?)
    }

    /// Whether it may be used for one of these actions, from here, for its person.
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

    /// The relying party of a token. The page that begins must be one of its own.
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

    /// When a ceremony of a token ends: never after the token.
    fn deadline_of(&self, token: &ActionToken) -> Time {
        (self.clock.now() + self.policy.challenge_ttl).min(token.expires_at)
    }

    /// Passes a result on; a token that is refused is first written down, with the reason.
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
    /// SHA-256 of the passkey's credential id, base64url.
    credential: String,
    /// What the ceremony proved.
    #[serde(flatten)]
    authentication: Authentication,
}

/// A person as far as tokens about them ask.
struct Standing {
    user: User,
    administers: bool,
    may_use: bool,
}

impl Standing {
    /// That of somebody at a client for the members of these groups; none: it is for everybody.
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

/// The event of something that a backend permitted. Its client acts for the person (RFC 8693 §4.1 has the word).
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
        // As administration by the command line is written down.
        None => detail["by"] = json!(COMMAND_LINE),
    }
    detail
}

/// Uses a token up in a transaction, or says why that cannot be.
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
