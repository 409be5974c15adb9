//! Registering a passkey: to sign up, or in addition to existing ones.

use webauthn_rs::prelude::{Credential, Passkey};
use webauthn_rs_core::proto::{RegistrationState, UserVerificationPolicy};

use super::authentication::{Begun, listed, unreadable};
use super::binding::{self, Answer};
use super::error::CeremonyError;
use super::options::{self, Account, Choice, PublicKeyCredentialCreationOptions};
use super::outcome::{Settled, SignedIn, SignedResult};
use super::relying_party::RelyingParty;
use super::settle::Newcomer;
use super::signals::Signal;
use super::state::{Ceremony, Purpose, Wanted};
use super::strict::{self, Expected};
use super::{Ceremonies, aaguid};
use crate::bridge::Known;
use crate::clock::Time;
use crate::domain::attributes::Attributes;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::authentication::Proof;
use crate::domain::client::Client;
use crate::domain::id::{PasskeyId, SessionId, UserId};
use crate::domain::secret::TokenDigest;
use crate::domain::session::Session;
use crate::domain::text::{DisplayName, Email};
use crate::domain::user::{User, UserStatus, anonymous_label};
use crate::storage::credentials::{self, StoredPasskey};
use crate::storage::users::NewUser;
use crate::storage::{StorageError, audit, first_sessions, sessions, users};
use crate::tokens::dpop::Jkt;

/// The options call of a sign-up.
pub struct BeginSignUp<'a> {
    /// The request's `Origin`.
    pub origin: Option<&'a str>,
    /// The name of the requested profile.
    pub relying_party: Option<&'a str>,
    /// The e-mail address that was typed; it stays unverified.
    pub email: Option<&'a Email>,
    /// The name that was typed.
    pub name: Option<&'a DisplayName>,
    /// The validated result.
    pub wanted: Wanted,
    /// The client of the result.
    pub client: Option<&'a Client>,
    /// The digest of the pre-session cookie.
    pub browser: Option<TokenDigest>,
    /// The caller's choice of authenticator.
    pub choice: Choice,
}

/// The options call of a person who adds a passkey.
pub struct BeginAdd<'a> {
    /// Their session.
    pub session: &'a Session,
    /// The person.
    pub user: &'a User,
    /// The app that makes the request with its access token; `None`: our own page.
    pub asked_by: Option<&'a Client>,
    /// The request's `Origin`.
    pub origin: Option<&'a str>,
    /// The name of the requested profile.
    pub relying_party: Option<&'a str>,
    /// The digest of the pre-session cookie.
    pub browser: Option<TokenDigest>,
    /// The caller's choice of authenticator.
    pub choice: Choice,
}

/// The result of a registration.
#[derive(Debug)]
pub enum Registered {
    /// A new account, signed in.
    SignedUp(Box<SignedIn>),
    /// An additional passkey.
    Added {
        /// The passkey.
        passkey: Box<StoredPasskey>,
        /// The signal for the passkey manager.
        signal: Signal,
    },
    /// A passkey registered with a backend's permission.
    Enrolled {
        /// The passkey.
        passkey: Box<StoredPasskey>,
        /// The signal for the passkey manager.
        signal: Signal,
        /// The result for the backend.
        result: Box<SignedResult>,
    },
}

