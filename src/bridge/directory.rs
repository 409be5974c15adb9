//! The bridges of a running server: which there are, with which key each signs, and the minting itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::PgConnection;
use serde_json::{Map, Value};

use super::key::key_algorithm;
use super::{
    Bridge, ClientFacts, Denied, Facts, GrantFacts, InputRefusal, Key, KidPolicy, Material, PasskeyFacts, Person,
    RenderError, Request, SessionFacts, Typ, UserFacts,
};
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::Client;
use crate::domain::id::{SessionId, UserId};
use crate::domain::scope::Scopes;
use crate::domain::user::User;
use crate::storage::credentials::StoredPasskey;
use crate::storage::{Db, StorageError, users};
use crate::tokens::keys::{Algorithm as KeyAlgorithm, KeyMaterial, StoredKey, Use};
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
    /// Reads it.
    pub fn of(conn: &mut PgConnection, owner: UserId) -> Result<Self, StorageError> {
        Ok(Self { links: users::external_ids_of(conn, owner)?, groups: users::groups_of(conn, owner)? })
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

struct Entry {
    bridge: Bridge,
    /// The imported key it signs with; none when the key is one of ours, in the ring.
    imported: Option<SigningKey>,
}

/// The directory.
pub struct Bridges {
    entries: HashMap<String, Entry>,
    keys: Arc<Keys>,
    db: Db,
    signer: Signer,
}

impl Bridges {
    /// The bridges that are switched on.
    ///
    /// # Errors
    /// The name of a bridge whose imported key cannot be used.
    pub fn new(bridges: Vec<Bridge>, keys: Arc<Keys>, db: Db, now: Time) -> Result<Self, String> {
        let mut entries = HashMap::new();
        for bridge in bridges {
            let imported = imported_key(&bridge, now).map_err(|()| bridge.name().to_owned())?;
            entries.insert(bridge.name().to_owned(), Entry { bridge, imported });
        }
        Ok(Self { entries, keys, db, signer: Signer::new() })
    }

    /// The bridge of that name.
    pub fn find(&self, name: &str) -> Option<&Bridge> {
        self.entries.get(name).map(|entry| &entry.bridge)
    }

    /// Every bridge.
    pub fn iter(&self) -> impl Iterator<Item = &Bridge> {
        self.entries.values().map(|entry| &entry.bridge)
    }

    /// Checks that the bridge's rule permits this request and that its token could be signed now, so that no sign-in is
    /// written in vain. Minting asks both again.
    pub fn ready(&self, name: &str, request: &Request<'_>) -> Result<(), BridgeError> {
        let entry = self.entries.get(name).ok_or(BridgeError::Unknown)?;
        entry.bridge.permits(request)?;
        self.keys.require_fresh()?;
        self.key_of(entry).map(drop).map_err(Into::into)
    }

    /// Checks that the template can be filled for this person, by what is `known` of them: the other half of
    /// [`Bridges::ready`].
    pub fn rehearse(&self, name: &str, request: &MintRequest<'_>, known: Known, now: Time) -> Result<(), BridgeError> {
        let entry = self.entries.get(name).ok_or(BridgeError::Unknown)?;
        entry.bridge.permits_person(&known.person(request))?;
        let scopes = request.scopes.iter().map(ToOwned::to_owned).collect();
        let facts = Facts { inputs: entry.bridge.inputs().accept(request.inputs)?, ..facts(request, scopes, known) };
        entry.bridge.render(&facts, now, crate::random::uuid()).map(drop).map_err(Into::into)
    }

    /// Makes a custom token: rule, template, target's rules, signature. Any doubt means no token.
    pub async fn mint(&self, name: &str, request: &MintRequest<'_>, now: Time) -> Result<BridgeToken, BridgeError> {
        let entry = self.entries.get(name).ok_or(BridgeError::Unknown)?;
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
        let known = self.db.run(move |conn| Known::of(conn, owner)).await?;
        entry.bridge.permits_person(&known.person(request))?;
        let minted = self.sign(entry, &Facts { inputs, ..facts(request, scopes, known) }, now)?;
        metrics::counter!("passmint_bridge_tokens_total", "bridge" => name.to_owned()).increment(1);
        Ok(minted)
    }

    /// Renders, checks and signs without asking the bridge's rule: for `passmint bridges test` and `passmint doctor`.
    pub fn try_out(&self, name: &str, facts: &Facts, now: Time) -> Result<BridgeToken, BridgeError> {
        self.sign(self.entries.get(name).ok_or(BridgeError::Unknown)?, facts, now)
    }

    fn sign(&self, entry: &Entry, facts: &Facts, now: Time) -> Result<BridgeToken, BridgeError> {
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

    fn key_of(&self, entry: &Entry) -> Result<SigningKey, MintError> {
        if let Some(key) = &entry.imported {
            return Ok(key.clone());
        }
        let (usage, algorithm) = match entry.bridge.key() {
            Key::Provider(algorithm) => (Use::Tokens, key_algorithm(algorithm)),
            Key::Own(algorithm) => (Use::Bridge(entry.bridge.name().to_owned()), key_algorithm(algorithm)),
            Key::Imported(material) => (Use::Bridge(entry.bridge.name().to_owned()), material.algorithm()),
        };
        let missing = || MintError::NoKey { usage: usage.to_string(), algorithm };
        self.keys.ring().signing(&usage, algorithm).cloned().ok_or_else(missing)
    }
}

/// The key of ours that a bridge signs with: one of its own, so that a leak stays local.
pub fn own_key(bridge: &Bridge) -> Option<(Use, KeyAlgorithm)> {
    match bridge.key() {
        Key::Own(algorithm) => Some((Use::Bridge(bridge.name().to_owned()), key_algorithm(algorithm))),
        Key::Provider(_) | Key::Imported(_) => None,
    }
}

fn imported_key(bridge: &Bridge, now: Time) -> Result<Option<SigningKey>, ()> {
    let Key::Imported(imported) = bridge.key() else { return Ok(None) };
    let material = match imported {
        Material::Key(key) => key.clone(),
        Material::ServiceAccount(account) => {
            let pkcs8 = account.pkcs8().expose().clone();
            KeyMaterial::from_stored(KeyAlgorithm::RS256, pkcs8).map_err(drop)?
        }
    };
    Ok(Some(SigningKey::new(&StoredKey {
        kid: imported.id(),
        usage: Use::Bridge(bridge.name().to_owned()),
        algorithm: material.algorithm(),
        material,
        published_at: now,
        signs_from: now,
        retired_at: None,
        verifies_until: None,
        revoked_at: None,
    })))
}

/// What a bridge is told about a request, but for the caller's inputs.
pub fn facts(request: &MintRequest<'_>, scopes: Vec<String>, known: Known) -> Facts {
    let user = request.user;
    let Known { links, groups } = known;
    Facts {
        inputs: BTreeMap::new(),
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
