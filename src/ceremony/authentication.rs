//! Signing in, and proving again who one is.
//!
//! A finish is: consume the ceremony, check the binding, read strictly, one SELECT, verify with no connection held, one
//! conditional write.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;
use subtle::ConstantTimeEq as _;
use webauthn_rs::prelude::{Credential, Passkey};
use webauthn_rs_core::proto::AuthenticationState;
use webauthn_rs_core::proto::{PublicKeyCredentialRequestOptions, UserVerificationPolicy};

use super::binding::{self, SecondCall};
use super::decoys::Listed;
use super::error::CeremonyError;
use super::outcome::SignedIn;
use super::relying_party::RelyingParty;
use super::signals::Signal;
use super::state::{Ceremony, Purpose, Wanted};
use super::strict::{self, Assertion, Expected, Refusal};
use super::{Ceremonies, options};
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::authentication::Proof;
use crate::domain::client::Client;
use crate::domain::counter::CounterRule;
use crate::domain::id::UserId;
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::domain::session::Session;
use crate::domain::text::Email;
use crate::domain::user::{User, UserStatus};
use crate::storage::credentials::{self, StoredPasskey};
use crate::storage::sign_in::{self, VerifiedAssertion};
use crate::storage::{audit, users};

/// The first call of a sign-in.
pub struct BeginSignIn<'a> {
    /// The request's `Origin`.
    pub origin: Option<&'a str>,
    /// The profile asked for by name.
    pub relying_party: Option<&'a str>,
    /// The address typed, for an e-mail-first sign-in.
    pub email: Option<&'a Email>,
    /// The checked result.
    pub wanted: Wanted,
    /// Its client.
    pub client: Option<&'a Client>,
    /// Digest of the pre-session cookie.
    pub browser: Option<TokenDigest>,
}

/// What the first call answers.
#[derive(Debug)]
pub struct Begun<O> {
    /// The ceremony's handle, for the second call.
    pub handle: PlainToken,
    /// When the ceremony ends.
    pub deadline: Time,
    /// Options for the browser.
    pub options: O,
}

impl Ceremonies {
    /// Begins a sign-in.
    pub async fn begin_sign_in(
        &self,
        begin: BeginSignIn<'_>,
    ) -> Result<Begun<PublicKeyCredentialRequestOptions>, CeremonyError> {
        let profile = begin.client.and_then(|client| client.definition.relying_party.as_deref());
        let party = self.profiles.choose(begin.origin, begin.relying_party, profile)?;
        let offered = match begin.email {
            None => None,
            Some(email) => Some(self.listed_for(email, &party.rp_id).await?),
        };
        let (options, state) = options::request(party, &self.policy, offered.as_deref().unwrap_or_default())?;
        let purpose = Purpose::SignIn {
            offered: offered.map(|listed| listed.into_iter().map(|listed| listed.id).collect()),
            state: Box::new(state),
        };
        self.remember(party, purpose, begin.origin, begin.browser, begin.wanted, options.challenge.clone())
            .await
            .map(|(handle, deadline)| Begun { handle, deadline, options })
    }

    /// Begins a step-up of somebody signed in.
    pub async fn begin_step_up(
        &self,
        session: &Session,
        user: &User,
        origin: Option<&str>,
        browser: Option<TokenDigest>,
    ) -> Result<Begun<PublicKeyCredentialRequestOptions>, CeremonyError> {
        let party = self.profiles.choose(origin, None, None)?;
        let listed = self.listed_of(vec![user.id], &party.rp_id).await?;
        if listed.is_empty() {
            return Err(CeremonyError::NoPasskeyYet);
        }
        let (options, state) = options::request(party, &self.policy, &listed)?;
        let purpose = Purpose::StepUp {
            user: user.id,
            session: session.id,
            offered: listed.into_iter().map(|listed| listed.id).collect(),
            state: Box::new(state),
        };
        self.remember(party, purpose, origin, browser, Wanted::Session, options.challenge.clone())
            .await
            .map(|(handle, deadline)| Begun { handle, deadline, options })
    }

