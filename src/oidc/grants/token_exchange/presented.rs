//! Tokens that are presented in an exchange: verified, and read into what the rules ask about.
//!
//! What must always hold: the type that a client names is the only one that is tried; a token tells whose it is only through
//! the client that it was given to, because a person may have another `sub` for each.

use std::sync::Arc;

use chrono::Duration;
use diesel::PgConnection;
use serde_json::{Value, json};

use super::{ExchangeError, Presented};
use crate::bridge::trusted::{Arrival, Believed};
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::Client;
use crate::domain::exchange::{Actor, Issuer, MayAct, Subject, SubjectKind, Told};
use crate::domain::scope::Scopes;
use crate::domain::user::User;
use crate::oidc::Oidc;
use crate::oidc::client_auth::AuthenticatedClient;
use crate::oidc::wire::token_type;
use crate::storage::sessions::{self, TokenIds};
use crate::storage::{StorageError, revoked_tokens};
use crate::tokens::claims::{AccessClaims, Authentication, Confirmation, IdClaims, TransactionClaims};
use crate::tokens::dpop::Jkt;
use crate::tokens::verifier::{self, Refusal, places};

/// A subject token that was verified.
#[derive(Debug)]
pub(super) struct Opened {
    /// What the rules ask about.
    pub(super) policy: Subject,
    /// Whose it is.
    pub(super) whose: Whose,
    /// How the person signed in.
    pub(super) authentication: Authentication,
    /// The grant that it came from.
    pub(super) grant_id: Option<String>,
    /// Its id.
    pub(super) jti: String,
    /// The transaction that it tells of, by its id.
    pub(super) transaction: Option<(String, Told)>,
}

impl Opened {
    /// The transaction that the next token tells of: the same again, or a new one.
    pub(super) fn transaction_id(&self) -> String {
        self.transaction.as_ref().map_or_else(|| crate::random::uuid().to_string(), |(id, _)| id.clone())
    }
}

/// Where the person of a subject token is found.
#[derive(Debug)]
pub(super) enum Whose {
    /// In the session of a token of ours.
    Own(Owner),
    /// By what a trusted issuer says; a session is opened for what is issued.
    Foreign(Box<Newcomer>),
}

/// Somebody whom a trusted issuer speaks for.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) arrival: Arrival,
    pub(super) signed_in_at: Option<Time>,
}

/// Whose a token is: the owner of its session, if the token's client knows them by the token's `sub`. A transaction token has no
/// client, and names the account itself.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) ids: TokenIds,
    client: Option<Arc<Client>>,
    sub: String,
}

impl Owner {
    /// The client that the person must still allow. An access token ends with its grant; an ID token names none, and is asked
    /// for what the grant hung on.
    pub(super) fn consents_for(&self, kind: SubjectKind) -> Option<String> {
        let client = self.client.as_ref().filter(|client| !client.definition.first_party);
        client.filter(|_| kind == SubjectKind::IdToken).map(|client| client.id.clone())
    }

    pub(super) fn is(&self, room: &Oidc, user: &User) -> bool {
        match &self.client {
            Some(client) => room.mint.subject_of(client, user.id) == self.sub,
            None => user.id.to_string() == self.sub,
        }
    }
}

/// An actor token that was verified.
#[derive(Debug)]
pub(super) struct OpenedActor {
    /// Who acts.
    pub(super) actor: Actor,
    /// What must be alive for it.
    pub(super) lives: Lives,
}

/// What an actor hangs on.
#[derive(Clone, Debug)]
pub(super) enum Lives {
    /// A person's session.
    Person(Owner),
    /// The client's own token, by its id.
    Client(uuid::Uuid),
}

/// What was found of it.
pub(super) enum Found {
    Person(Option<User>),
    /// Whether the token was revoked.
    Client(bool),
}

impl Lives {
    pub(super) fn find(&self, conn: &mut PgConnection, now: Time) -> Result<Found, StorageError> {
        match self {
            Self::Person(owner) => {
                let found = sessions::find_live_of_token(conn, &owner.ids, now)?;
                Ok(Found::Person(found.map(|(_, user)| user)))
            }
            Self::Client(jti) => revoked_tokens::contains(conn, *jti).map(Found::Client),
        }
    }

    pub(super) fn is(&self, room: &Oidc, found: &Found) -> bool {
        match (self, found) {
            (Self::Person(owner), Found::Person(Some(user))) => owner.is(room, user),
            (Self::Client(_), Found::Client(revoked)) => !revoked,
            _ => false,
        }
    }
}

