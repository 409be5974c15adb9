//! The second call of a ceremony: it is taken, once and for all, and ended by what it was begun for; a refusal is written down.

use std::sync::Arc;

use serde_json::json;

use super::Ceremonies;
use super::binding::SecondCall;
use super::error::CeremonyError;
use super::outcome::SignedIn;
use super::registration::Registered;
use super::state::{Ceremony, Purpose};
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::secret::{PlainToken, TokenKind};

impl Ceremonies {
    /// Ends a sign-in or step-up: gives what it was begun for, or refuses. Refusals leave an event in the audit trail.
    pub async fn finish_authentication(
        self: &Arc<Self>,
        handle: &str,
        credential: &[u8],
        call: SecondCall<'_>,
        origin: &Provenance,
    ) -> Result<SignedIn, CeremonyError> {
        let ceremony = self.take(handle).await?;
        let result = self.finish_taken(&ceremony, credential, &call, origin).await;
        self.witness_refusal(&ceremony, result, origin).await
    }

    /// Ends a sign-in or a sign-up that was begun for tokens, at the endpoint where its client authenticates.
    pub async fn finish_for_tokens(
        self: &Arc<Self>,
        handle: &str,
        credential: &[u8],
        call: SecondCall<'_>,
        origin: &Provenance,
    ) -> Result<SignedIn, CeremonyError> {
        let ceremony = self.take(handle).await?;
        let result = if matches!(ceremony.purpose, Purpose::SignUp { .. }) {
            match self.register_taken(&ceremony, credential, &call, origin).await {
                Ok(Registered::SignedUp(signed_in)) => Ok(*signed_in),
                Ok(Registered::Added { .. } | Registered::Enrolled { .. }) => Err(CeremonyError::Foreign("kind")),
                Err(refusal) => Err(refusal),
            }
        } else {
            self.finish_taken(&ceremony, credential, &call, origin).await
        };
        self.witness_refusal(&ceremony, result, origin).await
    }

    /// Ends a registration. Refusals leave an event in the audit trail.
    pub async fn finish_registration(
        &self,
        handle: &str,
        credential: &[u8],
        call: SecondCall<'_>,
        origin: &Provenance,
    ) -> Result<Registered, CeremonyError> {
        let ceremony = self.take(handle).await?;
        let result = self.register_taken(&ceremony, credential, &call, origin).await;
        self.witness_refusal(&ceremony, result, origin).await
    }

    /// Consumes a ceremony. After this nothing can answer it again.
    async fn take(&self, handle: &str) -> Result<Arc<Ceremony>, CeremonyError> {
        let handle = PlainToken::parse(TokenKind::Ceremony, handle).ok_or(CeremonyError::ExpiredOrUsed)?;
        self.store.take(handle.digest(), self.clock.now()).await?.ok_or(CeremonyError::ExpiredOrUsed)
    }

    /// Passes a result on; a refusal is first written down, with its reason.
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
            client: ceremony.wanted.client().map(ToOwned::to_owned),
            detail: json!({ "reason": refusal.to_string() }),
            ..Event::new(EventKind::CeremonyRefused, self.clock.now(), origin)
        };
        metrics::counter!("passmint_ceremonies_refused_total").increment(1);
        self.db.ask(event).await?;
        result
    }
}