    /// Puts a ceremony away until its second call.
    pub(super) async fn remember(
        &self,
        party: &RelyingParty,
        purpose: Purpose,
        origin: Option<&str>,
        browser: Option<TokenDigest>,
        wanted: Wanted,
        challenge: Vec<u8>,
    ) -> Result<(PlainToken, Time), CeremonyError> {
        let handle = PlainToken::random(TokenKind::Ceremony);
        let deadline = self.clock.now() + self.policy.challenge_ttl;
        let ceremony = Ceremony {
            purpose,
            relying_party: party.name.clone(),
            origin: origin.map(ToOwned::to_owned),
            browser: browser.filter(|_| wanted == Wanted::Session),
            wanted,
            challenge,
            deadline,
        };
        self.store.put(handle.digest(), ceremony).await?;
        Ok((handle, deadline))
    }

    /// What an e-mail-first sign-in lists: passkeys of the address's people, else decoys. Both take the same steps.
    async fn listed_for(&self, email: &Email, rp_id: &str) -> Result<Vec<Listed>, CeremonyError> {
        let normalised = email.normalised();
        let decoys = self.decoys.of(&normalised, rp_id);
        let owners = self.db.run(move |conn| users::ids_claiming(conn, &normalised)).await?;
        let listed = self.listed_of(owners, rp_id).await?;
        Ok(if listed.is_empty() { decoys } else { listed })
    }

    async fn listed_of(&self, owners: Vec<UserId>, rp_id: &str) -> Result<Vec<Listed>, CeremonyError> {
        let rp_id = rp_id.to_owned();
        let passkeys = self.db.run(move |conn| credentials::of_users(conn, &owners, Some(&rp_id))).await?;
        Ok(listed(&passkeys))
    }

    /// Consumes a ceremony. After this nothing can answer it again.
    pub(super) async fn take(&self, handle: &str) -> Result<std::sync::Arc<Ceremony>, CeremonyError> {
        let handle = PlainToken::parse(TokenKind::Ceremony, handle).ok_or(CeremonyError::ExpiredOrUsed)?;
        self.store.take(handle.digest(), self.clock.now()).await?.ok_or(CeremonyError::ExpiredOrUsed)
    }

    /// Ends a sign-in or step-up: gives what it was begun for, or refuses. Refusals leave an event in the audit trail.
    pub async fn finish_authentication(
        &self,
        handle: &str,
        credential: &[u8],
        call: SecondCall<'_>,
        origin: &Provenance,
    ) -> Result<SignedIn, CeremonyError> {
        let ceremony = self.take(handle).await?;
        let result = self.finish_taken(&ceremony, credential, &call, origin).await;
        self.witness_refusal(&ceremony, result, origin).await
    }

