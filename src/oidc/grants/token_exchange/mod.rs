//! Token exchange (RFC 8693): parse the request, verify the presented tokens, apply the rules, check that everything is
//! still alive, issue.
//!
//! What must always hold: only [`decide`](crate::domain::exchange::decide) allows anything; the subject token, the
//! actor token, their sessions and their people are alive at the moment of the exchange, and the new token dies with
//! the session; a token that is bound to a key is exchanged only by the holder of that key, and the new token is bound
//! to the same key; no response is sent before its event is written.

mod custom;
mod error;
mod presented;
mod refreshable;

pub use self::error::ExchangeError;
use self::presented::{Newcomer, Opened, OpenedActor, Owner, Whose};
use self::refreshable::Begun;
pub use self::refreshable::{NotRenewed, renew};

use chrono::Duration;
use serde_json::{Map, Value, json};

use crate::bridge::trusted::{Arrival, Asking, arrive};
use crate::bridge::{BridgeError, Request};
use crate::clock::Time;
use crate::config::AuthorizationServer;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::GrantType;
use crate::domain::exchange::{self, Granted, Issues, Refusal, Told, ToldFault, Wanted};
use crate::domain::id::{PasskeyId, SessionId};
use crate::domain::scope::Scopes;
use crate::domain::strict_json::{self, JsonFault};
use crate::domain::user::User;
use crate::oidc::Oidc;
use crate::oidc::client_auth::AuthenticatedClient;
use crate::oidc::wire::{ExchangeResponse, token_type};
use crate::storage::first_sessions::ForeignSession;
use crate::storage::sessions::LiveOfToken;
use crate::storage::{StorageError, audit, consents, session_clients};
use crate::tokens::dpop::Jkt;
use crate::tokens::mint::{Assertion, Exchange, Exchanged, NOT_APPLICABLE, Transaction};
use crate::web::error::{Failure, Kind};
use crate::web::form::Form;

/// A presented token, with the type that the client states.
#[derive(Clone, Copy, Debug)]
struct Presented<'a> {
    token: &'a str,
    kind: &'a str,
}

/// The parameters of the request (RFC 8693 §2.1).
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    subject: Presented<'a>,
    actor: Option<Presented<'a>>,
    requested: Option<&'a str>,
    scopes: Option<Scopes>,
    /// `audience` and `resource`: here they name the same things, except for an identity assertion.
    targets: Vec<String>,
    /// `resource` of an identity assertion: names that the other server understands.
    resources: Vec<String>,
    /// `request_context` and `request_details` of a transaction token.
    told: [Option<&'a str>; 2],
    /// `inputs`: values for a bridge that asks its caller for them.
    inputs: Option<Map<String, Value>>,
}

impl<'a> Asked<'a> {
    /// Parses the form.
    ///
    /// # Errors
    /// `invalid_request` if parameters are missing or do not fit together.
    pub fn read(form: &'a Form, scopes: Option<Scopes>) -> Result<Self, Failure> {
        let actor = match (form.find("actor_token"), form.find("actor_token_type")) {
            (None, None) => None,
            (Some(token), Some(kind)) => Some(Presented { token, kind }),
            _ => {
                let words = "actor_token and actor_token_type go together, and one of them is missing.";
                return Err(Failure::new(Kind::InvalidRequest, words));
            }
        };
        let texts = |name| form.all(name).map(ToOwned::to_owned).collect::<Vec<String>>();
        let (mut audiences, mut resources) = (texts("audience"), texts("resource"));
        if form.find("requested_token_type") != Some(token_type::ID_JAG) {
            audiences.append(&mut resources);
        }
        let is_transaction = form.find("requested_token_type") == Some(token_type::TXN_TOKEN);
        if is_transaction {
            // The purpose of the transaction (draft-ietf-oauth-transaction-tokens-10).
            form.get("scope")?;
        }
        Ok(Self {
            told: ["request_context", "request_details"].map(|name| form.find(name).filter(|_| is_transaction)),
            subject: Presented { token: form.get("subject_token")?, kind: form.get("subject_token_type")? },
            actor,
            requested: form.find("requested_token_type"),
            scopes,
            targets: audiences,
            resources,
            inputs: form.find("inputs").map(read_inputs).transpose()?,
        })
    }

