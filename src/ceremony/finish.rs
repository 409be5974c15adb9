//! The verify call of a ceremony: the ceremony is consumed, for good, and completed for its purpose; a refusal is
//! recorded.

use std::sync::Arc;

use serde_json::json;

use super::Ceremonies;
use super::binding::Answer;
use super::error::CeremonyError;
use super::outcome::SignedIn;
use super::registration::Registered;
use super::state::{Ceremony, Purpose};
use crate::domain::action::COMMAND_LINE;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::secret::{PlainToken, TokenKind};

impl Ceremonies {
    /// Completes a sign-in, a step-up, or a proof or signature for a backend: returns the result that was requested, or
    /// refuses.
    pub async fn finish_authentication(self: &Arc<Self>, answer: Answer<'_>) -> Result<SignedIn, CeremonyError> {
        self.finish(&answer, async |ceremony| self.finish_taken(ceremony, &answer).await).await
    }

    /// Completes a sign-up, an addition or an enrolment.
    pub async fn finish_registration(&self, answer: Answer<'_>) -> Result<Registered, CeremonyError> {
        self.finish(&answer, async |ceremony| self.register_taken(ceremony, &answer).await).await
    }

    /// Completes a sign-in or a sign-up that was begun for tokens, at the endpoint where its client authenticates.
    pub async fn finish_for_tokens(self: &Arc<Self>, answer: Answer<'_>) -> Result<SignedIn, CeremonyError> {
        let end = async |ceremony: &Arc<Ceremony>| {
            if !matches!(ceremony.purpose, Purpose::SignUp { .. }) {
                return self.finish_taken(ceremony, &answer).await;
            }
            match self.register_taken(ceremony, &answer).await? {
                Registered::SignedUp(signed_in) => Ok(*signed_in),
                Registered::Added { .. } | Registered::Enrolled { .. } => Err(CeremonyError::Foreign("kind")),
            }
        };
        self.finish(&answer, end).await
    }

    /// Consumes the ceremony of an answer and completes it; a refusal is recorded in the audit trail.
    async fn finish<T>(
        &self,
        answer: &Answer<'_>,
        end: impl AsyncFnOnce(&Arc<Ceremony>) -> Result<T, CeremonyError>,
    ) -> Result<T, CeremonyError> {
        let ceremony = self.take(answer.handle).await?;
        let result = end(&ceremony).await;
        self.witness_refusal(&ceremony, result, answer.provenance).await
    }

    /// Consumes a ceremony. After this, nothing can answer it again.
    async fn take(&self, handle: &str) -> Result<Arc<Ceremony>, CeremonyError> {
        let handle = PlainToken::parse(TokenKind::Ceremony, handle).ok_or(CeremonyError::ExpiredOrUsed)?;
        self.store.take(handle.digest(), self.clock.now()).await?.ok_or(CeremonyError::ExpiredOrUsed)
    }

    /// Passes a result on; a refusal is first recorded, with its reason.
    async fn witness_refusal<T>(
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
            Purpose::Enrol { permit, .. } | Purpose::Prove { permit, .. } => (Some(permit.user), None),
            Purpose::Sign { signing, .. } => (Some(signing.user), Some(signing.session)),
            Purpose::SignIn { .. } | Purpose::SignUp { .. } => (refusal.proven_user(), None),
        };
        let event = Event {
            user,
            session,
            client: ceremony.wanted.client().filter(|id| *id != COMMAND_LINE).map(ToOwned::to_owned),
            detail: json!({ "reason": refusal.to_string() }),
            ..Event::new(EventKind::CeremonyRefused, self.clock.now(), origin)
        };
        metrics::counter!("passmint_ceremonies_refused_total").increment(1);
        self.db.ask(event).await?;
        result
    }
}
