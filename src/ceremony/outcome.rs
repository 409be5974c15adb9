//! From a verified passkey to the result of the ceremony.
//!
//! There are two halves around the single write: [`Ceremonies::plan`] decides IDs, lifetimes and keys before it (so
//! that a missing key is noticed before anything is written), and [`Ceremonies::deliver`] signs after it (no
//! cryptography while a connection is held).

use serde_json::json;
use url::Url;

use super::Ceremonies;
use super::error::{CeremonyError, SignInRefusal};
use super::signals::Signal;
use super::state::Wanted;
use crate::bridge::{BridgeToken, Known, MintRequest, Request};
use crate::clock::Time;
use crate::domain::action::Action;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::authentication::Strength;
use crate::domain::claims::RequestedClaims;
use crate::domain::client::Client;
use crate::domain::id::{Id, SessionId, UserId};
use crate::domain::scope::Scopes;
use crate::domain::secret::{PlainToken, TokenKind};
use crate::domain::user::User;
use crate::storage::credentials::StoredPasskey;
use crate::storage::sign_in::{NewFamily, NewSession};
use crate::storage::users;
use crate::tokens::dpop::Jkt;
use crate::tokens::mint::{ActionOutcome, SignedOperation};
use crate::tokens::{Grant, RefreshSeed, TokenSet};

/// The result of a finished ceremony.
#[derive(Debug)]
pub enum Given {
    /// A session: the cookie to set.
    Session(PlainToken),
    /// Tokens.
    Tokens(TokenSet),
    /// A custom token.
    Bridge(BridgeToken),
    /// The signed result of an action.
    Result(SignedResult),
    /// The proof of a signed operation.
    Proof(SignedProof),
}

/// The proof of a signed operation, for the client that performs it.
#[derive(Debug)]
pub struct SignedProof {
    /// The token.
    pub token: String,
    /// The operation's hash.
    pub hash: String,
}

/// What a backend is told about an action, through the person who performed it.
#[derive(Debug)]
pub struct SignedResult {
    /// The token, for the backend alone.
    pub token: String,
    /// The action that was performed.
    pub action: Action,
    /// Where our own page redirects the person, with the token.
    pub return_to: Option<String>,
}

impl SignedResult {
    /// The backend's return URL with the result added. It was validated at registration, so it can be parsed.
    pub fn back(&self) -> Option<String> {
        let mut address = Url::parse(self.return_to.as_deref()?).ok()?;
        address.query_pairs_mut().append_pair("result", &self.token);
        Some(address.into())
    }
}

/// A finished sign-in.
#[derive(Debug)]
#[must_use = "the person is signed in; tell them"]
pub struct SignedIn {
    /// The person who signed in.
    pub user: User,
    /// The passkey that was used.
    pub passkey: StoredPasskey,
    /// The session that was opened or renewed.
    pub session: NewSession,
    /// The result.
    pub given: Given,
    /// The signal for the passkey manager.
    pub signal: Signal,
}

/// A sign-in or sign-up that has been written, but not delivered yet.
pub(super) struct Settled {
    pub(super) plan: Plan,
    pub(super) user: User,
    pub(super) passkey: StoredPasskey,
    pub(super) signal: Signal,
}

/// What another party will be told, once it is written.
pub(super) enum Planned {
    /// The result of an action, and where our own page redirects the person with it.
    Action(Box<ActionOutcome>, Option<String>),
    /// The proof of a signed operation.
    Proof(Box<SignedOperation>),
}

/// What is about to be written, and what will be signed afterwards. The session of a result only describes what its
/// ceremony proved, and is not written.
pub(super) struct Plan {
    pub(super) session: NewSession,
    pub(super) result: Option<Planned>,
    pub(super) family: Option<NewFamily>,
    cookie: Option<PlainToken>,
    key: Option<Jkt>,
    seed: Option<RefreshSeed>,
}

impl Ceremonies {
    /// Counts the custom token that is about to be minted for this person, as at every other place that mints one. Call
    /// it after the proof, and before anything is written.
    pub(super) fn count_mint(&self, wanted: &Wanted, owner: UserId) -> Result<(), CeremonyError> {
        let Wanted::Bridge { bridge, .. } = wanted else { return Ok(()) };
        self.limits.check_mint(owner, bridge).map_err(|failure| CeremonyError::TooManyTokens(Box::new(failure)))
    }