    /// The token that is to be exchanged.
    pub const fn subject_token(&self) -> &str {
        self.subject.token
    }

    /// The requested kind of token. Defaults to an access token, unless the only audience is the name of a bridge.
    fn wanted(&self, room: &Oidc) -> Result<Wanted, ExchangeError> {
        let bridge = |name: &String| room.ceremonies.bridges.find(name).is_some();
        match (self.requested, self.targets.as_slice()) {
            (None, [one]) if bridge(one) => Ok(Wanted::Bridge(one.clone())),
            (None | Some(token_type::ACCESS_TOKEN), _) => Ok(Wanted::Own(Issues::AccessToken)),
            (Some(token_type::JWT), _) => Ok(Wanted::Own(Issues::Jwt)),
            (Some(token_type::REFRESH_TOKEN), _) => Ok(Wanted::Own(Issues::RefreshToken)),
            (Some(token_type::ID_TOKEN), _) => Ok(Wanted::Own(Issues::IdToken)),
            (Some(token_type::ID_JAG), _) => Ok(Wanted::Own(Issues::IdJag)),
            (Some(token_type::TXN_TOKEN), _) => Ok(Wanted::Own(Issues::TxnToken)),
            (Some(token_type::BRIDGE), [one]) => Ok(Wanted::Bridge(one.clone())),
            (Some(token_type::BRIDGE), _) => Err(ExchangeError::OneBridge),
            (Some(_), _) => Err(ExchangeError::RequestedType),
        }
    }

    /// Refuses inputs that nothing reads: the caller would believe that they restrict the token.
    fn require_reader_of_inputs(&self, wanted: &Wanted) -> Result<(), ExchangeError> {
        match (&self.inputs, wanted) {
            (Some(_), Wanted::Own(_)) => Err(ExchangeError::InputsForNobody),
            (Some(_), Wanted::Bridge(_)) | (None, _) => Ok(()),
        }
    }
}

/// Parses the `inputs` of a form: the same JSON object as in the body of `/v1/bridges/{name}/token`, with duplicate
/// members refused in the same way.
fn read_inputs(text: &str) -> Result<Map<String, Value>, Failure> {
    strict_json::parse_object(text.as_bytes()).map_err(|fault| {
        let words = match fault {
            JsonFault::Malformed => "inputs must be the text of one JSON object, with each value under its name.",
            JsonFault::Duplicate => "inputs has an object with the same member twice.",
        };
        Failure::new(Kind::InvalidRequest, words)
    })
}

/// Everything that was determined before something is issued.
struct Decided<'a> {
    client: &'a AuthenticatedClient,
    subject: &'a Opened,
    actor: Option<&'a OpenedActor>,
    granted: &'a Granted,
    key: Option<&'a Jkt>,
    person: &'a Person,
    now: Time,
    origin: &'a Provenance,
}

/// The person of a subject token, and the session whose lifetime the new token shares.
struct Person {
    user: User,
    session: SessionId,
    /// The passkey of the sign-in that the subject token describes.
    passkey: Option<PasskeyId>,
    /// What hooks added, if this exchange opened the session.
    hook_claims: Map<String, Value>,
}

