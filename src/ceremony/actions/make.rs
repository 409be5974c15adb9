//! What backends do with action tokens: create, list and revoke them.

use chrono::Duration;
use diesel::PgConnection;
use serde_json::json;
use uuid::Uuid;

use super::super::Ceremonies;
use super::super::error::CeremonyError;
use super::super::management::RpIds;
use super::event_of;
use crate::clock::Time;
use crate::domain::action::{
    Action, ActionRefusal, ActionToken, ExternalId, MAILED_LIFE, SHORTEST_LIFE, USUAL_LIFE, owns,
};
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::Client;
use crate::domain::id::{ActionTokenId, Id, UserId};
use crate::domain::operation::Operation;
use crate::domain::scope::{ACTION_TOKENS_ANYONE, ACTION_TOKENS_ENROL_OVER, ACTION_TOKENS_VERIFIED_EMAIL, Scopes};
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::domain::standard_claims::StandardClaims;
use crate::domain::user::UserStatus;
use crate::storage::{StorageError, action_tokens, audit, credentials, people, users};

/// Our page for [`Action::Enrol`].
pub(super) const ENROLMENT_PAGE: &str = "/enrol";

/// Our page that takes a token from the URL, after `#`.
const fn page_of(action: Action) -> Option<&'static str> {
    match action {
        Action::Enrol => Some(ENROLMENT_PAGE),
        Action::Sign => Some("/approve"),
        Action::SignIn | Action::StepUp | Action::List | Action::Delete => None,
    }
}

/// A backend's request.
#[derive(Clone, Debug)]
pub struct NewAction {
    /// What is permitted.
    pub action: Action,
    /// The person.
    pub whom: Whom,
    /// The relying-party profile. `None`: the client's.
    pub relying_party: Option<String>,
    /// The only origin that may use it.
    pub origin: Option<String>,
    /// Where our page redirects the person afterwards.
    pub return_to: Option<String>,
    /// The lifetime.
    pub life: Option<Duration>,
    /// Whether it is sent by e-mail, which allows a longer lifetime.
    pub mailed: bool,
    /// What is to be signed, for [`Action::Sign`].
    pub operation: Option<Operation>,
}

/// A person, as a backend identifies them.
#[derive(Clone, Debug)]
pub enum Whom {
    /// By our ID.
    Id(UserId),
    /// By the ID in another system. If nobody has it, a person is created with these claims.
    Called(ExternalId, StandardClaims),
}

/// What a backend's access token allows besides creating tokens for its own people.
#[derive(Clone, Copy, Debug)]
pub struct Rights {
    anyone: bool,
    enrol_over: bool,
    verified_email: bool,
}

impl Rights {
    /// The rights that the scopes grant.
    pub fn of(scopes: &Scopes) -> Self {
        Self {
            anyone: scopes.contains(ACTION_TOKENS_ANYONE),
            enrol_over: scopes.contains(ACTION_TOKENS_ENROL_OVER),
            verified_email: scopes.contains(ACTION_TOKENS_VERIFIED_EMAIL),
        }
    }
}

/// A token that was created.
#[derive(Debug)]
#[must_use = "the token is shown once"]
pub struct Made {
    /// The token.
    pub token: ActionToken,
    /// Its secret.
    pub secret: PlainToken,
    /// Whether its person was created with it.
    pub made_person: bool,
    /// The URL of our page that accepts the token, if it may be used there.
    pub link: Option<String>,
}

impl Ceremonies {
    /// Creates an action token.
    pub async fn make_action(
        &self,
        client: &Client,
        rights: Rights,
        new: NewAction,
        origin: &Provenance,
    ) -> Result<Made, CeremonyError> {
        let now = self.clock.now();
        let relying_party = self.party_for(client, &new)?;
        let life = life(&new)?;
        match (&new.operation, new.action) {
            (Some(operation), Action::Sign) => operation.check().map_err(CeremonyError::Operation)?,
            (None, Action::Sign) => return Err(CeremonyError::Invalid("`sign` requires an `operation`.")),
            (Some(_), _) => return Err(CeremonyError::Invalid("An `operation` is for `sign` alone.")),
            (None, _) => {}
        }
        if new.action == Action::Sign && !self.has_own_page(&relying_party, new.origin.as_deref()) {
            return Err(CeremonyError::Invalid(
                "An operation is signed on our own page: it must be an origin of the relying party, and `origin` no other.",
            ));
        }
        if let Whom::Called(name, claims) = &new.whom {
            if name.source != client.id && !rights.anyone {
                return Err(CeremonyError::MissingScope(ACTION_TOKENS_ANYONE));
            }
            if claims.email_verified() && !rights.verified_email {
                return Err(CeremonyError::MissingScope(ACTION_TOKENS_VERIFIED_EMAIL));
            }
        }
        let draft = ActionToken {
            origin: new.origin.clone(),
            return_to: new.return_to.clone(),
            operation: new.operation.clone(),
            ..draft(client, new.action, relying_party, rights, (now, now + life))
        };
        let secret = PlainToken::random(TokenKind::Action);
        let (token, made_person) = self.store_action(draft, &new.whom, rights, &secret, origin).await?;
        let link = self.link(&token, &secret);
        Ok(Made { token, secret, made_person, link })
    }

