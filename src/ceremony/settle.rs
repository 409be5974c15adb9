//! The core of completing a ceremony: look up, verify, record. No connection is held while the signature is verified.
//!
//! A sign-in, the most frequent case, is looked up and recorded in a batch with others; the rarer cases do everything
//! on one blocking thread.

use std::sync::Arc;

use serde_json::json;
use subtle::ConstantTimeEq as _;
use webauthn_rs::prelude::{Credential, Passkey};
use webauthn_rs_core::proto::{AuthenticationState, UserVerificationPolicy};

use super::Ceremonies;
use super::error::{CeremonyError, SignInRefusal};
use super::outcome::{Plan, Settled};
use super::relying_party::RelyingParty;
use super::signals::Signal;
use super::state::{Ceremony, Purpose, Wanted};
use super::strict::Assertion;
use crate::bridge::{Known, Needs};
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::authentication::{Proof, Strength};
use crate::domain::client::Client;
use crate::domain::counter::{CounterRule, SyncedCounter};
use crate::domain::user::{User, UserStatus};
use crate::hooks::before::{Passed, SignIn};
use crate::storage::credentials::{self, FindPasskey, StoredPasskey};
use crate::storage::sign_in::{NewSignIn, VerifiedAssertion};
use crate::storage::{StorageError, assertions, audit, sessions, unusable_passkeys, users};
use crate::tokens::dpop::Jkt;

/// Why an answer by a decoy is refused, and by a passkey that was removed between the two calls.
const NOT_STORED: &str = "an offered credential is not stored";

/// A parsed answer to a ceremony that was consumed and whose binding was checked.
pub(super) struct Answered {
    pub(super) ceremony: Arc<Ceremony>,
    pub(super) client: Option<Arc<Client>>,
    pub(super) key: Option<Jkt>,
    pub(super) assertion: Assertion,
    pub(super) origin: Provenance,
}

/// Whether the account is created by the sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newcomer {
    Yes,
    No,
}

/// A passkey with a valid signature, and its owner, both as they were when read.
struct Proven {
    passkey: StoredPasskey,
    user: User,
    rule: CounterRule,
    user_verified: bool,
}

impl Proven {
    fn strength(&self, assertion: &Assertion) -> Strength {
        let backup_eligible = assertion.flags.backup_eligible;
        Proof { user_verified: self.user_verified, backup_eligible, attested: self.passkey.attested }.strength()
    }
}

/// The verdict on an answer with a valid signature.
enum Judged {
    Proven(Proven),
    /// Somebody may hold a copy of the passkey.
    CounterFell(StoredPasskey, User),
}

/// A write that has been decided.
struct Prepared {
    proven: Proven,
    plan: Plan,
    write: VerifiedAssertion,
    event: Event,
}

impl Ceremonies {
    /// Finds the passkey, verifies the answer and records the result, except for a sign-in. Blocks.
    pub(super) fn settle(&self, answered: &Answered) -> Result<Settled, CeremonyError> {
        let proven = self.prove(answered)?;
        self.record(answered, proven)
    }

    /// Settles a sign-in: look-up and write are batched with those of others. Hooks are asked in between, while no
    /// database resources are held. Everything may have changed in the meantime, so the write repeats every condition.
    pub(super) async fn settle_sign_in(self: &Arc<Self>, answered: Answered) -> Result<Settled, CeremonyError> {
        let answered = Arc::new(answered);
        let party = self.party_asked(&answered)?;
        let question =
            FindPasskey { rp_id: party.rp_id.clone(), credential_id: answered.assertion.credential_id.clone() };
        let judged = match self.db.ask(question).await? {
            Some(found) => self.judge(&answered, found)?,
            None if !is_discoverable(&answered.ceremony) => return Err(self.refuse_decoy(&answered)?),
            None => return Err(self.off_thread(&answered, Self::not_found).await?),
        };
        let proven = match judged {
            Judged::Proven(proven) => proven,
            Judged::CounterFell(passkey, user) => {
                let suspend = move |room: &Self, answered: &Answered| {
                    room.suspend(&passkey, &user, answered.assertion.sign_count, &answered.origin)
                };
                return Err(self.off_thread(&answered, suspend).await?);
            }
        };
        let passed = self.ask_hooks_if_any(&answered, &proven).await?;
        self.record_sign_in(&answered, proven, &passed).await
    }

