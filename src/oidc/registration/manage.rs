//! `GET`, `PUT` and `DELETE /oauth/register/{id}` (RFC 7592): a client that registered itself reads and changes its
//! registration.

use actix_web::{HttpRequest, HttpResponse, web};
use diesel::{Connection as _, PgConnection};
use serde_json::{Map, Value, json};

use super::metadata::with_settings_of_operators;
use super::register::{Body, Told, members, refuse_mistakes, wants_secret};
use super::{Refused, Registration, Room, permission};
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::ClientDefinition;
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::storage::audit;
use crate::storage::client_records::{self, ClientRecord, Source};
use crate::storage::db::{AT_LENGTH, patiently};
use crate::web::Caller;
use crate::web::error::{Failure, Kind};
use crate::web::limits::{Class, Limits};
use crate::web::refusal::Refusal;

/// Returns the registration of a client. The client secret is not stored in plain text and is not returned again.
#[utoipa::path(get, path = "/oauth/register/{id}", tag = "OAuth", params(("id" = String, Path)),
    responses((status = 200, description = "The registered metadata"), (status = 401, description = "`invalid_token`"),
        (status = 404, description = "`invalid_request`: dynamic registration is disabled")))]
pub async fn read(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    room.require_on()?;
    limits.check(Class::Token, caller.network)?;
    let (token, id) = (own_token(&request)?, id.into_inner());
    let digest = token.digest();
    let record = room.db.run(move |conn| client_records::find(conn, &id)).await?;
    let record = owned(record, &digest)?;
    let told = Told { record, secret: None, token: token.expose().to_owned() };
    Ok(HttpResponse::Ok().json(told.document(&room.issuer)))
}

/// Replaces the registration of a client.
///
/// Omitted members are reset to their defaults. The response contains a new `registration_access_token`; the previous
/// one is no longer valid.
#[utoipa::path(put, path = "/oauth/register/{id}", tag = "OAuth", params(("id" = String, Path)),
    request_body(content = Object, content_type = "application/json", description = "The complete client metadata, including `client_id`"),
    responses((status = 200, description = "The registered metadata"),
        (status = 400, description = "`invalid_redirect_uri`, `invalid_client_metadata`"), (status = 401, description = "`invalid_token`"),
        (status = 404, description = "`invalid_request`: dynamic registration is disabled")))]
pub async fn update(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    id: web::Path<String>,
    body: Body,
) -> Result<HttpResponse, Refused> {
    room.require_on()?;
    limits.check(Class::Token, caller.network)?;
    let (token, id) = (own_token(&request)?.digest(), id.into_inner());
    room.require_owner(&id, token).await?;
    let members = members(body)?;
    check_own_members(&members, &id)?;
    let definition = room.definition(&members)?;
    room.check_rules(&definition)?;
    room.check_sector(&definition).await?;
    let secret = members.get("client_secret").and_then(Value::as_str).map(TokenDigest::of);
    let told = room.replace(id, (token, secret), definition, caller.provenance).await?;
    room.clients.reload(&room.db).await?;
    Ok(HttpResponse::Ok().json(told.document(&room.issuer)))
}

/// Deletes a client, and everything that was issued to it.
#[utoipa::path(delete, path = "/oauth/register/{id}", tag = "OAuth", params(("id" = String, Path)),
    responses((status = 204), (status = 401, description = "`invalid_token`"),
        (status = 404, description = "`invalid_request`: dynamic registration is disabled")))]
