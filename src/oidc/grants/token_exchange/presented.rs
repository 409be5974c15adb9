//! Tokens that are presented in an exchange: verified, and converted to what the rules evaluate.
//!
//! What must always hold: only the type that a client states is tried; whose a token is follows only from the client
//! that it was issued to, because a person may have a different `sub` for each client.

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
use crate::domain::id::UserId;
use crate::domain::scope::Scopes;
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
    /// What the rules evaluate.
    pub(super) policy: Subject,
    /// Whose token it is.
    pub(super) whose: Whose,
    /// How the person signed in.
    pub(super) authentication: Authentication,
    /// The grant that it came from.
    pub(super) grant_id: Option<String>,
    /// Its ID.
    pub(super) jti: String,
    /// The transaction that it belongs to, by its ID.
    pub(super) transaction: Option<(String, Told)>,
}

impl Opened {
    /// The transaction of the next token: the same again, or a new one.
    pub(super) fn transaction_id(&self) -> String {
        self.transaction.as_ref().map_or_else(|| crate::random::uuid().to_string(), |(id, _)| id.clone())
    }
}

/// How the person of a subject token is found.
#[derive(Debug)]
pub(super) enum Whose {
    /// By the session of one of our own tokens.
    Own(Owner),
    /// By what a trusted issuer says; a session is opened for what is issued.
    Foreign(Box<Newcomer>),
}

/// A person whom a trusted issuer vouches for.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) arrival: Arrival,
    pub(super) signed_in_at: Option<Time>,
}

/// Whose a token is: the owner of its session, if the token's `sub` is theirs for the token's client. A transaction
/// token has no client, and names the account itself.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) ids: TokenIds,
    client: Option<Arc<Client>>,
    sub: String,
}

impl Owner {
    /// The client to which the person must still consent. An access token ends with its grant; an ID token names no
    /// grant, so the consent that its grant depended on is checked.
    pub(super) fn consents_for(&self, kind: SubjectKind) -> Option<String> {
        let client = self.client.as_ref().filter(|client| !client.definition.first_party);
        client.filter(|_| kind == SubjectKind::IdToken).map(|client| client.id.clone())
    }

    pub(super) fn is(&self, room: &Oidc, user: UserId) -> bool {
        match &self.client {
            Some(client) => room.mint.subject_of(client, user) == self.sub,
            None => user.to_string() == self.sub,
        }
    }
}

/// An actor token that was verified.
#[derive(Debug)]
pub(super) struct OpenedActor {
    /// The actor.
    pub(super) actor: Actor,
    /// What must be alive for it.
    pub(super) lives: Lives,
}

/// What an actor depends on.
#[derive(Clone, Debug)]
pub(super) enum Lives {
    /// A person's session.
    Person(Owner),
    /// The client's own token, by its ID.
    Client(uuid::Uuid),
}

/// What was found about it.
pub(super) enum Found {
    /// The person whose session it is, if it is alive.
    Person(Option<UserId>),
    /// Whether the token was revoked.
    Client(bool),
}

impl Lives {
    pub(super) fn find(&self, conn: &mut PgConnection, now: Time) -> Result<Found, StorageError> {
        match self {
            Self::Person(owner) => {
                let found = sessions::find_live_of_token(conn, &owner.ids, now)?;
                Ok(Found::Person(found.map(|(_, user)| user.id)))
            }
            Self::Client(jti) => revoked_tokens::contains(conn, *jti).map(Found::Client),
        }
    }

    pub(super) fn is(&self, room: &Oidc, found: &Found) -> bool {
        match (self, found) {
            (Self::Person(owner), Found::Person(Some(user))) => owner.is(room, *user),
            (Self::Client(_), Found::Client(revoked)) => !revoked,
            _ => false,
        }
    }
}

/// Verifies a subject token: our own, or one of the trusted issuer that it names.
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

/// Reads a transaction token. Every client that requested it must still exist.
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

/// Reads a token of a trusted issuer, which says who somebody is. Its scopes mean nothing here.
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
        // What it says about the strength of the authentication is on the issuer's own scale.
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
    // A token that a client has for itself has no session, so there is no person to act for.
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

/// Reads an ID token, which says who somebody is and allows nothing, so it has no scopes.
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

/// Verifies an actor token: an access token of ours that was issued to this very client, for a person or for itself. A
/// token that already names an actor cannot act further.
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

/// Refuses a key-bound token if the request does not prove the key (RFC 9449 §7).
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