/// Opens a subject token: ours, or that of the trusted issuer that it names.
pub(super) async fn subject(
    room: &Oidc,
    client: &AuthenticatedClient,
    presented: Presented<'_>,
    (key, origin): (Option<&Jkt>, &Provenance),
    now: Time,
) -> Result<Opened, ExchangeError> {
    let kind = match presented.kind {
        token_type::ACCESS_TOKEN => SubjectKind::AccessToken,
        token_type::ID_TOKEN => SubjectKind::IdToken,
        token_type::JWT => SubjectKind::Jwt,
        token_type::TXN_TOKEN => SubjectKind::TxnToken,
        _ => return Err(ExchangeError::TakenType),
    };
    let named = verifier::claimed_issuer(presented.token).map_err(ExchangeError::Subject)?;
    if named == room.mint.issuer() {
        return own(room, kind, presented.token, key, now);
    }
    let believed = room.trusted_issuers.believe(presented.token, kind, now).await?;
    foreign(client, &believed, kind, (key, origin), now)
}

fn own(room: &Oidc, kind: SubjectKind, token: &str, key: Option<&Jkt>, now: Time) -> Result<Opened, ExchangeError> {
    let (ring, issuer) = (room.mint.keys().ring(), room.mint.issuer());
    match kind {
        SubjectKind::AccessToken => {
            let claims =
                places::any_access_token(&ring, issuer, token, now).map_err(ExchangeError::Subject)?.into_claims();
            require_key(claims.cnf.as_ref(), key)?;
            access_token(room, claims, now)
        }
        SubjectKind::IdToken => {
            let claims =
                places::exchanged_id_token(&ring, issuer, token, now).map_err(ExchangeError::Subject)?.into_claims();
            id_token(room, claims, now)
        }
        SubjectKind::TxnToken => {
            let claims =
                places::replaced_transaction(&ring, issuer, token, now).map_err(ExchangeError::Subject)?.into_claims();
            transaction_token(room, claims, now)
        }
        SubjectKind::Jwt | SubjectKind::IdJag => Err(ExchangeError::TakenType),
    }
}

/// A transaction token, of which every client that asked for it must still be one of ours.
fn transaction_token(room: &Oidc, claims: TransactionClaims, now: Time) -> Result<Opened, ExchangeError> {
    let act = acts(claims.act.as_ref())?;
    if act.iter().flat_map(Actor::clients).any(|id| room.clients.find(id).is_none()) {
        return Err(ExchangeError::ClientGone);
    }
    let session = claims.sid.parse().map_err(|_| ExchangeError::Unusable)?;
    let grant = claims.grant_id.as_deref().and_then(|id| id.parse().ok());
    Ok(Opened {
        policy: Subject {
            issuer: Issuer::Own,
            kind: SubjectKind::TxnToken,
            client: None,
            audience: claims.aud.iter().map(ToOwned::to_owned).collect(),
            scopes: Scopes::parse(&claims.scope).map_err(|_| ExchangeError::Unusable)?,
            left: left(claims.exp, now),
            act,
            may_act: None,
        },
        whose: Whose::Own(Owner {
            ids: TokenIds { session, jti: claims.jti.parse().ok(), grant },
            client: None,
            sub: claims.sub,
        }),
        authentication: Authentication::default(),
        grant_id: claims.grant_id,
        jti: claims.jti,
        transaction: Some((claims.txn, Told { context: claims.rctx, details: claims.tctx })),
    })
}

/// A token of a trusted issuer says who somebody is. What it says of scopes is worth nothing here.
fn foreign(
    client: &AuthenticatedClient,
    believed: &Believed<'_>,
    kind: SubjectKind,
    (key, origin): (Option<&Jkt>, &Provenance),
    now: Time,
) -> Result<Opened, ExchangeError> {
    if !believed.is_proven_by(key) {
        return Err(ExchangeError::OtherKey);
    }
    let (act, may_act) = believed.acting().map_err(|_| ExchangeError::Unusable)?;
    let signed_in_at = believed.signed_in_at();
    let left = left(believed.seconds("exp").unwrap_or_default(), now);
    if left <= Duration::zero() {
        return Err(ExchangeError::Subject(Refusal::Expired));
    }
    let event = Event {
        client: Some(client.id.clone()),
        subject_name: Some(believed.trust.name.clone()),
        detail: json!({ "trusted_issuer": believed.trust.name }),
        ..Event::new(EventKind::TrustedTokenBelieved, now, origin)
    };
    let members = client.definition.allowed_groups.clone();
    Ok(Opened {
        policy: Subject {
            issuer: Issuer::Trusted(believed.trust.name.clone()),
            kind,
            client: believed.text("azp").or_else(|| believed.text("client_id")).map(ToOwned::to_owned),
            audience: believed.audience(),
            scopes: Scopes::default(),
            left,
            act,
            may_act,
        },
        whose: Whose::Foreign(Box::new(Newcomer {
            arrival: Arrival::new(believed, believed.once(now), members, None, event),
            signed_in_at,
        })),
        // What it says of strength is the issuer's own measure.
        authentication: Authentication {
            auth_time: signed_in_at.map(|at| at.timestamp()),
            acr: Some("0".to_owned()),
            ..Authentication::default()
        },
        grant_id: None,
        jti: believed.text("jti").unwrap_or_default().to_owned(),
        transaction: None,
    })
}

