//! The minting itself: the rule, the facts, the template, the target's rules, the signature.
//!
//! What must always hold: any doubt means that no token is issued; and a bridge works in a single way ([`Way`]), so
//! that what is made for one purpose is never issued for another.

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

/// Why no custom token was issued.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// There is no bridge with that name, or it is switched off.
    #[error("there is no such bridge")]
    Unknown,
    /// Its result is not issued in this way.
    #[error("{}", .0.elsewhere())]
    OtherWay(Way),
    /// The rule of the bridge refuses.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The caller's inputs do not match the bridge's declarations.
    #[error(transparent)]
    Inputs(#[from] InputRefusal),
    /// The template cannot be filled for this person, or the result violates a rule of the target.
    #[error("the token cannot be rendered: {0}")]
    Render(#[from] RenderError),
    /// The channel does not match the template.
    #[error("the channel is not among the person's")]
    Channel,
    /// The target issued no token.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It signs with the keys of our own tokens, and its audience belongs to a client or API of ours, or to another
    /// bridge.
    #[error("the audience is a client, an API or another bridge of this server, and the key that of its own tokens")]
    OwnAudience,
    /// The key is missing or cannot sign.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A request for a custom token, and what it is based on.
#[derive(Clone, Copy, Debug)]
pub struct MintRequest<'a> {
    /// The person.
    pub user: &'a User,
    /// Their session.
    pub session: SessionId,
    /// Its authentication context class reference.
    pub acr: &'a str,
    /// Its authentication methods.
    pub amr: &'a [String],
    /// When the person authenticated.
    pub auth_time: Time,
    /// The passkey they used, if known.
    pub passkey: Option<&'a StoredPasskey>,
    /// The client that makes the request.
    pub client: &'a Client,
    /// The scopes: those of its token or, if a ceremony ends at the bridge, those that the client may request.
    pub scopes: &'a Scopes,
    /// The audience of its access token; empty if it did not use one of our own.
    pub audience: &'a [String],
    /// Who acts for the person, if another party makes the request.
    pub act: Option<&'a Actor>,
    /// The caller's inputs.
    pub inputs: Option<&'a Map<String, Value>>,
    /// The maximum lifetime, if the token is derived from another one that expires.
    pub longest: Option<chrono::Duration>,
}

/// A custom token.
#[derive(Clone, Debug)]
pub struct BridgeToken {
    /// The bridge's name.
    pub bridge: String,
    /// The token.
    pub token: String,
    /// Its lifetime, in seconds.
    pub expires_in: i64,
    /// Its ID, for the audit trail.
    pub id: uuid::Uuid,
    /// The user's ID in the target system, if the target's client library needs it.
    pub subject: Option<String>,
    /// SHA-256 of its claims as signed, in base64url, for the audit trail; `None` if the target created the token.
    pub claims_sha256: Option<String>,
    /// Who acts for the person, for the audit trail.
    pub act: Option<Actor>,
}

impl BridgeToken {
    /// The event of its minting. With the digest, an auditor can verify whether a token is the one that was minted.
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

/// What is stored about a person for other systems.
#[derive(Clone, Debug, Default)]
pub struct Known {
    links: BTreeMap<String, String>,
    groups: Vec<String>,
    attributes: Attributes,
}

impl Known {
    /// Reads the parts that are needed.
    pub fn of(conn: &mut PgConnection, owner: UserId, needs: Needs) -> Result<Self, StorageError> {
        let links = if needs.links { users::external_ids_of(conn, owner)? } else { BTreeMap::new() };
        let groups = if needs.groups { users::groups_of(conn, owner)? } else { Vec::new() };
        let attributes = if needs.attributes { users::attributes_of(conn, owner)? } else { Attributes::default() };
        Ok(Self { links, groups, attributes })
    }

    /// The facts about the person that a bridge's rule evaluates.
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
    /// written in vain. Minting checks both again.
    pub fn ready(&self, name: &str, request: &Request<'_>) -> Result<(), BridgeError> {
        let entry = self.get(name)?;
        entry.bridge.require_tokens()?;
        entry.bridge.permits(request)?;
        self.keys.require_fresh()?;
        self.require_foreign_audience(&entry.bridge)?;
        if entry.bridge.way().is_token() { self.key_of(&entry).map(drop).map_err(Into::into) } else { Ok(()) }
    }

    /// Checks that the template can be filled for this person, from what is `known` about them: the other half of
    /// [`Bridges::ready`].
    pub fn rehearse(&self, name: &str, request: &MintRequest<'_>, known: Known, now: Time) -> Result<(), BridgeError> {
        let entry = self.get(name)?;
        entry.bridge.permits_person(&known.person(request))?;
        let scopes = request.scopes.iter().map(ToOwned::to_owned).collect();
        let facts = Facts { inputs: entry.bridge.inputs().accept(request.inputs)?, ..facts(request, scopes, known) };
        entry.bridge.render(&facts, now, crate::random::uuid()).map(drop).map_err(Into::into)
    }

    /// Mints a custom token: rule, template, target's rules, signature, or instead of it the target's own response. Any
    /// doubt means that no token is issued.
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

    /// The bridge and all its facts, if its rule permits this request in this way.
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
            // Most bridges use nothing that is not in the session.
            Needs { links: false, groups: false, attributes: false, .. } => Known::default(),
            needs => self.db.run(move |conn| Known::of(conn, owner, needs)).await?,
        };
        entry.bridge.permits_person(&known.person(request))?;
        Ok((entry, Facts { inputs, act, ..facts(request, scopes, known) }))
    }

    /// The passkey that opened a session, if the bridge uses facts about it.
    pub async fn passkey_used(&self, name: &str, of: &Identity) -> Result<Option<StoredPasskey>, BridgeError> {
        let (owner, used) = (of.user.id, of.session.passkey);
        if !self.needs(name)?.passkey || used.is_none() {
            return Ok(None);
        }
        let passkeys = self.db.run(move |conn| credentials::of_users(conn, &[owner], None)).await?;
        Ok(passkeys.into_iter().find(|passkey| Some(passkey.id) == used))
    }

    /// Renders, checks and signs without evaluating the bridge's rule: for `passmint bridges test` and
    /// `passmint doctor`. For a bridge that makes no token, returns the document made from the template.
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

/// Counts a minted token.
pub(super) fn count(name: &str) {
    metrics::counter!("passmint_bridge_tokens_total", "bridge" => name.to_owned()).increment(1);
}

/// A standard claim of the person's profile, if it is well-formed: what was stored before a rule existed is never
/// passed on.
fn standard_claim<'a>(user: &'a User, claim: &str) -> Option<&'a Value> {
    user.profile.get(claim).filter(|value| fits(claim, value))
}

/// The facts about a request, without the caller's inputs.
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
