//! Registering a passkey with a backend's permission: on the backend's own page, or on ours through a link.

use super::super::Ceremonies;
use super::super::authentication::{Begun, listed};
use super::super::error::CeremonyError;
use super::super::options::{self, Account, Choice, PublicKeyCredentialCreationOptions};
use super::super::outcome::SignedResult;
use super::super::registration::{NewPasskey, Registered, default_name, taken_already};
use super::super::signals::Signal;
use super::super::state::{Ceremony, Permit, Purpose, Wanted};
use super::{Presented, acted, consume};
use crate::domain::action::{Action, ActionRefusal, ActionToken};
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::authentication::{CredentialClass, Proof};
use crate::domain::client::Client;
use crate::domain::user::User;
use crate::storage::credentials::{self, StoredPasskey};
use crate::storage::{action_tokens, audit, users};
use crate::tokens::claims::Authentication;
use crate::tokens::mint::ActionOutcome;

/// A passkey that was registered with a token.
struct Enrolled {
    token: ActionToken,
    owner: User,
    passkey: StoredPasskey,
    signal: Signal,
}

impl Ceremonies {
    /// Begins the registration of a passkey with an action token.
    pub async fn begin_enrolment(
        &self,
        presented: Presented<'_>,
        choice: Choice,
    ) -> Result<Begun<PublicKeyCredentialCreationOptions>, CeremonyError> {
        let token = self.token_of(&presented).await?;
        let begun = self.enrolment(token.as_ref(), &presented, choice).await;
        self.witness_action(token.as_ref(), begun, &presented).await
    }

    async fn enrolment(
        &self,
        token: Option<&ActionToken>,
        presented: &Presented<'_>,
        choice: Choice,
    ) -> Result<Begun<PublicKeyCredentialCreationOptions>, CeremonyError> {
        let permitted = self.permitted(token, presented, &[Action::Enrol]).await?;
        let (token, user) = (&permitted.token, &permitted.user);
        let party = self.party_of(token, presented.origin)?;
        let owner = user.id;
        let passkeys = self.db.run(move |conn| credentials::of_users(conn, &[owner], None)).await?;
        let existing = self.rp_ids().count(&passkeys);
        token.judge_enrolment(&permitted.client, existing)?;
        if existing >= self.policy.per_user {
            return Err(CeremonyError::TooMany);
        }
        let here: Vec<StoredPasskey> = passkeys.into_iter().filter(|passkey| passkey.rp_id == party.rp_id).collect();
        let (name, display_name) = (user.account_name(), user.display_name());
        let account = Account { handle: &user.handle, name: &name, display_name: &display_name };
        let (options, state) = options::creation(party, &self.policy, &account, &listed(&here), choice)?;
        self.reserve(token).await?;
        let (handle, deadline) = self
            .keep(Ceremony {
                purpose: Purpose::Enrol { permit: permitted.permit(), state: Box::new(state) },
                relying_party: party.name.clone(),
                origin: presented.origin.map(ToOwned::to_owned),
                browser: None,
                wanted: Wanted::Result { client: permitted.client.id.clone() },
                challenge: options.challenge.clone(),
                deadline: self.deadline_of(token),
            })
            .await?;
        Ok(Begun { handle, deadline, options })
    }

    /// Stores a verified passkey, and uses its token up in the same transaction.
    pub(in crate::ceremony) async fn enrol(
        &self,
        client: &Client,
        permit: &Permit,
        made: NewPasskey,
        origin: &Provenance,
    ) -> Result<Registered, CeremonyError> {
        let now = self.clock.now();
        // Checked before anything is written, because the result must be signed afterwards.
        self.mint.keys().require_fresh()?;
        let result = crate::random::uuid();
        let proof = Proof { user_verified: made.user_verified, backup_eligible: made.backup_eligible, attested: false };
        let class = proof.strength().class;
        let (id, most, room_client, provenance) = (permit.token, self.policy.per_user, client.clone(), origin.clone());
        let (user, rp_ids) = (permit.user, self.rp_ids());
        let enrolled = self
            .db
            .tx(move |conn| {
                // Lock → decide → write, as when a signed-in person adds a passkey.
                let Some(owner) = users::lock(conn, user)? else { return Ok(Err(ActionRefusal::Person.into())) };
                let Some(token) = action_tokens::get(conn, id)? else { return Ok(Err(ActionRefusal::Unknown.into())) };
                let administers = users::is_administrator(conn, user)?;
                let existing = credentials::of_users(conn, &[user], None)?;
                let served = rp_ids.count(&existing);
                // The state of a used token is a better reason for a refusal than the passkey that it registered.
                let good = token.judge(now).and_then(|()| token.judge_client(&room_client));
                let good = good.and_then(|()| token.judge_person(&owner, administers));
                if let Err(refusal) = good.and_then(|()| token.judge_enrolment(&room_client, served)) {
                    return Ok(Err(refusal.into()));
                }
                if served >= most {
                    return Ok(Err(CeremonyError::TooMany));
                }
                if let Err(refusal) = consume(conn, &token, Some(result), now)? {
                    return Ok(Err(refusal.into()));
                }
                let name = default_name(made.aaguid, &provenance, &existing);
                let passkey = made.into_stored(user, &owner.handle, name, now, None);
                credentials::insert(conn, &passkey)?;
                let event = Event {
                    user: Some(user),
                    client: token.audited_client(),
                    subject: Some(passkey.id.to_string()),
                    subject_name: Some(passkey.name.clone()),
                    detail: acted(&token),
                    ..Event::new(EventKind::PasskeyAdded, now, &provenance)
                };
                audit::insert(conn, &event)?;
                let ids = existing.iter().filter(|other| other.rp_id == passkey.rp_id);
                let ids: Vec<&[u8]> = ids.chain([&passkey]).map(|one| one.credential_id.as_slice()).collect();
                let signal = Signal::new(&owner, &passkey.rp_id, ids);
                Ok(Ok(Enrolled { token, owner, passkey, signal }))
            })
            .await
            .map_err(taken_already)??;
        self.told(client, enrolled, (result, class), now)
    }

    fn told(
        &self,
        client: &Client,
        enrolled: Enrolled,
        (id, class): (uuid::Uuid, CredentialClass),
        now: crate::clock::Time,
    ) -> Result<Registered, CeremonyError> {
        let Enrolled { token, owner, passkey, signal } = enrolled;
        let outcome = ActionOutcome {
            id,
            token: token.id,
            action: token.action,
            external_id: token.external_id,
            operation: None,
            credential_id: passkey.credential_id.clone(),
            // A passkey was registered; nobody was authenticated by one.
            authentication: Authentication {
                acr: Some("0".to_owned()),
                credential_class: Some(class),
                ..Authentication::default()
            },
        };
        let signed = self.mint.action_result(client, owner.id, &outcome, now)?;
        let result = SignedResult { token: signed, action: token.action, return_to: token.return_to };
        Ok(Registered::Enrolled { passkey: Box::new(passkey), signal, result: Box::new(result) })
    }
}