/// Exchanges a token for another.
///
/// # Errors
/// [`ExchangeError`].
pub async fn exchange(
    room: &Oidc,
    client: &AuthenticatedClient,
    asked: &Asked<'_>,
    key: Option<&Jkt>,
    origin: &Provenance,
) -> Result<ExchangeResponse, ExchangeError> {
    client.may_use(GrantType::TokenExchange).map_err(|_| ExchangeError::NotAllowed)?;
    let now = room.clock.now();
    let wanted = asked.wanted(room)?;
    asked.require_reader_of_inputs(&wanted)?;
    let subject = presented::subject(room, client, asked.subject, (key, origin), now).await?;
    let actor = asked.actor.map(|actor| presented::actor(room, client, actor, key, now)).transpose()?;
    let request = exchange::Asked {
        client,
        issuer: room.mint.issuer(),
        wanted: &wanted,
        targets: &asked.targets,
        scopes: asked.scopes.as_ref(),
        actor: actor.as_ref().map(|actor| &actor.actor),
    };
    let mut granted = exchange::decide(&room.exchange_rules, &subject.policy, &request)?;
    if matches!(wanted, Wanted::Own(Issues::AccessToken | Issues::Jwt | Issues::RefreshToken)) {
        fit_resources(room, client, asked, &mut granted)?;
    }
    let person = match &subject.whose {
        Whose::Own(owner) => alive(room, client, owner, (&subject, actor.as_ref()), now).await?,
        Whose::Foreign(newcomer) => {
            require_alive(room, actor.as_ref(), now).await?;
            rehearse(room, client, (&subject, &granted), (&wanted, asked.inputs.as_ref()), now)?;
            let result = if matches!(wanted, Wanted::Bridge(_)) { "bridge" } else { "tokens" };
            arrived(room, client, (newcomer, subject.policy.left), (&granted, result), now).await?
        }
    };
    let decided = Decided {
        client,
        subject: &subject,
        actor: actor.as_ref(),
        granted: &granted,
        key,
        person: &person,
        now,
        origin,
    };
    let response = match &wanted {
        Wanted::Own(kind) => own_token(room, &decided, *kind, asked).await,
        Wanted::Bridge(name) => custom::token(room, &decided, name, asked.inputs.as_ref()).await,
    }?;
    metrics::counter!("passmint_tokens_exchanged_total", "rule" => granted.rule.clone()).increment(1);
    Ok(response)
}

/// Checks that the requested token could be issued for a trusted issuer's token, which counts once and must not be used
/// up in vain.
fn rehearse(
    room: &Oidc,
    client: &AuthenticatedClient,
    (subject, granted): (&Opened, &Granted),
    (wanted, inputs): (&Wanted, Option<&Map<String, Value>>),
    now: Time,
) -> Result<(), ExchangeError> {
    let Wanted::Bridge(bridge) = wanted else {
        return Ok(room.mint.ready(client, &granted.scopes, &granted.audience)?);
    };
    let told = &subject.authentication;
    let scopes: Vec<String> = granted.scopes.iter().map(ToOwned::to_owned).collect();
    let request = Request {
        client_id: &client.id,
        scopes: &scopes,
        acr: Some(told.acr.as_deref().unwrap_or("0")),
        auth_time: told.at().unwrap_or(Time::UNIX_EPOCH),
        now,
    };
    let bridges = &room.ceremonies.bridges;
    bridges.ready(bridge, &request)?;
    let target = bridges.find(bridge).ok_or(BridgeError::Unknown)?;
    target.bridge.inputs().accept(inputs).map(drop).map_err(|refusal| BridgeError::Inputs(refusal).into())
}

/// Restricts what a rule allows to what the client may request and what each API declares (RFC 8707).
fn fit_resources(
    room: &Oidc,
    client: &AuthenticatedClient,
    asked: &Asked<'_>,
    granted: &mut Granted,
) -> Result<(), ExchangeError> {
    let resources = room.mint.resources();
    let audience = granted.audience.iter().map(String::as_str);
    granted.audience = resources.audience(client, audience, room.mint.issuer()).map_err(|_| ExchangeError::Target)?;
    if asked.scopes.is_some() {
        resources.require_resource_of(&granted.scopes, &granted.audience).map_err(|_| ExchangeError::Scope)?;
    }
    granted.scopes = resources.effective(&granted.scopes, &granted.audience);
    Ok(())
}

/// The person of one of our own tokens, if their session and the actor are alive and they may use the client.
async fn alive(
    room: &Oidc,
    client: &AuthenticatedClient,
    owner: &Owner,
    (subject, actor): (&Opened, Option<&OpenedActor>),
    now: Time,
) -> Result<Person, ExchangeError> {
    let found = room.db.ask(LiveOfToken { token: owner.ids, now }).await?;
    let (session, user) = found.filter(|(_, user)| owner.is(room, user.id)).ok_or(ExchangeError::Ended)?;
    if let Some(allowing) = owner.consents_for(subject.policy.kind) {
        let id = user.id;
        let allowed = room.db.run(move |conn| consents::find(conn, id, &allowing)).await?;
        allowed.ok_or(ExchangeError::Ended)?;
    }
    if !room.may_use(client, user.id).await? {
        return Err(ExchangeError::NotInGroup);
    }
    require_alive(room, actor, now).await?;
    // The session may have been renewed since, with another passkey than the token describes.
    let is_same = subject.authentication.auth_time == Some(session.auth_time.timestamp());
    let passkey = session.passkey.filter(|_| is_same);
    Ok(Person { user, session: session.id, passkey, hook_claims: Map::new() })
}

