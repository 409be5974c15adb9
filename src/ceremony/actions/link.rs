//! A link to our page on which one person registers one passkey, for the operator to hand over.
//!
//! What must always hold: it is an action token like a backend's, stored and audited by the same function, never for an
//! administrator or a disabled account, and valid for at most a day. It can be used only on our own page, and also if
//! the person already has passkeys: one of them may be lost.

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

/// A link that was created.
#[derive(Debug)]
#[must_use = "the link is shown once"]
pub struct EnrolmentLink {
    /// The URL, with the token after the `#`.
    pub address: String,
    /// When it expires.
    pub expires_at: Time,
}

/// Creates a link for `user` with lifetime `life`, for the relying party that is used at our own origin, `issuer`.
///
/// # Errors
/// Inner [`CeremonyError`], with nothing written: a rule for every action token is violated, or the lifetime is not
/// allowed for a link. [`StorageError`] if the database fails.
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
