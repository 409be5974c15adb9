//! All errors that callers can get, in one table, and their two JSON renderings.
//!
//! Each room has a small error enum of its own and converts it into a [`Failure`] at the edge: a stable [`Kind`], a
//! sentence that is safe to show, and a private cause that is only logged. The handler's return type selects the
//! rendering: [`Problem`] (RFC 9457) or [`OAuthFailure`] (RFC 6749 §5.2). To add an error: one row in `kinds!`.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use chrono::Duration;
use serde_json::{Map, Value, json};

use crate::storage::StorageError;
use crate::storage::error::in_one_line;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $status:literal, $code:literal, $oauth:literal, $title:literal;)*) => {
        /// The kind of an error, which determines status, code and title.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Every kind, for the documentation and the tests.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// HTTP status of the problem rendering.
            pub fn status(self) -> StatusCode {
                let code: u16 = match self { $(Self::$kind => $status,)* };
                StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// HTTP status of the OAuth rendering: 400 for every fault of a grant (RFC 6749 §5.2). Only errors that RFC
            /// 6750 defines for bearer tokens keep their own status.
            pub fn oauth_status(self) -> StatusCode {
                match self.status() {
                    StatusCode::UNAUTHORIZED if matches!(self, Self::InvalidDpopProof | Self::UseDpopNonce) => {
                        StatusCode::BAD_REQUEST
                    }
                    StatusCode::FORBIDDEN
                    | StatusCode::NOT_FOUND
                    | StatusCode::CONFLICT
                    | StatusCode::GONE
                    | StatusCode::PRECONDITION_FAILED
                    | StatusCode::UNPROCESSABLE_ENTITY
                    | StatusCode::PRECONDITION_REQUIRED
                        if self != Self::InsufficientScope =>
                    {
                        StatusCode::BAD_REQUEST
                    }
                    other => other,
                }
            }

            /// Stable code of the problem rendering.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)* }
            }

            /// Code of the OAuth rendering (RFC 6749 §5.2 and its registry).
            pub const fn oauth_code(self) -> &'static str {
                match self { $(Self::$kind => $oauth,)* }
            }

            /// Short title of the problem rendering.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }
        }
    };
}