    /// The profile for a token, after checking every URL in the request.
    fn party_for(&self, client: &Client, new: &NewAction) -> Result<String, CeremonyError> {
        let name = new.relying_party.as_deref().or(client.definition.relying_party.as_deref());
        let party = self.profiles.choose(None, name, None)?;
        let own = self.mint.issuer();
        if let Some(origin) = &new.origin
            && !(party.has_origin(origin) && owns(None, client, origin, own))
        {
            return Err(CeremonyError::Invalid("`origin` is not one of this client's origins at that relying party."));
        }
        if let Some(address) = &new.return_to
            && !client.definition.redirect_uris.contains(address)
        {
            return Err(CeremonyError::Invalid("`returnTo` is not one of this client's redirect URIs, byte for byte."));
        }
        Ok(party.name.clone())
    }

    /// The link to our own page, if the token may be used there.
    fn link(&self, token: &ActionToken, secret: &PlainToken) -> Option<String> {
        let here = self.has_own_page(&token.relying_party, token.origin.as_deref());
        let page = page_of(token.action).filter(|_| here)?;
        Some(address(self.mint.issuer(), page, secret))
    }

    /// Whether a token of this relying party, bound to this origin if it names one, may be used on our own page.
    fn has_own_page(&self, relying_party: &str, bound: Option<&str>) -> bool {
        let own = self.mint.issuer();
        bound.is_none_or(|origin| origin == own)
            && self.profiles.named(relying_party).is_some_and(|party| party.has_origin(own))
    }

    async fn store_action(
        &self,
        draft: ActionToken,
        whom: &Whom,
        rights: Rights,
        secret: &PlainToken,
        origin: &Provenance,
    ) -> Result<(ActionToken, bool), CeremonyError> {
        let digest = secret.digest();
        // If two requests create the same person at once, the second one finds them at its second attempt.
        for last in [false, true] {
            let (draft, whom, origin, rp_ids) = (draft.clone(), whom.clone(), origin.clone(), self.rp_ids());
            let stored = self.db.tx(move |conn| store(conn, draft, (&whom, rights), &digest, &rp_ids, &origin)).await;
            match stored {
                Err(StorageError::Conflict { constraint }) if constraint == "users_verified_email" => {
                    return Err(CeremonyError::AddressTaken);
                }
                Err(StorageError::Conflict { constraint }) if constraint == "external_ids_pkey" && !last => {}
                other => return other?,
            }
        }
        Err(CeremonyError::NoSuchPerson)
    }

    /// A client's own tokens, newest first.
    pub async fn actions_of(
        &self,
        client: &Client,
        after: Option<(Time, Uuid)>,
        most: i64,
    ) -> Result<Vec<ActionToken>, CeremonyError> {
        let client = client.id.clone();
        Ok(self.db.run(move |conn| action_tokens::page(conn, &client, after, most)).await?)
    }

    /// Revokes one of a client's tokens; `false` if it is another client's, or was already used or revoked.
    pub async fn revoke_action(
        &self,
        client: &Client,
        id: ActionTokenId,
        origin: &Provenance,
    ) -> Result<bool, CeremonyError> {
        let (client, now, origin) = (client.id.clone(), self.clock.now(), origin.clone());
        let revoked = self.db.tx(move |conn| {
            let Some(user) = action_tokens::revoke(conn, &client, id, now)? else { return Ok(false) };
            let event = Event {
                user: Some(user),
                client: Some(client.clone()),
                subject: Some(id.to_string()),
                detail: json!({ "act": { "client": client } }),
                ..Event::new(EventKind::ActionTokenRevoked, now, &origin)
            };
            audit::insert(conn, &event)?;
            Ok(true)
        });
        Ok(revoked.await?)
    }
}

