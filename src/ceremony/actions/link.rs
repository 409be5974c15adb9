//! A link to our page on which one person makes one passkey, for the operator to hand over.
//!
//! What must always hold: it is an action token like a backend's, stored and audited by the same function, for nobody who
//! administers or is disabled, and for a day at most. It is good on our own page alone, and beside passkeys that the person has:
//! one of them may be lost.

use chrono::Duration;
use diesel::PgConnection;

use super::super::error::CeremonyError;
use super::super::management::RpIds;
use super::super::relying_party::RelyingParties;
use super::make::{ENROLMENT_PAGE, Rights, Whom, address, draft, store};
use crate::clock::Time;
use crate::domain::action::{Action, ActionToken, MAILED_LIFE, SHORTEST_LIFE, command_line};
use crate::domain::audit::Provenance;
use crate::domain::id::UserId;
use crate::domain::secret::{PlainToken, TokenKind};
use crate::storage::StorageError;

/// A link that was made.
#[derive(Debug)]
#[must_use = "the link is shown once"]
pub struct EnrolmentLink {
    /// The address, with the token behind the `#`.
    pub address: String,
    /// When it ends.
    pub expires_at: Time,
}

/// Makes a link for `user`, good for `life`, for the relying party that is used at our own origin, `issuer`.
///
/// # Errors
/// [`CeremonyError`] inside, with nothing written: the rules of every action token, or a life that is none of a link's;
/// [`StorageError`] when the database fails.
pub fn enrolment_link(
    conn: &mut PgConnection,
    (profiles, issuer): (&RelyingParties, &str),
    user: UserId,
    life: Duration,
    now: Time,
) -> Result<Result<EnrolmentLink, CeremonyError>, StorageError> {
    let Some(party) = profiles.for_origin(issuer) else { return Ok(Err(CeremonyError::NoSuchRelyingParty)) };
    if !(SHORTEST_LIFE..=MAILED_LIFE).contains(&life) {
        return Ok(Err(CeremonyError::Invalid("A link is good for 30 seconds to 24 hours.")));
    }
    let operator = command_line("");
    let rights = Rights::of(&operator.definition.scopes);
    let draft = draft(&operator, Action::Enrol, party.name.clone(), rights, (now, now + life));
    let draft = ActionToken { origin: Some(issuer.to_owned()), ..draft };
    let secret = PlainToken::random(TokenKind::Action);
    let whom = (&Whom::Id(user), rights);
    let stored = store(conn, draft, whom, &secret.digest(), &RpIds::of(profiles), &Provenance::default())?;
    Ok(stored.map(|(token, _)| EnrolmentLink {
        address: address(issuer, ENROLMENT_PAGE, &secret),
        expires_at: token.expires_at,
    }))
}
