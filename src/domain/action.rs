//! Action tokens: a trusted backend's permission for one action of one person.
//!
//! Invariants: a token is for one client, person, action and relying party, and for one origin if it names one; it may
//! begin [`MOST_CEREMONIES`] ceremonies, of which one succeeds. The SQL statements that count and consume tokens repeat
//! these conditions; [`ActionToken::judge`] explains why such a statement matched no row.

use std::fmt;

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::client::{Client, ClientDefinition, ClientKind};
use super::id::{ActionTokenId, UserId};
use super::operation::Operation;
use super::scope::{ACTION_TOKENS, ACTION_TOKENS_ANYONE, ACTION_TOKENS_ENROL_OVER, Scopes};
use super::user::{User, UserStatus};
use crate::clock::Time;

/// How many ceremonies one token may begin: cancelling a prompt does not cost the token, and guessing gains nothing.
pub const MOST_CEREMONIES: i16 = 5;
/// How long a token lives by default, and at most unless it is mailed.
pub const USUAL_LIFE: Duration = Duration::minutes(5);
/// How long a mailed enrolment lives at most.
pub const MAILED_LIFE: Duration = Duration::hours(24);
/// The shortest life that can be requested.
pub const SHORTEST_LIFE: Duration = Duration::seconds(30);

/// The client id of permissions given by the operator at the command line. No client can have it, because client ids
/// contain no space.
pub const COMMAND_LINE: &str = "command line";

/// The permitted action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Create a passkey.
    Enrol,
    /// Sign in to the backend with a passkey of this person.
    SignIn,
    /// Prove again, with a passkey, to be this person.
    StepUp,
    /// List the person's passkeys.
    List,
    /// Remove one of them.
    Delete,
    /// Sign one operation.
    Sign,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 6] = [Self::Enrol, Self::SignIn, Self::StepUp, Self::List, Self::Delete, Self::Sign];

    /// The stored text, which is also used in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enrol => "enrol",
            Self::SignIn => "sign_in",
            Self::StepUp => "step_up",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Sign => "sign",
        }
    }

    /// Reads the stored text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The id that a backend has for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalId {
    /// The namespace of the id: a client's id, or another system's name.
    pub source: String,
    /// The id within that namespace.
    pub id: String,
}

/// A token as stored, without its secret.
#[derive(Clone, Debug)]
pub struct ActionToken {
    /// Its id.
    pub id: ActionTokenId,
    /// The client that created it; [`COMMAND_LINE`] for the operator's.
    pub client: String,
    /// The person.
    pub user: UserId,
    /// What is permitted.
    pub action: Action,
    /// Name of the relying-party profile.
    pub relying_party: String,
    /// The only origin that may use it; `None`: any origin of its client, and our own.
    pub origin: Option<String>,
    /// Where our page sends the person afterwards.
    pub return_to: Option<String>,
    /// Whether it may enrol a passkey for a person who already has one.
    pub over_existing: bool,
    /// The backend's id for the person.
    pub external_id: Option<ExternalId>,
    /// The operation to sign, for [`Action::Sign`].
    pub operation: Option<Operation>,
    /// The person's epoch when the token was created.
    pub epoch: i64,
    /// How many ceremonies it has begun.
    pub ceremonies: i16,
    /// When it was created.
    pub created_at: Time,
    /// When it expires.
    pub expires_at: Time,
    /// When it was used.
    pub used_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
}

/// Why a token is refused. The text is a stable code in responses and in the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionRefusal {
    /// No such token exists: forged, truncated, altered or swept.
    #[error("unknown")]
    Unknown,
    /// Its client is disabled, or may no longer create action tokens.
    #[error("client")]
    Client,
    /// It is for another action.
    #[error("action")]
    Action,
    /// It is for another origin.
    #[error("origin")]
    Origin,
    /// It is for another relying party.
    #[error("relying_party")]
    RelyingParty,
    /// Somebody else is signed in in this browser.
    #[error("session")]
    Session,
    /// The person is disabled, is an administrator, or has since lost a way to sign in.
    #[error("person")]
    Person,
    /// The person is in no group that may use its client.
    #[error("group")]
    Group,
    /// It has expired.
    #[error("expired")]
    Expired,
    /// It was used.
    #[error("used")]
    Used,
    /// Its client revoked it.
    #[error("revoked")]
    Revoked,
    /// It has begun too many ceremonies.
    #[error("exhausted")]
    Exhausted,
    /// The person already has a passkey, and the token does not permit enrolling another.
    #[error("enrol_over")]
    EnrolOver,
}