/// Checks that the actor is alive, if the subject has no session of ours that is checked in the same query.
async fn require_alive(room: &Oidc, actor: Option<&OpenedActor>, now: Time) -> Result<(), ExchangeError> {
    let Some(actor) = actor else { return Ok(()) };
    let lives = actor.lives.clone();
    let found = room.db.run(move |conn| lives.find(conn, now)).await?;
    if actor.lives.is(room, &found) { Ok(()) } else { Err(ExchangeError::ActorEnded) }
}

/// The person of a trusted issuer's token, with a session that lives as long as what is issued in it.
async fn arrived(
    room: &Oidc,
    client: &AuthenticatedClient,
    (newcomer, left): (&Newcomer, Duration),
    (granted, result): (&Granted, &'static str),
    now: Time,
) -> Result<Person, ExchangeError> {
    let session = ForeignSession {
        id: SessionId::random(),
        client: Some(client.id.clone()),
        auth_time: newcomer.signed_in_at,
        now,
        // If the exchange is refreshable, the session lives as long as the trusted issuer's token, and never longer.
        ends_at: now + if granted.refreshable { left } else { granted.life },
        origin: newcomer.arrival.event.origin.clone(),
    };
    let arrival = Arrival { session: Some(session), ..newcomer.arrival.clone() };
    let asking = Asking { hooks: &room.ceremonies.hooks, result };
    let arrived = arrive(&room.db, Some(asking), arrival).await??;
    Ok(Person { user: arrived.user, session: arrived.session, passkey: None, hook_claims: arrived.hook_claims })
}

async fn own_token(
    room: &Oidc,
    decided: &Decided<'_>,
    kind: Issues,
    asked: &Asked<'_>,
) -> Result<ExchangeResponse, ExchangeError> {
    let Decided { subject, granted, now, .. } = *decided;
    let family = granted.refreshable.then(|| refreshable::begin(room, decided)).transpose()?;
    let grant_id = family.as_ref().map(Begun::id);
    let exchange = Exchange {
        user: decided.person.user.id,
        client: decided.client,
        session: decided.person.session,
        grant_id: grant_id.as_deref().or(subject.grant_id.as_deref()),
        jkt: decided.key.map(Jkt::as_str),
        audience: &granted.audience,
        scopes: &granted.scopes,
        authentication: &subject.authentication,
        act: granted.act.as_ref(),
        may_act: subject.policy.may_act.as_ref(),
        life: granted.life,
        hook_claims: &decided.person.hook_claims,
    };
    let refresh = family.as_ref().map(|begun| begun.print(room, &exchange, now)).transpose()?;
    let txn = (kind == Issues::TxnToken).then(|| subject.transaction_id());
    let (issued, issued_token_type, refresh_token) = match (kind, refresh) {
        (Issues::RefreshToken, Some(alone)) => (alone, token_type::REFRESH_TOKEN, None),
        (Issues::RefreshToken, None) => return Err(Refusal::Kind.into()),
        (Issues::AccessToken, with) => (room.mint.exchanged_access(&exchange, now)?, token_type::ACCESS_TOKEN, with),
        (Issues::Jwt, with) => (room.mint.exchanged_access(&exchange, now)?, token_type::JWT, with),
        (Issues::IdToken, _) => (room.mint.exchanged_id(&exchange, now)?, token_type::ID_TOKEN, None),
        (Issues::IdJag, _) => (assertion(room, &exchange, &asked.resources, now)?, token_type::ID_JAG, None),
        (Issues::TxnToken, _) => {
            let id = txn.as_deref().unwrap_or_default();
            (transaction(room, &exchange, (subject, id), asked, now)?, token_type::TXN_TOKEN, None)
        }
    };
    let for_others = issued.token_type == NOT_APPLICABLE;
    let event = (!granted.narrows_own || for_others || family.is_some())
        .then(|| witnessed(decided, issued.jti.clone(), txn.as_deref()));
    match (family, event) {
        (Some(family), Some(event)) => family.write(room, event, now).await?,
        (None, Some(event)) if kind == Issues::IdToken => write_told(room, decided, event).await?,
        (None, Some(event)) => {
            room.db.ask(event).await?;
        }
        (_, None) => {}
    }
    Ok(ExchangeResponse {
        access_token: issued.token,
        issued_token_type,
        token_type: issued.token_type,
        expires_in: issued.expires_in,
        refresh_token: refresh_token.map(|refresh| refresh.token),
        scope: Some(issued.scope).filter(|scope| !scope.is_empty()),
    })
}

/// Writes the event of an ID token, and records its client among those to notify when the session ends, if it has not
/// ended yet.
async fn write_told(room: &Oidc, decided: &Decided<'_>, event: Event) -> Result<(), ExchangeError> {
    let (session, client, now) = (decided.person.session, decided.client.id.clone(), decided.now);
    let lives = room
        .db
        .tx(move |conn| {
            let lives = session_clients::add(conn, session, &client, now)?;
            if lives {
                audit::insert(conn, &event)?;
            }
            Ok::<_, StorageError>(lives)
        })
        .await?;
    if lives { Ok(()) } else { Err(ExchangeError::Ended) }
}

/// Issues an identity assertion for the requested authorization server, at which this client must have a name.
fn assertion(
    room: &Oidc,
    exchange: &Exchange<'_>,
    resources: &[String],
    now: Time,
) -> Result<Exchanged, ExchangeError> {
    let named = |one: &&AuthorizationServer| exchange.audience.contains(&one.issuer);
    let server = room.authorization_servers.iter().find(named).ok_or(ExchangeError::Target)?;
    let client_id = server.client_ids.get(&exchange.client.id).ok_or(ExchangeError::Target)?;
    let known_as = match &server.client {
        Some(id) => Some(room.clients.find(id).ok_or(ExchangeError::Target)?),
        None => None,
    };
    let assertion = Assertion { client_id, known_as: known_as.as_deref(), resources };
    Ok(room.mint.id_jag(exchange, &assertion, now)?)
}

/// Issues a transaction token: for a new transaction, or as the replacement of another.
fn transaction(
    room: &Oidc,
    exchange: &Exchange<'_>,
    (subject, id): (&Opened, &str),
    asked: &Asked<'_>,
    now: Time,
) -> Result<Exchanged, ExchangeError> {
    let read = |text: Option<&str>| match text {
        Some(text) => strict_json::parse_object(text.as_bytes()).map_err(|_| ToldFault::Malformed),
        None => Ok(Map::new()),
    };
    let [context, details] = asked.told;
    let told = Told { context: read(context)?, details: read(details)? };
    let before = subject.transaction.as_ref().map_or_else(Told::default, |(_, before)| before.clone());
    let told = told.after(&before, asked.subject.token)?;
    Ok(room.mint.transaction_token(exchange, &Transaction { id, told: &told }, now)?)
}

/// The event of an exchange. `issued` is the ID of the issued token, and `txn` that of the transaction, which workloads
/// will log. A client that only narrows its own token changes nothing for anybody, so that has no event.
fn witnessed(decided: &Decided<'_>, issued: String, txn: Option<&str>) -> Event {
    let kind = if decided.granted.impersonates { EventKind::TokenImpersonated } else { EventKind::TokenExchanged };
    let mut detail = detail(decided);
    if let Some(txn) = txn {
        detail["txn"] = txn.into();
    }
    Event {
        subject: Some(issued),
        detail,
        user: Some(decided.person.user.id),
        session: Some(decided.person.session),
        client: Some(decided.client.id.clone()),
        ..Event::new(kind, decided.now, decided.origin)
    }
}

/// What the audit trail records about an exchange besides who and when.
fn detail(decided: &Decided<'_>) -> Value {
    let Decided { granted, subject, .. } = *decided;
    json!({
        "rule": granted.rule,
        "from": subject.policy.client,
        "parent": subject.jti,
        "audience": granted.audience,
        "scope": granted.scopes.to_string(),
        "act": granted.act,
        "impersonates": granted.impersonates,
        "refreshable": granted.refreshable,
    })
}
