//! The REST endpoints for signing operations.

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

/// The scope that an access token needs for these endpoints.
const SCOPE: &str = "transactions";

/// The operation to sign. Every text must be a single line without invisible or bidirectional control characters.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationBody {
    /// The application's identifier for this kind of operation: 1 to 64 letters, digits, dots, hyphens or underscores.
    pub kind: String,
    /// A sentence that describes what the user signs: 1 to 120 characters.
    pub title: String,
    /// Up to 20 lines of details that are shown to the user. If omitted, it counts as `[]`, also when the hash is
    /// computed.
    #[serde(default)]
    pub details: Vec<DetailBody>,
}

/// A detail of an operation.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailBody {
    /// The label: 1 to 40 characters, unique within the operation.
    pub label: String,
    /// The value: 1 to 200 characters.
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

/// The parameters that begin the signing of an operation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransactionOptionsRequest {
    /// The operation to sign.
    pub operation: OperationBody,
    /// The confidential client that the proof is intended for. Defaults to the calling client; required with the
    /// session cookie.
    #[serde(default)]
    pub client_id: Option<String>,
}

/// The options for the browser's passkey API, and the hash of the operation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionOptionsResponse {
    /// The options of an ordinary sign-in ceremony.
    #[serde(flatten)]
    #[schema(value_type = OptionsResponse<serde_json::Value>)]
    pub options: OptionsResponse<PublicKeyCredentialRequestOptions>,
    /// SHA-256 hash of the operation's canonical form (RFC 8785, always including `details`), base64url.
    pub operation_hash: String,
}

/// The proof that the user signed the operation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionResponse {
    /// Always `transaction`.
    pub kind: &'static str,
    /// The proof, a JWT intended only for the client. It is valid for two minutes and can be redeemed once.
    pub proof: String,
    /// SHA-256 hash of the operation's canonical form (RFC 8785, always including `details`), base64url.
    pub operation_hash: String,
    /// Lifetime of the proof, in seconds.
    pub expires_in: i64,
    /// Data for the WebAuthn signal methods, which keep the passkey manager up to date.
    pub signals: Vec<Signal>,
}

/// Begins the signing of an operation with a passkey.
///
/// Requires the session cookie on this server's own pages, or an access token of a first-party client with the scope
/// `transactions`.
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

/// Rejects an access token that an actor uses on the person's behalf: a proof attests to the person alone.
fn require_no_actor(identity: &Identity) -> Result<(), Failure> {
    if identity.act().is_none() {
        return Ok(());
    }
    let words = "Somebody else acts with this access token (`act`), and a proof tells of the person alone.";
    Err(Failure::new(Kind::Forbidden, words))
}

/// Completes the signing of an operation.
///
/// Verifies the passkey response, which requires user verification, and returns the proof.
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

/// The proof to redeem.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedeemProof {
    /// The proof, as received from the app.
    pub proof: String,
}

/// The verified contents of a proof. Each proof can be redeemed only once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedeemedProof {
    /// The signed operation.
    pub operation: OperationBody,
    /// SHA-256 hash of the operation's canonical form, base64url. Compare it with the hash of the operation that you
    /// are about to perform.
    pub operation_hash: String,
    /// The `sub` of the user who signed, for this client.
    pub sub: String,
    /// The client that requested the signature.
    pub client_id: String,
    /// The ID of the session in which the user signed.
    pub sid: String,
    /// SHA-256 hash of the passkey's credential ID, base64url.
    pub credential: String,
    /// The authentication context class that the ceremony achieved.
    pub acr: String,
    /// The authentication methods used (RFC 8176).
    pub amr: Vec<String>,
    /// The class of the credential: `synced`, `device_bound_unverified` or `attested`.
    pub credential_class: String,
    /// When the operation was signed, in seconds since the Unix epoch.
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

/// Redeems a proof.
///
/// Verifies the proof and marks it as used. If the same proof is sent in several requests, only one of them succeeds.
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
