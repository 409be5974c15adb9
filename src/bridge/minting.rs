//! The minting itself: the rule, the facts, the template, the target's rules, the signature.
//!
//! What must always hold: any doubt means no token; and a bridge answers in its one way ([`Way`]), so that what is made for one
//! place is never handed out at another.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::PgConnection;
use serde_json::{Map, Value, json};

use super::preset::way::Way;
use super::stored::Ready;
use super::{
    Bridges, CallError, ClientFacts, Denied, Facts, GrantFacts, InputRefusal, KidPolicy, Needs, PasskeyFacts, Person,
    RenderError, Request, SessionFacts, Typ, UserFacts,
};
use crate::account::guards::Identity;
use crate::clock::Time;
use crate::domain::attributes::Attributes;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::Client;
use crate::domain::exchange::Actor;
use crate::domain::id::{SessionId, UserId};
use crate::domain::scope::Scopes;
use crate::domain::standard_claims::fits;
use crate::domain::user::User;
use crate::storage::credentials::StoredPasskey;
use crate::storage::{StorageError, credentials, users};
use crate::tokens::MintError;
use crate::tokens::signer;

/// Why no custom token was made.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// No bridge of that name, or it is switched off.
    #[error("there is no such bridge")]
    Unknown,
    /// What it makes is not handed out in this way.
    #[error("{}", .0.elsewhere())]
    OtherWay(Way),
    /// The rule of the bridge refuses.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// What the caller said is not what the bridge asks for.
    #[error(transparent)]
    Inputs(#[from] InputRefusal),
    /// The template cannot be filled for this person, or its result breaks a rule of the target.
    #[error("the token cannot be rendered: {0}")]
    Render(#[from] RenderError),
    /// The channel is none of those that the template says.
    #[error("the channel is not among the person's")]
    Channel,
    /// The target gave nothing.
    #[error(transparent)]
    Call(#[from] CallError),
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
    /// Whom its access token is for; nobody where it came without one of ours.
    pub audience: &'a [String],
    /// Who acts for the person, where somebody else asks in their name.
    pub act: Option<&'a Actor>,
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
    /// Whom it is for at the target, where the target's client library asks.
    pub subject: Option<String>,
    /// SHA-256 of its claims as they were signed, in base64url, for the audit trail; none for what the target made itself.
    pub claims_sha256: Option<String>,
    /// Who acts for the person, for the audit trail.
    pub act: Option<Actor>,
}

impl BridgeToken {
    /// The event of its minting. The digest tells an auditor whether a token that turns up is the one that was minted.
    pub fn event(
        &self,
        user: UserId,
        session: SessionId,
        client: Option<&str>,
        now: Time,
        origin: &Provenance,
    ) -> Event {
        let mut detail = json!({});
        if let Some(digest) = &self.claims_sha256 {
            detail["claims_sha256"] = json!(digest);
        }
        if let Some(act) = &self.act {
            detail["act"] = json!(act);
        }
        Event {
            user: Some(user),
            session: Some(session),
            client: client.map(ToOwned::to_owned),
            subject: Some(self.id.to_string()),
            subject_name: Some(self.bridge.clone()),
            detail,
            ..Event::new(EventKind::BridgeMinted, now, origin)
        }
    }
}

/// What is stored of a person for other systems.
#[derive(Clone, Debug, Default)]
pub struct Known {
    links: BTreeMap<String, String>,
    groups: Vec<String>,
    attributes: Attributes,
}

impl Known {
    /// Reads what is needed of it.
    pub fn of(conn: &mut PgConnection, owner: UserId, needs: Needs) -> Result<Self, StorageError> {
        let links = if needs.links { users::external_ids_of(conn, owner)? } else { BTreeMap::new() };
        let groups = if needs.groups { users::groups_of(conn, owner)? } else { Vec::new() };
        let attributes = if needs.attributes { users::attributes_of(conn, owner)? } else { Attributes::default() };
        Ok(Self { links, groups, attributes })
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

impl Bridges {
    /// Checks that the bridge's rule permits this request and that its token could be signed now, so that no sign-in is
    /// written in vain. Minting asks both again.
    pub fn ready(&self, name: &str, request: &Request<'_>) -> Result<(), BridgeError> {
        let entry = self.get(name)?;
        entry.bridge.require_tokens()?;
        entry.bridge.permits(request)?;
        self.keys.require_fresh()?;
        self.require_foreign_audience(&entry.bridge)?;
        if entry.bridge.way().is_token() { self.key_of(&entry).map(drop).map_err(Into::into) } else { Ok(()) }
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

    /// Makes a custom token: rule, template, target's rules, signature, or in its place the target's own answer. Any doubt means
    /// no token.
    pub async fn mint(&self, name: &str, request: &MintRequest<'_>, now: Time) -> Result<BridgeToken, BridgeError> {
        let ready = self.get(name)?;
        ready.bridge.require_tokens()?;
        let (entry, facts) = self.allowed(name, ready.bridge.way(), request, now).await?;
        let minted = match entry.bridge.way() {
            Way::Call => self.call(&entry, &facts, now).await?,
            _ => self.sign(&entry, &facts, now)?,
        };
        count(name);
        Ok(minted)
    }

    /// The bridge and all it is told, when its rule permits this request in this way.
    pub(super) async fn allowed(
        &self,
        name: &str,
        way: Way,
        request: &MintRequest<'_>,
        now: Time,
    ) -> Result<(Arc<Ready>, Facts), BridgeError> {
        let entry = self.get(name)?;
        entry.bridge.require_way(way)?;
        self.keys.require_fresh()?;
        let scopes: Vec<String> = request.scopes.iter().map(ToOwned::to_owned).collect();
        entry.bridge.permits(&Request {
            client_id: &request.client.id,
            scopes: &scopes,
            acr: Some(request.acr),
            auth_time: request.auth_time,
            now,
        })?;
        entry.bridge.permits_actor(request.act)?;
        let act = request.act.map(|act| act.clone().named_by(&self.home().issuer));
        let inputs = entry.bridge.inputs().accept(request.inputs)?;
        let owner = request.user.id;
        self.require_foreign_audience(&entry.bridge)?;
        let known = match entry.needs {
            // Most bridges ask for nothing that the session does not tell.
            Needs { links: false, groups: false, attributes: false, .. } => Known::default(),
            needs => self.db.run(move |conn| Known::of(conn, owner, needs)).await?,
        };
        entry.bridge.permits_person(&known.person(request))?;
        Ok((entry, Facts { inputs, act, ..facts(request, scopes, known) }))
    }

    /// The passkey that a session was opened with, where the bridge asks for what is known of it.
    pub async fn passkey_used(&self, name: &str, of: &Identity) -> Result<Option<StoredPasskey>, BridgeError> {
        let (owner, used) = (of.user.id, of.session.passkey);
        if !self.needs(name)?.passkey || used.is_none() {
            return Ok(None);
        }
        let passkeys = self.db.run(move |conn| credentials::of_users(conn, &[owner], None)).await?;
        Ok(passkeys.into_iter().find(|passkey| Some(passkey.id) == used))
    }

    /// Renders, checks and signs without asking the bridge's rule: for `passmint bridges test` and `passmint doctor`.
    /// What is no token comes as the document that is made of the template.
    pub fn try_out(&self, ready: &Ready, facts: &Facts, now: Time) -> Result<BridgeToken, BridgeError> {
        if ready.bridge.way().is_token() {
            return self.sign(ready, facts, now);
        }
        let id = crate::random::uuid();
        let rendered = ready.bridge.render(facts, now, id)?;
        let (bridge, token, expires_in) = (ready.bridge.name().to_owned(), rendered.text, rendered.expires_in);
        Ok(BridgeToken { bridge, token, expires_in, id, subject: None, claims_sha256: None, act: None })
    }

    /// Renders, checks and signs.
    pub(super) fn sign(&self, entry: &Ready, facts: &Facts, now: Time) -> Result<BridgeToken, BridgeError> {
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
        let token = self.signer.sign_under(&key, header, &rendered.text).map_err(MintError::from)?;
        let bridge = entry.bridge.name().to_owned();
        let claims_sha256 = Some(sha256(rendered.text.as_bytes()));
        let (expires_in, act) = (rendered.expires_in, facts.act.clone());
        Ok(BridgeToken { bridge, token, expires_in, id, subject: None, claims_sha256, act })
    }
}

/// SHA-256 in base64url.
fn sha256(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

/// Counts what was made.
pub(super) fn count(name: &str) {
    metrics::counter!("passmint_bridge_tokens_total", "bridge" => name.to_owned()).increment(1);
}

/// A standard claim of the person's profile, as long as it has the form of one: what was stored before a rule of ours is never
/// passed on.
fn standard_claim<'a>(user: &'a User, claim: &str) -> Option<&'a Value> {
    user.profile.get(claim).filter(|value| fits(claim, value))
}

/// What a bridge is told about a request, but for the caller's inputs.
pub fn facts(request: &MintRequest<'_>, scopes: Vec<String>, known: Known) -> Facts {
    let user = request.user;
    let Known { links, groups, attributes } = known;
    Facts {
        inputs: BTreeMap::new(),
        bound_key: None,
        act: None,
        longest: request.longest.map(|longest| longest.num_seconds()),
        user: UserFacts {
            id: user.id.to_string(),
            email: user.email.clone(),
            email_verified: user.email_verified_at.is_some(),
            phone: standard_claim(user, "phone_number").and_then(Value::as_str).map(ToOwned::to_owned),
            phone_verified: standard_claim(user, "phone_number_verified") == Some(&Value::Bool(true)),
            name: user.name.clone(),
            username: standard_claim(user, "preferred_username").and_then(Value::as_str).map(ToOwned::to_owned),
            locale: user.locale.clone(),
            created_at: user.created_at,
            groups,
            attributes: attributes.into_iter().map(|(name, attribute)| (name, attribute.into())).collect(),
        },
        links,
        session: SessionFacts {
            id: Some(request.session.to_string()),
            acr: Some(request.acr.to_owned()),
            amr: request.amr.to_vec(),
            auth_time: request.auth_time,
        },
        passkey: request.passkey.map(|passkey| PasskeyFacts {
            id_hash: sha256(&passkey.credential_id),
            aaguid: passkey.aaguid.map(|aaguid| aaguid.to_string()),
            uv: request.amr.iter().any(|method| method == "user"),
            be: passkey.backup_eligible,
            bs: passkey.backup_state,
            transports: passkey.transports.clone(),
            rp_id: passkey.rp_id.clone(),
            created_at: passkey.created_at,
        }),
        client: ClientFacts { id: request.client.id.clone(), name: Some(request.client.definition.name.clone()) },
        grant: GrantFacts { scopes, audience: request.audience.to_vec() },
    }
}