kinds! {
    /// The request is malformed.
    InvalidRequest: 400, "invalid_request", "invalid_request", "The request could not be understood";
    /// A hostile or broken ceremony. All such cases get the same answer.
    VerificationFailed: 400, "verification_failed", "invalid_grant", "The passkey could not be verified";
    /// The signature is valid, but the required user verification is missing.
    UserVerificationMissing: 400, "user_verification_missing", "invalid_grant", "The device did not verify that it is you";
    /// The ceremony expired, or was already answered.
    CeremonyExpired: 410, "ceremony_expired_or_used", "invalid_grant", "This ceremony has ended";
    /// The origin of the request, or of the browser's answer, is not allowed.
    WrongOrigin: 403, "wrong_origin", "invalid_grant", "Passkeys do not work from this address";
    /// The answer is well-formed and its challenge is valid, but the passkey is unknown here.
    PasskeyUnknown: 404, "passkey_unknown", "invalid_grant", "This passkey is not known here";
    /// The user who should authenticate has no passkey.
    NoPasskeyYet: 404, "no_passkey_yet", "invalid_grant", "This account has no passkey yet";
    /// The passkey is already registered.
    CredentialExists: 409, "credential_exists", "invalid_grant", "This passkey is already registered";
    /// The account is disabled, the passkey is paused, or the client is only for members of certain groups. `reason`
    /// says which. Revealed only after the passkey was verified.
    SignInRefused: 403, "sign_in_refused", "access_denied", "Sign-in was refused";
    /// The passkey is valid, but a hook denied the sign-in. `message`, if present, is for the user.
    SignInDenied: 403, "sign_in_denied", "access_denied", "This sign-in is not allowed";
    /// No one is signed in.
    NotSignedIn: 401, "not_signed_in", "invalid_token", "You are not signed in";
    /// The change requires a recent user verification.
    ReauthenticationRequired: 401, "reauthentication_required", "login_required", "Confirm that it is you";
    /// The caller is not allowed to do this.
    Forbidden: 403, "forbidden", "access_denied", "Not allowed";
    /// The request does not come from one of our own pages.
    Csrf: 403, "csrf", "invalid_request", "This page is out of date";
    /// Sign-up is disabled.
    SignUpClosed: 403, "sign_up_closed", "access_denied", "New accounts cannot be created here";
    /// The object does not exist, or the caller may not know that it does.
    NotFound: 404, "not_found", "invalid_request", "Not found";
    /// The path exists, but not with this method.
    MethodNotAllowed: 405, "method_not_allowed", "invalid_request", "Method not allowed";
    /// The change would leave no way to sign in.
    LastSignInMethod: 409, "last_sign_in_method", "invalid_request", "This is the only way to sign in";
    /// The user already has the maximum number of passkeys.
    TooManyPasskeys: 409, "too_many_passkeys", "invalid_request", "There are too many passkeys";
    /// The body is too large.
    TooLarge: 413, "payload_too_large", "invalid_request", "The request is too large";
    /// The action token does not exist: forged, altered, or long expired.
    ActionTokenUnknown: 403, "action_token_unknown", "access_denied", "There is no such action token";
    /// The action token is for another action or another user; `reason` says which.
    ActionTokenMisused: 403, "action_token_misused", "access_denied", "The action token is not for this";
    /// The action token is no longer valid; `reason` says why.
    ActionTokenEnded: 410, "action_token_ended", "access_denied", "The action token has ended";
    /// The user already has a passkey, and the app may not add another.
    EnrolOverExisting: 409, "enrol_over_existing", "access_denied", "There is already a passkey";
    /// The result of an action that a client presents is not genuine, not its own, too old, or already redeemed.
    ResultRefused: 400, "result_refused", "invalid_grant", "The result was refused";
    /// The headers are too long or too many (RFC 6585 §5).
    HeadersTooLarge: 431, "headers_too_large", "invalid_request", "The headers are too large";
    /// The path does not accept this content type.
    UnsupportedMediaType: 415, "unsupported_media_type", "invalid_request", "Unsupported content type";
    /// Too many requests from this network.
    RateLimited: 429, "rate_limited", "temporarily_unavailable", "Too many requests";
    /// The client is unknown, or its authentication failed.
    InvalidClient: 401, "invalid_client", "invalid_client", "Client authentication failed";
    /// The code, refresh token or assertion was refused.
    InvalidGrant: 400, "invalid_grant", "invalid_grant", "The grant is not valid";
    /// A device polls, and the user has not answered yet (RFC 8628 §3.5).
    AuthorizationPending: 400, "authorization_pending", "authorization_pending", "The person has not answered yet";
    /// A device polls too often (RFC 8628 §3.5).
    SlowDown: 400, "slow_down", "slow_down", "Poll more slowly";
    /// The device code expired (RFC 8628 §3.5).
    ExpiredToken: 400, "expired_token", "expired_token", "The code has expired";
    /// The user denied the request.
    AccessDenied: 403, "access_denied", "access_denied", "Access was denied";
    /// The client may not use this grant.
    UnauthorizedClient: 400, "unauthorized_client", "unauthorized_client", "This client may not do that";
    /// The response type is not `code`; only codes are issued through the browser.
    UnsupportedResponseType: 400, "unsupported_response_type", "unsupported_response_type", "Unsupported response type";
    /// The request object is not acceptable (RFC 9101 §7).
    InvalidRequestObject: 400, "invalid_request_object", "invalid_request_object", "The request object is not valid";
    /// The `request_uri` is not acceptable (RFC 9101 §7).
    InvalidRequestUri: 400, "invalid_request_uri", "invalid_request_uri", "The request_uri is not valid";
    /// A signed request from a client that has no keys to sign with (OpenID Connect Core §3.1.2.6).
    RequestNotSupported: 400, "request_not_supported", "request_not_supported", "Signed requests are not supported here";
    /// Clients cannot register within an authorization request (OpenID Connect Core §3.1.2.6).
    RegistrationNotSupported: 400, "registration_not_supported", "registration_not_supported", "Clients register elsewhere";
    /// The grant type is not supported.
    UnsupportedGrantType: 400, "unsupported_grant_type", "unsupported_grant_type", "Unsupported grant type";
    /// The scope is unknown, malformed or not allowed.
    InvalidScope: 400, "invalid_scope", "invalid_scope", "The scope is not allowed";
    /// The audience or resource is unknown or not allowed (RFC 8707, RFC 8693).
    InvalidTarget: 400, "invalid_target", "invalid_target", "The audience is not allowed";
    /// The access token is missing, malformed, expired or revoked (RFC 6750 §3.1).
    InvalidToken: 401, "invalid_token", "invalid_token", "The access token is not valid";
    /// The token lacks a scope (RFC 6750 §3.1).
    InsufficientScope: 403, "insufficient_scope", "insufficient_scope", "The access token lacks a scope";
    /// A value in an administrative request is not accepted. `errors` lists each with what is wrong and what to do.
    InvalidField: 400, "invalid_field", "invalid_request", "A value is not accepted";
    /// An object with this name already exists.
    AlreadyExists: 409, "already_exists", "invalid_request", "It already exists";
    /// The configuration declares the object, so it can be changed only there.
    ManagedByConfiguration: 409, "managed_by_configuration", "invalid_request", "The configuration declares it";
    /// The object was changed since the caller read it.
    PreconditionFailed: 412, "precondition_failed", "invalid_request", "It was changed in the meantime";
    /// The request must name the version that it changes (`If-Match`).
    PreconditionRequired: 428, "precondition_required", "invalid_request", "If-Match is missing";
    /// The idempotency key was used for another request.
    IdempotencyKeyReused: 422, "idempotency_key_reused", "invalid_request", "This key belongs to another request";
    /// A redirect URI was not accepted at registration (RFC 7591 §3.2.2).
    InvalidRedirectUri: 400, "invalid_redirect_uri", "invalid_redirect_uri", "The redirect URI is not accepted";
    /// A member of a registration was not accepted (RFC 7591 §3.2.2).
    InvalidClientMetadata: 400, "invalid_client_metadata", "invalid_client_metadata", "The client metadata is not accepted";
    /// A software statement was not accepted (RFC 7591 §3.2.2).
    InvalidSoftwareStatement: 400, "invalid_software_statement", "invalid_software_statement", "The software statement is not accepted";
    /// The DPoP proof is missing, malformed, for another request, or already used (RFC 9449 §5, §7.1).
    InvalidDpopProof: 401, "invalid_dpop_proof", "invalid_dpop_proof", "The DPoP proof is not valid";
    /// The DPoP proof must contain a nonce from this server (RFC 9449 §8, §9).
    UseDpopNonce: 401, "use_dpop_nonce", "use_dpop_nonce", "A DPoP nonce is required";
    /// A temporary fault of the server: storage, keys.
    Unavailable: 503, "unavailable", "temporarily_unavailable", "Temporarily unavailable";
    /// A defect of the server.
    Internal: 500, "internal", "server_error", "Something went wrong here";
}