impl ActionToken {
    /// The client that created it, as the audit trail names it; `None` for the operator's.
    pub fn audited_client(&self) -> Option<String> {
        Some(self.client.clone()).filter(|client| client != COMMAND_LINE)
    }

    /// Whether it is still valid, for whatever use.
    pub fn judge(&self, now: Time) -> Result<(), ActionRefusal> {
        if self.revoked_at.is_some() {
            return Err(ActionRefusal::Revoked);
        }
        if self.used_at.is_some() {
            return Err(ActionRefusal::Used);
        }
        if now >= self.expires_at {
            return Err(ActionRefusal::Expired);
        }
        Ok(())
    }

    /// Whether one more ceremony may begin.
    pub fn judge_begin(&self, now: Time) -> Result<(), ActionRefusal> {
        self.judge(now)?;
        if self.ceremonies < MOST_CEREMONIES { Ok(()) } else { Err(ActionRefusal::Exhausted) }
    }

    /// Whether it permits one of these actions from this origin; `own` is the origin of our pages. A caller without an
    /// origin is taken for a server or an app, and accepted if the token is not bound to an origin.
    pub fn judge_use(
        &self,
        actions: &[Action],
        client: &Client,
        origin: Option<&str>,
        own: &str,
    ) -> Result<(), ActionRefusal> {
        self.judge_client(client)?;
        if !actions.contains(&self.action) {
            return Err(ActionRefusal::Action);
        }
        match origin {
            // We must show what is signed ourselves, so that nobody can show one operation and have another one signed.
            other if self.action == Action::Sign && other != Some(own) => Err(ActionRefusal::Origin),
            None if self.origin.is_some() => Err(ActionRefusal::Origin),
            None => Ok(()),
            Some(origin) if owns(self.origin.as_deref(), client, origin, own) => Ok(()),
            Some(_) => Err(ActionRefusal::Origin),
        }
    }

    /// Whether its client may still create action tokens.
    pub fn judge_client(&self, client: &Client) -> Result<(), ActionRefusal> {
        if may_make(client) { Ok(()) } else { Err(ActionRefusal::Client) }
    }

    /// Whether the person may use the client, if the action requires it: proving one's identity to a client counts as
    /// using it.
    pub fn judge_member(&self, may_use: bool) -> Result<(), ActionRefusal> {
        let uses = matches!(self.action, Action::SignIn | Action::StepUp | Action::Sign);
        if may_use || !uses { Ok(()) } else { Err(ActionRefusal::Group) }
    }

    /// Whether the token may still act on this person. Never on administrators: the backend would gain their rights.
    pub fn judge_person(&self, user: &User, administers: bool) -> Result<(), ActionRefusal> {
        if user.status == UserStatus::Active && user.epoch == self.epoch && !administers {
            Ok(())
        } else {
            Err(ActionRefusal::Person)
        }
    }

    /// Whether it may create a passkey for a person who already has `existing` ones.
    pub fn judge_enrolment(&self, client: &Client, existing: usize) -> Result<(), ActionRefusal> {
        let over = self.over_existing && client.definition.scopes.contains(ACTION_TOKENS_ENROL_OVER);
        if existing == 0 || over { Ok(()) } else { Err(ActionRefusal::EnrolOver) }
    }
}

/// Whether an origin may use a token bound to `bound`: only that origin, or without one those of its client and our
/// own.
pub fn owns(bound: Option<&str>, client: &Client, origin: &str, own: &str) -> bool {
    bound.map_or_else(|| origin == own || client.owns_origin(origin).is_ok(), |bound| bound == origin)
}

