//! Signing operations over REST.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Room;
use super::backend::{Backend, RedeemProofs};
use super::dto::{OptionsResponse, VerifyRequest};
use super::{known_client, second_call};
use crate::account::guards::{Guard, Identity, Via};
use crate::ceremony::binding;
use crate::ceremony::options::PublicKeyCredentialRequestOptions;
use crate::ceremony::outcome::Given;
use crate::ceremony::signals::Signal;
use crate::ceremony::transactions::BeginSigning;
use crate::domain::operation::{Detail, Operation};
use crate::tokens::claims::TransactionProofClaims;
use crate::tokens::mint::PROOF_LIFE;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::limits::{Class, Limits};
use crate::web::origin::origin;
use crate::web::{Caller, Envelope, Json};

/// The scope that an access token needs here.
const SCOPE: &str = "transactions";

/// What is to be signed. Every text is one line, without characters that cannot be seen or turn others round.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationBody {
    /// What the app calls this kind of operation: 1 to 64 letters, digits, dots, hyphens, underscores.
    pub kind: String,
    /// What the person signs, as a sentence: 1 to 120 characters.
    pub title: String,
    /// What the person reads, line by line: at most 20. Left out it counts as `[]`, also in the hash.
    #[serde(default)]
    pub details: Vec<DetailBody>,
}

/// One line.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailBody {
    /// What it is: 1 to 40 characters, each label once.
    pub label: String,
    /// Its value: 1 to 200 characters.
    pub value: String,
}

impl From<OperationBody> for Operation {
    fn from(body: OperationBody) -> Self {
        let details = body.details.into_iter().map(|one| Detail { label: one.label, value: one.value }).collect();
        Self { details, kind: body.kind, title: body.title }
    }
}

impl From<Operation> for OperationBody {
    fn from(operation: Operation) -> Self {
        let details = operation.details.into_iter().map(|one| DetailBody { label: one.label, value: one.value });
        Self { details: details.collect(), kind: operation.kind, title: operation.title }
    }
}

/// First call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransactionOptionsRequest {
    /// What is to be signed.
    pub operation: OperationBody,
    /// The confidential client that the proof is for; the one that asks when left out.
    #[serde(default)]
    pub client_id: Option<String>,
}

/// Answer of the first call.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionOptionsResponse {
    /// The options of an ordinary sign-in ceremony.
    #[serde(flatten)]
    #[schema(value_type = OptionsResponse<serde_json::Value>)]
    pub options: OptionsResponse<PublicKeyCredentialRequestOptions>,
    /// SHA-256 of the operation's canonical form (RFC 8785, `details` always in it), base64url.
    pub operation_hash: String,
}

/// Answer of the second call.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionResponse {
    /// `transaction`.
    pub kind: &'static str,
    /// A JWT for the client alone, good for two minutes and one redemption.
    pub proof: String,
    /// SHA-256 of the operation's canonical form (RFC 8785, `details` always in it), base64url.
    pub operation_hash: String,
    /// The life of the proof, in seconds.
    pub expires_in: i64,
    /// What to tell the passkey manager.
    pub signals: Vec<Signal>,
}

/// Begins signing one operation with a passkey: by the session cookie from our own pages, or by a first-party app's access
/// token with the scope `transactions`.
#[utoipa::path(post, path = "/v1/passkeys/transactions/options", tag = "Passkeys", request_body = TransactionOptionsRequest,
    responses((status = 200, body = TransactionOptionsResponse), (status = 400, description = "`invalid_request`"),
        (status = 401, description = "`not_signed_in`"), (status = 403, description = "`insufficient_scope`, `wrong_origin`, `forbidden`, `sign_in_refused` (`reason`: `no_group`)"), (status = 404, description = "`no_passkey_yet`")))]
pub async fn options(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    identity: Identity,
    caller: Caller,
    body: Json<TransactionOptionsRequest>,
) -> Result<web::Json<TransactionOptionsResponse>, Problem> {
    limits.check(Class::Start, caller.network)?;
    identity.require_scope(SCOPE)?;
    require_no_actor(&identity)?;
    let body = body.0;
    let asked_by = match &identity.via {
        Via::Cookie => None,
        Via::Bearer { client, .. } => Some(known_client(&room, client)?),
    };
    let origin = origin(request.headers())?;
    if let Some(client) = &asked_by {
        if !client.definition.first_party {
            let words = "Only a first-party app may have operations signed.";
            return Err(Failure::new(Kind::UnauthorizedClient, words).into());
        }
        if let Some(origin) = origin {
            client
                .owns_origin(origin)
                .map_err(|_| Failure::new(Kind::WrongOrigin, "This origin is not among the client's origins."))?;
        }
    }
    let audience = match (&body.client_id, &asked_by) {
        (Some(id), _) => known_client(&room, id)?,
        (None, Some(client)) => client.clone(),
        (None, None) => {
            return Err(
                Failure::new(Kind::InvalidRequest, "Name the client that the proof is for in `clientId`.").into()
            );
        }
    };
    let operation = Operation::from(body.operation);
    let operation_hash = operation.hash();
    let begun = room
        .begin_signing(BeginSigning {
            session: &identity.session,
            user: &identity.user,
            origin,
            asked_by: asked_by.as_deref(),
            audience: &audience,
            operation,
        })
        .await?;
    let options = OptionsResponse::new(begun, room.clock.now());
    Ok(web::Json(TransactionOptionsResponse { options, operation_hash }))
}

