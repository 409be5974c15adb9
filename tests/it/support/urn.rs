//! The standard names of grants and token types.

/// RFC 8628 §3.4.
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 8693 §2.1.
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 7523 §2.1.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The prefix of token types (RFC 8693 §3).
pub const TYPE: &str = "urn:ietf:params:oauth:token-type:";
pub const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
pub const ID: &str = "urn:ietf:params:oauth:token-type:id_token";
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
pub const REFRESH: &str = "urn:ietf:params:oauth:token-type:refresh_token";
/// draft-ietf-oauth-transaction-tokens §7.
pub const TXN: &str = "urn:ietf:params:oauth:token-type:txn_token";