/// An error to be sent to a caller.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    detail: Cow<'static, str>,
    extra: Map<String, Value>,
    retry_after: Option<u64>,
    challenge: Option<String>,
    header: Option<Box<(HeaderName, HeaderValue)>>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// An error with a sentence for the caller: what is wrong and what to do. It must not contain internal details.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            extra: Map::new(),
            retry_after: None,
            challenge: None,
            header: None,
            source: None,
        }
    }

    /// Adds the cause, which is logged and never sent.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds a member to the problem document.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }

    /// Adds a `Retry-After`, in seconds.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Makes it a refusal of an access token, with its own `WWW-Authenticate`.
    #[must_use]
    pub fn challenge(mut self, challenge: String) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Adds the maximum age of an acceptable sign-in to the challenge (RFC 9470 §3).
    #[must_use]
    pub fn fresh_within(self, age: Duration) -> Self {
        let seconds = age.num_seconds();
        self.challenge(format!(r#"Bearer error="insufficient_user_authentication", max_age="{seconds}""#))
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    /// A temporary fault of the server.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Unavailable, "This cannot be checked right now. It is our fault; please try again.")
            .retry_after(2)
            .because(source)
    }

    /// The kind of the error.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The sentence for the caller.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The `Retry-After`, in seconds.
    pub const fn wait(&self) -> Option<u64> {
        self.retry_after
    }

    /// Logs the cause. Called once, at the edge.
    pub fn log(&self) {
        match &self.source {
            Some(source) if self.kind.status().is_server_error() => {
                tracing::error!(code = self.kind.code(), error = %in_one_line(source.as_ref()), "request failed");
            }
            Some(source) => {
                tracing::info!(code = self.kind.code(), reason = %in_one_line(source.as_ref()), "request refused");
            }
            None => {}
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.detail)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Panicked => Self::new(Kind::Internal, "The server made a mistake.").because(error),
            fault => Self::unavailable(fault),
        }
    }
}

/// The RFC 9457 rendering, `application/problem+json`.
#[derive(Debug)]
pub struct Problem(pub Failure);

/// The RFC 6749 §5.2 rendering.
#[derive(Debug)]
pub struct OAuthFailure(pub Failure);

