//! The REST endpoints that backends use to manage action tokens.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Room;
use super::backend::{self, MakeActions};

type Backend = backend::Backend<MakeActions>;
use super::transactions::OperationBody;
use crate::ceremony::actions::{Made, NewAction, Rights, Whom};
use crate::domain::action::{Action, ActionToken, ExternalId};
use crate::domain::client::Client;
use crate::domain::id::ActionTokenId;
use crate::domain::standard_claims::StandardClaims;
use crate::domain::text::{DisplayName, Email};
use crate::tokens::Mint;
use crate::tokens::claims::ActionResultClaims;
use crate::web::Json;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::paging::{Page, Query};

/// Maximum length of an external ID and of its source, in bytes.
const LONGEST_NAME: usize = 256;

/// The action token to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MakeActionToken {
    /// The permitted action: `enrol`, `sign_in`, `step_up`, `list`, `delete` or `sign`.
    #[schema(value_type = String)]
    pub action: Action,
    /// The user that the token is for.
    pub user: PersonOfToken,
    /// The name of the relying-party profile. Defaults to the client's profile.
    #[serde(default)]
    pub relying_party: Option<String>,
    /// The only origin allowed to use the token. By default, any of the client's origins and this server's own pages
    /// may use it.
    #[serde(default)]
    pub origin: Option<String>,
    /// Where the hosted page redirects the user afterwards. Must exactly match one of the client's redirect URIs.
    #[serde(default)]
    pub return_to: Option<String>,
    /// Lifetime in seconds: 30 to 300, or up to 86400 if `mailed` is true. Defaults to the maximum.
    #[serde(default)]
    pub expires_in: Option<i64>,
    /// Whether the token is delivered by e-mail, which allows a longer lifetime. Only for `enrol` and `sign`.
    #[serde(default)]
    pub mailed: bool,
    /// The operation to sign. Required for `sign`, not allowed for other actions.
    #[serde(default)]
    pub operation: Option<OperationBody>,
}

/// The user, identified by either `id` or `externalId`. Exactly one is required.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PersonOfToken {
    /// The user's ID. Requires the scope `action_tokens:anyone` if the user has no external ID from this client.
    pub id: Option<Uuid>,
    /// The user's ID in an external system. If no user has it, a new user is created.
    pub external_id: Option<NameElsewhere>,
    /// The display name, if a new user is created. Only with `externalId`.
    pub name: Option<String>,
    /// The e-mail address, if a new user is created. Only with `externalId`.
    pub email: Option<String>,
    /// Whether `email` has been verified. Requires the scope `action_tokens:verified_email`.
    pub email_verified: bool,
}

/// A user's ID in an external system.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NameElsewhere {
    /// The system that assigned the ID. Defaults to the calling client; any other source requires the scope
    /// `action_tokens:anyone`.
    #[serde(default)]
    pub source: Option<String>,
    /// The ID in that system: 1 to 256 bytes, no control characters.
    pub id: String,
}

/// An action token, without its secret value.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionTokenView {
    /// The ID of the action token.
    pub id: Uuid,
    /// The permitted action.
    #[schema(value_type = String)]
    pub action: Action,
    /// The user's `sub` for this client.
    pub sub: String,
    /// The external ID that identified the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<NameElsewhere>,
    /// The name of the relying-party profile.
    pub relying_party: String,
    /// The only origin allowed to use the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Where the hosted page redirects the user afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    /// The number of ceremonies begun with the token. The limit is five.
    pub ceremonies: i16,
    /// When the token was created.
    pub created_at: DateTime<Utc>,
    /// When the token expires.
    pub expires_at: DateTime<Utc>,
    /// When the token was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<DateTime<Utc>>,
    /// When the token was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ActionTokenView {
    fn new(token: ActionToken, client: &Client, mint: &Mint) -> Self {
        Self {
            id: token.id.uuid(),
            action: token.action,
            sub: mint.subject_of(client, token.user),
            external_id: token.external_id.map(|name| NameElsewhere { source: Some(name.source), id: name.id }),
            relying_party: token.relying_party,
            origin: token.origin,
            return_to: token.return_to,
            ceremonies: token.ceremonies,
            created_at: token.created_at,
            expires_at: token.expires_at,
            used_at: token.used_at,
            revoked_at: token.revoked_at,
        }
    }
}

