//! Parameter and response names on the wire, and nothing else.

use serde::Serialize;
use utoipa::ToSchema;

use crate::tokens::TokenSet;
use crate::tokens::claims::Confirmation;

/// The `grant_type` of an authorization code (RFC 6749 §4.1.3).
pub const AUTHORIZATION_CODE: &str = "authorization_code";
/// The `grant_type` of a refresh token (RFC 6749 §6).
pub const REFRESH_TOKEN: &str = "refresh_token";
/// The `grant_type` of a client acting for itself (RFC 6749 §4.4).
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// The `grant_type` of a passkey ceremony that is completed here, with the parameters `ceremony_id` and `credential`
/// (the JSON of `toJSON()`).
pub const PASSKEY: &str = "urn:passmint:params:oauth:grant-type:passkey";

/// The `grant_type` of a device that polls (RFC 8628 §3.4).
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The `grant_type` of a token exchange (RFC 8693 §2.1).
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The `grant_type` of a trusted issuer's token (RFC 7523 §2.1).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The profile of that grant for identity assertions (draft-ietf-oauth-identity-assertion-authz-grant).
pub const ID_JAG_PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";

/// The token types that a token exchange names (RFC 8693 §3).
pub mod token_type {
    /// An access token.
    pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    /// A refresh token.
    pub const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
    /// An ID token.
    pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
    /// A JWT.
    pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
    /// An identity assertion grant (draft-ietf-oauth-identity-assertion-authz-grant).
    pub const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
    /// A transaction token (draft-ietf-oauth-transaction-tokens).
    pub const TXN_TOKEN: &str = "urn:ietf:params:oauth:token-type:txn_token";
    /// A bridge's custom token. Specific to this server.
    pub const BRIDGE: &str = "urn:passmint:params:oauth:token-type:bridge";
}

/// The token exchange response (RFC 8693 §2.2.1).
#[derive(Debug, Serialize, ToSchema)]
pub struct ExchangeResponse {
    /// The issued token, whatever its type.
    pub access_token: String,
    /// The type of the issued token.
    pub issued_token_type: &'static str,
    /// `Bearer`, `DPoP`, or `N_A` if the issued token is not an access token.
    pub token_type: &'static str,
    /// Lifetime of the issued token, in seconds.
    pub expires_in: i64,
    /// The refresh token, if the exchange rule is refreshable. Single use; exchange it at this endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// The scopes of the issued token, if it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// The token response (RFC 6749 §5.1).
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenResponse {
    /// The access token (RFC 9068).
    pub access_token: String,
    /// `Bearer`, or `DPoP` if the access token is bound to a key (RFC 9449 §5).
    pub token_type: &'static str,
    /// Lifetime of the access token, in seconds.
    pub expires_in: i64,
    /// The refresh token, to be exchanged at this endpoint. Single use, unless the client uses the FAPI 2.0 profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// The OpenID Connect ID token, if `openid` was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// The granted scopes, separated by spaces.
    pub scope: String,
}

impl From<TokenSet> for TokenResponse {
    fn from(tokens: TokenSet) -> Self {
        Self {
            access_token: tokens.access_token,
            token_type: tokens.token_type,
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh_token,
            id_token: tokens.id_token,
            scope: tokens.scope,
        }
    }
}

/// The introspection response (RFC 7662 §2.2). For an inactive token it contains only `active`.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Introspection {
    /// Whether the token is active.
    pub active: bool,
    /// The scopes of the token, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The `client_id` of the client to which the token was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// `Bearer` or `DPoP` for an access token, `refresh_token` for a refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// The expiration time (`NumericDate`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// When the token was issued (`NumericDate`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// The subject: the user's `sub` for the token's client, or the client itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// A human-readable name of the user, if the token's scopes allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The audience.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<serde_json::Value>,
    /// The issuer URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The ID of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The ID of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// When the user authenticated (RFC 9470 §6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// The authentication context class reference (RFC 9470 §6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The DPoP key to which the token is bound, as the thumbprint `jkt` (RFC 9449 §6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cnf: Option<Confirmation>,
    /// The actor on behalf of the subject (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<serde_json::Value>,
    /// Claims that hooks added to the token, under the same names.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}