impl<E: Into<Failure>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl<E: Into<Failure>> From<E> for OAuthFailure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl OAuthFailure {
    /// The answer to a fault of the path rather than of a grant: it keeps the HTTP status that OAuth would report as
    /// 400.
    pub fn under_its_own_status(&self) -> HttpResponse {
        let mut response = self.error_response();
        *response.status_mut() = self.0.kind.status();
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for OAuthFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.0.log();
        let kind = self.0.kind;
        let mut body = self.0.extra.clone();
        body.insert("type".into(), json!(format!("urn:passmint:problem:{}", kind.code())));
        body.insert("title".into(), json!(kind.title()));
        body.insert("status".into(), json!(kind.status().as_u16()));
        body.insert("code".into(), json!(kind.code()));
        body.insert("detail".into(), json!(self.0.detail));
        let mut response = HttpResponse::build(kind.status());
        response.content_type("application/problem+json");
        finish(&self.0, kind.status(), &mut response);
        response.body(Value::Object(body).to_string())
    }
}

impl ResponseError for OAuthFailure {
    fn status_code(&self) -> StatusCode {
        match self.0.challenge {
            // A fault of an access token is not a fault of a grant.
            Some(_) => self.0.kind.status(),
            None => self.0.kind.oauth_status(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        self.0.log();
        let kind = self.0.kind;
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/json");
        finish(&self.0, self.status_code(), &mut response);
        response.body(json!({ "error": kind.oauth_code(), "error_description": described(&self.0.detail) }).to_string())
    }
}

/// Replaces what `error_description` cannot contain: only printable ASCII without quotation marks and backslashes is
/// allowed (RFC 6749 §5.2).
fn described(detail: &str) -> String {
    let allowed = |c| match c {
        '"' | '\\' => '\'',
        ' '..='~' => c,
        _ => '?',
    };
    detail.chars().map(allowed).collect()
}

/// The headers of both renderings: no caching, a challenge where HTTP requires one, and when to retry.
fn finish(failure: &Failure, status: StatusCode, response: &mut actix_web::HttpResponseBuilder) {
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    if let Some(own) = &failure.challenge {
        response.insert_header((header::WWW_AUTHENTICATE, own.as_str()));
    } else if let Some(challenge) = challenge(failure.kind).filter(|_| status != StatusCode::BAD_REQUEST) {
        response.insert_header((header::WWW_AUTHENTICATE, challenge));
    }
    if let Some((name, value)) = failure.header.as_deref() {
        response.insert_header((name.clone(), value.clone()));
    }
    if let Some(seconds) = failure.retry_after {
        response.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
}

/// RFC 6750 §3 and RFC 6749 §5.2: a 401 names the scheme to use.
fn challenge(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::InvalidToken => Some(r#"Bearer error="invalid_token""#),
        Kind::InsufficientScope => Some(r#"Bearer error="insufficient_scope""#),
        Kind::NotSignedIn => Some("Bearer"),
        Kind::ReauthenticationRequired => Some(r#"Bearer error="insufficient_user_authentication""#),
        Kind::InvalidDpopProof => Some(r#"DPoP error="invalid_dpop_proof""#),
        Kind::UseDpopNonce => Some(r#"DPoP error="use_dpop_nonce""#),
        Kind::InvalidClient => Some(r#"Basic realm="passmint""#),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_a_code_of_its_own_and_a_real_status() {
        let codes: HashSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert!((400..=503).contains(&kind.status().as_u16()), "{kind:?}");
            assert!(kind.oauth_code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{kind:?}");
            assert_eq!(
                kind.status() == StatusCode::UNAUTHORIZED,
                challenge(*kind).is_some() && *kind != Kind::InsufficientScope,
                "{kind:?}: a 401 names a scheme"
            );
        }
    }

    #[test]
    fn an_oauth_description_has_only_the_characters_that_it_may_have() {
        assert_eq!(described("The \"scope\" `a` of\nZoë is \\ no."), "The 'scope' `a` of?Zo? is ' no.");
    }

    /// RFC 6749 §5.2 and RFC 6750 §3.1; the rest follows HTTP.
    #[test]
    fn the_oauth_rendering_has_the_statuses_of_its_standards() {
        for kind in Kind::ALL {
            let status = OAuthFailure(Failure::new(*kind, "x")).error_response().status().as_u16();
            let expected = if *kind == Kind::InsufficientScope {
                &[403]
            } else {
                &[400, 401, 405, 413, 415, 429, 431, 500, 503][..]
            };
            assert!(expected.contains(&status), "{kind:?}: {status}");
        }
    }

    #[test]
    fn a_cause_is_never_answered() {
        let failure = Failure::unavailable("connection to 10.0.0.1 refused for user postgres");
        assert_eq!(failure.kind(), Kind::Unavailable);
        assert!(!failure.to_string().contains("postgres"));
        let response = Problem(failure).error_response();
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "2");
    }
}
