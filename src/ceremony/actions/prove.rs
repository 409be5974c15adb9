//! Proving one's identity to a backend: to sign in there, for a step-up before something important, or to sign an
//! operation.

use serde_json::json;
use webauthn_rs_core::proto::UserVerificationPolicy;

use super::super::Ceremonies;
use super::super::authentication::{Begun, listed};
use super::super::error::CeremonyError;
use super::super::offered::Offered;
use super::super::options::{self, PublicKeyCredentialRequestOptions};
use super::super::outcome::{Plan, Planned, Settled};
use super::super::signals::Signal;
use super::super::state::{Ceremony, Permit, Purpose, Wanted};
use super::{Presented, Proved, Standing, event_of};
use crate::domain::action::{Action, ActionRefusal, ActionToken};
use crate::domain::audit::{EventKind, Provenance};
use crate::domain::authentication::Strength;
use crate::domain::user::User;
use crate::storage::action_tokens::{self, Used};
use crate::storage::credentials::{self, StoredPasskey};
use crate::storage::sign_in::VerifiedAssertion;
use crate::tokens::claims::Authentication;
use crate::tokens::mint::{ActionOutcome, name_of_passkey};

impl Ceremonies {
    /// Begins a sign-in or step-up for a backend.
    pub async fn begin_proof(
        &self,
        presented: Presented<'_>,
    ) -> Result<Begun<PublicKeyCredentialRequestOptions>, CeremonyError> {
        let token = self.token_of(&presented).await?;
        let begun = self.proof(token.as_ref(), &presented).await;
        self.witness_action(token.as_ref(), begun, &presented).await
    }

    async fn proof(
        &self,
        token: Option<&ActionToken>,
        presented: &Presented<'_>,
    ) -> Result<Begun<PublicKeyCredentialRequestOptions>, CeremonyError> {
        let permitted = self.permitted(token, presented, &[Action::SignIn, Action::StepUp, Action::Sign]).await?;
        let party = self.party_of(&permitted.token, presented.origin)?;
        let (owner, rp_id) = (permitted.user.id, party.rp_id.clone());
        let passkeys = self.db.run(move |conn| credentials::of_users(conn, &[owner], Some(&rp_id))).await?;
        if passkeys.is_empty() {
            return Err(CeremonyError::NoPasskeyYet);
        }
        let offered = listed(&passkeys);
        let (mut options, state) = options::request(party, &self.policy, &offered)?;
        if permitted.token.action == Action::Sign {
            // User presence alone must not sign anything.
            options.user_verification = UserVerificationPolicy::Required;
        }
        self.reserve(&permitted.token).await?;
        let offered = Offered::new(&offered);
        let (handle, deadline) = self
            .keep(Ceremony {
                purpose: Purpose::Prove { permit: permitted.permit(), offered, state: Box::new(state) },
                relying_party: party.name.clone(),
                origin: presented.origin.map(ToOwned::to_owned),
                browser: None,
                wanted: Wanted::Result { client: permitted.client.id.clone() },
                challenge: options.challenge.clone(),
                deadline: self.deadline_of(&permitted.token),
            })
            .await?;
        Ok(Begun { handle, deadline, options })
    }

    /// Records a verified assertion and uses the token up, in one statement; plans the result. Blocks.
    pub(in crate::ceremony) fn record_proof(
        &self,
        (permit, write): (&Permit, &VerifiedAssertion),
        mut plan: Plan,
        (passkey, user): (StoredPasskey, User),
        strength: &Strength,
        origin: &Provenance,
    ) -> Result<Settled, CeremonyError> {
        if permit.action == Action::Sign && !write.user_verified {
            return Err(CeremonyError::UserVerificationMissing);
        }
        let now = plan.session.now;
        let found = self.db.blocking(|conn| {
            let Some(token) = action_tokens::get(conn, permit.token)? else { return Ok(None) };
            let Some(client) = self.client_behind(&token.client) else { return Ok(None) };
            let standing = Standing::of(conn, user.id, &client.definition.allowed_groups)?;
            Ok(standing.map(|standing| (token, client, standing)))
        })?;
        let (token, client, standing) = found.ok_or(ActionRefusal::Unknown)?;
        token.judge(now)?;
        token.judge_client(&client)?;
        standing.judge(&token)?;
        let authentication = Authentication {
            auth_time: Some(now.timestamp()),
            // The backend said whom to sign in: the strength of that sign-in is the backend's, not ours.
            acr: Some(if permit.action == Action::SignIn { "0" } else { strength.acr }.to_owned()),
            amr: strength.amr.iter().map(|method| (*method).to_owned()).collect(),
            credential_class: Some(strength.class),
        };
        let outcome = ActionOutcome {
            id: crate::random::uuid(),
            token: token.id,
            action: token.action,
            external_id: token.external_id.clone(),
            operation: token.operation.clone(),
            credential_id: passkey.credential_id.clone(),
            authentication,
        };
        let mut event = event_of(EventKind::ActionTokenUsed, &token, now, origin);
        event.detail["class"] = json!(strength.class.as_str());
        event.detail["passkey"] = json!(passkey.id.to_string());
        event.subject = Some(passkey.id.to_string());
        if let Some(operation) = &token.operation {
            event.kind = EventKind::TransactionSigned;
            event.subject = Some(operation.hash());
            event.subject_name = Some(operation.title.clone());
        }
        let proved = match token.action {
            Action::Sign => serde_json::to_value(Proved {
                credential: name_of_passkey(&outcome.credential_id),
                authentication: outcome.authentication.clone(),
            })
            .ok(),
            _ => None,
        };
        let ending = Used { token: token.id, result: outcome.id, proved };
        let written = self.db.blocking(|conn| action_tokens::prove(conn, write, &ending, &event))?;
        let Some(ids) = written else {
            let after = self.db.blocking(|conn| action_tokens::get(conn, permit.token))?;
            if let Some(Err(refusal)) = after.map(|token| token.judge(now)) {
                return Err(refusal.into());
            }
            return Err(self.why_not_written(&passkey, &user, write.sign_count, origin)?);
        };
        let signal = Signal::new(&user, &passkey.rp_id, ids.iter().map(Vec::as_slice));
        plan.result = Some(Planned::Action(Box::new(outcome), token.return_to));
        Ok(Settled { plan, user, passkey, signal })
    }
}
