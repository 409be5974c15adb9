//! Signing an operation with a passkey, and redeeming the proof.
//!
//! What must always hold: the operation is validated and fixed by the options call, and never returned by the browser;
//! the person is verified in this very ceremony; it opens and renews no session. The challenge is random, and the
//! operation is stored here with it: whoever could change what is stored here could also change what a derived
//! challenge would be computed from, and the proof is our signature, not the authenticator's.

use diesel::PgConnection;
use serde_json::json;
use webauthn_rs_core::proto::UserVerificationPolicy;

use super::Ceremonies;
use super::authentication::Begun;
use super::error::{CeremonyError, SignInRefusal};
use super::offered::Offered;
use super::options::{self, PublicKeyCredentialRequestOptions};
use super::outcome::{Plan, Planned, Settled};
use super::signals::Signal;
use super::state::{Ceremony, Purpose, Signing, Wanted};
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::authentication::Strength;
use crate::domain::client::{Client, ClientKind};
use crate::domain::id::{SessionId, UserId};
use crate::domain::operation::Operation;
use crate::domain::scope::TRANSACTIONS;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::storage::StorageError;
use crate::storage::assertions;
use crate::storage::audit;
use crate::storage::credentials::StoredPasskey;
use crate::storage::sessions;
use crate::storage::sign_in::VerifiedAssertion;
use crate::storage::used_jti::{self, Kind, Spent};
use crate::storage::users;
use crate::tokens::claims::{Authentication, TransactionProofClaims};
use crate::tokens::mint::SignedOperation;
use crate::tokens::verifier::places;

/// The options call.
pub struct BeginSigning<'a> {
    /// The session.
    pub session: &'a Session,
    /// The person who signs.
    pub user: &'a User,
    /// The request's `Origin`.
    pub origin: Option<&'a str>,
    /// The app that makes the request with its access token; `None`: our own page.
    pub asked_by: Option<&'a Client>,
    /// The client that the proof is intended for.
    pub audience: &'a Client,
    /// The operation.
    pub operation: Operation,
}

impl Ceremonies {
    /// Begins the signing of an operation.
    pub async fn begin_signing(
        &self,
        begin: BeginSigning<'_>,
    ) -> Result<Begun<PublicKeyCredentialRequestOptions>, CeremonyError> {
        begin.operation.check().map_err(CeremonyError::Operation)?;
        let audience = &begin.audience.definition;
        if audience.kind == ClientKind::Public || !audience.first_party || !audience.scopes.contains(TRANSACTIONS) {
            return Err(CeremonyError::Invalid(
                "A proof is for a confidential first-party client with the scope `transactions`, which redeems it: name one in `clientId`.",
            ));
        }
        let profile = begin.asked_by.and_then(|client| client.definition.relying_party.as_deref());
        let party = self.profiles.choose(begin.origin, None, profile)?;
        let (user, clients) = (begin.user.id, [Some(begin.audience), begin.asked_by].map(groups_of));
        if !self.db.run(move |conn| is_member(conn, user, &clients)).await? {
            return Err(CeremonyError::SignInRefused(SignInRefusal::NoGroup));
        }
        let listed = self.listed_of(vec![begin.user.id], &party.rp_id).await?;
        if listed.is_empty() {
            return Err(CeremonyError::NoPasskeyYet);
        }
        let (mut options, state) = options::request(party, &self.policy, &listed)?;
        // Required regardless of the policy: user presence alone must not sign anything.
        options.user_verification = UserVerificationPolicy::Required;
        let asked_by = begin.asked_by.map(|client| client.id.clone());
        let signing = Signing {
            user: begin.user.id,
            session: begin.session.id,
            operation: begin.operation,
            audience: begin.audience.id.clone(),
            on_own_page: asked_by.is_none(),
        };
        let offered = Offered::new(&listed);
        let (handle, deadline) = self
            .keep(Ceremony {
                purpose: Purpose::Sign { signing: Box::new(signing), offered, state: Box::new(state) },
                relying_party: party.name.clone(),
                origin: begin.origin.map(ToOwned::to_owned),
                browser: None,
                wanted: Wanted::Result { client: asked_by.unwrap_or_else(|| begin.audience.id.clone()) },
                challenge: options.challenge.clone(),
                deadline: self.clock.now() + self.policy.challenge_ttl,
            })
            .await?;
        Ok(Begun { handle, deadline, options })
    }

