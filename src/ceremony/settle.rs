//! The heart of a finish: look up, verify, record — on one blocking thread, with no connection held while the signature is
//! verified.

use std::sync::Arc;

use serde_json::json;
use subtle::ConstantTimeEq as _;
use webauthn_rs::prelude::{Credential, Passkey};
use webauthn_rs_core::proto::{AuthenticationState, UserVerificationPolicy};

use super::Ceremonies;
use super::error::CeremonyError;
use super::outcome::Settled;
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
use crate::storage::credentials::{self, StoredPasskey};
use crate::storage::sign_in::{self, VerifiedAssertion};
use crate::storage::{StorageError, audit, sessions, unusable_passkeys, users};
use crate::tokens::dpop::Jkt;

/// A read answer to a ceremony that was consumed and whose binding was checked.
pub(super) struct Answered {
    pub(super) ceremony: Arc<Ceremony>,
    pub(super) client: Option<Arc<Client>>,
    pub(super) key: Option<Jkt>,
    pub(super) assertion: Assertion,
    pub(super) origin: Provenance,
}

/// Whether the account is made with the sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newcomer {
    Yes,
    No,
}

/// A passkey whose signature is good, and its owner, as they were when they were read.
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

impl Ceremonies {
    /// Finds the passkey, verifies the answer and records the sign-in or step-up. Blocks.
    pub(super) fn settle(&self, answered: &Answered) -> Result<Settled, CeremonyError> {
        let proven = self.prove(answered)?;
        self.record(answered, proven, Passed::default())
    }

    /// The same with hooks that are asked in between, while nothing of the database and no thread is held. What they waited for
    /// may have changed everything: the write repeats every condition.
    pub(super) async fn settle_with_hooks(self: &Arc<Self>, answered: Answered) -> Result<Settled, CeremonyError> {
        let answered = Arc::new(answered);
        let (room, asked) = (Arc::clone(self), Arc::clone(&answered));
        let (proven, groups) = self
            .db
            .offload(move |_| {
                let proven = room.prove(&asked)?;
                let owner = proven.user.id;
                let groups = room.db.blocking(|conn| users::groups_of(conn, owner))?;
                Ok::<_, CeremonyError>((proven, groups))
            })
            .await??;
        let strength = proven.strength(&answered.assertion);
        let who = (&proven.user, groups.as_slice(), Newcomer::No);
        let passed = self.ask_hooks(&answered.ceremony.wanted, who, &strength, &answered.origin).await?;
        let room = Arc::clone(self);
        self.db.offload(move |_| room.record(&answered, proven, passed)).await?
    }

    /// Asks the hooks about a sign-in or sign-up that is proven, and not written.
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

    /// Finds the passkey and verifies the answer. Blocks.
    fn prove(&self, answered: &Answered) -> Result<Proven, CeremonyError> {
        let Answered { ceremony, assertion, origin, .. } = answered;
        let party = self.profiles.named(&ceremony.relying_party).ok_or(CeremonyError::NoSuchRelyingParty)?;
        let (state, discoverable, expected) = match &ceremony.purpose {
            Purpose::SignIn { state, offered } => (state, offered.is_none(), None),
            Purpose::StepUp { state, user, .. } => (state, false, Some(*user)),
            Purpose::Prove { state, permit, .. } => (state, false, Some(permit.user)),
            Purpose::Sign { state, signing, .. } => (state, false, Some(signing.user)),
            Purpose::SignUp { .. } | Purpose::Add { .. } | Purpose::Enrol { .. } => {
                return Err(CeremonyError::Foreign("kind"));
            }
        };
        let (passkey, user) = self.find(assertion, party, discoverable)?;
        check_handle(assertion, &passkey, discoverable)?;
        let user_verified = self.verify(assertion, state, party, &passkey)?;
        if expected.is_some_and(|expected| expected != user.id) {
            return Err(CeremonyError::Foreign("person"));
        }
        // Only now, after proof, may the person learn why they are refused.
        if user.status == UserStatus::Disabled {
            return Err(CeremonyError::SignInRefused("the account is disabled"));
        }
        if passkey.suspended_at.is_some() {
            return Err(CeremonyError::SignInRefused("the passkey is suspended"));
        }
        let rule = passkey.counter_rule(self.policy.synced_counter);
        if !rule.accepts(passkey.sign_count, assertion.sign_count) {
            return Err(self.suspend(&passkey, &user, assertion.sign_count, origin)?);
        }
        Ok(Proven { passkey, user, rule, user_verified })
    }