    async fn ask_hooks_if_any(&self, answered: &Answered, proven: &Proven) -> Result<Passed, CeremonyError> {
        let Answered { ceremony, assertion, origin, .. } = answered;
        if !self.hooks.are_asked(ceremony.wanted.client()) {
            return Ok(Passed::default());
        }
        let owner = proven.user.id;
        let groups = self.db.run(move |conn| users::groups_of(conn, owner)).await?;
        let who = (&proven.user, groups.as_slice(), Newcomer::No);
        self.ask_hooks(&ceremony.wanted, who, &proven.strength(assertion), origin).await
    }

    async fn record_sign_in(
        self: &Arc<Self>,
        answered: &Arc<Answered>,
        proven: Proven,
        passed: &Passed,
    ) -> Result<Settled, CeremonyError> {
        let Prepared { proven, mut plan, write, mut event } = self.prepare(answered, proven, EventKind::SignedIn)?;
        plan.session.hook_claims.clone_from(&passed.claims);
        passed.note_failed(&mut event);
        let Proven { passkey, user, .. } = proven;
        let (wanted, client) = (&answered.ceremony.wanted, answered.client.as_deref());
        if client.is_some_and(|client| Self::must_rehearse(wanted, client)) {
            let owner = user.id;
            let known = self.db.run(move |conn| Known::of(conn, owner, Needs::ALL)).await?;
            self.rehearse((wanted, client), &plan.session, (&user, &passkey), known)?;
        }
        let new = NewSignIn { assertion: write, session: plan.session.clone(), family: plan.family.clone(), event };
        let Some(ids) = self.db.ask(new).await? else {
            let why = move |room: &Self, answered: &Answered| {
                room.why_not_written(&passkey, &user, answered.assertion.sign_count, &answered.origin)
            };
            return Err(self.off_thread(answered, why).await?);
        };
        let signal = Signal::new(&user, &passkey.rp_id, ids.iter().map(Vec::as_slice));
        Ok(Settled { plan, user, passkey, signal })
    }

    /// Determines on a blocking thread why a sign-in is refused.
    async fn off_thread(
        self: &Arc<Self>,
        answered: &Arc<Answered>,
        why: impl FnOnce(&Self, &Answered) -> Result<CeremonyError, CeremonyError> + Send + 'static,
    ) -> Result<CeremonyError, CeremonyError> {
        let (room, answered) = (Arc::clone(self), Arc::clone(answered));
        self.db.offload(move |_| why(&room, &answered)).await?
    }

    /// Asks the hooks about a sign-in or sign-up that is proven, but not written yet.
    pub(super) async fn ask_hooks(
        &self,
        wanted: &Wanted,
        (user, groups, newcomer): (&User, &[String], Newcomer),
        strength: &Strength,
        origin: &Provenance,
    ) -> Result<Passed, CeremonyError> {
        let sign_in = SignIn {
            user,
            is_new: newcomer == Newcomer::Yes,
            groups,
            client: wanted.client(),
            result: wanted.kind(),
            method: "passkey",
            acr: strength.acr,
            amr: &strength.amr,
            credential_class: Some(strength.class.as_str()),
            origin,
            now: self.clock.now(),
        };
        let known = (newcomer == Newcomer::No).then_some(user.id);
        self.hooks.ask(&sign_in).await.map_err(|refusal| CeremonyError::Hook { user: known, refusal })
    }

    fn party_asked(&self, answered: &Answered) -> Result<&RelyingParty, CeremonyError> {
        self.profiles.named(&answered.ceremony.relying_party).ok_or(CeremonyError::NoSuchRelyingParty)
    }