    /// Decides what will be written for a result.
    pub(super) fn plan(
        &self,
        wanted: &Wanted,
        (client, key): (Option<&Client>, Option<&Jkt>),
        strength: &Strength,
        now: Time,
    ) -> Result<Plan, CeremonyError> {
        // Checked before anything is written: a server that may have missed a revocation issues nothing.
        self.mint.keys().require_fresh()?;
        let cookie = (*wanted == Wanted::Session).then(|| PlainToken::random(TokenKind::Session));
        let life = match wanted {
            Wanted::Session => self.lifetimes,
            Wanted::Tokens { .. } => self.mint.session_lifetimes(),
            // The session of a custom token exists only for the audit trail; the target opens its own.
            Wanted::Bridge { .. } | Wanted::Result { .. } => self.mint.single_token_lifetimes(),
        };
        let mut session = NewSession {
            id: SessionId::random(),
            cookie: cookie.as_ref().map(PlainToken::digest),
            client: wanted.client().map(ToOwned::to_owned),
            acr: strength.acr.to_owned(),
            amr: strength.amr.iter().map(|method| (*method).to_owned()).collect(),
            credential_class: strength.class.as_str().to_owned(),
            now,
            expires_at: now + life.sliding,
            ends_at: now + life.absolute,
            tells_client: tells(wanted, client),
            hook_claims: serde_json::Map::new(),
        };
        session.expires_at = session.expires_at.min(session.ends_at);
        let (family, seed) = match (wanted, client) {
            (Wanted::Tokens { scopes, audience, .. }, Some(client)) => {
                self.mint.ready(client, scopes, std::slice::from_ref(audience))?;
                let audience = std::slice::from_ref(audience);
                self.mint.open_family((client, key), Id::random(), scopes, audience, now)?.unzip()
            }
            (Wanted::Bridge { bridge, .. }, Some(client)) => {
                let scopes: Vec<String> = client.definition.scopes.iter().map(ToOwned::to_owned).collect();
                let request =
                    Request { client_id: &client.id, scopes: &scopes, acr: Some(strength.acr), auth_time: now, now };
                self.bridges.ready(bridge, &request)?;
                (None, None)
            }
            _ => (None, None),
        };
        Ok(Plan { session, result: None, family, cookie, key: key.cloned(), seed })
    }

    /// The last check before the write, from what is `known` about this person: whether they are in a group that may
    /// use the client, and whether a custom token can be minted for them. Nobody should be signed in, or signed up, for
    /// tokens that they cannot have.
    pub(super) fn rehearse(
        &self,
        ceremony: (&Wanted, Option<&Client>),
        session: &NewSession,
        (user, passkey): (&User, &StoredPasskey),
        known: Known,
    ) -> Result<(), CeremonyError> {
        let (wanted, Some(client)) = ceremony else { return Ok(()) };
        if !Self::must_rehearse(wanted, client) {
            return Ok(());
        }
        let groups = &client.definition.allowed_groups;
        if !groups.is_empty() && !known.is_in_any(groups) {
            return Err(CeremonyError::SignInRefused(SignInRefusal::NoGroup));
        }
        match wanted {
            Wanted::Bridge { bridge, inputs, .. } => {
                let request = MintRequest { inputs: inputs.as_ref(), ..mint_request(session, client, user, passkey) };
                Ok(self.bridges.rehearse(bridge, &request, known, session.now)?)
            }
            _ => Ok(()),
        }
    }

    /// Whether facts about a person decide the requested result for a client.
    pub(super) fn must_rehearse(wanted: &Wanted, client: &Client) -> bool {
        match wanted {
            Wanted::Bridge { .. } => true,
            Wanted::Tokens { .. } => !client.definition.allowed_groups.is_empty(),
            _ => false,
        }
    }