    async fn finish_taken(
        &self,
        ceremony: &Ceremony,
        credential: &[u8],
        call: &SecondCall<'_>,
        origin: &Provenance,
    ) -> Result<SignedIn, CeremonyError> {
        let client = self.client_of(ceremony)?;
        binding::check(ceremony, call, client.as_deref())?;
        let (state, offered, step_up) = match &ceremony.purpose {
            Purpose::SignIn { state, offered } => (state, offered.as_ref(), None),
            Purpose::StepUp { state, offered, session, user } => (state, Some(offered), Some((*session, *user))),
            Purpose::SignUp { .. } | Purpose::Add { .. } => return Err(CeremonyError::Foreign("kind")),
        };
        if step_up.is_some_and(|(session, _)| call.session != Some(session)) {
            return Err(CeremonyError::Foreign("session"));
        }
        let party = self.profiles.named(&ceremony.relying_party).ok_or(CeremonyError::NoSuchRelyingParty)?;
        let assertion = read(credential, party, client.as_deref())?;
        check_before_lookup(&assertion, ceremony, party)?;
        if offered.is_some_and(|offered| !offered.contains(&assertion.credential_id)) {
            return Err(CeremonyError::Refused("the credential was not offered"));
        }

        let (passkey, user) = self.find(&assertion, party, offered.is_none()).await?;
        check_handle(&assertion, &passkey, offered.is_none())?;
        let verified = self.verify(&assertion, state, party, &passkey)?;
        if step_up.is_some_and(|(_, expected)| expected != user.id) {
            return Err(CeremonyError::Foreign("person"));
        }
        // Only now, after proof, may the person learn why they are refused.
        if user.status == UserStatus::Disabled {
            return Err(CeremonyError::SignInRefused("the account is disabled"));
        }
        if passkey.suspended_at.is_some() {
            return Err(CeremonyError::SignInRefused("the passkey is suspended"));
        }
        let rule = CounterRule::new(self.policy.synced_counter, passkey.backup_eligible);
        if !rule.accepts(passkey.sign_count, assertion.sign_count) {
            return Err(self.suspend(&passkey, &user, assertion.sign_count, origin).await?);
        }
        self.record(
            ceremony,
            client.as_deref(),
            &assertion,
            passkey,
            user,
            (rule, verified),
            step_up.map(|(id, _)| id),
            origin,
        )
        .await
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where everything about a sign-in comes together")]
    async fn record(
        &self,
        ceremony: &Ceremony,
        client: Option<&Client>,
        assertion: &Assertion,
        mut passkey: StoredPasskey,
        user: User,
        (rule, user_verified): (CounterRule, bool),
        step_up: Option<crate::domain::id::SessionId>,
        origin: &Provenance,
    ) -> Result<SignedIn, CeremonyError> {
        let now = self.clock.now();
        let regressed = !CounterRule::rises(passkey.sign_count, assertion.sign_count);
        passkey.backup_eligible = assertion.flags.backup_eligible;
        passkey.backup_state = assertion.flags.backup_state;
        passkey.last_used_at = Some(now);
        let strength =
            Proof { user_verified, backup_eligible: passkey.backup_eligible, attested: passkey.attested }.strength();
        let mut plan = self.plan(&ceremony.wanted, client, &strength, now)?;
        let kind = match step_up {
            Some(session) => {
                plan.session.id = session;
                EventKind::SteppedUp
            }
            None => EventKind::SignedIn,
        };
        let mut event = Self::sign_in_event(kind, &plan.session, &user, &passkey, origin);
        if regressed && self.policy.synced_counter == crate::domain::counter::SyncedCounter::Warn {
            event.detail["counterWentBack"] = json!({ "stored": passkey.sign_count, "received": assertion.sign_count });
        }
        let write = VerifiedAssertion {
            passkey: passkey.id,
            user: user.id,
            epoch: user.epoch,
            sign_count: assertion.sign_count,
            rule,
            user_verified,
            backup_eligible: passkey.backup_eligible,
            backup_state: passkey.backup_state,
        };
        let (session, family) = (plan.session.clone(), plan.family.clone());
        let written = self
            .db
            .run(move |conn| match kind {
                EventKind::SteppedUp => sign_in::step_up(conn, &write, &session, &event),
                _ => sign_in::sign_in(conn, &write, &session, family.as_ref(), &event),
            })
            .await?;
        let Some(ids) = written else {
            return Err(self.why_not_written(&passkey, &user, assertion.sign_count, rule, origin).await?);
        };
        let signal = Signal::new(&user, &passkey.rp_id, ids.iter().map(Vec::as_slice));
        self.deliver(&ceremony.wanted, client, plan, user, passkey, (signal, origin)).await
    }

    /// The write's conditions did not hold any more: something changed since the rows were read. Says what.
    async fn why_not_written(
        &self,
        passkey: &StoredPasskey,
        user: &User,
        sign_count: u32,
        rule: CounterRule,
        origin: &Provenance,
    ) -> Result<CeremonyError, CeremonyError> {
        let (rp_id, id) = (passkey.rp_id.clone(), passkey.credential_id.clone());
        let now = self.db.run(move |conn| credentials::find_with_owner(conn, &rp_id, &id)).await?;
        Ok(match now {
            None => CeremonyError::Refused("the passkey was removed meanwhile"),
            Some((_, owner)) if owner.status == UserStatus::Disabled => {
                CeremonyError::SignInRefused("the account is disabled")
            }
            Some((_, owner)) if owner.epoch != user.epoch => CeremonyError::Refused("the account changed meanwhile"),
            Some((stored, _)) if stored.suspended_at.is_some() => {
                CeremonyError::SignInRefused("the passkey is suspended")
            }
            Some((stored, owner)) if !rule.accepts(stored.sign_count, sign_count) => {
                self.suspend(&stored, &owner, sign_count, origin).await?
            }
            Some(_) => CeremonyError::Refused("the session ended meanwhile"),
        })
    }

    /// Suspends a passkey whose counter went back: somebody may hold a copy. The stored counter stays.
    async fn suspend(
        &self,
        passkey: &StoredPasskey,
        user: &User,
        received: u32,
        origin: &Provenance,
    ) -> Result<CeremonyError, CeremonyError> {
        let now = self.clock.now();
        let event = Event {
            user: Some(user.id),
            subject: Some(passkey.id.to_string()),
            subject_name: Some(passkey.name.clone()),
            detail: json!({ "stored": passkey.sign_count, "received": received }),
            ..Event::new(EventKind::CloneSuspected, now, origin)
        };
        let id = passkey.id;
        self.db
            .tx(move |conn| {
                if credentials::suspend(conn, id, "counter went back", now)? {
                    audit::insert(conn, &event)?;
                }
                Ok(())
            })
            .await?;
        metrics::counter!("passmint_clones_suspected_total").increment(1);
        Ok(CeremonyError::Refused("the counter did not rise"))
    }

    /// Passes a result on; a refusal is first written down, with its reason.
    pub(super) async fn witness_refusal<T>(
        &self,
        ceremony: &Ceremony,
        result: Result<T, CeremonyError>,
        origin: &Provenance,
    ) -> Result<T, CeremonyError> {
        let Err(refusal) = &result else { return result };
        if matches!(refusal, CeremonyError::Storage(_) | CeremonyError::Mint(_)) {
            return result;
        }
        let (user, session) = match &ceremony.purpose {
            Purpose::Add { user, session, .. } | Purpose::StepUp { user, session, .. } => (Some(*user), Some(*session)),
            Purpose::SignIn { .. } | Purpose::SignUp { .. } => (None, None),
        };
        let event = Event {
            user,
            session,
            client: ceremony.wanted.client().map(ToOwned::to_owned),
            detail: json!({ "reason": refusal.to_string() }),
            ..Event::new(EventKind::CeremonyRefused, self.clock.now(), origin)
        };
        metrics::counter!("passmint_ceremonies_refused_total").increment(1);
        self.db.run(move |conn| audit::insert(conn, &event)).await?;
        result
    }

    pub(super) fn client_of(&self, ceremony: &Ceremony) -> Result<Option<std::sync::Arc<Client>>, CeremonyError> {
        ceremony.wanted.client().map(|id| self.clients.find(id).ok_or(CeremonyError::NoSuchClient)).transpose()
    }

    async fn find(
        &self,
        assertion: &Assertion,
        party: &RelyingParty,
        discoverable: bool,
    ) -> Result<(StoredPasskey, User), CeremonyError> {
        let (rp_id, id) = (party.rp_id.clone(), assertion.credential_id.clone());
        let found = self.db.run(move |conn| credentials::find_with_owner(conn, &rp_id, &id)).await?;
        found.ok_or_else(|| {
            if discoverable {
                CeremonyError::UnknownPasskey {
                    rp_id: party.rp_id.clone(),
                    credential_id: assertion.credential_id.clone(),
                }
            } else {
                // After an e-mail was typed this would tell decoys from real ones.
                CeremonyError::Refused("an offered credential is not stored")
            }
        })
    }

    /// Verifies the signature and the flags; gives whether the person was verified.
    fn verify(
        &self,
        assertion: &Assertion,
        state: &AuthenticationState,
        party: &RelyingParty,
        passkey: &StoredPasskey,
    ) -> Result<bool, CeremonyError> {
        let document: Passkey = serde_json::from_value(passkey.document.clone())
            .map_err(|error| crate::storage::StorageError::corrupt("credentials", passkey.id, error))?;
        let upgraded = !passkey.backup_eligible && assertion.flags.backup_eligible;
        if upgraded && !self.policy.allow_backup_upgrade {
            return Err(CeremonyError::Refused("the passkey became backup eligible"));
        }
        let credential = Credential {
            // The counter is compared by us, in the writing statement; the snapshot's would race.
            counter: 0,
            backup_eligible: passkey.backup_eligible || upgraded,
            backup_state: passkey.backup_state,
            // Missing user verification is told apart below, after the signature.
            registration_policy: UserVerificationPolicy::Discouraged_DO_NOT_USE,
            ..document.into()
        };
        let result = party
            .library
            .authenticate_single_credential(&assertion.credential, state, &credential)
            .map_err(CeremonyError::Library)?;
        if self.policy.requires_user_verification() && !result.user_verified() {
            return Err(CeremonyError::UserVerificationMissing);
        }
        Ok(result.user_verified())
    }
}

/// What excludeCredentials and allowCredentials list of stored passkeys.
pub(super) fn listed(passkeys: &[StoredPasskey]) -> Vec<Listed> {
    passkeys
        .iter()
        .map(|passkey| Listed { id: passkey.credential_id.clone(), transports: passkey.transports.clone() })
        .collect()
}

fn read(credential: &[u8], party: &RelyingParty, client: Option<&Client>) -> Result<Assertion, CeremonyError> {
    let origins = binding::accepted_origins(party, client);
    strict::authentication(credential, &Expected { origins: &origins }).map_err(|refusal| unreadable(refusal, party))
}

/// A wrong origin is told, with the public list; everything else looks alike.
pub(super) fn unreadable(refusal: Refusal, party: &RelyingParty) -> CeremonyError {
    match refusal {
        Refusal::WrongOrigin { received } => CeremonyError::WrongOrigin { received, allowed: party.origins.clone() },
        malformed @ Refusal::Malformed(_) => CeremonyError::Unreadable(malformed),
    }
}

/// Challenge and RP id are checked before the look-up, so that only an answer to this very ceremony learns whether a
/// passkey is known here. The library checks both again.
fn check_before_lookup(assertion: &Assertion, ceremony: &Ceremony, party: &RelyingParty) -> Result<(), CeremonyError> {
    if !bool::from(assertion.challenge.ct_eq(&ceremony.challenge)) {
        return Err(CeremonyError::Refused("another challenge"));
    }
    let expected = digest(&SHA256, party.rp_id.as_bytes());
    if assertion.credential.response.authenticator_data.get(..32) != Some(expected.as_ref()) {
        return Err(CeremonyError::Refused("another RP id"));
    }
    Ok(())
}

/// A sign-in without a user name must bring the handle, and any handle must be the one the passkey was made under.
fn check_handle(assertion: &Assertion, passkey: &StoredPasskey, discoverable: bool) -> Result<(), CeremonyError> {
    match (&assertion.user_handle, &passkey.user_handle) {
        (None, _) if discoverable => Err(CeremonyError::Refused("the user handle is missing")),
        (Some(sent), Some(stored)) if !bool::from(sent.ct_eq(stored)) => {
            Err(CeremonyError::Refused("another user handle"))
        }
        _ => Ok(()),
    }
}
