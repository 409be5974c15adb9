//! Signing in, and stepping up.
//!
//! Finishing consists of: consume the ceremony, check the binding, parse strictly, one SELECT, verify with no
//! connection held, one conditional write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;
use webauthn_rs_core::proto::UserVerificationPolicy;

use super::Ceremonies;
use super::binding::{self, Answer};
use super::decoys::{LISTED, Listed};
use super::error::CeremonyError;
use super::offered::Offered;
use super::options::{self, PublicKeyCredentialRequestOptions};
use super::outcome::SignedIn;
use super::relying_party::RelyingParty;
use super::settle::Answered;
use super::state::{Ceremony, Purpose, Wanted};
use super::strict::{self, Assertion, Expected, Refusal};
use crate::clock::Time;
use crate::domain::client::Client;
use crate::domain::id::UserId;
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::domain::session::Session;
use crate::domain::text::Email;
use crate::domain::user::User;
use crate::storage::addresses::{self, Claimed};
use crate::storage::credentials::{self, StoredPasskey};

/// The options call of a sign-in.
pub struct BeginSignIn<'a> {
    /// The request's `Origin`.
    pub origin: Option<&'a str>,
    /// The name of the requested profile.
    pub relying_party: Option<&'a str>,
    /// The e-mail address that was typed, for a sign-in that starts with it.
    pub email: Option<&'a Email>,
    /// The validated result.
    pub wanted: Wanted,
    /// The client of the result.
    pub client: Option<&'a Client>,
    /// The digest of the pre-session cookie.
    pub browser: Option<TokenDigest>,
}

/// The duration of the look-up for an address is rounded up to a multiple of this. The rows of a known person take some
/// microseconds longer than none, which a patient caller nearby could otherwise detect by the response time.
const BEAT: Duration = Duration::from_millis(10);

/// Waits for a point in time, whenever the wait began. The runtime's timer counts whole milliseconds from when it is
/// set, which would still reveal when that was; so the last ones are waited for on a thread with nanosecond precision.
async fn until(moment: Instant) {
    const COARSE: Duration = Duration::from_millis(2);
    let left = moment.saturating_duration_since(Instant::now());
    tokio::time::sleep(left.saturating_sub(COARSE)).await;
    let rest = move || std::thread::sleep(moment.saturating_duration_since(Instant::now()));
    // A server that is shutting down waits for nothing.
    let _ = tokio::task::spawn_blocking(rest).await;
}

/// A duration rounded up to the next full beat.
fn full_beats(passed: Duration) -> Duration {
    let full = passed.as_nanos() / BEAT.as_nanos();
    BEAT * u32::try_from(full).unwrap_or(u32::MAX - 1).saturating_add(1)
}

