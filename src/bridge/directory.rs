//! The bridges of a running server: which there are, with which key each signs, and the minting itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::PgConnection;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::key::key_algorithm;
use super::stored::{self, Fault, Home, Ready};
use super::{
    Bridge, ClientFacts, Denied, Facts, GrantFacts, InputRefusal, Key, KidPolicy, Needs, PasskeyFacts, Person,
    RenderError, Request, SessionFacts, Typ, UserFacts,
};
use crate::clients::Clients;
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::Client;
use crate::domain::id::{SessionId, UserId};
use crate::domain::scope::Scopes;
use crate::domain::user::User;
use crate::resources::Resources;
use crate::storage::bridges::{self as stored_bridges, StoredBridge};
use crate::storage::credentials::StoredPasskey;
use crate::storage::{Db, StorageError, users};
use crate::tokens::keys::Use;
use crate::tokens::ring::SigningKey;
use crate::tokens::signer::{self, Signer};
use crate::tokens::{Keys, MintError};

/// Why no custom token was made.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// No bridge of that name, or it is switched off.
    #[error("there is no such bridge")]
    Unknown,
    /// The rule of the bridge refuses.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// What the caller said is not what the bridge asks for.
    #[error(transparent)]
    Inputs(#[from] InputRefusal),
    /// The template cannot be filled for this person, or its result breaks a rule of the target.
    #[error("the token cannot be rendered: {0}")]
    Render(#[from] RenderError),
    /// With the keys of our own tokens its audience may be no client or API of ours, nor another bridge's.
    #[error("the audience is a client, an API or another bridge of this server, and the key that of its own tokens")]
    OwnAudience,
    /// The key is missing or does not sign.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Who asks for a custom token, and on the strength of what.
#[derive(Clone, Copy, Debug)]
pub struct MintRequest<'a> {
    /// Whose token.
    pub user: &'a User,
    /// In which session.
    pub session: SessionId,
    /// Its authentication context class reference.
    pub acr: &'a str,
    /// Its methods.
    pub amr: &'a [String],
    /// When the person authenticated.
    pub auth_time: Time,
    /// The passkey they used, where it is known.
    pub passkey: Option<&'a StoredPasskey>,
    /// The client that asks.
    pub client: &'a Client,
    /// The scopes it holds: those of its token, or where a ceremony ends at the bridge those the client may ask for.
    pub scopes: &'a Scopes,
    /// What the caller says under the names that the bridge declares.
    pub inputs: Option<&'a Map<String, Value>>,
    /// Longest life of the token, where it comes of another one that ends.
    pub longest: Option<chrono::Duration>,
}

/// A custom token.
#[derive(Clone, Debug)]
pub struct BridgeToken {
    /// The bridge's name.
    pub bridge: String,
    /// The token.
    pub token: String,
    /// Its life, in seconds.
    pub expires_in: i64,
    /// Its id, for the audit trail.
    pub id: uuid::Uuid,
}

impl BridgeToken {
    /// The event of its minting.
    pub fn event(
        &self,
        user: UserId,
        session: SessionId,
        client: Option<&str>,
        now: Time,
        origin: &Provenance,
    ) -> Event {
        Event {
            user: Some(user),
            session: Some(session),
            client: client.map(ToOwned::to_owned),
            subject: Some(self.id.to_string()),
            subject_name: Some(self.bridge.clone()),
            ..Event::new(EventKind::BridgeMinted, now, origin)
        }
    }
}

/// What is stored of a person for other systems.
#[derive(Clone, Debug, Default)]
pub struct Known {
    links: BTreeMap<String, String>,
    groups: Vec<String>,
}

impl Known {
    /// Reads what is needed of it.
    pub fn of(conn: &mut PgConnection, owner: UserId, needs: Needs) -> Result<Self, StorageError> {
        let links = if needs.links { users::external_ids_of(conn, owner)? } else { BTreeMap::new() };
        let groups = if needs.groups { users::groups_of(conn, owner)? } else { Vec::new() };
        Ok(Self { links, groups })
    }

    /// What a bridge's rule asks of the person of a request.
    pub fn person<'a>(&'a self, request: &MintRequest<'a>) -> Person<'a> {
        let email_verified = request.user.email.is_some() && request.user.email_verified_at.is_some();
        Person { groups: &self.groups, amr: request.amr, email_verified }
    }

    /// Whether the person is in one of these groups.
    pub fn is_in_any(&self, groups: &[String]) -> bool {
        self.groups.iter().any(|own| groups.contains(own))
    }
}

/// A row of the database, and what became of it.
struct Entry {
    row: StoredBridge,
    state: State,
}

enum State {
    On(Arc<Ready>),
    Off,
    OutOfUse(Fault),
}

/// The directory. Reading it takes no lock.
pub struct Bridges {
    entries: ArcSwap<HashMap<String, Entry>>,
    /// Held from reading the database to taking up what was read, so that what is older never replaces what is newer.
    turn: Mutex<()>,
    home: Home,
    keys: Arc<Keys>,
    clients: Arc<Clients>,
    resources: Arc<Resources>,
    db: Db,
    signer: Signer,
}

impl Bridges {
    /// A directory without a bridge yet: see [`Bridges::replace`].
    pub fn new(home: Home, keys: Arc<Keys>, (clients, resources): (Arc<Clients>, Arc<Resources>), db: Db) -> Self {
        Self {
            entries: ArcSwap::default(),
            turn: Mutex::default(),
            home,
            keys,
            clients,
            resources,
            db,
            signer: Signer::new(),
        }
    }

    /// Puts these rows in place of all: at the start, when nobody else reads them. One that cannot be used is told in the log, once, and keeps nothing else from working.
    pub fn replace(&self, rows: Vec<StoredBridge>, now: Time) {
        let (known, master) = (self.entries.load(), self.keys.master());
        let entry = |row: StoredBridge| {
            let old = known.get(&row.name);
            let state = match (row.is_on(), old) {
                (false, _) => State::Off,
                (true, Some(Entry { row: same, state: State::On(ready) })) if *same == row => {
                    State::On(Arc::clone(ready))
                }
                (true, old) => match stored::ready(&row, &self.home, &master, now) {
                    Ok(ready) => State::On(Arc::new(ready)),
                    // Sealed anew, and our master key is the old one still: it is the same key.
                    Err(Fault::MasterKey(reason)) => match old {
                        Some(Entry { row: same, state: State::On(ready) }) if is_resealed(same, &row) => {
                            State::On(Arc::clone(ready))
                        }
                        old => out_of_use(&row.name, Fault::MasterKey(reason), old),
                    },
                    Err(fault) => out_of_use(&row.name, fault, old),
                },
            };
            (row.name.clone(), Entry { row, state })
        };
        self.entries.store(Arc::new(rows.into_iter().map(entry).collect()));
    }

    /// Reads all bridges anew.
    pub async fn reload(&self, now: Time) -> Result<Vec<StoredBridge>, StorageError> {
        let _turn = self.turn.lock().await;
        let rows = self.db.run(stored_bridges::all).await?;
        self.replace(rows.clone(), now);
        Ok(rows)
    }

    /// What this server knows beside the database.
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The keys.
    pub const fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// The bridge of that name, unless it is unknown, off or out of use.
    pub fn find(&self, name: &str) -> Option<Arc<Ready>> {
        match &self.entries.load().get(name)?.state {
            State::On(ready) => Some(Arc::clone(ready)),
            State::Off | State::OutOfUse(_) => None,
        }
    }

    /// Why a bridge that is on cannot be used; empty for all others.
    pub fn faults(&self, name: &str) -> Vec<String> {
        match self.entries.load().get(name).map(|entry| &entry.state) {
            Some(State::OutOfUse(fault)) => fault.reasons(),
            _ => Vec::new(),
        }
    }

    /// The names of all bridges that mint, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = self.entries.load();
        let on = entries.values().filter(|entry| matches!(entry.state, State::On(_)));
        let mut names: Vec<String> = on.map(|entry| entry.row.name.clone()).collect();
        names.sort();
        names
    }

    /// What must be read for a token of this bridge.
    pub fn needs(&self, name: &str) -> Result<Needs, BridgeError> {
        Ok(self.get(name)?.needs)
    }

    fn get(&self, name: &str) -> Result<Arc<Ready>, BridgeError> {
        self.find(name).ok_or(BridgeError::Unknown)
    }

    /// Checks that the bridge's rule permits this request and that its token could be signed now, so that no sign-in is
    /// written in vain. Minting asks both again.
    pub fn ready(&self, name: &str, request: &Request<'_>) -> Result<(), BridgeError> {
        let entry = self.get(name)?;
        entry.bridge.permits(request)?;
        self.keys.require_fresh()?;
        self.require_foreign_audience(&entry.bridge)?;
        self.key_of(&entry).map(drop).map_err(Into::into)
    }

    /// Checks that the template can be filled for this person, by what is `known` of them: the other half of
    /// [`Bridges::ready`].
    pub fn rehearse(&self, name: &str, request: &MintRequest<'_>, known: Known, now: Time) -> Result<(), BridgeError> {
        let entry = self.get(name)?;
        entry.bridge.permits_person(&known.person(request))?;
        let scopes = request.scopes.iter().map(ToOwned::to_owned).collect();
        let facts = Facts { inputs: entry.bridge.inputs().accept(request.inputs)?, ..facts(request, scopes, known) };
        entry.bridge.render(&facts, now, crate::random::uuid()).map(drop).map_err(Into::into)
    }

    /// Makes a custom token: rule, template, target's rules, signature. Any doubt means no token.
    pub async fn mint(&self, name: &str, request: &MintRequest<'_>, now: Time) -> Result<BridgeToken, BridgeError> {
        let entry = self.get(name)?;
        self.keys.require_fresh()?;
        let scopes: Vec<String> = request.scopes.iter().map(ToOwned::to_owned).collect();
        entry.bridge.permits(&Request {
            client_id: &request.client.id,
            scopes: &scopes,
            acr: Some(request.acr),
            auth_time: request.auth_time,
            now,
        })?;
        let inputs = entry.bridge.inputs().accept(request.inputs)?;
        let owner = request.user.id;
        self.require_foreign_audience(&entry.bridge)?;
        let known = match entry.needs {
            // Most bridges ask for nothing that the session does not tell.
            Needs { links: false, groups: false, .. } => Known::default(),
            needs => self.db.run(move |conn| Known::of(conn, owner, needs)).await?,
        };
        entry.bridge.permits_person(&known.person(request))?;
        let minted = self.sign(&entry, &Facts { inputs, ..facts(request, scopes, known) }, now)?;
        metrics::counter!("passmint_bridge_tokens_total", "bridge" => name.to_owned()).increment(1);
        Ok(minted)
    }

    /// Renders, checks and signs without asking the bridge's rule: for `passmint bridges test` and `passmint doctor`.
    pub fn try_out(&self, ready: &Ready, facts: &Facts, now: Time) -> Result<BridgeToken, BridgeError> {
        self.sign(ready, facts, now)
    }

    fn sign(&self, entry: &Ready, facts: &Facts, now: Time) -> Result<BridgeToken, BridgeError> {
        let id = crate::random::uuid();
        let rendered = entry.bridge.render(facts, now, id)?;
        let key = self.key_of(entry)?;
        let typ = Some(rendered.header.typ).filter(|typ| *typ != Typ::None).map(Typ::as_str);
        let kid = match &rendered.header.kid {
            KidPolicy::Auto => Some(key.kid()),
            KidPolicy::Fixed(kid) => Some(kid.as_str()),
            KidPolicy::Omit => None,
        };
        let header = signer::Header { alg: rendered.algorithm.as_str(), typ, kid };
        let token = self.signer.sign_under(&key, header, &rendered.claims).map_err(MintError::from)?;
        Ok(BridgeToken { bridge: entry.bridge.name().to_owned(), token, expires_in: rendered.expires_in, id })
    }

    fn key_of(&self, entry: &Ready) -> Result<SigningKey, MintError> {
        let (usage, algorithm) = match (&entry.imported, entry.bridge.key()) {
            (Some(imported), _) => return Ok(imported.signing.clone()),
            (None, Key::Provider(algorithm)) => (Use::Tokens, key_algorithm(algorithm)),
            (None, Key::Own(algorithm)) => (Use::Bridge(entry.bridge.name().to_owned()), key_algorithm(algorithm)),
            (None, Key::Imported(material)) => (Use::Bridge(entry.bridge.name().to_owned()), material.algorithm()),
        };
        let missing = || MintError::NoKey { usage: usage.to_string(), algorithm };
        self.keys.ring().signing(&usage, algorithm).cloned().ok_or_else(missing)
    }

    /// What the keys of our own tokens sign must never be read as an ID token by one of our own clients (OpenID Connect Core
    /// §3.1.3.7), as an access token by an API of ours, or as the token of another bridge: such an audience is refused, also
    /// one that became theirs after the bridge was saved.
    fn require_foreign_audience(&self, bridge: &Bridge) -> Result<(), BridgeError> {
        if !matches!(bridge.key(), Key::Provider(_)) {
            return Ok(());
        }
        let audience = bridge.audience();
        let is_ours = self.clients.find(audience).is_some() || self.resources.declares(audience);
        let is_shared = || {
            let entries = self.entries.load();
            let other = |entry: &Entry| matches!(&entry.state, State::On(ready) if ready.bridge.name() != bridge.name() && bridge.is_taken_for(&ready.bridge));
            entries.values().any(other)
        };
        if is_ours || is_shared() { Err(BridgeError::OwnAudience) } else { Ok(()) }
    }
}

