//! Names on the wire, and nothing else.

use serde::Serialize;
use utoipa::ToSchema;

use crate::tokens::TokenSet;
use crate::tokens::claims::Confirmation;

/// `grant_type` of a code (RFC 6749 §4.1.3).
pub const AUTHORIZATION_CODE: &str = "authorization_code";
/// `grant_type` of a refresh (RFC 6749 §6).
pub const REFRESH_TOKEN: &str = "refresh_token";
/// `grant_type` of a client for itself (RFC 6749 §4.4).
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// `grant_type` of a passkey ceremony that ends here: parameters `ceremony_id` and `credential` (the JSON of `toJSON()`).
pub const PASSKEY: &str = "urn:passmint:params:oauth:grant-type:passkey";

/// `grant_type` of a device that polls (RFC 8628 §3.4).
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// `grant_type` of a token for a token (RFC 8693 §2.1).
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// `grant_type` of a trusted issuer's token (RFC 7523 §2.1).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The profile of that grant for identity assertions (draft-ietf-oauth-identity-assertion-authz-grant).
pub const ID_JAG_PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";

/// The kinds of tokens that are named in an exchange (RFC 8693 §3).
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
    /// The custom token of a bridge; ours alone.
    pub const BRIDGE: &str = "urn:passmint:params:oauth:token-type:bridge";
}

/// Answer of an exchange (RFC 8693 §2.2.1).
#[derive(Debug, Serialize, ToSchema)]
pub struct ExchangeResponse {
    /// What was issued, whatever kind it is.
    pub access_token: String,
    /// Which kind that is.
    pub issued_token_type: &'static str,
    /// `Bearer`, `DPoP`, or `N_A` when it is no access token.
    pub token_type: &'static str,
    /// Its life, in seconds.
    pub expires_in: i64,
    /// Single use, where the rule is refreshable; present it here again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Its scopes, when it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// Answer of the token endpoint (RFC 6749 §5.1).
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenResponse {
    /// RFC 9068 access token.
    pub access_token: String,
    /// `Bearer`, or `DPoP` when the access token is bound to a key (RFC 9449 §5).
    pub token_type: &'static str,
    /// Life of the access token, in seconds.
    pub expires_in: i64,
    /// Single use; present it here again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// OpenID Connect ID token, when `openid` was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// Granted scopes.
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

/// Answer of introspection (RFC 7662 §2.2). An inactive token has no other member.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Introspection {
    /// Whether the token may be relied on now.
    pub active: bool,
    /// Scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The client it was given to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// `Bearer` or `DPoP` for access tokens, `refresh_token` for refresh tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// End (`NumericDate`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// Issued (`NumericDate`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// The person as the token's client knows them, or the client itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// What people call the person, where the token's scopes tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Audience.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<serde_json::Value>,
    /// Our issuer URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// When the person authenticated (RFC 9470 §6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// Authentication context class reference (RFC 9470 §6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The DPoP key that it is bound to: `jkt`, its thumbprint (RFC 9449 §6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cnf: Option<Confirmation>,
    /// Who acts for the subject (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<serde_json::Value>,
    /// What hooks added to the token, under the name that it has there.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}