/// The created action token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeActionToken {
    /// The token's properties.
    #[serde(flatten)]
    pub made: ActionTokenView,
    /// The token's secret value, for `Authorization: ActionToken …`. Returned only in this response.
    pub token: String,
    /// The URL of the hosted page that accepts the token. Only for `enrol` and `sign`, and only if the page may use the
    /// token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Whether this request created the user.
    pub made_person: bool,
}

/// Creates an action token, which permits one of the client's users to perform one action once.
#[utoipa::path(post, path = "/v1/action-tokens", tag = "Action tokens", request_body = MakeActionToken,
    responses((status = 201, body = MadeActionToken), (status = 400, description = "`invalid_request`"),
        (status = 403, description = "`insufficient_scope`, `forbidden`"), (status = 404, description = "`not_found`"),
        (status = 409, description = "`enrol_over_existing`, `already_exists`")))]
pub async fn make(backend: Backend, room: Room, body: Json<MakeActionToken>) -> Result<HttpResponse, Problem> {
    let body = body.0;
    let new = NewAction {
        action: body.action,
        whom: whom(body.user, &backend.client)?,
        relying_party: body.relying_party,
        origin: body.origin,
        return_to: body.return_to,
        // No lifetime exceeds a day, so a value that overflows is rejected like any other that is too long.
        life: body.expires_in.map(|seconds| Duration::try_seconds(seconds).unwrap_or(Duration::MAX)),
        mailed: body.mailed,
        operation: body.operation.map(Into::into),
    };
    let made = room.make_action(&backend.client, Rights::of(&backend.scopes), new, &backend.provenance).await?;
    let Made { token, secret, made_person, link } = made;
    let made = ActionTokenView::new(token, &backend.client, &room.mint);
    let location = format!("/v1/action-tokens/{}", made.id);
    let answer = MadeActionToken { made, token: secret.expose().to_owned(), link, made_person };
    Ok(HttpResponse::Created().insert_header(("location", location)).json(answer))
}

/// Lists the client's own action tokens, newest first.
///
/// Tokens remain listed for one day after they expire.
#[utoipa::path(get, path = "/v1/action-tokens", tag = "Action tokens",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<ActionTokenView>), (status = 400, description = "`invalid_field`")))]
pub async fn list(backend: Backend, room: Room, query: Query) -> Result<web::Json<Page<ActionTokenView>>, Problem> {
    query.only(&[])?;
    let found = room.actions_of(&backend.client, query.after()?, query.limit()? + 1).await?;
    let key = |token: &ActionToken| (token.created_at, token.id.uuid());
    Ok(web::Json(query.page(found, key, |token| ActionTokenView::new(token, &backend.client, &room.mint))?))
}

/// Revokes one of the client's action tokens. A ceremony already begun with it can no longer be completed.
#[utoipa::path(delete, path = "/v1/action-tokens/{id}", tag = "Action tokens", params(("id" = String, Path)),
    responses((status = 204), (status = 404, description = "`not_found`: the token does not exist, belongs to another client, or was already used or revoked")))]
pub async fn revoke(backend: Backend, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    if room.revoke_action(&backend.client, parse_id(&id)?, &backend.provenance).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(missing().into())
    }
}

/// The result to redeem.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedeemResult {
    /// The result JWT, as received from the browser. For `sign` it may be omitted; the backend then fetches what was
    /// signed.
    #[serde(default)]
    pub result: Option<String>,
}

/// The verified contents of a result. Each result can be redeemed only once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedeemedResult {
    /// The action that was performed.
    #[schema(value_type = String)]
    pub action: Action,
    /// The ID of the action token. Compare it with the ID of the token that you issued to this browser.
    pub action_token: String,
    /// The user's `sub` for this client.
    pub sub: String,
    /// The external ID that identified the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<NameElsewhere>,
    /// The signed operation. Only for `sign`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationBody>,
    /// SHA-256 hash of the operation's canonical form, base64url. Only for `sign`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_hash: Option<String>,
    /// SHA-256 hash of the passkey's credential ID, base64url.
    pub credential: String,
    /// The authentication context class that the ceremony achieved. `0` for `enrol` and `sign_in`.
    pub acr: String,
    /// The authentication methods used (RFC 8176).
    pub amr: Vec<String>,
    /// The class of the credential: `synced`, `device_bound_unverified` or `attested`.
    pub credential_class: String,
    /// When the result was issued, in seconds since the Unix epoch.
    pub iat: i64,
}