    /// Signs what was planned, after it has been written.
    pub(super) async fn deliver(
        &self,
        wanted: &Wanted,
        client: Option<&Client>,
        settled: Settled,
        origin: &Provenance,
    ) -> Result<SignedIn, CeremonyError> {
        let Settled { plan, user, passkey, signal } = settled;
        let given = match (wanted, client, plan.cookie) {
            (Wanted::Session, _, Some(cookie)) => Given::Session(cookie),
            (Wanted::Tokens { scopes, audience, nonce, .. }, Some(client), _) => {
                let groups = self.groups_of(&user, client, scopes).await?;
                let grant = Grant {
                    user: &user,
                    groups: &groups,
                    session: plan.session.id,
                    sid: Some(plan.session.id),
                    grant_id: None,
                    jkt: plan.key.as_ref().map(Jkt::as_str),
                    requested: &RequestedClaims::default(),
                    client,
                    scopes,
                    audience: std::slice::from_ref(audience),
                    acr: &plan.session.acr,
                    amr: &plan.session.amr,
                    credential_class: Some(&plan.session.credential_class),
                    auth_time: plan.session.now,
                    nonce: nonce.as_deref(),
                    hook_claims: &plan.session.hook_claims,
                };
                Given::Tokens(self.mint.tokens(&grant, plan.seed.as_ref(), plan.session.now)?)
            }
            (Wanted::Bridge { bridge, inputs, .. }, Some(client), _) => {
                let request =
                    MintRequest { inputs: inputs.as_ref(), ..mint_request(&plan.session, client, &user, &passkey) };
                let token = self.bridges.mint(bridge, &request, plan.session.now).await?;
                self.witness_bridge(&token, &user, &plan.session, origin).await?;
                Given::Bridge(token)
            }
            (Wanted::Result { .. }, Some(client), _) => {
                match plan.result.ok_or(CeremonyError::Refused("a result without its action"))? {
                    Planned::Action(outcome, return_to) => {
                        let token = self.mint.action_result(client, user.id, &outcome, plan.session.now)?;
                        Given::Result(SignedResult { token, action: outcome.action, return_to })
                    }
                    Planned::Proof(signed) => {
                        let audience = self.clients.find(&signed.audience).ok_or(CeremonyError::NoSuchClient)?;
                        let token = self.mint.transaction_proof(&audience, user.id, &signed, plan.session.now)?;
                        Given::Proof(SignedProof { token, hash: signed.hash })
                    }
                }
            }
            _ => return Err(CeremonyError::Refused("a result without what it needs")),
        };
        Ok(SignedIn { user, passkey, session: plan.session, given, signal })
    }

    /// The person's groups, if the ID token contains them.
    async fn groups_of(&self, user: &User, client: &Client, scopes: &Scopes) -> Result<Vec<String>, CeremonyError> {
        if !self.mint.needs_groups(client, scopes, &RequestedClaims::default()) {
            return Ok(Vec::new());
        }
        let owner = user.id;
        Ok(self.db.run(move |conn| users::groups_of(conn, owner)).await?)
    }

    async fn witness_bridge(
        &self,
        token: &BridgeToken,
        user: &User,
        session: &NewSession,
        origin: &Provenance,
    ) -> Result<(), CeremonyError> {
        let event = token.event(user.id, session.id, session.client.as_deref(), session.now, origin);
        self.db.ask(event).await?;
        Ok(())
    }

    /// The event of a sign-in.
    pub(super) fn sign_in_event(
        kind: EventKind,
        session: &NewSession,
        user: &User,
        passkey: &StoredPasskey,
        origin: &Provenance,
    ) -> Event {
        Event {
            user: Some(user.id),
            session: Some(session.id),
            client: session.client.clone(),
            subject: Some(passkey.id.to_string()),
            subject_name: Some(passkey.name.clone()),
            detail: json!({
                "acr": session.acr,
                "class": session.credential_class,
                "backupEligible": passkey.backup_eligible,
                "backupState": passkey.backup_state,
            }),
            ..Event::new(kind, session.now, origin)
        }
    }
}

/// Whether the client of a result gets an ID token, and wants to be notified when its session ends.
fn tells(wanted: &Wanted, client: Option<&Client>) -> bool {
    let with_id_token = matches!(wanted, Wanted::Tokens { scopes, .. } if scopes.contains("openid"));
    with_id_token && client.is_some_and(Client::is_told_of_logout)
}

fn mint_request<'a>(
    session: &'a NewSession,
    client: &'a Client,
    user: &'a User,
    passkey: &'a StoredPasskey,
) -> MintRequest<'a> {
    MintRequest {
        user,
        session: session.id,
        acr: &session.acr,
        amr: &session.amr,
        auth_time: session.now,
        passkey: Some(passkey),
        client,
        scopes: &client.definition.scopes,
        audience: &[],
        // The person acts themselves.
        act: None,
        inputs: None,
        longest: None,
    }
}