impl Ceremonies {
    /// Begins a sign-up with a passkey alone. Nothing about the person is stored until the passkey is verified, and the
    /// response is the same whether or not the address is known.
    pub async fn begin_sign_up(
        &self,
        begin: BeginSignUp<'_>,
    ) -> Result<Begun<PublicKeyCredentialCreationOptions>, CeremonyError> {
        // A new person is in no group, so a client that is restricted to groups would give them nothing. This is
        // reported before a passkey is created that nobody could use.
        let for_members = begin.client.is_some_and(|client| !client.definition.allowed_groups.is_empty());
        if !self.policy.allow_sign_up || for_members {
            return Err(CeremonyError::SignUpClosed);
        }
        let profile = begin.client.and_then(|client| client.definition.relying_party.as_deref());
        let party = self.profiles.choose(begin.origin, begin.relying_party, profile)?;
        let user = UserId::random();
        // Version 4 on purpose: version 7 would reveal when the account was created.
        let handle = crate::random::uuid().into_bytes().to_vec();
        let (email, name) = (begin.email.map(Email::as_str), begin.name.map(DisplayName::as_str));
        let label = anonymous_label(user);
        let account = Account {
            handle: &handle,
            name: email.or(name).unwrap_or(&label),
            display_name: name.or(email).unwrap_or(&label),
        };
        let (options, state) = options::creation(party, &self.policy, &account, &[], begin.choice)?;
        let purpose = Purpose::SignUp {
            user,
            handle: handle.clone(),
            email: email.map(ToOwned::to_owned),
            name: name.map(ToOwned::to_owned),
            state: Box::new(state),
        };
        self.remember(party, purpose, begin.origin, begin.browser, begin.wanted, options.challenge.clone())
            .await
            .map(|(handle, deadline)| Begun { handle, deadline, options })
    }

    /// Begins adding a passkey. Requires a fresh verification: a stolen cookie must not become a permanent key. An app
    /// adds a passkey for its own relying party, from its own origin.
    pub async fn begin_add(
        &self,
        begin: BeginAdd<'_>,
    ) -> Result<Begun<PublicKeyCredentialCreationOptions>, CeremonyError> {
        self.require_fresh(begin.session)?;
        let profile = begin.asked_by.and_then(|client| client.definition.relying_party.as_deref());
        let party = self.profiles.choose(begin.origin, begin.relying_party, profile)?;
        if let (Some(client), Some(origin)) = (begin.asked_by, begin.origin) {
            client.owns_origin(origin)?;
        }
        let client = begin.asked_by.map(|client| client.id.clone());
        let adding = Adding { user: begin.user, session: begin.session.id, vouched: false, client };
        self.begin_adding(party, adding, (begin.origin, begin.browser), begin.choice).await
    }

    /// Begins the registration of a passkey for a person whom a trusted issuer vouches for, in the session that was
    /// opened for it.
    pub async fn begin_vouched(
        &self,
        user: &User,
        session: SessionId,
        origin: Option<&str>,
        choice: Choice,
    ) -> Result<Begun<PublicKeyCredentialCreationOptions>, CeremonyError> {
        let party = self.profiles.choose(origin, None, None)?;
        self.begin_adding(party, Adding { user, session, vouched: true, client: None }, (origin, None), choice).await
    }

    async fn begin_adding(
        &self,
        party: &RelyingParty,
        adding: Adding<'_>,
        (origin, browser): (Option<&str>, Option<TokenDigest>),
        choice: Choice,
    ) -> Result<Begun<PublicKeyCredentialCreationOptions>, CeremonyError> {
        let Adding { user, session, vouched, client } = adding;
        let owner = user.id;
        let passkeys = self.db.run(move |conn| credentials::of_users(conn, &[owner], None)).await?;
        if self.rp_ids().count(&passkeys) >= self.policy.per_user {
            return Err(CeremonyError::TooMany);
        }
        let here: Vec<StoredPasskey> = passkeys.into_iter().filter(|passkey| passkey.rp_id == party.rp_id).collect();
        let (name, display_name) = (user.account_name(), user.display_name());
        let account = Account { handle: &user.handle, name: &name, display_name: &display_name };
        let (options, state) = options::creation(party, &self.policy, &account, &listed(&here), choice)?;
        let purpose = Purpose::Add { user: owner, session, epoch: user.epoch, vouched, client, state: Box::new(state) };
        self.remember(party, purpose, origin, browser, Wanted::Session, options.challenge.clone())
            .await
            .map(|(handle, deadline)| Begun { handle, deadline, options })
    }