/// A new token, not assigned to a person yet, valid from the first of two times to the second.
pub(super) fn draft(
    client: &Client,
    action: Action,
    relying_party: String,
    rights: Rights,
    (created_at, expires_at): (Time, Time),
) -> ActionToken {
    ActionToken {
        id: Id::random(),
        client: client.id.clone(),
        user: Id::random(),
        action,
        relying_party,
        origin: None,
        return_to: None,
        over_existing: rights.enrol_over,
        external_id: None,
        operation: None,
        epoch: 0,
        ceremonies: 0,
        created_at,
        expires_at,
        used_at: None,
        revoked_at: None,
    }
}

/// Stores a draft for its person, with the audit event. Returns the token, and whether the person was created with it.
pub(super) fn store(
    conn: &mut PgConnection,
    draft: ActionToken,
    (whom, rights): (&Whom, Rights),
    digest: &TokenDigest,
    rp_ids: &RpIds,
    origin: &Provenance,
) -> Result<Result<(ActionToken, bool), CeremonyError>, StorageError> {
    let (token, made_person) = match resolve(conn, draft, whom, rights, origin)? {
        Ok(resolved) => resolved,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let existing = rp_ids.count(&credentials::of_users(conn, &[token.user], None)?);
    if token.action == Action::Enrol && existing > 0 && !rights.enrol_over {
        return Ok(Err(ActionRefusal::EnrolOver.into()));
    }
    action_tokens::insert(conn, &token, digest)?;
    audit::insert(conn, &event_of(EventKind::ActionTokenMade, &token, token.created_at, origin))?;
    Ok(Ok((token, made_person)))
}

/// The URL of a page of ours that takes a token: no server sees what follows the `#`.
pub(super) fn address(issuer: &str, page: &str, secret: &PlainToken) -> String {
    format!("{issuer}{page}#{}", secret.expose())
}

/// The lifetime: minutes, unless it is sent by e-mail.
fn life(new: &NewAction) -> Result<Duration, CeremonyError> {
    if new.mailed && page_of(new.action).is_none() {
        return Err(CeremonyError::Invalid("Only what has a page of ours may be `mailed`: `enrol` and `sign`."));
    }
    let most = if new.mailed { MAILED_LIFE } else { USUAL_LIFE };
    let life = new.life.unwrap_or(most);
    if (SHORTEST_LIFE..=most).contains(&life) {
        Ok(life)
    } else {
        Err(CeremonyError::Invalid("`expiresIn` must be 30 to 300 seconds, or up to 86400 when it is mailed."))
    }
}

/// Finds or creates the person. Returns the token, assigned to them.
fn resolve(
    conn: &mut PgConnection,
    draft: ActionToken,
    whom: &Whom,
    rights: Rights,
    origin: &Provenance,
) -> Result<Result<(ActionToken, bool), CeremonyError>, StorageError> {
    let found = match whom {
        Whom::Id(id) => {
            let called = users::external_ids_of(conn, *id)?.remove(&draft.client);
            if called.is_none() && !rights.anyone {
                return Ok(Err(CeremonyError::NoSuchPerson));
            }
            Some((*id, called.map(|id| ExternalId { source: draft.client.clone(), id })))
        }
        Whom::Called(name, _) => action_tokens::find_external(conn, name)?.map(|id| (id, Some(name.clone()))),
    };
    if let Some((id, external_id)) = found {
        let Some(user) = users::find(conn, id)? else { return Ok(Err(CeremonyError::NoSuchPerson)) };
        let administers = users::is_administrator(conn, id)?;
        if administers || user.status == UserStatus::Disabled {
            return Ok(Err(CeremonyError::NotForPerson));
        }
        return Ok(Ok((ActionToken { user: id, epoch: user.epoch, external_id, ..draft }, false)));
    }
    let Whom::Called(name, claims) = whom else { return Ok(Err(CeremonyError::NoSuchPerson)) };
    let handle = crate::random::bytes::<32>();
    people::insert(conn, (draft.user, &handle), claims, draft.created_at)?;
    people::set_external_ids(conn, draft.user, &[(name.source.clone(), name.id.clone())].into())?;
    let event = Event {
        user: Some(draft.user),
        client: Some(draft.client.clone()),
        detail: json!({ "act": { "client": draft.client } }),
        ..Event::new(EventKind::UserCreated, draft.created_at, origin)
    };
    audit::insert(conn, &event)?;
    Ok(Ok((ActionToken { external_id: Some(name.clone()), ..draft }, true)))
}
