//! `POST /v1/admin/clients`, and what `passmint clients create` does.

use actix_web::HttpResponse;
use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::ClientView;
use crate::admin::Room;
use crate::admin::guard::{Actor, Admin, ChangeClients};
use crate::admin::idempotency::{Answer, IdempotencyKey, WithSecret};
use crate::clients::rules::Rules;
use crate::clock::Time;
use crate::config::QUICK_START;
use crate::domain::audit::EventKind;
use crate::domain::client::{AuthMethod, Client, ClientDefinition, ClientKind, check_id};
use crate::domain::json::read_object;
use crate::domain::secret::{PlainToken, TokenKind};
use crate::storage::client_records::{self, ClientRecord, NewClient, Source};
use crate::web::error::{Failure, Kind, Problem};
use crate::web::json::Json;
use crate::web::refusal::Refusal;
use crate::web::wrong_field::wrong_field;

/// Request to create a client.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateClient {
    /// The `client_id`. If omitted, a random one is generated.
    pub id: Option<String>,
    /// The settings, named as in the configuration. Durations are in seconds.
    #[schema(value_type = Object)]
    pub definition: Value,
}

/// Creates a client.
///
/// A confidential client gets a secret unless it has federated identities or authenticates with keys. The secret is in
/// `secret`; it is shown only in this answer.
#[utoipa::path(post, path = "/v1/admin/clients", tag = "Administration: clients", request_body = CreateClient,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat for 24 hours")),
    responses((status = 201, body = WithSecret<ClientView>), (status = 400, description = "`invalid_field`"),
        (status = 409, description = "`already_exists`")))]
pub async fn create(
    admin: Admin<ChangeClients>,
    room: Room,
    key: IdempotencyKey,
    body: Json<CreateClient>,
) -> Result<HttpResponse, Problem> {
    let asked = body.0;
    let definition = read_definition(asked.definition.clone())?;
    if let Some(misfit) = asked.id.as_deref().and_then(check_id) {
        return Err(wrong_field(misfit.field, misfit.what, misfit.cure).into());
    }
    let id = asked.id.clone().unwrap_or_else(|| crate::random::uuid().simple().to_string());
    let (actor, rules, now) = (admin.actor, room.client_rules.clone(), room.clock.now());
    let witness = actor.clone();
    let response = room
        .once(&actor, "create client", key, &asked, move |conn, seed| {
            let secret = wants_secret(&definition).then(|| seed.secret(TokenKind::ClientSecret));
            let digest = secret.as_ref().map(PlainToken::digest);
            let client = Client { id, definition, secret: digest, previous_secret: None, unverified_since: None };
            let record = insert(conn, &witness, &rules, &client, now)?;
            let answer = Answer::created(format!("/v1/admin/clients/{}", record.id), &ClientView::from(&record));
            Ok(if secret.is_some() { answer.with_secret(TokenKind::ClientSecret, seed) } else { answer })
        })
        .await?;
    room.follow_clients().await?;
    Ok(response)
}

/// Reads a definition. The refusal names a member that is unknown or has the wrong type.
pub fn read_definition(definition: Value) -> Result<ClientDefinition, Failure> {
    read_object(definition).map_err(|error| {
        // serde's message names the member. The values in it are the caller's own settings.
        wrong_field("definition", format!("does not read ({error})"), "see the settings of clients in the reference")
    })
}

/// Whether a new client gets a secret.
pub fn wants_secret(definition: &ClientDefinition) -> bool {
    let has_keys = definition.jwks.is_some() || definition.jwks_uri.is_some();
    definition.kind == ClientKind::Confidential
        && definition.federated.is_empty()
        && match definition.auth_method {
            Some(AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost) => true,
            Some(AuthMethod::PrivateKeyJwt | AuthMethod::None) => false,
            None => !has_keys,
        }
}

/// Checks and stores a new client, and records the audit event.
pub fn insert(
    conn: &mut PgConnection,
    actor: &Actor,
    rules: &Rules,
    client: &Client,
    now: Time,
) -> Result<ClientRecord, Refusal> {
    require_id(&client.id)?;
    rules.check(&client.definition, client.secret.is_some())?;
    actor.require_power(&client.definition.scopes)?;
    let new = NewClient { client, source: Source::Administration, registration_token: None, fetch_again_at: None };
    if !client_records::insert(conn, &new, now)? {
        let detail = "There is a client of this id already. Choose another id.";
        return Err(Failure::new(Kind::AlreadyExists, detail).into());
    }
    let name = Some(client.definition.name.as_str());
    actor.witness(conn, (EventKind::ClientChanged, "created"), (&client.id, name), now)?;
    Ok(client_records::find(conn, &client.id)?.ok_or_else(|| crate::admin::missing("client"))?)
}

fn require_id(id: &str) -> Result<(), Failure> {
    let of = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-');
    if id == QUICK_START {
        return Err(wrong_field("id", "is the name of the built-in client on localhost", "choose another"));
    }
    let fits = id.len() <= 128 && id.starts_with(|c: char| c.is_ascii_alphanumeric()) && id.chars().all(of);
    if fits {
        Ok(())
    } else {
        Err(wrong_field(
            "id",
            "is not a client id",
            "use 1 to 128 of a-z, A-Z, 0-9, . _ ~ -, beginning with a letter or digit",
        ))
    }
}