fn access_token(room: &Oidc, claims: AccessClaims, now: Time) -> Result<Opened, ExchangeError> {
    // A token of a client for itself has no session: there is nobody to go on for.
    let ids = claims.ids().ok_or(ExchangeError::Unusable)?;
    let client = room.clients.holder(&claims.client_id, claims.iat).ok_or(ExchangeError::ClientGone)?;
    Ok(Opened {
        policy: Subject {
            issuer: Issuer::Own,
            kind: SubjectKind::AccessToken,
            client: Some(claims.client_id),
            audience: claims.aud.iter().map(ToOwned::to_owned).collect(),
            scopes: Scopes::parse(&claims.scope).map_err(|_| ExchangeError::Unusable)?,
            left: left(claims.exp, now),
            act: acts(claims.act.as_ref())?,
            may_act: may_act(claims.may_act.as_ref())?,
        },
        whose: Whose::Own(Owner { ids, client: Some(client), sub: claims.sub }),
        authentication: claims.authentication,
        grant_id: claims.grant_id,
        jti: claims.jti,
        transaction: None,
    })
}

/// An ID token says who somebody is and allows nothing, so it has no scopes.
fn id_token(room: &Oidc, claims: IdClaims, now: Time) -> Result<Opened, ExchangeError> {
    let mut audience = claims.aud.iter();
    let (Some(id), None) = (audience.next(), audience.next()) else {
        return Err(ExchangeError::Subject(Refusal::Audience));
    };
    let client = room.clients.holder(id, claims.iat).ok_or(ExchangeError::ClientGone)?;
    let session = claims.sid.as_deref().and_then(|sid| sid.parse().ok()).ok_or(ExchangeError::Unusable)?;
    Ok(Opened {
        policy: Subject {
            issuer: Issuer::Own,
            kind: SubjectKind::IdToken,
            client: Some(client.id.clone()),
            audience: vec![client.id.clone()],
            scopes: Scopes::default(),
            left: left(claims.exp, now),
            act: acts(claims.act.as_ref())?,
            may_act: may_act(claims.may_act.as_ref())?,
        },
        whose: Whose::Own(Owner {
            ids: TokenIds { session, jti: claims.jti.parse().ok(), grant: None },
            client: Some(client),
            sub: claims.sub,
        }),
        authentication: claims.authentication,
        grant_id: None,
        jti: claims.jti,
        transaction: None,
    })
}

/// Opens an actor token: an access token of ours that was given to this very client, for a person or for itself. Whoever acts
/// through somebody else already acts no further.
pub(super) fn actor(
    room: &Oidc,
    client: &AuthenticatedClient,
    presented: Presented<'_>,
    key: Option<&Jkt>,
    now: Time,
) -> Result<OpenedActor, ExchangeError> {
    if presented.kind != token_type::ACCESS_TOKEN {
        return Err(ExchangeError::TakenType);
    }
    let (ring, issuer) = (room.mint.keys().ring(), room.mint.issuer());
    let claims =
        places::any_access_token(&ring, issuer, presented.token, now).map_err(ExchangeError::Actor)?.into_claims();
    if claims.client_id != client.id || claims.act.is_some() {
        return Err(ExchangeError::OthersActor);
    }
    require_key(claims.cnf.as_ref(), key)?;
    let holder = room.clients.holder(&claims.client_id, claims.iat).ok_or(ExchangeError::ClientGone)?;
    let lives = match (claims.ids(), claims.jti.parse()) {
        (Some(ids), _) => Lives::Person(Owner { ids, client: Some(holder), sub: claims.sub.clone() }),
        (None, Ok(jti)) if claims.sub == client.id => Lives::Client(jti),
        _ => return Err(ExchangeError::Unusable),
    };
    let actor = Actor { sub: claims.sub, iss: None, client_id: Some(claims.client_id), act: None };
    Ok(OpenedActor { actor, lives })
}

/// A token that is bound to a key is nothing in the hands of others (RFC 9449 §7).
fn require_key(bound: Option<&Confirmation>, key: Option<&Jkt>) -> Result<(), ExchangeError> {
    match bound {
        Some(bound) if key.is_none_or(|key| key.as_str() != bound.jkt) => Err(ExchangeError::OtherKey),
        _ => Ok(()),
    }
}

fn left(exp: i64, now: Time) -> Duration {
    Duration::seconds(exp - now.timestamp())
}

fn acts(claim: Option<&Value>) -> Result<Option<Actor>, ExchangeError> {
    claim.map(Actor::read).transpose().map_err(|_| ExchangeError::Unusable)
}

fn may_act(claim: Option<&Value>) -> Result<Option<MayAct>, ExchangeError> {
    claim.map(MayAct::read).transpose().map_err(|_| ExchangeError::Unusable)
}