    /// Finds the passkey and verifies the answer. Blocks.
    fn prove(&self, answered: &Answered) -> Result<Proven, CeremonyError> {
        let rp_id = &self.party_asked(answered)?.rp_id;
        let assertion = &answered.assertion;
        let found = self.db.blocking(|conn| credentials::find_with_owner(conn, rp_id, &assertion.credential_id))?;
        let Some(found) = found else { return Err(self.not_found(answered)?) };
        match self.judge(answered, found)? {
            Judged::Proven(proven) => Ok(proven),
            Judged::CounterFell(passkey, user) => {
                Err(self.suspend(&passkey, &user, assertion.sign_count, &answered.origin)?)
            }
        }
    }

    /// Verifies the answer against the passkey that was found.
    fn judge(&self, answered: &Answered, (passkey, user): (StoredPasskey, User)) -> Result<Judged, CeremonyError> {
        let Answered { ceremony, assertion, .. } = answered;
        let (state, expected) = match &ceremony.purpose {
            Purpose::SignIn { state, .. } => (state, None),
            Purpose::StepUp { state, user, .. } => (state, Some(*user)),
            Purpose::Prove { state, permit, .. } => (state, Some(permit.user)),
            Purpose::Sign { state, signing, .. } => (state, Some(signing.user)),
            Purpose::SignUp { .. } | Purpose::Add { .. } | Purpose::Enrol { .. } => {
                return Err(CeremonyError::Foreign("kind"));
            }
        };
        check_handle(assertion, &passkey, is_discoverable(ceremony))?;
        let user_verified = self.verify(assertion, state, self.party_asked(answered)?, &passkey)?;
        if expected.is_some_and(|expected| expected != user.id) {
            return Err(CeremonyError::Foreign("person"));
        }
        // Only after the proof may the person learn why they are refused.
        if user.status == UserStatus::Disabled {
            return Err(CeremonyError::SignInRefused(SignInRefusal::AccountDisabled));
        }
        if passkey.suspended_at.is_some() {
            return Err(CeremonyError::SignInRefused(SignInRefusal::PasskeyPaused));
        }
        let rule = passkey.counter_rule(self.policy.synced_counter);
        if !rule.accepts(passkey.sign_count, assertion.sign_count) {
            return Ok(Judged::CounterFell(passkey, user));
        }
        Ok(Judged::Proven(Proven { passkey, user, rule, user_verified }))
    }

    /// Decides everything that is written for a proven answer.
    fn prepare(&self, answered: &Answered, mut proven: Proven, kind: EventKind) -> Result<Prepared, CeremonyError> {
        let Answered { ceremony, client, key, assertion, origin } = answered;
        let strength = proven.strength(assertion);
        let Proven { passkey, user, rule, user_verified } = &mut proven;
        let now = self.clock.now();
        let regressed = !CounterRule::rises(passkey.sign_count, assertion.sign_count);
        passkey.backup_eligible = assertion.flags.backup_eligible;
        passkey.backup_state = assertion.flags.backup_state;
        passkey.last_used_at = Some(now);
        self.count_mint(&ceremony.wanted, user.id)?;
        let mut plan = self.plan(&ceremony.wanted, (client.as_deref(), key.as_ref()), &strength, now)?;
        if let Purpose::StepUp { session, .. } = &ceremony.purpose {
            plan.session.id = *session;
        }
        let write = VerifiedAssertion {
            passkey: passkey.id,
            user: user.id,
            epoch: user.epoch,
            sign_count: assertion.sign_count,
            rule: *rule,
            user_verified: *user_verified,
            backup_eligible: passkey.backup_eligible,
            backup_state: passkey.backup_state,
        };
        let mut event = Self::sign_in_event(kind, &plan.session, user, passkey, origin);
        if passkey.first_use_pending {
            event.detail["firstUseSinceImport"] = json!(true);
        }
        if regressed && (*rule == CounterRule::First || self.policy.synced_counter == SyncedCounter::Warn) {
            event.detail["counterWentBack"] = json!({ "stored": passkey.sign_count, "received": assertion.sign_count });
        }
        Ok(Prepared { proven, plan, write, event })
    }

