//! Results of actions and proofs of signed operations, for the backend that acts on them.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use uuid::Uuid;

use super::{Mint, MintError, token_id};
use crate::clock::Time;
use crate::domain::action::{Action, ExternalId};
use crate::domain::client::Client;
use crate::domain::id::{ActionTokenId, SessionId, UserId};
use crate::domain::operation::Operation;
use crate::tokens::claims::{ActionResultClaims, Authentication, TransactionProofClaims};
use crate::tokens::keys::{Algorithm, Use};
use crate::tokens::typ;

/// Life of an action's result: it travels from our response to the client, through the person's browser at most.
pub const RESULT_LIFE: Duration = Duration::seconds(60);

/// Life of the proof of a signed operation: it travels through the person's app to the backend that carries out the
/// operation.
pub const PROOF_LIFE: Duration = Duration::minutes(2);

/// The content of an action's result.
#[derive(Clone, Debug)]
pub struct ActionOutcome {
    /// The result's own id, as stored when the token was consumed.
    pub id: Uuid,
    /// The token that was used.
    pub token: ActionTokenId,
    /// What was done.
    pub action: Action,
    /// The client's own id for the person.
    pub external_id: Option<ExternalId>,
    /// The operation that was signed, if any.
    pub operation: Option<Operation>,
    /// The passkey's credential id.
    pub credential_id: Vec<u8>,
    /// What the ceremony proved.
    pub authentication: Authentication,
}

/// The content of the proof of a signed operation.
#[derive(Clone, Debug)]
pub struct SignedOperation {
    /// What was signed.
    pub operation: Operation,
    /// Its hash.
    pub hash: String,
    /// The client that the proof is for.
    pub audience: String,
    /// The app that requested the signature.
    pub asked_by: String,
    /// The session that it was signed in.
    pub session: SessionId,
    /// The passkey's credential id.
    pub credential_id: Vec<u8>,
    /// What the ceremony proved.
    pub authentication: Authentication,
}

impl Mint {
    /// Makes the result of an action, for the client that requested it. Always ES256: no old client reads these
    /// results, and an ES256 key always exists.
    pub fn action_result(
        &self,
        client: &Client,
        user: UserId,
        outcome: &ActionOutcome,
        now: Time,
    ) -> Result<String, MintError> {
        self.keys.require_fresh()?;
        let claims = ActionResultClaims {
            iss: self.settings.issuer.clone(),
            sub: self.subject_of(client, user),
            aud: client.id.as_str().into(),
            iat: now.timestamp(),
            exp: (now + RESULT_LIFE).timestamp(),
            jti: outcome.id.to_string(),
            action: outcome.action,
            action_token: outcome.token.to_string(),
            external_id: outcome.external_id.clone(),
            operation_hash: outcome.operation.as_ref().map(Operation::hash),
            operation: outcome.operation.clone(),
            credential: name_of_passkey(&outcome.credential_id),
            authentication: outcome.authentication.clone(),
        };
        Ok(self.signer.sign(&self.signing(&Use::Tokens, Algorithm::ES256)?, typ::ACTION_RESULT, &claims)?)
    }

    /// Makes the proof of a signed operation, for the client that carries it out.
    pub fn transaction_proof(
        &self,
        client: &Client,
        user: UserId,
        signed: &SignedOperation,
        now: Time,
    ) -> Result<String, MintError> {
        self.keys.require_fresh()?;
        let claims = TransactionProofClaims {
            iss: self.settings.issuer.clone(),
            sub: self.subject_of(client, user),
            aud: client.id.as_str().into(),
            client_id: signed.asked_by.clone(),
            iat: now.timestamp(),
            exp: (now + PROOF_LIFE).timestamp(),
            jti: token_id(),
            sid: signed.session.to_string(),
            operation: signed.operation.clone(),
            operation_hash: signed.hash.clone(),
            credential: name_of_passkey(&signed.credential_id),
            authentication: signed.authentication.clone(),
        };
        Ok(self.signer.sign(&self.signing(&Use::Tokens, Algorithm::ES256)?, typ::TRANSACTION_PROOF, &claims)?)
    }
}

/// The name under which a client recognises a passkey. It reveals nothing else about it.
pub fn name_of_passkey(credential_id: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, credential_id))
}
