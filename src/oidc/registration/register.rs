//! `POST /oauth/register` (RFC 7591 §3).

use actix_web::{HttpRequest, HttpResponse, web};
use diesel::{Connection as _, PgConnection};
use serde_json::{Map, Value, json};

use super::metadata::write;
use super::{Refused, Registration, Room, no_permission, permission};
use crate::clients::rules::Rules;
use crate::clock::Time;
use crate::config::RegistrationMode;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::{AuthMethod, Client, ClientDefinition};
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::storage::client_records::{self, ClientRecord, NewClient, Source};
use crate::storage::{audit, initial_access_tokens};
use crate::web::Caller;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::json::Json;
use crate::web::limits::{Class, Limits};
use crate::web::refusal::Refusal;

/// What a client sends to register or to change its registration.
pub(super) type Body = Result<Json<Map<String, Value>>, Problem>;

/// The members of a body; a malformed one is reported with the error codes of registration.
pub(super) fn members(body: Body) -> Result<Map<String, Value>, Failure> {
    body.map(|json| json.0).map_err(|problem| match problem.0.kind() {
        Kind::InvalidRequest => Failure::new(Kind::InvalidClientMetadata, problem.0.detail().to_owned()),
        _ => problem.0,
    })
}

/// Registers a client (RFC 7591 §3). Unknown metadata members are ignored.
#[utoipa::path(post, path = "/oauth/register", tag = "OAuth",
    request_body(content = Object, content_type = "application/json", description = "Client metadata (RFC 7591 §2)"),
    responses((status = 201, description = "The registered metadata, with `client_id`, `registration_client_uri`, `registration_access_token` and, for a client that authenticates with a secret, `client_secret`"),
        (status = 400, description = "`invalid_redirect_uri`, `invalid_client_metadata`, `invalid_software_statement`"),
        (status = 401, description = "`invalid_token`: the initial access token is missing or not valid"),
        (status = 404, description = "`invalid_request`: dynamic registration is disabled")))]
pub async fn register(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    body: Body,
) -> Result<HttpResponse, Refused> {
    room.require_on()?;
    limits.check(Class::Start, caller.network)?;
    let permission = room.permitted(&request).await?;
    let definition = room.definition(&members(body)?)?;
    room.check_rules(&definition)?;
    room.check_sector(&definition).await?;
    let made = room.store(definition, permission, caller.provenance).await?;
    room.clients.reload(&room.db).await?;
    Ok(HttpResponse::Created().json(made.document(&room.issuer)))
}

/// Refuses an invalid client with an error of registration, which reports one mistake at a time.
pub(super) fn refuse_mistakes(rules: &Rules, definition: &ClientDefinition, has_secret: bool) -> Result<(), Failure> {
    let Some(wrong) = rules.mistakes(definition, has_secret).into_iter().next() else { return Ok(()) };
    let kind = if wrong.field == "redirect_uris" { Kind::InvalidRedirectUri } else { Kind::InvalidClientMetadata };
    Err(Failure::new(kind, format!("{} {}; {}.", wrong.field, wrong.what, wrong.cure)))
}

/// A client's registration as returned to it, with its secrets, which are stored only as digests.
pub(super) struct Told {
    pub(super) record: ClientRecord,
    pub(super) secret: Option<PlainToken>,
    pub(super) token: String,
}

impl Told {
    /// The client information response (RFC 7591 §3.2.1).
    pub(super) fn document(&self, issuer: &str) -> Value {
        let mut all = write(&self.record.definition);
        all.insert("client_id".to_owned(), json!(self.record.id));
        all.insert("client_id_issued_at".to_owned(), json!(self.record.created_at.timestamp()));
        if let Some(secret) = &self.secret {
            all.insert("client_secret".to_owned(), json!(secret.expose()));
            all.insert("client_secret_expires_at".to_owned(), json!(0));
        }
        let uri = format!("{issuer}/oauth/register/{}", self.record.id);
        all.insert("registration_client_uri".to_owned(), json!(uri));
        all.insert("registration_access_token".to_owned(), json!(self.token));
        Value::Object(all)
    }
}

