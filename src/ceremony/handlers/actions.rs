//! Action tokens over REST, for backends.

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

/// Longest external id and longest name of a source, in bytes.
const LONGEST_NAME: usize = 256;

/// A permission to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MakeActionToken {
    /// `enrol`, `sign_in`, `step_up`, `list`, `delete` or `sign`.
    #[schema(value_type = String)]
    pub action: Action,
    /// For whom.
    pub user: PersonOfToken,
    /// The relying-party profile, by name; the client's when left out.
    #[serde(default)]
    pub relying_party: Option<String>,
    /// The only origin that may use it; any of the client's, and our own pages', when left out.
    #[serde(default)]
    pub origin: Option<String>,
    /// Where our own page sends the person afterwards: one of the client's redirect URIs, byte for byte.
    #[serde(default)]
    pub return_to: Option<String>,
    /// Its life in seconds: 30 to 300, or up to 86400 when it is mailed; the longest when left out.
    #[serde(default)]
    pub expires_in: Option<i64>,
    /// It travels by mail. For `enrol` and `sign` only.
    #[serde(default)]
    pub mailed: bool,
    /// What is signed. For `sign` only.
    #[serde(default)]
    pub operation: Option<OperationBody>,
}

/// A person, by our id or by a name of another system's; never both.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PersonOfToken {
    /// Our id. Somebody whom the client's own source does not name wants the scope `action_tokens:anyone`.
    pub id: Option<Uuid>,
    /// What another system calls them; they are made if there is nobody of that name.
    pub external_id: Option<NameElsewhere>,
    /// For somebody who is made: their name.
    pub name: Option<String>,
    /// For somebody who is made: their e-mail address.
    pub email: Option<String>,
    /// Whether the address was proven to be theirs; wants the scope `action_tokens:verified_email`.
    pub email_verified: bool,
}

/// What another system calls a person.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NameElsewhere {
    /// Whose names these are; the client's own when left out. Another's want the scope `action_tokens:anyone`.
    #[serde(default)]
    pub source: Option<String>,
    /// The name: 1 to 256 bytes on one line.
    pub id: String,
}

/// An action token, as its client sees it; never the token itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionTokenView {
    /// Its id.
    pub id: Uuid,
    /// What it permits.
    #[schema(value_type = String)]
    pub action: Action,
    /// The person, as this client's tokens name them.
    pub sub: String,
    /// The name that the client called them by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<NameElsewhere>,
    /// The relying-party profile.
    pub relying_party: String,
    /// The only origin that may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Where our own page sends the person afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    /// How many ceremonies were begun with it, of five.
    pub ceremonies: i16,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// When it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<DateTime<Utc>>,
    /// When it was taken back.
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

/// A new action token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeActionToken {
    /// What it is.
    #[serde(flatten)]
    pub made: ActionTokenView,
    /// The token, for `Authorization: ActionToken …`. In this answer and nowhere else.
    pub token: String,
    /// The address of our own page that takes it, for `enrol` and `sign`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Whether the person was made with it.
    pub made_person: bool,
}

/// Makes an action token: what one of the client's people may do once.
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
        // No life is longer than a day, so one that does not fit is as wrong as one that is too long.
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

/// Lists the client's own action tokens, the newest first, until a day after their end.
#[utoipa::path(get, path = "/v1/action-tokens", tag = "Action tokens",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<ActionTokenView>), (status = 400, description = "`invalid_field`")))]
pub async fn list(backend: Backend, room: Room, query: Query) -> Result<web::Json<Page<ActionTokenView>>, Problem> {
    query.only(&[])?;
    let found = room.actions_of(&backend.client, query.after()?, query.limit()? + 1).await?;
    let key = |token: &ActionToken| (token.created_at, token.id.uuid());
    Ok(web::Json(query.page(found, key, |token| ActionTokenView::new(token, &backend.client, &room.mint))?))
}

/// Takes one of the client's action tokens back. A ceremony that it began cannot end any more.
#[utoipa::path(delete, path = "/v1/action-tokens/{id}", tag = "Action tokens", params(("id" = String, Path)),
    responses((status = 204), (status = 404, description = "`not_found`: another's, used, or taken back already")))]
pub async fn revoke(backend: Backend, room: Room, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    if room.revoke_action(&backend.client, parse_id(&id)?, &backend.provenance).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(missing().into())
    }
}

/// A result to be redeemed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedeemResult {
    /// The result, as the browser brought it. For `sign` it may be left out: what was signed is then fetched by the backend.
    #[serde(default)]
    pub result: Option<String>,
}

/// What a result says, told once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedeemedResult {
    /// What was done.
    #[schema(value_type = String)]
    pub action: Action,
    /// The action token's id: compare it with the one that this browser was given.
    pub action_token: String,
    /// The person, as this client's tokens name them.
    pub sub: String,
    /// The name that the client called them by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<NameElsewhere>,
    /// What was signed, where something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationBody>,
    /// SHA-256 of its canonical form, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_hash: Option<String>,
    /// SHA-256 of the passkey's credential id, base64url.
    pub credential: String,
    /// What the ceremony proved; `0` for `enrol` and `sign_in`.
    pub acr: String,
    /// What happened (RFC 8176).
    pub amr: Vec<String>,
    /// `synced`, `device_bound_unverified` or `attested`.
    pub credential_class: String,
    /// When the result was made, in seconds since 1970.
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

/// Redeems the result of an action: verifies it, and burns it. Of any number of requests with one result, one is answered.
#[utoipa::path(post, path = "/v1/action-tokens/{id}/result", tag = "Action tokens", params(("id" = String, Path)),
    request_body = RedeemResult,
    responses((status = 200, body = RedeemedResult), (status = 400, description = "`result_refused`"), (status = 404, description = "`not_found`; nothing was signed yet")))]
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

/// An id that is none is simply not there.
fn parse_id(text: &str) -> Result<ActionTokenId, Failure> {
    text.parse().map_err(|_| missing())
}

fn missing() -> Failure {
    Failure::new(Kind::NotFound, "This client has no such action token.")
}

/// Reads whom a token is for.
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