/// The same row but for the seal of its key.
fn is_resealed(old: &StoredBridge, new: &StoredBridge) -> bool {
    old.sealed_key.is_some() && *old == StoredBridge { sealed_key: old.sealed_key.clone(), ..new.clone() }
}

fn out_of_use(name: &str, fault: Fault, old: Option<&Entry>) -> State {
    let told = matches!(old, Some(Entry { state: State::OutOfUse(before), .. }) if *before == fault);
    if !told {
        let reasons = fault.reasons().join("; ");
        tracing::error!(
            bridge.name = name,
            reasons,
            "a stored bridge is out of use: mend it with `passmint bridges update`"
        );
    }
    State::OutOfUse(fault)
}

/// What a bridge is told about a request, but for the caller's inputs.
pub fn facts(request: &MintRequest<'_>, scopes: Vec<String>, known: Known) -> Facts {
    let user = request.user;
    let Known { links, groups } = known;
    Facts {
        inputs: BTreeMap::new(),
        longest: request.longest.map(|longest| longest.num_seconds()),
        user: UserFacts {
            id: user.id.to_string(),
            email: user.email.clone(),
            email_verified: user.email_verified_at.is_some(),
            name: user.name.clone(),
            username: None,
            locale: user.locale.clone(),
            created_at: user.created_at,
            groups,
        },
        links,
        session: SessionFacts {
            id: Some(request.session.to_string()),
            acr: Some(request.acr.to_owned()),
            amr: request.amr.to_vec(),
            auth_time: request.auth_time,
        },
        passkey: request.passkey.map(|passkey| PasskeyFacts {
            id_hash: URL_SAFE_NO_PAD.encode(digest(&SHA256, &passkey.credential_id)),
            aaguid: passkey.aaguid.map(|aaguid| aaguid.to_string()),
            uv: request.amr.iter().any(|method| method == "user"),
            be: passkey.backup_eligible,
            bs: passkey.backup_state,
            transports: passkey.transports.clone(),
            rp_id: passkey.rp_id.clone(),
            created_at: passkey.created_at,
        }),
        client: ClientFacts { id: request.client.id.clone(), name: Some(request.client.definition.name.clone()) },
        grant: GrantFacts { scopes, audience: Vec::new() },
    }
}
