//! `POST /oauth/token`: read, authenticate the client, hand over to the grant.

use actix_web::{HttpRequest, HttpResponse, web};

use super::client_auth::authenticate;
use super::wire::{self, TokenResponse};
use super::{Room, grants};
use crate::domain::scope::Scopes;
use crate::dpop;
use crate::web::Caller;
use crate::web::error::{Failure, Kind, OAuthFailure};
use crate::web::form::{Form, OAuthForm};
use crate::web::limits::{Class, Limits};

/// What is asked of the token endpoint.
pub enum TokenRequest<'a> {
    /// Rotates a refresh token.
    Refresh {
        /// The token.
        token: &'a str,
        /// Narrower scopes, if wanted.
        scope: Option<Scopes>,
    },
    /// Ends a passkey ceremony.
    Passkey {
        /// Its handle.
        ceremony: &'a str,
        /// The browser's answer, JSON.
        credential: &'a str,
    },
}

impl<'a> TokenRequest<'a> {
    fn parse(form: &'a Form) -> Result<Self, Failure> {
        match form.get("grant_type")? {
            wire::REFRESH_TOKEN => Ok(Self::Refresh {
                token: form.get("refresh_token")?,
                scope: form
                    .find("scope")
                    .map(|text| {
                        Scopes::parse(text).map_err(|error| {
                            Failure::new(Kind::InvalidScope, format!("The scope is malformed: {error}."))
                        })
                    })
                    .transpose()?,
            }),
            wire::PASSKEY => {
                Ok(Self::Passkey { ceremony: form.get("ceremony_id")?, credential: form.get("credential")? })
            }
            _ => Err(Failure::new(Kind::UnsupportedGrantType, "This grant type is not supported here.")),
        }
    }
}

/// Gives tokens for a grant (RFC 6749 §3.2).
#[utoipa::path(post, path = "/oauth/token", tag = "OAuth",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded", description = "`grant_type=refresh_token` with `refresh_token`, or `grant_type=urn:passmint:params:oauth:grant-type:passkey` with `ceremony_id` and `credential`"),
    responses((status = 200, body = TokenResponse), (status = 400, description = "`invalid_grant`, `invalid_request`, `invalid_scope`, `invalid_dpop_proof`, `use_dpop_nonce`, …"), (status = 401, description = "`invalid_client`")))]
pub async fn post(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    form: OAuthForm,
) -> Result<HttpResponse, OAuthFailure> {
    limits.check(Class::Token, caller.network)?;
    let form = form.0;
    let client = authenticate(&room, request.headers(), &form).await?;
    let asked = TokenRequest::parse(&form)?;
    let key = room.dpop.proof_key_for(&client, &request).await?;
    let tokens = match asked {
        TokenRequest::Refresh { token, scope } => {
            let asked = grants::refresh_token::Asked { token, scope: scope.as_ref(), key: key.as_ref() };
            grants::refresh_token::refresh(&room, &client, asked, &caller.provenance).await?
        }
        TokenRequest::Passkey { ceremony, credential } => {
            grants::passkey::finish(&room, &client, (ceremony, credential), key.as_ref(), &caller.provenance).await?
        }
    };
    let mut response = HttpResponse::Ok();
    if let Some(nonce) = room.dpop.nonce() {
        response.insert_header((dpop::NONCE, nonce));
    }
    Ok(response.insert_header(("pragma", "no-cache")).json(TokenResponse::from(tokens)))
}
