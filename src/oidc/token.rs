//! `POST /oauth/token`: parses the request, authenticates the client, and passes it on to the grant.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::client_auth::authenticate;
use super::wire::{self, ExchangeResponse, TokenResponse};
use super::{Oidc, Room, grants};
use crate::domain::scope::Scopes;
use crate::dpop;
use crate::oidc::grants::presenters::Presented;
use crate::oidc::grants::token_exchange;
use crate::web::Caller;
use crate::web::error::{Failure, Kind, OAuthFailure};
use crate::web::form::{Form, OAuthForm};
use crate::web::limits::{Class, Limits};

/// A request to the token endpoint.
pub enum TokenRequest<'a> {
    /// Exchanges an authorization code.
    Code {
        /// The code.
        code: &'a str,
        /// The redirect URI of the authorization request, repeated.
        redirect_uri: Option<&'a str>,
        /// The PKCE verifier.
        verifier: Option<&'a str>,
        /// Resources, if fewer than were granted.
        resources: Vec<&'a str>,
    },
    /// Rotates a refresh token.
    Refresh {
        /// The token.
        token: &'a str,
        /// Scopes, if fewer than were granted.
        scope: Option<Scopes>,
        /// Resources, if fewer than were granted.
        resources: Vec<&'a str>,
    },
    /// Issues a client a token for itself.
    ClientCredentials {
        /// Scopes, if named.
        scope: Option<Scopes>,
        /// Resources that the token is for, if named (RFC 8707).
        resources: Vec<&'a str>,
    },
    /// Asks whether a person has answered a device's request.
    Device {
        /// The device code.
        code: &'a str,
        /// Resources, if fewer than were granted.
        resources: Vec<&'a str>,
    },
    /// Completes a passkey ceremony.
    Passkey {
        /// The ceremony's ID.
        ceremony: &'a str,
        /// The browser's response, JSON.
        credential: &'a str,
    },
    /// Issues an access token for a trusted issuer's token.
    Bearer {
        /// The token.
        assertion: &'a str,
        /// Scopes, if named.
        scope: Option<Scopes>,
        /// Resources that the token is for, if named (RFC 8707).
        resources: Vec<&'a str>,
    },
    /// Exchanges a token for another.
    Exchange(token_exchange::Asked<'a>),
}

/// The response.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Tokens(TokenResponse),
    Exchanged(ExchangeResponse),
}

impl<'a> TokenRequest<'a> {
    /// Parses the form. A grant type that no client can use here is unsupported.
    fn parse(room: &Oidc, form: &'a Form) -> Result<Self, Failure> {
        match form.get("grant_type")? {
            wire::AUTHORIZATION_CODE => Ok(Self::Code {
                code: form.get("code")?,
                redirect_uri: form.find("redirect_uri"),
                verifier: form.find("code_verifier"),
                resources: form.all("resource").collect(),
            }),
            wire::REFRESH_TOKEN => Ok(Self::Refresh {
                token: form.get("refresh_token")?,
                scope: scope(form)?,
                resources: form.all("resource").collect(),
            }),
            wire::CLIENT_CREDENTIALS => {
                Ok(Self::ClientCredentials { scope: scope(form)?, resources: form.all("resource").collect() })
            }
            wire::DEVICE_CODE => {
                Ok(Self::Device { code: form.get("device_code")?, resources: form.all("resource").collect() })
            }
            wire::PASSKEY => {
                Ok(Self::Passkey { ceremony: form.get("ceremony_id")?, credential: form.get("credential")? })
            }
            wire::JWT_BEARER if room.trusted_issuers.grant_tokens() => Ok(Self::Bearer {
                assertion: form.get("assertion")?,
                scope: scope(form)?,
                resources: form.all("resource").collect(),
            }),
            wire::TOKEN_EXCHANGE if !room.exchange_rules.is_empty() => {
                token_exchange::Asked::read(form, scope(form)?).map(Self::Exchange)
            }
            _ => Err(Failure::new(Kind::UnsupportedGrantType, "This grant type is not supported here.")),
        }
    }
}

fn scope(form: &Form) -> Result<Option<Scopes>, Failure> {
    let malformed = |error| Failure::new(Kind::InvalidScope, format!("The scope is malformed: {error}."));
    form.find("scope").map(|text| Scopes::parse(text).map_err(malformed)).transpose()
}

/// Issues tokens for a grant (RFC 6749 §3.2).
#[utoipa::path(post, path = "/oauth/token", tag = "OAuth",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded", description = "The client authentication and one of these grants: `grant_type=authorization_code` with `code`, `redirect_uri` and `code_verifier`; `grant_type=refresh_token` with `refresh_token`; `grant_type=client_credentials`; `grant_type=urn:ietf:params:oauth:grant-type:device_code` with `device_code`; `grant_type=urn:ietf:params:oauth:grant-type:token-exchange` with `subject_token` and `subject_token_type` (the response then contains `issued_token_type`; with `audience=<bridge>`, `inputs` may contain the bridge's inputs as a JSON object); `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer` with `assertion`; or `grant_type=urn:passmint:params:oauth:grant-type:passkey` with `ceremony_id` and `credential`"),
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
    let proof = room.dpop.examine(&request)?;
    let client = authenticate(&room, request.headers(), &form).await?;
    let asked = TokenRequest::parse(&room, &form)?;
    let key = room.dpop.key_for(&client, proof).await?;
    let key = key.as_ref();
    let tokens = match asked {
        TokenRequest::Code { code, redirect_uri, verifier, resources } => {
            let asked = grants::authorization_code::Asked { code, redirect_uri, verifier, resources: &resources, key };
            grants::authorization_code::redeem(&room, &client, &asked, &caller.provenance).await?
        }
        TokenRequest::Refresh { token, scope, resources } => {
            let asked = grants::refresh_token::Asked { token, scope: scope.as_ref(), resources: &resources, key };
            grants::refresh_token::refresh(&room, &client, &asked, &caller.provenance).await?
        }
        TokenRequest::ClientCredentials { scope, resources } => {
            grants::client_credentials::grant(&room, &client, scope.as_ref(), &resources, key)?
        }
        TokenRequest::Device { code, resources } => {
            grants::device_code::poll(&room, &client, (code, &resources), key, &caller.provenance).await?
        }
        TokenRequest::Passkey { ceremony, credential } => {
            grants::passkey::finish(&room, &client, (ceremony, credential), key, &caller.provenance).await?
        }
        TokenRequest::Bearer { assertion, scope, resources } => {
            let presented = Presented::begin(&room, &client, caller.network, assertion)?;
            let asked = grants::jwt_bearer::Asked { assertion, scope: scope.as_ref(), resources: &resources, key };
            let granted = grants::jwt_bearer::grant(&room, &client, &asked, &caller.provenance).await;
            granted.inspect_err(|error| presented.count_if(error.is_in_vain()))?
        }
        TokenRequest::Exchange(asked) => {
            let presented = Presented::begin(&room, &client, caller.network, asked.subject_token())?;
            let given = token_exchange::exchange(&room, &client, &asked, key, &caller.provenance).await;
            let given = given.inspect_err(|error| presented.count_if(error.is_in_vain()))?;
            return Ok(answered(&room, &Answer::Exchanged(given)));
        }
    };
    Ok(answered(&room, &Answer::Tokens(tokens.into())))
}

fn answered(room: &Room, answer: &Answer) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(nonce) = room.dpop.nonce() {
        response.insert_header((dpop::NONCE, nonce));
    }
    response.insert_header(("pragma", "no-cache")).json(answer)
}