    /// Records a verified signature in one statement; plans the proof. Blocks.
    pub(super) fn record_signature(
        &self,
        (signing, write): (&Signing, &VerifiedAssertion),
        mut plan: Plan,
        (passkey, user): (StoredPasskey, User),
        strength: &Strength,
        origin: &Provenance,
    ) -> Result<Settled, CeremonyError> {
        if !write.user_verified {
            return Err(CeremonyError::UserVerificationMissing);
        }
        let audience = self.clients.find(&signing.audience);
        let clients = [groups_of(audience.as_deref())];
        if !self.db.blocking(|conn| is_member(conn, user.id, &clients))? {
            return Err(CeremonyError::SignInRefused(SignInRefusal::NoGroup));
        }
        let now = plan.session.now;
        let hash = signing.operation.hash();
        let event = Event {
            user: Some(user.id),
            session: Some(signing.session),
            client: plan.session.client.clone(),
            subject: Some(hash.clone()),
            subject_name: Some(signing.operation.title.clone()),
            detail: json!({
                "kind": signing.operation.kind,
                "audience": signing.audience,
                "class": strength.class.as_str(),
                "passkey": passkey.id.to_string(),
            }),
            ..Event::new(EventKind::TransactionSigned, now, origin)
        };
        let written = self.db.blocking(|conn| assertions::sign(conn, write, signing.session, &event))?;
        let Some(ids) = written else {
            return Err(self.why_not_written(&passkey, &user, write.sign_count, origin)?);
        };
        let authentication = Authentication {
            auth_time: Some(now.timestamp()),
            acr: Some(strength.acr.to_owned()),
            amr: strength.amr.iter().map(|method| (*method).to_owned()).collect(),
            credential_class: Some(strength.class),
        };
        let signal = Signal::new(&user, &passkey.rp_id, ids.iter().map(Vec::as_slice));
        plan.result = Some(Planned::Proof(Box::new(SignedOperation {
            operation: signing.operation.clone(),
            hash,
            audience: signing.audience.clone(),
            asked_by: plan.session.client.clone().unwrap_or_default(),
            session: signing.session,
            credential_id: passkey.credential_id.clone(),
            authentication,
        })));
        Ok(Settled { plan, user, passkey, signal })
    }

    /// Redeems a proof for the client that it is intended for: verifies it and marks it as used. A refusal is recorded
    /// in the audit trail.
    pub async fn redeem_proof(
        &self,
        client: &Client,
        proof: &str,
        origin: &Provenance,
    ) -> Result<TransactionProofClaims, CeremonyError> {
        let redeemed = self.spend_proof(client, proof, origin).await;
        let Err(CeremonyError::Result(why)) = &redeemed else { return redeemed };
        let event = Event {
            client: Some(client.id.clone()),
            detail: json!({ "reason": why }),
            ..Event::new(EventKind::ResultRefused, self.clock.now(), origin)
        };
        self.db.ask(event).await?;
        redeemed
    }

    async fn spend_proof(
        &self,
        client: &Client,
        proof: &str,
        origin: &Provenance,
    ) -> Result<TransactionProofClaims, CeremonyError> {
        let now = self.clock.now();
        let ring = self.mint.keys().ring();
        let claims = places::transaction_proof(&ring, self.mint.issuer(), &client.id, proof, now)
            .map_err(|refusal| CeremonyError::Result(refusal.to_string()))?
            .into_claims();
        let spent = Spent {
            kind: Kind::TransactionProof,
            signer: client.id.clone(),
            jti: claims.jti.clone(),
            // The verifier has already parsed it as a date.
            expires_at: chrono::DateTime::from_timestamp(claims.exp, 0).unwrap_or(now),
        };
        let session: SessionId =
            claims.sid.parse().map_err(|_| CeremonyError::Result("it names no session".to_owned()))?;
        let event = Event {
            session: Some(session),
            client: Some(client.id.clone()),
            subject: Some(claims.operation_hash.clone()),
            subject_name: Some(claims.operation.title.clone()),
            ..Event::new(EventKind::ResultRedeemed, now, origin)
        };
        let refused = self
            .db
            .tx(move |conn| {
                // Nothing is redeemed for a person who is disabled or signed out.
                let user = sessions::owner(conn, session)?;
                if !sessions::hold_with_owner(conn, session, now)? {
                    return Ok(Some("its session has ended"));
                }
                if !used_jti::spend(conn, &spent)? {
                    return Ok(Some("it was redeemed before"));
                }
                audit::insert(conn, &Event { user, ..event })?;
                Ok(None)
            })
            .await?;
        refused.map_or(Ok(claims), |why| Err(CeremonyError::Result(why.to_owned())))
    }
}

/// The groups whose members may use a client; empty if everybody may.
fn groups_of(client: Option<&Client>) -> Vec<String> {
    client.map(|client| client.definition.allowed_groups.clone()).unwrap_or_default()
}

/// Whether somebody may use each of these clients, by its groups: proving something to a client counts as using it.
fn is_member(conn: &mut PgConnection, user: UserId, clients: &[Vec<String>]) -> Result<bool, StorageError> {
    for groups in clients.iter().filter(|groups| !groups.is_empty()) {
        if !users::is_in_any(conn, user, groups)? {
            return Ok(false);
        }
    }
    Ok(true)
}
