//! `POST /oauth/token`: read, authenticate the client, hand over to the grant.

use actix_web::{HttpRequest, HttpResponse, web};

use super::client_auth::authenticate;
use super::wire::{self, TokenResponse};
use super::{Room, grants};
use crate::domain::scope::Scopes;
use crate::web::Caller;
use crate::web::error::{Failure, Kind, OAuthFailure};
use crate::web::form::{Form, OAuthForm};
use crate::web::limits::{Class, Limits};

/// What is asked of the token endpoint.
pub enum TokenRequest<'a> {
    /// Exchanges an authorization code.
    Code {
        /// The code.
        code: &'a str,
        /// The redirect URI, once more.
        redirect_uri: Option<&'a str>,
        /// The PKCE verifier.
        verifier: Option<&'a str>,
        /// Resources, if fewer than were allowed.
        resources: Vec<&'a str>,
    },
    /// Rotates a refresh token.
    Refresh {
        /// The token.
        token: &'a str,
        /// Narrower scopes, if wanted.
        scope: Option<Scopes>,
        /// Resources, if fewer than were allowed.
        resources: Vec<&'a str>,
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
            wire::AUTHORIZATION_CODE => Ok(Self::Code {
                code: form.get("code")?,
                redirect_uri: form.find("redirect_uri"),
                verifier: form.find("code_verifier"),
                resources: form.all("resource").collect(),
            }),
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
                resources: form.all("resource").collect(),
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
    request_body(content = Object, content_type = "application/x-www-form-urlencoded", description = "`grant_type=authorization_code` with `code`, `redirect_uri` and `code_verifier`, `grant_type=refresh_token` with `refresh_token`, or `grant_type=urn:passmint:params:oauth:grant-type:passkey` with `ceremony_id` and `credential`"),
    responses((status = 200, body = TokenResponse), (status = 400, description = "`invalid_grant`, `invalid_request`, `invalid_scope`, …"), (status = 401, description = "`invalid_client`")))]
pub async fn post(
    request: HttpRequest,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    form: OAuthForm,
) -> Result<HttpResponse, OAuthFailure> {
    limits.check(Class::Token, caller.network)?;
    let form = form.0;
    let client = authenticate(request.headers(), &form, &room.clients)?;
    let asked = TokenRequest::parse(&form)?;
    let tokens = match asked {
        TokenRequest::Code { code, redirect_uri, verifier, resources } => {
            let asked = grants::authorization_code::Asked { code, redirect_uri, verifier, resources: &resources };
            grants::authorization_code::redeem(&room, &client, &asked, &caller.provenance).await?
        }
        TokenRequest::Refresh { token, scope, resources } => {
            let asked = grants::refresh_token::Asked { token, scope: scope.as_ref(), resources: &resources };
            grants::refresh_token::refresh(&room, &client, &asked, &caller.provenance).await?
        }
        TokenRequest::Passkey { ceremony, credential } => {
            grants::passkey::finish(&room, &client, ceremony, credential, &caller.provenance).await?
        }
    };
    Ok(HttpResponse::Ok().insert_header(("pragma", "no-cache")).json(TokenResponse::from(tokens)))
}