    /// Writes a proven answer. Blocks.
    fn record(&self, answered: &Answered, proven: Proven) -> Result<Settled, CeremonyError> {
        let Answered { ceremony, client, assertion, origin, .. } = answered;
        let strength = proven.strength(assertion);
        let Prepared { proven, plan, write, event } = self.prepare(answered, proven, EventKind::SteppedUp)?;
        let Proven { passkey, user, .. } = proven;
        match &ceremony.purpose {
            // Required regardless of the policy: without it, the session would be no fresher than before.
            Purpose::StepUp { .. } if !write.user_verified => return Err(CeremonyError::UserVerificationMissing),
            Purpose::Prove { permit, .. } => {
                return self.record_proof((permit, &write), plan, (passkey, user), &strength, origin);
            }
            Purpose::Sign { signing, .. } => {
                return self.record_signature((signing, &write), plan, (passkey, user), &strength, origin);
            }
            _ => {}
        }
        let (wanted, client) = (&ceremony.wanted, client.as_deref());
        if client.is_some_and(|client| Self::must_rehearse(wanted, client)) {
            let known = self.db.blocking(|conn| Known::of(conn, user.id, Needs::ALL))?;
            self.rehearse((wanted, client), &plan.session, (&user, &passkey), known)?;
        }
        let written = self.db.blocking(|conn| assertions::step_up(conn, &write, &plan.session, &event))?;
        let Some(ids) = written else {
            return Err(self.why_not_written(&passkey, &user, assertion.sign_count, origin)?);
        };
        let signal = Signal::new(&user, &passkey.rp_id, ids.iter().map(Vec::as_slice));
        Ok(Settled { plan, user, passkey, signal })
    }

    /// Why the write did nothing: its conditions are no longer met, because something changed since the rows were read.
    pub(super) fn why_not_written(
        &self,
        passkey: &StoredPasskey,
        user: &User,
        sign_count: u32,
        origin: &Provenance,
    ) -> Result<CeremonyError, CeremonyError> {
        let now =
            self.db.blocking(|conn| credentials::find_with_owner(conn, &passkey.rp_id, &passkey.credential_id))?;
        Ok(match now {
            None => CeremonyError::Refused("the passkey was removed meanwhile"),
            Some((_, owner)) if owner.status == UserStatus::Disabled => {
                CeremonyError::SignInRefused(SignInRefusal::AccountDisabled)
            }
            // Checked before the epoch, which rises with it.
            Some((stored, _)) if stored.suspended_at.is_some() => {
                CeremonyError::SignInRefused(SignInRefusal::PasskeyPaused)
            }
            Some((_, owner)) if owner.epoch != user.epoch => CeremonyError::Refused("the account changed meanwhile"),
            // The current rule applies: the passkey may have been an imported one that was used for the first time in
            // the meantime.
            Some((stored, owner))
                if !stored.counter_rule(self.policy.synced_counter).accepts(stored.sign_count, sign_count) =>
            {
                self.suspend(&stored, &owner, sign_count, origin)?
            }
            Some(_) => CeremonyError::Refused("the session ended meanwhile"),
        })
    }

    /// Suspends a passkey whose counter went back: somebody may hold a copy. The stored counter is kept.
    fn suspend(
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
        self.db.blocking_tx(|conn| {
            // The person is locked first, as wherever passkeys are changed.
            users::lock(conn, user.id)?;
            if credentials::suspend(conn, passkey.id, "counter went back", now)? {
                // The holder of a copy may have one of these sessions, or have begun to add a passkey: any change in
                // them requires proof with another passkey.
                sessions::make_stale(conn, user.id, passkey.id)?;
                users::raise_epoch(conn, user.id, now)?;
                audit::insert(conn, &event)?;
            }
            Ok(())
        })?;
        metrics::counter!("passmint_clones_suspected_total").increment(1);
        Ok(CeremonyError::Refused("the counter did not rise"))
    }