    /// Refuses if the session's verification is not fresh.
    pub fn require_fresh(&self, session: &Session) -> Result<(), CeremonyError> {
        if session.is_fresh(self.clock.now(), self.policy.fresh_verification) {
            Ok(())
        } else {
            Err(CeremonyError::NotFresh(self.policy.fresh_verification))
        }
    }

    /// Completes a sign-up, an addition or an enrolment, after its ceremony was consumed.
    pub(super) async fn register_taken(
        &self,
        ceremony: &Ceremony,
        answer: &Answer<'_>,
    ) -> Result<Registered, CeremonyError> {
        let Answer { credential, ref call, provenance, .. } = *answer;
        let client = self.client_of(ceremony)?;
        let party = self.profiles.named(&ceremony.relying_party).ok_or(CeremonyError::NoSuchRelyingParty)?;
        match &ceremony.purpose {
            Purpose::SignUp { user, handle, email, name, state } => {
                binding::check(ceremony, call, client.as_deref())?;
                let made = self.verify_new(credential, state, party, client.as_deref(), ceremony)?;
                let person = Person { id: *user, handle, email: email.as_deref(), name: name.as_deref() };
                let signed_in =
                    self.sign_up(ceremony, (client.as_deref(), call.key), &person, made, provenance).await?;
                Ok(Registered::SignedUp(Box::new(signed_in)))
            }
            Purpose::Add { user, session, epoch, vouched, client, state } => {
                if !vouched && call.session != Some(*session) {
                    return Err(CeremonyError::Foreign("session"));
                }
                binding::check(ceremony, call, None)?;
                let asked_by = client.as_deref().map(|id| self.clients.find(id).ok_or(CeremonyError::NoSuchClient));
                let made = self.verify_new(credential, state, party, asked_by.transpose()?.as_deref(), ceremony)?;
                self.add((*user, *session, *epoch), *vouched, made, provenance).await
            }
            Purpose::Enrol { permit, state } => {
                let client = client.as_deref().ok_or(CeremonyError::NoSuchClient)?;
                binding::check(ceremony, call, Some(client))?;
                let made = self.verify_new(credential, state, party, Some(client), ceremony)?;
                self.enrol(client, permit, made, provenance).await
            }
            Purpose::SignIn { .. } | Purpose::StepUp { .. } | Purpose::Prove { .. } | Purpose::Sign { .. } => {
                Err(CeremonyError::Foreign("kind"))
            }
        }
    }

    /// Parses and verifies a new passkey. What depends on its owner (ID, name) is filled in later.
    fn verify_new(
        &self,
        credential: &[u8],
        state: &RegistrationState,
        party: &RelyingParty,
        client: Option<&Client>,
        ceremony: &Ceremony,
    ) -> Result<NewPasskey, CeremonyError> {
        let origins = binding::accepted_origins(ceremony, party, client, self.mint.issuer());
        let read = strict::registration(credential, &Expected { origins: &origins })
            .map_err(|refusal| unreadable(refusal, &origins))?;
        if read.challenge != ceremony.challenge {
            return Err(CeremonyError::Refused("another challenge"));
        }
        let verified =
            party.library.register_credential(&read.credential, state, None).map_err(CeremonyError::Library)?;
        if self.policy.requires_user_verification() && !read.flags.user_verified {
            return Err(CeremonyError::UserVerificationMissing);
        }
        let policy =
            if read.flags.user_verified { UserVerificationPolicy::Required } else { UserVerificationPolicy::Preferred };
        let document = Passkey::from(Credential { registration_policy: policy, ..verified });
        let mut transports = read.transports;
        transports.sort();
        Ok(NewPasskey {
            rp_id: party.rp_id.clone(),
            credential_id: read.credential_id,
            document: serde_json::to_value(&document)
                .map_err(|error| StorageError::corrupt("credentials", "new", error))?,
            algorithm: i32::try_from(read.algorithm)
                .map_err(|_| CeremonyError::Refused("the algorithm is out of range"))?,
            sign_count: read.sign_count,
            user_verified: read.flags.user_verified,
            backup_eligible: read.flags.backup_eligible,
            backup_state: read.flags.backup_state,
            transports,
            aaguid: (!read.aaguid.is_nil()).then_some(read.aaguid),
            resident: read.resident_key_hint,
        })
    }