/// Whether a client is given a secret.
pub(super) fn wants_secret(definition: &ClientDefinition) -> bool {
    matches!(definition.auth_method, Some(AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost))
}

impl Registration {
    /// The initial access token of a request, if registration requires one. It is checked before anything is fetched,
    /// and used up only when the client is stored.
    async fn permitted(&self, request: &HttpRequest) -> Result<Option<TokenDigest>, Failure> {
        let presented = permission(request.headers())?;
        if self.policy.mode == RegistrationMode::Open && presented.is_none() {
            return Ok(None);
        }
        let token = presented.and_then(|text| PlainToken::parse(TokenKind::InitialAccess, text));
        let digest = token.ok_or_else(no_permission)?.digest();
        let now = self.clock.now();
        let live = self.db.run(move |conn| initial_access_tokens::is_live(conn, &digest, now)).await?;
        if live { Ok(Some(digest)) } else { Err(no_permission()) }
    }

    /// Refuses a client that violates the rules for all clients.
    pub(super) fn check_rules(&self, definition: &ClientDefinition) -> Result<(), Failure> {
        refuse_mistakes(&self.rules, definition, wants_secret(definition))?;
        self.check_reach(definition)
    }

    async fn store(
        &self,
        definition: ClientDefinition,
        permission: Option<TokenDigest>,
        origin: Provenance,
    ) -> Result<Told, Failure> {
        let secret = wants_secret(&definition).then(|| PlainToken::random(TokenKind::ClientSecret));
        let token = PlainToken::random(TokenKind::Registration);
        let client = Client {
            id: crate::random::uuid().simple().to_string(),
            definition,
            secret: secret.as_ref().map(PlainToken::digest),
            previous_secret: None,
            unverified_since: None,
        };
        let (digest, now, most) = (token.digest(), self.clock.now(), self.policy.max_clients);
        let work = move |conn: &mut PgConnection| {
            require_room(conn, most, now)?;
            let by = match &permission {
                Some(digest) => Some(initial_access_tokens::take(conn, digest, now)?.ok_or_else(no_permission)?),
                None => None,
            };
            let record = insert(conn, &client, digest, now)?;
            let event = Event {
                client: Some(record.id.clone()),
                subject: Some(record.id.clone()),
                subject_name: Some(record.definition.name.clone()),
                detail: json!({ "permission": by }),
                ..Event::new(EventKind::ClientRegistered, now, &origin)
            };
            audit::insert(conn, &event)?;
            Ok::<_, Refusal>(record)
        };
        let record = self.db.run(move |conn| Refusal::apart(conn.transaction(work))).await??;
        Ok(Told { record, secret, token: token.expose().to_owned() })
    }
}

/// Refuses a client if the maximum number of self-registered clients is reached. Unused clients that were only read
/// from documents are deleted first: they are read again when somebody uses them.
pub(super) fn require_room(conn: &mut PgConnection, most: i64, now: Time) -> Result<(), Refusal> {
    let too_many = client_records::count_self_made(conn)? + 1 - most;
    if too_many <= 0 || client_records::delete_unused_documents(conn, too_many, now)? == too_many {
        return Ok(());
    }
    let detail = "As many apps as may be are registered here. Ask the operator of this server.";
    Err(Failure::new(Kind::Forbidden, detail).into())
}

fn insert(conn: &mut PgConnection, client: &Client, token: TokenDigest, now: Time) -> Result<ClientRecord, Refusal> {
    let new = NewClient { client, source: Source::Registration, registration_token: Some(token), fetch_again_at: None };
    client_records::insert(conn, &new, now)?;
    Ok(client_records::find(conn, &client.id)?.ok_or_else(no_permission)?)
}