    /// Refuses an answer by a passkey that was offered but is not stored, with the same steps as for a stored one:
    /// otherwise the time would distinguish decoys from real passkeys.
    fn refuse_decoy(&self, answered: &Answered) -> Result<CeremonyError, CeremonyError> {
        let Answered { ceremony, assertion, .. } = answered;
        let Purpose::SignIn { state, .. } = &ceremony.purpose else { return Err(CeremonyError::Foreign("kind")) };
        let party = self.party_asked(answered)?;
        let passkey = self.decoys.stand_in(&party.rp_id, &assertion.credential_id);
        let proof = check_handle(assertion, &passkey, false);
        match proof.and_then(|()| self.verify(assertion, state, party, &passkey)) {
            Err(fault @ CeremonyError::Storage(_)) => Err(fault),
            Err(_) => Ok(CeremonyError::Refused(NOT_STORED)),
            // The private half of that key is public.
            Ok(_) => Ok(CeremonyError::Refused("a decoy was answered with the key that stands in for it")),
        }
    }

    /// Why there is no passkey for an answer. Blocks.
    fn not_found(&self, answered: &Answered) -> Result<CeremonyError, CeremonyError> {
        if !is_discoverable(&answered.ceremony) {
            // After an e-mail address was typed, this would distinguish decoys from real passkeys.
            return Ok(CeremonyError::Refused(NOT_STORED));
        }
        let (rp_id, id) = (&self.party_asked(answered)?.rp_id, &answered.assertion.credential_id);
        // It is not unknown, so its passkey manager must not be told to delete it.
        if self.db.blocking(|conn| unusable_passkeys::is_stored(conn, rp_id, id))? {
            return Ok(CeremonyError::Refused("an imported passkey of an algorithm that is not supported"));
        }
        Ok(CeremonyError::UnknownPasskey { rp_id: rp_id.clone(), credential_id: id.clone() })
    }

    /// Verifies the signature and the flags. Returns whether the person was verified.
    fn verify(
        &self,
        assertion: &Assertion,
        state: &AuthenticationState,
        party: &RelyingParty,
        passkey: &StoredPasskey,
    ) -> Result<bool, CeremonyError> {
        let document: Passkey = serde_json::from_value(passkey.document.clone())
            .map_err(|error| StorageError::corrupt("credentials", passkey.id, error))?;
        let upgraded = !passkey.backup_eligible && assertion.flags.backup_eligible;
        if upgraded && passkey.backup_flags_known && !self.policy.allow_backup_upgrade {
            return Err(CeremonyError::Refused("the passkey became backup eligible"));
        }
        let credential = Credential {
            // Our writing statement compares the counter; a comparison with the snapshot would race.
            counter: 0,
            backup_eligible: passkey.backup_eligible || upgraded,
            backup_state: passkey.backup_state,
            // Missing user verification is detected below, after the signature.
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

/// Whether no passkeys were offered, so that the answer determines the person.
fn is_discoverable(ceremony: &Ceremony) -> bool {
    matches!(&ceremony.purpose, Purpose::SignIn { offered: None, .. })
}

/// A sign-in without a user name must contain the user handle, and any handle must be the one the passkey was
/// registered with.
fn check_handle(assertion: &Assertion, passkey: &StoredPasskey, discoverable: bool) -> Result<(), CeremonyError> {
    match (&assertion.user_handle, &passkey.user_handle) {
        (None, _) if discoverable => Err(CeremonyError::Refused("the user handle is missing")),
        (Some(sent), Some(stored)) if !bool::from(sent.ct_eq(stored)) => {
            Err(CeremonyError::Refused("another user handle"))
        }
        _ => Ok(()),
    }
}