    async fn sign_up(
        &self,
        ceremony: &Ceremony,
        (client, key): (Option<&Client>, Option<&Jkt>),
        person: &Person<'_>,
        made: NewPasskey,
        origin: &Provenance,
    ) -> Result<SignedIn, CeremonyError> {
        let now = self.clock.now();
        let proof = Proof { user_verified: made.user_verified, backup_eligible: made.backup_eligible, attested: false };
        let strength = proof.strength();
        self.count_mint(&ceremony.wanted, person.id)?;
        let mut plan = self.plan(&ceremony.wanted, (client, key), &strength, now)?;
        let user = User {
            id: person.id,
            handle: person.handle.to_vec(),
            email: person.email.map(ToOwned::to_owned),
            email_verified_at: None,
            name: person.name.map(ToOwned::to_owned),
            locale: None,
            profile: serde_json::Map::new(),
            attributes: Attributes::default(),
            status: UserStatus::Active,
            epoch: 0,
            created_at: now,
            updated_at: now,
        };
        let name = default_name(made.aaguid, origin, &[]);
        let passkey = made.into_stored(person.id, person.handle, name, now, Some(now));
        // Nothing else is known about a person who is just being created.
        self.rehearse((&ceremony.wanted, client), &plan.session, (&user, &passkey), Known::default())?;
        let mut event = Self::sign_in_event(EventKind::UserCreated, &plan.session, &user, &passkey, origin);
        if self.hooks.are_asked(ceremony.wanted.client()) {
            let passed = self.ask_hooks(&ceremony.wanted, (&user, &[], Newcomer::Yes), &strength, origin).await?;
            passed.note_failed(&mut event);
            plan.session.hook_claims = passed.claims;
        }
        let (stored, owner, session, family) =
            (passkey.clone(), user.clone(), plan.session.clone(), plan.family.clone());
        let inserted = self
            .db
            .tx(move |conn| {
                users::insert(
                    conn,
                    &NewUser {
                        id: owner.id,
                        handle: &owner.handle,
                        email: owner.email.as_deref(),
                        name: owner.name.as_deref(),
                        now,
                    },
                )?;
                credentials::insert(conn, &stored)?;
                first_sessions::open_first(conn, owner.id, stored.id, &session, family.as_ref(), &event)
            })
            .await;
        inserted.map_err(taken_already)?;
        let signal = Signal::new(&user, &passkey.rp_id, [passkey.credential_id.as_slice()]);
        self.deliver(&ceremony.wanted, client, Settled { plan, user, passkey, signal }, origin).await
    }

    async fn add(
        &self,
        (user, session, epoch): (UserId, SessionId, i64),
        vouched: bool,
        made: NewPasskey,
        origin: &Provenance,
    ) -> Result<Registered, CeremonyError> {
        let now = self.clock.now();
        let (most, rp_ids, origin) = (self.policy.per_user, self.rp_ids(), origin.clone());
        let decided = self
            .db
            .tx(move |conn| {
                // Lock → decide → write: two concurrent additions must not pass the limit together.
                let Some(owner) = users::lock(conn, user)? else { return Ok(Err(CeremonyError::NotSignedIn)) };
                // The epoch rises whenever something is removed: a passkey that was removed since may have been a
                // thief's, which also invalidates what was begun before. Another passkey added since makes no
                // difference.
                if owner.status == UserStatus::Disabled || owner.epoch != epoch {
                    return Ok(Err(CeremonyError::Refused("the account changed meanwhile")));
                }
                if vouched && users::is_administrator(conn, user)? {
                    return Ok(Err(CeremonyError::Refused("no other issuer speaks for an administrator")));
                }
                if !sessions::hold_live(conn, session, now)? {
                    return Ok(Err(CeremonyError::Refused("the session ended meanwhile")));
                }
                let existing = credentials::of_users(conn, &[user], None)?;
                if rp_ids.count(&existing) >= most {
                    return Ok(Err(CeremonyError::TooMany));
                }
                let name = default_name(made.aaguid, &origin, &existing);
                let passkey = made.into_stored(user, &owner.handle, name, now, None);
                credentials::insert(conn, &passkey)?;
                let event = Event {
                    user: Some(user),
                    session: Some(session),
                    subject: Some(passkey.id.to_string()),
                    subject_name: Some(passkey.name.clone()),
                    ..Event::new(EventKind::PasskeyAdded, now, &origin)
                };
                audit::insert(conn, &event)?;
                let ids: Vec<&[u8]> = existing
                    .iter()
                    .filter(|other| other.rp_id == passkey.rp_id)
                    .map(|other| other.credential_id.as_slice())
                    .chain([passkey.credential_id.as_slice()])
                    .collect();
                let signal = Signal::new(&owner, &passkey.rp_id, ids);
                Ok(Ok(Registered::Added { passkey: Box::new(passkey), signal }))
            })
            .await;
        decided.map_err(taken_already)?
    }
}