pub async fn remove(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    room.require_on()?;
    limits.check(Class::Token, caller.network)?;
    let (token, id, now) = (own_token(&request)?.digest(), id.into_inner(), room.clock.now());
    let origin = caller.provenance;
    let work = move |conn: &mut PgConnection| {
        let record = owned(client_records::lock(conn, &id)?, &token)?;
        client_records::delete(conn, &id, now)?;
        witness(conn, &record, ("deleted itself", now), &origin)
    };
    room.db.run_at_length(move |conn| Refusal::apart(patiently(conn, AT_LENGTH, work))).await??;
    room.clients.reload(&room.db).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn refused() -> Failure {
    // RFC 7592 §2: an unknown client and a wrong token look the same.
    Failure::new(Kind::InvalidToken, "The registration access token is missing, or belongs to another client.")
}

fn own_token(request: &HttpRequest) -> Result<PlainToken, Failure> {
    let presented = permission(request.headers())?;
    presented.and_then(|text| PlainToken::parse(TokenKind::Registration, text)).ok_or_else(refused)
}

/// The record of a client that registered itself and is not disabled, if this is its registration access token.
fn owned(record: Option<ClientRecord>, token: &TokenDigest) -> Result<ClientRecord, Failure> {
    record
        .filter(|record| record.source == Source::Registration && record.disabled_at.is_none())
        .filter(|record| record.registration_token.as_ref().is_some_and(|own| own.matches(token)))
        .ok_or_else(refused)
}

/// Refuses members that only the server sets (RFC 7592 §2.2), and a wrong `client_id`.
fn check_own_members(members: &Map<String, Value>, id: &str) -> Result<(), Failure> {
    let wrong = |what: &'static str| Err(Failure::new(Kind::InvalidClientMetadata, what));
    if members.get("client_id").and_then(Value::as_str) != Some(id) {
        return wrong("client_id must be there and be the client's own.");
    }
    let ours =
        ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"];
    if ours.iter().any(|name| members.contains_key(*name)) {
        return wrong("What the server adds to a registration is not sent back: leave it out.");
    }
    Ok(())
}

impl Registration {
    async fn require_owner(&self, id: &str, token: TokenDigest) -> Result<(), Failure> {
        let id = id.to_owned();
        let record = self.db.run(move |conn| client_records::find(conn, &id)).await?;
        owned(record, &token).map(drop)
    }

    async fn replace(
        &self,
        id: String,
        (token, secret): (TokenDigest, Option<TokenDigest>),
        definition: ClientDefinition,
        origin: Provenance,
    ) -> Result<Told, Failure> {
        let (fresh, now) = (PlainToken::random(TokenKind::Registration), self.clock.now());
        let (digest, rules) = (fresh.digest(), self.rules.clone());
        let work = move |conn: &mut PgConnection| {
            let old = owned(client_records::lock(conn, &id)?, &token)?;
            if secret.is_some_and(|sent| old.secret.is_none_or(|own| !own.matches(&sent))) {
                let detail = "client_secret is not the client's own: it cannot be chosen.";
                return Err(Refusal::from(Failure::new(Kind::InvalidClientMetadata, detail)));
            }
            let definition = with_settings_of_operators(definition, &old.definition);
            refuse_mistakes(&rules, &definition, old.secret.is_some() || wants_secret(&definition))?;
            let secret = other_secret(conn, &old, &definition, now)?;
            client_records::set_definition(conn, &id, &definition, now)?;
            client_records::set_registration_token(conn, &id, &digest)?;
            witness(conn, &old, ("changed itself", now), &origin)?;
            let record = client_records::find(conn, &id)?.ok_or_else(refused)?;
            Ok((record, secret))
        };
        let (record, secret) = self.db.run(move |conn| Refusal::apart(conn.transaction(work))).await??;
        Ok(Told { record, secret, token: fresh.expose().to_owned() })
    }
}

/// Creates a secret for a client that has none and now needs one, and deletes the secret of a client that no longer
/// needs it.
fn other_secret(
    conn: &mut PgConnection,
    old: &ClientRecord,
    definition: &ClientDefinition,
    now: Time,
) -> Result<Option<PlainToken>, Refusal> {
    match (old.secret.is_some(), wants_secret(definition)) {
        (false, true) => {
            let secret = PlainToken::random(TokenKind::ClientSecret);
            client_records::rotate_secret(conn, &old.id, Some(&secret.digest()), None, now)?;
            Ok(Some(secret))
        }
        (true, false) => {
            client_records::rotate_secret(conn, &old.id, None, None, now)?;
            Ok(None)
        }
        _ => Ok(None),
    }
}

fn witness(
    conn: &mut PgConnection,
    record: &ClientRecord,
    (change, now): (&str, Time),
    origin: &Provenance,
) -> Result<(), Refusal> {
    let event = Event {
        client: Some(record.id.clone()),
        subject: Some(record.id.clone()),
        subject_name: Some(record.definition.name.clone()),
        detail: json!({ "change": change }),
        ..Event::new(EventKind::ClientChanged, now, origin)
    };
    Ok(audit::insert(conn, &event)?)
}