impl From<ActionResultClaims> for RedeemedResult {
    fn from(claims: ActionResultClaims) -> Self {
        let authentication = claims.authentication;
        Self {
            action: claims.action,
            action_token: claims.action_token,
            sub: claims.sub,
            external_id: claims.external_id.map(|name| NameElsewhere { source: Some(name.source), id: name.id }),
            operation: claims.operation.map(Into::into),
            operation_hash: claims.operation_hash,
            credential: claims.credential,
            acr: authentication.acr.unwrap_or_else(|| "0".to_owned()),
            amr: authentication.amr,
            credential_class: authentication
                .credential_class
                .map(|class| class.as_str().to_owned())
                .unwrap_or_default(),
            iat: claims.iat,
        }
    }
}

/// Redeems the result of an action.
///
/// Verifies the result and marks it as used. If the same result is sent in several requests, only one of them succeeds.
#[utoipa::path(post, path = "/v1/action-tokens/{id}/result", tag = "Action tokens", params(("id" = String, Path)),
    request_body = RedeemResult,
    responses((status = 200, body = RedeemedResult), (status = 400, description = "`result_refused`"), (status = 404, description = "`not_found`: no such action token, or nothing has been signed with it yet")))]
pub async fn redeem(
    backend: Backend,
    room: Room,
    id: web::Path<String>,
    body: Json<RedeemResult>,
) -> Result<web::Json<RedeemedResult>, Problem> {
    let id = parse_id(&id)?;
    let claims = if let Some(result) = body.0.result {
        room.redeem_result(&backend.client, id, &result, &backend.provenance).await?
    } else {
        let fetched = room.fetch_signed(&backend.client, id, &backend.provenance).await?;
        fetched.ok_or_else(|| Failure::new(Kind::NotFound, "Nothing has been signed with this action token yet."))?
    };
    Ok(web::Json(claims.into()))
}

/// A malformed ID is reported as not found.
fn parse_id(text: &str) -> Result<ActionTokenId, Failure> {
    text.parse().map_err(|_| missing())
}

fn missing() -> Failure {
    Failure::new(Kind::NotFound, "This client has no such action token.")
}

/// Parses the user that a token is for.
fn whom(person: PersonOfToken, client: &Client) -> Result<Whom, Failure> {
    let invalid = |words: &'static str| Failure::new(Kind::InvalidRequest, words);
    match (person.id, person.external_id) {
        (Some(id), None) if person.name.is_none() && person.email.is_none() && !person.email_verified => {
            Ok(Whom::Id(id.into()))
        }
        (Some(_), None) => Err(invalid("`name` and `email` are only for a person who is created by an external ID.")),
        (None, Some(name)) => {
            let name = ExternalId { source: name.source.unwrap_or_else(|| client.id.clone()), id: name.id };
            let fits = |text: &str| (1..=LONGEST_NAME).contains(&text.len()) && !text.chars().any(char::is_control);
            if !fits(&name.source) || !fits(&name.id) {
                return Err(invalid("The external id and its source must be 1 to 256 bytes on one line."));
            }
            let claims = claims(person.name.as_deref(), person.email.as_deref(), person.email_verified)?;
            Ok(Whom::Called(name, claims))
        }
        _ => Err(invalid("Name the person either by `id` or by `externalId`.")),
    }
}

fn claims(name: Option<&str>, email: Option<&str>, verified: bool) -> Result<StandardClaims, Failure> {
    let wrong = |field: &str, error| Failure::new(Kind::InvalidRequest, format!("`{field}` {error}."));
    let mut claims = Map::new();
    if let Some(name) = name {
        let name = DisplayName::parse(name).map_err(|error| wrong("name", error))?;
        claims.insert("name".to_owned(), name.as_str().into());
    }
    match email {
        Some(email) => {
            let email = Email::parse(email).map_err(|error| wrong("email", error))?;
            claims.insert("email".to_owned(), email.as_str().into());
            claims.insert("email_verified".to_owned(), Value::Bool(verified));
        }
        None if verified => {
            return Err(Failure::new(Kind::InvalidRequest, "`emailVerified` has no meaning without `email`."));
        }
        None => {}
    }
    StandardClaims::parse(&claims)
        .map_err(|error| Failure::new(Kind::InvalidRequest, format!("`{}` {}.", error.claim, error.what)))
}
