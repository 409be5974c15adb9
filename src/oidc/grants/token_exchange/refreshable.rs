//! Refreshable exchanges: they begin a refresh token family, and each use of it evaluates their rule again.
//!
//! What must always hold: a family is bound to the session, the client, the key and the chain of actors of its
//! exchange; it ends with that session, with the grant of the subject token, with session and grant of a person who
//! acts, and with the rule. Anything that its tokens are exchanged for depends on all of that too.

use diesel::PgConnection;

use super::presented::{Lives, Whose};
use super::{Decided, ExchangeError};
use crate::clock::Time;
use crate::domain::audit::Event;
use crate::domain::client::Client;
use crate::domain::exchange::{self, Granted, Issuer, Origin, Refusal, SubjectKind};
use crate::domain::id::{FamilyId, SessionId, UserId};
use crate::domain::scope::Scopes;
use crate::oidc::Oidc;
use crate::storage::refresh_tokens::{self, Stem};
use crate::storage::sessions::{self, TokenIds};
use crate::storage::sign_in::NewFamily;
use crate::storage::{StorageError, audit, consents};
use crate::tokens::mint::{Exchange, Exchanged, RefreshSeed, bound_by_exchange};

/// A family that begins with an exchange, before it is written.
pub(super) struct Begun {
    row: NewFamily,
    seed: RefreshSeed,
    stem: Stem,
    client: String,
}

/// Plans the family. It ends with the token of a trusted issuer; one of our own tokens has a session to end with.
pub(super) fn begin(room: &Oidc, decided: &Decided<'_>) -> Result<Begun, ExchangeError> {
    let Decided { client, subject, granted, now, .. } = *decided;
    let (mut row, mut seed) =
        room.mint.new_family(client, FamilyId::random(), &granted.scopes, &granted.audience, now)?;
    let is_foreign = matches!(subject.whose, Whose::Foreign(_));
    let end = is_foreign.then(|| now + subject.policy.left);
    bound_by_exchange(decided.key, end, (&mut row, &mut seed));
    let acting = decided.actor.and_then(|opened| match &opened.lives {
        Lives::Person(owner) => Some(owner.ids),
        Lives::Client(_) => None,
    });
    let actor = decided.actor.map(|opened| (&opened.actor, acting.map(|ids| ids.session)));
    let stem = Stem {
        session: decided.person.session,
        borrowed: !is_foreign,
        parent: subject.grant_id.as_deref().and_then(|id| id.parse().ok()),
        actor_grant: acting.and_then(|ids| ids.grant),
        origin: Origin::new(&granted.rule, &subject.policy, actor),
    };
    Ok(Begun { row, seed, stem, client: client.id.clone() })
}

impl Begun {
    /// The grant that its access tokens name.
    pub(super) fn id(&self) -> String {
        self.row.id.to_string()
    }

    pub(super) fn print(&self, room: &Oidc, exchange: &Exchange<'_>, now: Time) -> Result<Exchanged, ExchangeError> {
        Ok(room.mint.exchanged_refresh(exchange, self.stem.origin.clone(), &self.seed, now)?)
    }

    /// Writes it with its event, if everything it depends on is still alive.
    pub(super) async fn write(self, room: &Oidc, event: Event, now: Time) -> Result<(), ExchangeError> {
        let Self { row, stem, client, .. } = self;
        let begun = room
            .db
            .tx(move |conn| {
                let begun = refresh_tokens::begin_exchanged(conn, &row, &client, &stem, now)?;
                if begun {
                    audit::insert(conn, &event)?;
                }
                Ok::<_, StorageError>(begun)
            })
            .await?;
        if begun { Ok(()) } else { Err(ExchangeError::Ended) }
    }
}