/// The response of an options call.
#[derive(Debug)]
pub struct Begun<O> {
    /// The ceremony's ID, for the verify call.
    pub handle: PlainToken,
    /// When the ceremony expires.
    pub deadline: Time,
    /// The options for the browser.
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
        let purpose = Purpose::SignIn { offered: offered.as_deref().map(Offered::new), state: Box::new(state) };
        self.remember(party, purpose, begin.origin, begin.browser, begin.wanted, options.challenge.clone())
            .await
            .map(|(handle, deadline)| Begun { handle, deadline, options })
    }

    /// Begins a step-up of a signed-in person.
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
        let (mut options, state) = options::request(party, &self.policy, &listed)?;
        // Required regardless of the policy: user presence alone makes no session fresh.
        options.user_verification = UserVerificationPolicy::Required;
        let purpose = Purpose::StepUp {
            user: user.id,
            session: session.id,
            offered: Offered::new(&listed),
            state: Box::new(state),
        };
        self.remember(party, purpose, origin, browser, Wanted::Session, options.challenge.clone())
            .await
            .map(|(handle, deadline)| Begun { handle, deadline, options })
    }

    /// Stores a ceremony until its verify call.
    pub(super) async fn remember(
        &self,
        party: &RelyingParty,
        purpose: Purpose,
        origin: Option<&str>,
        browser: Option<TokenDigest>,
        wanted: Wanted,
        challenge: Vec<u8>,
    ) -> Result<(PlainToken, Time), CeremonyError> {
        self.keep(Ceremony {
            purpose,
            relying_party: party.name.clone(),
            origin: origin.map(ToOwned::to_owned),
            browser: browser.filter(|_| wanted == Wanted::Session),
            wanted,
            challenge,
            deadline: self.clock.now() + self.policy.challenge_ttl,
        })
        .await
    }

    /// Stores a complete ceremony under a new ID. If its tokens need a key that is just being created, this waits for
    /// the key, so that the verify call, which uses the ceremony up, finds it.
    pub(super) async fn keep(&self, ceremony: Ceremony) -> Result<(PlainToken, Time), CeremonyError> {
        if let Wanted::Tokens { client, scopes, audience, .. } = &ceremony.wanted
            && let Some(client) = self.clients.find(client)
        {
            self.mint.wait_for_keys(&client, scopes, std::slice::from_ref(audience)).await;
        }
        let handle = PlainToken::random(TokenKind::Ceremony);
        let deadline = ceremony.deadline;
        self.store.put(handle.digest(), ceremony).await?;
        Ok((handle, deadline))
    }

    /// The credentials to list for a sign-in that starts with an e-mail address: those of the people with this address,
    /// among decoys. The steps are the same for every address.
    async fn listed_for(&self, email: &Email, rp_id: &str) -> Result<Vec<Listed>, CeremonyError> {
        let begun = Instant::now();
        let (typed, here) = (email.as_str().to_owned(), rp_id.to_owned());
        let claimed = self.db.run(move |conn| addresses::claimed(conn, &typed, &here, LISTED.into())).await?;
        let Claimed { address, passkeys } = claimed;
        let real = passkeys.into_iter().map(|(id, transports)| Listed { id, transports }).collect();
        let listed = self.decoys.among(real, &address, rp_id);
        until(begun + full_beats(begun.elapsed())).await;
        Ok(listed)
    }

    pub(super) async fn listed_of(&self, owners: Vec<UserId>, rp_id: &str) -> Result<Vec<Listed>, CeremonyError> {
        let rp_id = rp_id.to_owned();
        let passkeys = self.db.run(move |conn| credentials::of_users(conn, &owners, Some(&rp_id))).await?;
        Ok(listed(&passkeys))
    }

    /// Completes a sign-in, a step-up, or a proof or signature for a backend, after its ceremony was consumed.
    pub(super) async fn finish_taken(
        self: &Arc<Self>,
        ceremony: &Arc<Ceremony>,
        answer: &Answer<'_>,
    ) -> Result<SignedIn, CeremonyError> {
        let Answer { credential, ref call, provenance, .. } = *answer;
        let client = self.client_of(ceremony)?;
        binding::check(ceremony, call, client.as_deref())?;
        let (offered, session) = match &ceremony.purpose {
            Purpose::SignIn { offered, .. } => (offered.as_ref(), None),
            Purpose::StepUp { offered, session, .. } => (Some(offered), Some(*session)),
            Purpose::Prove { offered, .. } => (Some(offered), None),
            Purpose::Sign { offered, signing, .. } => (Some(offered), Some(signing.session)),
            Purpose::SignUp { .. } | Purpose::Add { .. } | Purpose::Enrol { .. } => {
                return Err(CeremonyError::Foreign("kind"));
            }
        };
        if session.is_some_and(|session| call.session != Some(session)) {
            return Err(CeremonyError::Foreign("session"));
        }
        let party = self.profiles.named(&ceremony.relying_party).ok_or(CeremonyError::NoSuchRelyingParty)?;
        let origins = binding::accepted_origins(ceremony, party, client.as_deref(), self.mint.issuer());
        let assertion = read(credential, &origins)?;
        check_before_lookup(&assertion, ceremony, party)?;
        if offered.is_some_and(|offered| !offered.contains(&assertion.credential_id)) {
            return Err(CeremonyError::Refused("the credential was not offered"));
        }

        let (room, answered) = (
            Arc::clone(self),
            Answered {
                ceremony: Arc::clone(ceremony),
                client: client.clone(),
                key: call.key.cloned(),
                assertion,
                origin: provenance.clone(),
            },
        );
        let settled = if matches!(ceremony.purpose, Purpose::SignIn { .. }) {
            self.settle_sign_in(answered).await?
        } else {
            self.db.offload(move |_| room.settle(&answered)).await??
        };
        self.deliver(&ceremony.wanted, client.as_deref(), settled, provenance).await
    }

    pub(super) fn client_of(&self, ceremony: &Ceremony) -> Result<Option<Arc<Client>>, CeremonyError> {
        ceremony.wanted.client().map(|id| self.client_behind(id).ok_or(CeremonyError::NoSuchClient)).transpose()
    }
}

/// The entries in `excludeCredentials` and `allowCredentials` for stored passkeys.
pub(super) fn listed(passkeys: &[StoredPasskey]) -> Vec<Listed> {
    passkeys
        .iter()
        .map(|passkey| Listed { id: passkey.credential_id.clone(), transports: passkey.transports.clone() })
        .collect()
}

fn read(credential: &[u8], origins: &[String]) -> Result<Assertion, CeremonyError> {
    strict::authentication(credential, &Expected { origins }).map_err(|refusal| unreadable(refusal, origins))
}

/// A wrong origin is reported, with the list of allowed ones; all other refusals look alike.
pub(super) fn unreadable(refusal: Refusal, origins: &[String]) -> CeremonyError {
    match refusal {
        Refusal::WrongOrigin { received } => CeremonyError::WrongOrigin { received, allowed: origins.to_vec() },
        malformed @ Refusal::Malformed(_) => CeremonyError::Unreadable(malformed),
    }
}

/// Challenge and RP ID are checked before the look-up, so that only an answer to this very ceremony reveals whether a
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_takes_whole_beats() {
        for (passed, full) in [(0, 10_000), (1, 10_000), (9_999, 10_000), (10_000, 20_000), (25_000, 30_000)] {
            assert_eq!(full_beats(Duration::from_micros(passed)), Duration::from_micros(full), "{passed} µs");
        }
        assert!(full_beats(Duration::MAX) > Duration::from_secs(86_400));
    }
}