/// The operator at the command line, as the client behind the tokens created there. It has no secret, so nobody can
/// authenticate as it, and it is not in the client directory. People read `name` next to a link of the operator.
pub fn command_line(name: &str) -> Client {
    let rights = [ACTION_TOKENS, ACTION_TOKENS_ANYONE, ACTION_TOKENS_ENROL_OVER];
    let definition = ClientDefinition {
        name: name.to_owned(),
        kind: ClientKind::Confidential,
        first_party: true,
        scopes: Scopes::from_iter(rights),
        ..ClientDefinition::default()
    };
    Client { id: COMMAND_LINE.to_owned(), definition, secret: None, previous_secret: None, unverified_since: None }
}

/// Whether a client may create action tokens: it must be confidential, not self-registered, and have the scope.
pub fn may_make(client: &Client) -> bool {
    client.definition.kind == ClientKind::Confidential
        && client.unverified_since.is_none()
        && client.definition.scopes.contains(ACTION_TOKENS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::attributes::Attributes;
    use crate::domain::client::fields::identifier;
    use crate::domain::id::Id;

    const OWN: &str = "https://id.example";

    fn client(scopes: &str) -> Client {
        Client {
            id: "shop".into(),
            definition: ClientDefinition {
                kind: ClientKind::Confidential,
                origins: vec!["https://shop.example".into()],
                scopes: Scopes::parse(scopes).unwrap(),
                ..ClientDefinition::default()
            },
            secret: None,
            previous_secret: None,
            unverified_since: None,
        }
    }

    fn token() -> ActionToken {
        ActionToken {
            id: Id::random(),
            client: "shop".into(),
            user: Id::random(),
            action: Action::Enrol,
            relying_party: "default".into(),
            origin: None,
            return_to: None,
            over_existing: false,
            external_id: None,
            operation: None,
            epoch: 3,
            ceremonies: 0,
            created_at: Time::UNIX_EPOCH,
            expires_at: Time::UNIX_EPOCH + USUAL_LIFE,
            used_at: None,
            revoked_at: None,
        }
    }

    #[test]
    fn a_token_is_good_until_it_is_used_taken_back_exhausted_or_over() {
        let at = |seconds| Time::UNIX_EPOCH + Duration::seconds(seconds);
        let begun = |ceremonies| ActionToken { ceremonies, ..token() };
        for (name, token, now, verdict) in [
            ("fresh", token(), 0, Ok(())),
            ("the last second", token(), 299, Ok(())),
            ("its end", token(), 300, Err(ActionRefusal::Expired)),
            ("four begun", begun(4), 0, Ok(())),
            ("five begun", begun(5), 0, Err(ActionRefusal::Exhausted)),
            ("used", ActionToken { used_at: Some(at(1)), ..begun(5) }, 400, Err(ActionRefusal::Used)),
            ("taken back", ActionToken { revoked_at: Some(at(1)), ..token() }, 0, Err(ActionRefusal::Revoked)),
        ] {
            assert_eq!(token.judge_begin(at(now)), verdict, "{name}");
        }
        assert_eq!(begun(5).judge(at(0)), Ok(()), "the fifth may still be answered");
    }

    #[test]
    fn it_is_for_one_action_and_for_its_clients_origins() {
        let bound = |origin: &str| ActionToken { origin: Some(origin.into()), ..token() };
        let shop = Some("https://shop.example");
        let sign = || ActionToken { action: Action::Sign, ..token() };
        for (name, token, actions, origin, verdict) in [
            ("an operation on our page", sign(), [Action::Sign], Some(OWN), Ok(())),
            ("an operation elsewhere", sign(), [Action::Sign], shop, Err(ActionRefusal::Origin)),
            ("an operation on no page", sign(), [Action::Sign], None, Err(ActionRefusal::Origin)),
            ("the client's page", token(), [Action::Enrol], shop, Ok(())),
            ("our page", token(), [Action::Enrol], Some(OWN), Ok(())),
            ("no page", token(), [Action::Enrol], None, Ok(())),
            ("another page", token(), [Action::Enrol], Some("https://evil.example"), Err(ActionRefusal::Origin)),
            ("another action", token(), [Action::Delete], shop, Err(ActionRefusal::Action)),
            ("its one page", bound("https://shop.example"), [Action::Enrol], shop, Ok(())),
            (
                "ours, not its one",
                bound("https://shop.example"),
                [Action::Enrol],
                Some(OWN),
                Err(ActionRefusal::Origin),
            ),
            ("no page, not its one", bound("https://shop.example"), [Action::Enrol], None, Err(ActionRefusal::Origin)),
        ] {
            assert_eq!(token.judge_use(&actions, &client(ACTION_TOKENS), origin, OWN), verdict, "{name}");
        }
    }

    fn user() -> User {
        User {
            id: Id::random(),
            handle: vec![1],
            email: None,
            email_verified_at: None,
            name: None,
            locale: None,
            profile: serde_json::Map::new(),
            attributes: Attributes::default(),
            status: UserStatus::Active,
            epoch: 3,
            created_at: Time::UNIX_EPOCH,
            updated_at: Time::UNIX_EPOCH,
        }
    }

    #[test]
    fn its_person_is_active_unchanged_and_no_administrator() {
        let person = |status, epoch| User { status, epoch, ..user() };
        for (name, user, administers, verdict) in [
            ("as they were", person(UserStatus::Active, 3), false, Ok(())),
            ("disabled", person(UserStatus::Disabled, 3), false, Err(ActionRefusal::Person)),
            ("changed since", person(UserStatus::Active, 4), false, Err(ActionRefusal::Person)),
            ("an administrator", person(UserStatus::Active, 3), true, Err(ActionRefusal::Person)),
        ] {
            assert_eq!(token().judge_person(&user, administers), verdict, "{name}");
        }
        for action in Action::ALL {
            let proves = matches!(action, Action::SignIn | Action::StepUp | Action::Sign);
            let token = ActionToken { action, ..token() };
            assert_eq!(token.judge_member(false).is_err(), proves, "{action}");
            assert_eq!(token.judge_member(true), Ok(()), "{action}");
        }
    }

    #[test]
    fn its_client_must_still_be_trusted() {
        let unverified = Client { unverified_since: Some(Time::UNIX_EPOCH), ..client(ACTION_TOKENS) };
        let mut public = client(ACTION_TOKENS);
        public.definition.kind = ClientKind::Public;
        for (name, client) in [("no scope", client("openid")), ("registered itself", unverified), ("public", public)] {
            let verdict = token().judge_use(&[Action::Enrol], &client, None, OWN);
            assert_eq!(verdict, Err(ActionRefusal::Client), "{name}");
        }
    }

    #[test]
    fn enrolling_over_a_passkey_wants_the_right_then_and_now() {
        let with = client("action_tokens action_tokens:enrol_over");
        let without = client(ACTION_TOKENS);
        let over = ActionToken { over_existing: true, ..token() };
        assert_eq!(token().judge_enrolment(&without, 0), Ok(()));
        assert_eq!(over.judge_enrolment(&with, 1), Ok(()));
        for (name, token, client) in [("made without", token(), &with), ("lost since", over, &without)] {
            assert_eq!(token.judge_enrolment(client, 1), Err(ActionRefusal::EnrolOver), "{name}");
        }
    }

    #[test]
    fn every_action_reads_back() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(action));
        }
        assert_eq!(Action::parse("enroll"), None);
    }

    /// The operator's tokens follow the same rules: our own page, one person, at most a day. And nobody can be that
    /// client.
    #[test]
    fn the_operator_permits_by_the_same_rules_as_a_client_that_nobody_can_be() {
        let operator = command_line("Example");
        assert!(identifier(&operator.id).is_err(), "no client has this id");
        assert!(operator.secret.is_none() && operator.definition.jwks.is_none() && may_make(&operator));
        let link =
            ActionToken { client: operator.id.clone(), origin: Some(OWN.into()), over_existing: true, ..token() };
        assert_eq!((link.audited_client(), token().audited_client()), (None, Some("shop".into())));
        let used_at = |origin| link.judge_use(&[Action::Enrol], &operator, origin, OWN);
        assert_eq!(used_at(Some(OWN)), Ok(()));
        assert_eq!(used_at(Some("https://shop.example")), Err(ActionRefusal::Origin));
        assert_eq!(used_at(None), Err(ActionRefusal::Origin), "not by a program");
        assert_eq!(link.judge_enrolment(&operator, 3), Ok(()), "beside a passkey that may be lost");
    }
}