/// The credential ID already exists, whoever owns it: the new one is refused, and never replaces it.
pub(super) fn taken_already(error: StorageError) -> CeremonyError {
    match error {
        StorageError::Conflict { constraint } if constraint == "credential_index_pkey" => {
            CeremonyError::CredentialExists
        }
        other => other.into(),
    }
}

/// The person who adds a passkey, their session, and the app they use.
struct Adding<'a> {
    user: &'a User,
    session: SessionId,
    vouched: bool,
    client: Option<String>,
}

/// A person who is about to have an account.
struct Person<'a> {
    id: UserId,
    handle: &'a [u8],
    email: Option<&'a str>,
    name: Option<&'a str>,
}

/// A verified passkey that has no owner yet.
pub(super) struct NewPasskey {
    rp_id: String,
    credential_id: Vec<u8>,
    document: serde_json::Value,
    algorithm: i32,
    sign_count: u32,
    pub(super) user_verified: bool,
    pub(super) backup_eligible: bool,
    backup_state: bool,
    transports: Vec<String>,
    pub(super) aaguid: Option<uuid::Uuid>,
    resident: Option<bool>,
}

impl NewPasskey {
    pub(super) fn into_stored(
        self,
        user: UserId,
        handle: &[u8],
        name: String,
        now: Time,
        last_used_at: Option<Time>,
    ) -> StoredPasskey {
        StoredPasskey {
            id: PasskeyId::random(),
            user,
            rp_id: self.rp_id,
            credential_id: self.credential_id,
            user_handle: Some(handle.to_vec()),
            document: self.document,
            algorithm: self.algorithm,
            sign_count: self.sign_count,
            user_verified: self.user_verified,
            backup_eligible: self.backup_eligible,
            backup_state: self.backup_state,
            transports: self.transports,
            aaguid: self.aaguid,
            resident: self.resident,
            // The library may have verified an attestation statement, but no trusted roots are configured.
            attested: false,
            name,
            created_at: now,
            last_used_at,
            suspended_at: None,
            first_use_pending: false,
            backup_flags_known: true,
        }
    }
}

/// The name of the provider, otherwise of the browser; numbered if the person already has one with that name.
pub(super) fn default_name(aaguid: Option<uuid::Uuid>, origin: &Provenance, existing: &[StoredPasskey]) -> String {
    let base = match (aaguid.and_then(aaguid::name), &origin.user_agent) {
        (Some(provider), _) => provider.to_owned(),
        (None, Some(browser)) => format!("Passkey, {browser}"),
        (None, None) => "Passkey".to_owned(),
    };
    let taken = |name: &str| existing.iter().any(|passkey| passkey.name == name);
    if !taken(&base) {
        return base;
    }
    (2..=existing.len() + 1).map(|number| format!("{base} {number}")).find(|name| !taken(name)).unwrap_or(base)
}