/// Refuses an access token that somebody else acts with: a proof tells of the person alone.
fn require_no_actor(identity: &Identity) -> Result<(), Failure> {
    if identity.act().is_none() {
        return Ok(());
    }
    let words = "Somebody else acts with this access token (`act`), and a proof tells of the person alone.";
    Err(Failure::new(Kind::Forbidden, words))
}

/// Ends it: verifies the passkey, with the person verified, and gives the proof.
#[utoipa::path(post, path = "/v1/passkeys/transactions/verify", tag = "Passkeys", request_body = VerifyRequest,
    responses((status = 200, body = TransactionResponse), (status = 400, description = "`verification_failed`, `user_verification_missing`"),
        (status = 401, description = "`not_signed_in`"), (status = 403, description = "`sign_in_refused` (`reason`: `account_disabled`, `passkey_paused` or `no_group`)"), (status = 410, description = "`ceremony_expired_or_used`")))]
pub async fn verify(
    request: HttpRequest,
    room: Room,
    guard: web::Data<Guard>,
    limits: web::Data<Limits>,
    identity: Identity,
    caller: Caller,
    body: Envelope<VerifyRequest>,
) -> Result<HttpResponse, Problem> {
    limits.check(Class::Verify, caller.network)?;
    identity.require_scope(SCOPE)?;
    require_no_actor(&identity)?;
    let body = body.0;
    let mut call = second_call(&request, &guard, Some(&identity), body.client_id.as_deref(), None)?;
    call.via = binding::Via::Signing;
    let done = room.finish_authentication(body.answer(call, &caller)).await?;
    let Given::Proof(proof) = done.given else {
        return Err(Failure::new(Kind::VerificationFailed, "The passkey could not be verified.").into());
    };
    metrics::counter!("passmint_transactions_total").increment(1);
    Ok(HttpResponse::Ok().json(TransactionResponse {
        kind: "transaction",
        proof: proof.token,
        operation_hash: proof.hash,
        expires_in: PROOF_LIFE.num_seconds(),
        signals: vec![done.signal],
    }))
}

/// A proof to be redeemed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedeemProof {
    /// The proof, as the app brought it.
    pub proof: String,
}

/// What a proof says, told once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedeemedProof {
    /// What was signed.
    pub operation: OperationBody,
    /// SHA-256 of its canonical form, base64url: compare it with that of the operation that you are about to do.
    pub operation_hash: String,
    /// Who signed, as this client's tokens name them.
    pub sub: String,
    /// The app that asked.
    pub client_id: String,
    /// Their session.
    pub sid: String,
    /// SHA-256 of the passkey's credential id, base64url.
    pub credential: String,
    /// What the ceremony proved.
    pub acr: String,
    /// What happened (RFC 8176).
    pub amr: Vec<String>,
    /// `synced`, `device_bound_unverified` or `attested`.
    pub credential_class: String,
    /// When it was signed, in seconds since 1970.
    pub auth_time: i64,
}

impl From<TransactionProofClaims> for RedeemedProof {
    fn from(claims: TransactionProofClaims) -> Self {
        let authentication = claims.authentication;
        Self {
            operation: claims.operation.into(),
            operation_hash: claims.operation_hash,
            sub: claims.sub,
            client_id: claims.client_id,
            sid: claims.sid,
            credential: claims.credential,
            acr: authentication.acr.unwrap_or_default(),
            amr: authentication.amr,
            credential_class: authentication
                .credential_class
                .map(|class| class.as_str().to_owned())
                .unwrap_or_default(),
            auth_time: authentication.auth_time.unwrap_or(claims.iat),
        }
    }
}

/// Redeems a proof: verifies it, and burns it. Of any number of requests with one proof, one is answered.
#[utoipa::path(post, path = "/v1/transactions/redeem", tag = "Passkeys", request_body = RedeemProof,
    responses((status = 200, body = RedeemedProof), (status = 400, description = "`result_refused`"), (status = 403, description = "`insufficient_scope`")))]
pub async fn redeem(
    backend: Backend<RedeemProofs>,
    room: Room,
    body: Json<RedeemProof>,
) -> Result<web::Json<RedeemedProof>, Problem> {
    let claims = room.redeem_proof(&backend.client, &body.0.proof, &backend.provenance).await?;
    Ok(web::Json(claims.into()))
}