    /// Writes what was proven. Blocks.
    fn record(&self, answered: &Answered, proven: Proven, passed: Passed) -> Result<Settled, CeremonyError> {
        let Answered { ceremony, client, key, assertion, origin } = answered;
        let strength = proven.strength(assertion);
        let Proven { mut passkey, user, rule, user_verified } = proven;
        let now = self.clock.now();
        let regressed = !CounterRule::rises(passkey.sign_count, assertion.sign_count);
        passkey.backup_eligible = assertion.flags.backup_eligible;
        passkey.backup_state = assertion.flags.backup_state;
        passkey.last_used_at = Some(now);
        let mut plan = self.plan(&ceremony.wanted, (client.as_deref(), key.as_ref()), &strength, now)?;
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
        match &ceremony.purpose {
            Purpose::Prove { permit, .. } => {
                return self.record_proof((permit, &write), plan, (passkey, user), &strength, origin);
            }
            Purpose::Sign { signing, .. } => {
                return self.record_signature((signing, &write), plan, (passkey, user), &strength, origin);
            }
            _ => {}
        }
        let kind = match &ceremony.purpose {
            Purpose::StepUp { session, .. } => {
                plan.session.id = *session;
                EventKind::SteppedUp
            }
            _ => EventKind::SignedIn,
        };
        plan.session.hook_claims.clone_from(&passed.claims);
        let mut event = Self::sign_in_event(kind, &plan.session, &user, &passkey, origin);
        if passkey.first_use_pending {
            event.detail["firstUseSinceImport"] = json!(true);
        }
        passed.note_failed(&mut event);
        if regressed && (rule == CounterRule::First || self.policy.synced_counter == SyncedCounter::Warn) {
            event.detail["counterWentBack"] = json!({ "stored": passkey.sign_count, "received": assertion.sign_count });
        }
        self.rehearse((&ceremony.wanted, client.as_deref()), &plan.session, (&user, &passkey), || {
            self.db.blocking(|conn| Known::of(conn, user.id, Needs::ALL))
        })?;
        let written = self.db.blocking(|conn| match kind {
            EventKind::SteppedUp => sign_in::step_up(conn, &write, &plan.session, &event),
            _ => sign_in::sign_in(conn, &write, &plan.session, plan.family.as_ref(), &event),
        })?;
        let Some(ids) = written else {
            return Err(self.why_not_written(&passkey, &user, assertion.sign_count, origin)?);
        };
        let signal = Signal::new(&user, &passkey.rp_id, ids.iter().map(Vec::as_slice));
        Ok(Settled { plan, user, passkey, signal })
    }

    /// The write's conditions did not hold any more: something changed since the rows were read. Says what.
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
                CeremonyError::SignInRefused("the account is disabled")
            }
            Some((_, owner)) if owner.epoch != user.epoch => CeremonyError::Refused("the account changed meanwhile"),
            Some((stored, _)) if stored.suspended_at.is_some() => {
                CeremonyError::SignInRefused("the passkey is suspended")
            }
            // The rule of now: the passkey may have been an imported one whose first use came meanwhile.
            Some((stored, owner))
                if !stored.counter_rule(self.policy.synced_counter).accepts(stored.sign_count, sign_count) =>
            {
                self.suspend(&stored, &owner, sign_count, origin)?
            }
            Some(_) => CeremonyError::Refused("the session ended meanwhile"),
        })
    }

    /// Suspends a passkey whose counter went back: somebody may hold a copy. The stored counter stays.
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
            if credentials::suspend(conn, passkey.id, "counter went back", now)? {
                // Whoever holds the copy may hold one of these: no change by them without another passkey's proof.
                sessions::make_stale(conn, user.id, passkey.id)?;
                audit::insert(conn, &event)?;
            }
            Ok(())
        })?;
        metrics::counter!("passmint_clones_suspected_total").increment(1);
        Ok(CeremonyError::Refused("the counter did not rise"))
    }

    fn find(
        &self,
        assertion: &Assertion,
        party: &RelyingParty,
        discoverable: bool,
    ) -> Result<(StoredPasskey, User), CeremonyError> {
        let found =
            self.db.blocking(|conn| credentials::find_with_owner(conn, &party.rp_id, &assertion.credential_id))?;
        if let Some(found) = found {
            return Ok(found);
        }
        if !discoverable {
            // After an e-mail was typed this would tell decoys from real ones.
            return Err(CeremonyError::Refused("an offered credential is not stored"));
        }
        // Not unknown, and so no reason to have it deleted from its passkey manager.
        let kept =
            self.db.blocking(|conn| unusable_passkeys::is_stored(conn, &party.rp_id, &assertion.credential_id))?;
        if kept {
            return Err(CeremonyError::Refused("an imported passkey of an algorithm that is not supported"));
        }
        Err(CeremonyError::UnknownPasskey {
            rp_id: party.rp_id.clone(),
            credential_id: assertion.credential_id.clone(),
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
            .map_err(|error| StorageError::corrupt("credentials", passkey.id, error))?;
        let upgraded = !passkey.backup_eligible && assertion.flags.backup_eligible;
        if upgraded && passkey.backup_flags_known && !self.policy.allow_backup_upgrade {
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