/// Why the result of an exchange is not refreshed.
#[derive(Debug, thiserror::Error)]
pub enum NotRenewed {
    /// Its rule no longer grants anything of it.
    #[error("the rule of the exchange: {0}")]
    Rule(#[from] Refusal),
    /// A client that the subject token was issued to, or that has acted, is gone or disabled.
    #[error("a client of the exchange is unknown or disabled")]
    ClientGone,
    /// The issuer of the subject token is no longer trusted.
    #[error("the issuer of the exchanged token is no longer trusted")]
    IssuerGone,
    /// The person who acts has signed out, or their account is disabled.
    #[error("the session of the actor has ended")]
    ActorEnded,
    /// The person no longer consents to the app whose ID token was exchanged.
    #[error("the person no longer allows the app of the exchanged ID token")]
    NotAllowed,
    /// A fault of this server.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Checks again everything that the exchange checked: the rule, the clients, the issuer, the actor, and the person's
/// consent; and the same for every earlier exchange whose tokens it was made from. It grants nothing that one of these
/// no longer grants.
///
/// # Errors
/// [`NotRenewed`].
pub async fn renew(
    room: &Oidc,
    client: &Client,
    origin: &Origin,
    given: (&[String], &Scopes),
    family: FamilyId,
    now: Time,
) -> Result<Granted, NotRenewed> {
    let (owner, before) = room
        .db
        .run(move |conn| Ok((refresh_tokens::owner(conn, family)?, refresh_tokens::exchanges_before(conn, family)?)))
        .await?;
    let mut hanging = vec![Hanging::of(room, client, origin)];
    let mut held: Option<Granted> = None;
    for made in before.iter().rev() {
        let by = room.clients.find(&made.client).ok_or(NotRenewed::ClientGone)?;
        let of = made.origin.narrowed(held.as_ref());
        held = Some(still_given(room, &by, &of, (&made.audience, &made.scopes), now)?);
        hanging.push(Hanging::of(room, &by, &made.origin));
    }
    let granted = still_given(room, client, &origin.narrowed(held.as_ref()), given, now)?;
    hanging.retain(|one| one.actor.is_some() || one.app.is_some());
    if hanging.is_empty() {
        return Ok(granted);
    }
    let (found, hanging) = room
        .db
        .run(move |conn| {
            let found: Result<Vec<Found>, StorageError> =
                hanging.iter().map(|one| one.look(conn, owner, now)).collect();
            Ok((found?, hanging))
        })
        .await?;
    hanging.iter().zip(&found).try_for_each(|(one, found)| one.require(room, found))?;
    Ok(granted)
}

/// What the rule of an exchange still grants, while its clients and its issuer exist.
fn still_given(
    room: &Oidc,
    client: &Client,
    origin: &Origin,
    given: (&[String], &Scopes),
    now: Time,
) -> Result<Granted, NotRenewed> {
    let granted = exchange::renew(&room.exchange_rules, origin, (client, room.mint.issuer()), given)?;
    if origin.clients().any(|id| room.clients.find(id).is_none()) {
        return Err(NotRenewed::ClientGone);
    }
    if let Issuer::Trusted(name) = &origin.issuer
        && !room.trusted_issuers.find(name).is_some_and(|issuer| issuer.trust().is_in_force(now))
    {
        return Err(NotRenewed::IssuerGone);
    }
    Ok(granted)
}

/// The app whose ID token was exchanged, if people are asked for consent to it: an ID token names no grant that could
/// have ended.
fn app_of_id_token(room: &Oidc, origin: &Origin) -> Option<String> {
    let app =
        origin.client.as_deref().filter(|_| origin.issuer == Issuer::Own && origin.kind == SubjectKind::IdToken)?;
    room.clients.find(app).filter(|app| !app.definition.first_party).map(|app| app.id.clone())
}

/// What must be looked up about one exchange.
struct Hanging {
    /// The session of the person who acts, their `sub`, and the client for which it is their `sub`.
    actor: Option<(SessionId, String, String)>,
    /// An app to which the owner must still consent.
    app: Option<String>,
}

struct Found {
    actor: Option<UserId>,
    is_allowed: bool,
}

impl Hanging {
    fn of(room: &Oidc, client: &Client, origin: &Origin) -> Self {
        let named = origin.actor.as_ref().map(|actor| actor.sub.clone()).unwrap_or_default();
        Self {
            actor: origin.actor_session.map(|session| (session, named, client.id.clone())),
            app: app_of_id_token(room, origin),
        }
    }

    fn look(&self, conn: &mut PgConnection, owner: Option<UserId>, now: Time) -> Result<Found, StorageError> {
        let actor = match &self.actor {
            Some((session, ..)) => {
                let token = TokenIds { session: *session, jti: None, grant: None };
                sessions::find_live_of_token(conn, &token, now)?.map(|(_, user)| user.id)
            }
            None => None,
        };
        let is_allowed = match (&self.app, owner) {
            (None, _) => true,
            (Some(app), Some(owner)) => consents::find(conn, owner, app)?.is_some(),
            (Some(_), None) => false,
        };
        Ok(Found { actor, is_allowed })
    }

    fn require(&self, room: &Oidc, found: &Found) -> Result<(), NotRenewed> {
        if let Some((_, named, client)) = &self.actor {
            let client = room.clients.find(client).ok_or(NotRenewed::ClientGone)?;
            let is_named = |user| room.mint.subject_of(&client, user) == *named;
            found.actor.filter(|user| is_named(*user)).ok_or(NotRenewed::ActorEnded)?;
        }
        if found.is_allowed { Ok(()) } else { Err(NotRenewed::NotAllowed) }
    }
}
