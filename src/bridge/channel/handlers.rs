//! `POST /v1/bridges/{name}/pusher/auth` and `…/user-auth`: the endpoints that Pusher's client libraries call.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::names::{Channel, Socket};
use super::{Asked, Signed};
use crate::account::guards::Identity;
use crate::bridge::handlers::{Asking, BridgeDesk};
use crate::web::Caller;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::form::ApiForm;
use crate::web::limits::Limits;

/// The form that Pusher's client libraries send.
#[derive(Debug, ToSchema)]
pub struct ChannelForm {
    /// The ID of the connection: two numbers separated by a dot.
    pub socket_id: String,
    /// The name of the channel. Not used for user authentication.
    pub channel_name: Option<String>,
}

/// The authorization of a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelAnswer {
    /// The signature, in the form `key:signature`.
    pub auth: String,
    /// The user's data for the other members of a presence channel, as a JSON string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_data: Option<String>,
}

/// The authentication of a user for a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserAnswer {
    /// The signature, in the form `key:signature`.
    pub auth: String,
    /// The user's data, as a JSON string.
    pub user_data: String,
}

/// Authorizes the signed-in user for a Pusher channel.
///
/// Requires the session cookie on this server's own pages, or an access token with the scope `bridge:{name}`.
#[utoipa::path(post, path = "/v1/bridges/{name}/pusher/auth", tag = "Bridges", params(("name" = String, Path)),
    request_body(content = ChannelForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = ChannelAnswer), (status = 400, description = "`invalid_request`"), (status = 401, description = "`not_signed_in`, `invalid_token`, `reauthentication_required`"),
        (status = 403, description = "`forbidden`, `insufficient_scope`"), (status = 404, description = "`not_found`"), (status = 415, description = "`unsupported_media_type`"),
        (status = 429, description = "`rate_limited`"), (status = 503, description = "`unavailable`")))]
pub async fn channel(
    desk: web::Data<BridgeDesk>,
    limits: web::Data<Limits>,
    identity: Identity,
    caller: Caller,
    name: web::Path<String>,
    form: ApiForm,
) -> Result<HttpResponse, Problem> {
    let channel = Channel::parse(form.0.get("channel_name")?).ok_or_else(|| {
        let words = "`channel_name` is a private or presence channel, and not an encrypted one.";
        Failure::new(Kind::InvalidRequest, words)
    })?;
    let place = (name.as_str(), Asked::Channel(channel));
    let Signed { auth, told, .. } = signed((&desk, &limits), identity, &caller, place, &form).await?;
    Ok(HttpResponse::Ok().json(ChannelAnswer { auth, channel_data: told }))
}

/// Authenticates the signed-in user for a Pusher connection.
///
/// Requires the session cookie on this server's own pages, or an access token with the scope `bridge:{name}`.
#[utoipa::path(post, path = "/v1/bridges/{name}/pusher/user-auth", tag = "Bridges", params(("name" = String, Path)),
    request_body(content = ChannelForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = UserAnswer), (status = 400, description = "`invalid_request`"), (status = 401, description = "`not_signed_in`, `invalid_token`, `reauthentication_required`"),
        (status = 403, description = "`forbidden`, `insufficient_scope`"), (status = 404, description = "`not_found`"), (status = 415, description = "`unsupported_media_type`"),
        (status = 429, description = "`rate_limited`"), (status = 503, description = "`unavailable`")))]
pub async fn user(
    desk: web::Data<BridgeDesk>,
    limits: web::Data<Limits>,
    identity: Identity,
    caller: Caller,
    name: web::Path<String>,
    form: ApiForm,
) -> Result<HttpResponse, Problem> {
    let place = (name.as_str(), Asked::User);
    let Signed { auth, told, .. } = signed((&desk, &limits), identity, &caller, place, &form).await?;
    Ok(HttpResponse::Ok().json(UserAnswer { auth, user_data: told.unwrap_or_default() }))
}

async fn signed(
    (desk, limits): (&BridgeDesk, &Limits),
    identity: Identity,
    caller: &Caller,
    (name, asked): (&str, Asked<'_>),
    form: &ApiForm,
) -> Result<Signed, Failure> {
    let socket = Socket::parse(form.0.get("socket_id")?).ok_or_else(|| {
        Failure::new(Kind::InvalidRequest, "`socket_id` must be two numbers with a dot between them.")
    })?;
    let asking = Asking::of(desk, limits, caller, identity, name).await?;
    let now = desk.clock.now();
    let signed = desk.bridges.sign_channel(name, &asking.request(), (socket, asked), now).await?;
    let mut event = asking.event(&signed.minted, now, caller);
    event.detail = match asked {
        Asked::Channel(channel) => serde_json::json!({ "channel": channel.as_str() }),
        Asked::User => serde_json::json!({ "channel": null }),
    };
    desk.db.ask(event).await?;
    Ok(signed)
}
