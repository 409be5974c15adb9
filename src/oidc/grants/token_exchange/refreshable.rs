//! Exchanges that may be refreshed: a family begins with them, and each use of it asks their rule again.
//!
//! What must always hold: a family is bound to the session, the client, the key and the chain of actors of its exchange; it
//! ends with that session, with the grant of the subject token, with the session of a person who acts, and with the rule.

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

/// A family that is begun with an exchange, before it is written.
pub(super) struct Begun {
    row: NewFamily,
    seed: RefreshSeed,
    origin: Origin,
    stem: Stem,
    client: String,
}

/// Decides the family. It ends with the token of a trusted issuer; a token of ours has a session to end with.
pub(super) fn begin(room: &Oidc, decided: &Decided<'_>) -> Result<Begun, ExchangeError> {
    let Decided { client, subject, granted, now, .. } = *decided;
    let (mut row, mut seed) =
        room.mint.new_family(client, FamilyId::random(), &granted.scopes, &granted.audience, now)?;
    let is_foreign = matches!(subject.whose, Whose::Foreign(_));
    let end = is_foreign.then(|| now + subject.policy.left);
    bound_by_exchange(decided.key, end, (&mut row, &mut seed));
    let actor = decided.actor.map(|opened| {
        let session = match &opened.lives {
            Lives::Person(owner) => Some(owner.ids.session),
            Lives::Client(_) => None,
        };
        (&opened.actor, session)
    });
    let stem = Stem {
        session: decided.person.session,
        borrowed: !is_foreign,
        parent: subject.grant_id.as_deref().and_then(|id| id.parse().ok()),
    };
    Ok(Begun { row, seed, origin: Origin::new(&granted.rule, &subject.policy, actor), stem, client: client.id.clone() })
}

impl Begun {
    /// The grant that its access tokens name.
    pub(super) fn id(&self) -> String {
        self.row.id.to_string()
    }

    pub(super) fn print(&self, room: &Oidc, exchange: &Exchange<'_>, now: Time) -> Result<Exchanged, ExchangeError> {
        Ok(room.mint.exchanged_refresh(exchange, self.origin.clone(), &self.seed, now)?)
    }

    /// Writes it with its event, if all that it hangs on is still alive.
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

/// Why what came of an exchange is not refreshed.
#[derive(Debug, thiserror::Error)]
pub enum NotRenewed {
    /// Its rule gives nothing of it any more.
    #[error("the rule of the exchange: {0}")]
    Rule(#[from] Refusal),
    /// A client that the subject token was given to, or that has acted, is gone or disabled.
    #[error("a client of the exchange is unknown or disabled")]
    ClientGone,
    /// The issuer of the subject token is no longer believed.
    #[error("the issuer of the exchanged token is no longer trusted")]
    IssuerGone,
    /// The person who acts has signed out, or their account is disabled.
    #[error("the session of the actor has ended")]
    ActorEnded,
    /// The person no longer allows the app whose ID token was exchanged.
    #[error("the person no longer allows the app of the exchanged ID token")]
    NotAllowed,
    /// A fault of ours.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Asks again what the exchange asked: the rule, the clients, the issuer, the actor, and what the person allows.
///
/// # Errors
/// [`NotRenewed`].
pub async fn renew(
    room: &Oidc,
    client: &Client,
    origin: &Origin,
    (audience, scopes): (&[String], &Scopes),
    family: FamilyId,
    now: Time,
) -> Result<Granted, NotRenewed> {
    let granted = exchange::renew(&room.exchange_rules, origin, (client, room.mint.issuer()), (audience, scopes))?;
    if origin.clients().any(|id| room.clients.find(id).is_none()) {
        return Err(NotRenewed::ClientGone);
    }
    if let Issuer::Trusted(name) = &origin.issuer
        && !room.trusted_issuers.find(name).is_some_and(|issuer| issuer.trust().is_in_force(now))
    {
        return Err(NotRenewed::IssuerGone);
    }
    let hangs = Hangs { actor: origin.actor_session, app: app_of_id_token(room, origin), family };
    let found = room.db.run(move |conn| hangs.look(conn, now)).await?;
    if origin.actor_session.is_some() && !is_actor(room, client, origin, found.actor) {
        return Err(NotRenewed::ActorEnded);
    }
    if found.is_allowed { Ok(granted) } else { Err(NotRenewed::NotAllowed) }
}

fn is_actor(room: &Oidc, client: &Client, origin: &Origin, found: Option<UserId>) -> bool {
    let named = origin.actor.as_ref().map(|actor| actor.sub.as_str());
    found.is_some_and(|user| named == Some(room.mint.subject_of(client, user).as_str()))
}

/// The app whose ID token was exchanged, where people are asked about it: it names no grant that could have ended.
fn app_of_id_token(room: &Oidc, origin: &Origin) -> Option<String> {
    let app =
        origin.client.as_deref().filter(|_| origin.issuer == Issuer::Own && origin.kind == SubjectKind::IdToken)?;
    room.clients.find(app).filter(|app| !app.definition.first_party).map(|app| app.id.clone())
}

/// What the database must be asked.
struct Hangs {
    actor: Option<SessionId>,
    app: Option<String>,
    family: FamilyId,
}

struct Found {
    actor: Option<UserId>,
    is_allowed: bool,
}

impl Hangs {
    fn look(&self, conn: &mut PgConnection, now: Time) -> Result<Found, StorageError> {
        let owner_of = |conn: &mut PgConnection, session| {
            sessions::find_live_of_token(conn, &TokenIds { session, jti: None, grant: None }, now)
        };
        let actor = self.actor.map(|session| owner_of(conn, session)).transpose()?.flatten();
        let is_allowed = match &self.app {
            None => true,
            Some(app) => match refresh_tokens::owner(conn, self.family)? {
                Some(owner) => consents::find(conn, owner, app)?.is_some(),
                None => false,
            },
        };
        Ok(Found { actor: actor.map(|(_, user)| user.id), is_allowed })
    }
}
