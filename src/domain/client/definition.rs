//! What a client is, without its secret: the stored document, in the words of the configuration.
//!
//! To add a property: a field with `#[serde(default)]`, skipped when empty, so that documents written before it still
//! read; its rule in `check`; its key in the configuration.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::scope::Scopes;

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// A browser or native app: anyone can read it.
    #[default]
    Public,
    /// A server of its owner's.
    Confidential,
}

/// A way to get tokens that a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// A passkey ceremony of ours, over REST or at the token endpoint.
    Passkey,
    /// RFC 6749 §4.1.
    AuthorizationCode,
    /// RFC 6749 §6.
    RefreshToken,
    /// RFC 6749 §4.4.
    ClientCredentials,
    /// RFC 8628.
    DeviceCode,
    /// RFC 8693; what may be exchanged, the rules of the configuration say.
    TokenExchange,
    /// RFC 7523 §2.1; whose tokens are taken, the trusted issuers of the configuration say.
    JwtBearer,
}

/// How a client authenticates at our endpoints (RFC 7591 §2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Not at all: it is public.
    None,
    /// Its secret in the `Authorization` header.
    ClientSecretBasic,
    /// Its secret in the body.
    ClientSecretPost,
    /// A JWT signed with a key of its own (RFC 7523 §2.2).
    PrivateKeyJwt,
}

/// A workload elsewhere that is the client: what its platform's tokens say of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederatedIdentity {
    /// The trusted issuer that speaks for it, by our name for that issuer.
    pub issuer: String,
    /// `sub` of its tokens, byte for byte.
    pub subject: String,
    /// `aud` of its tokens: this one and no other.
    pub audience: String,
}

/// A named set of demands beyond the ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityProfile {
    /// FAPI 2.0 Security Profile: PAR, PKCE, `private_key_jwt`, DPoP.
    Fapi2,
    /// The same with FAPI 2.0 Message Signing: signed requests and answers.
    Fapi2MessageSigning,
}

/// How a client's people are named to it (OpenID Connect Core §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectType {
    /// By the same `sub` as to everybody.
    #[default]
    Public,
    /// By a `sub` of its sector's own.
    Pairwise,
}

/// What a client is, without its secret. This is also the stored document, in the words of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientDefinition {
    /// Name shown to people.
    pub name: String,
    /// Public or confidential.
    pub kind: ClientKind,
    /// Run by the same people as this server: nobody is asked for consent, and it may run ceremonies directly.
    #[serde(default)]
    pub first_party: bool,
    /// Web origins its pages run on, byte-exact; CORS and `clientDataJSON.origin` are held to them.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Redirect URIs, byte-exact.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Grants it may use.
    #[serde(default)]
    pub grants: Vec<GrantType>,
    /// Scopes it may ask for; `bridge:*` stands for every bridge.
    #[serde(default)]
    pub scopes: Scopes,
    /// The relying-party profile of its ceremonies; none: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relying_party: Option<String>,
    /// Audiences (resource identifiers) it may ask access tokens for, beside this server itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// Life of its access tokens, in seconds; none: the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_ttl: Option<i64>,
    /// Algorithm of its ID tokens (JWA name); none: RS256, as OpenID Connect expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_algorithm: Option<String>,
    /// Audiences whose tokens it may introspect, beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_introspect: Vec<String>,

    /// How it authenticates; none: as its kind does by default, see [`Client::authenticates_by`](super::Client::authenticates_by).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<AuthMethod>,
    /// Its public keys, a JWK Set (RFC 7517 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where its public keys are; never together with `jwks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The workloads that it is, each proven by a token of its platform. Where there are any, it authenticates by them alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub federated: Vec<FederatedIdentity>,
    /// Whether PKCE is compulsory; it always is for a public client.
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_pkce: bool,
    /// Whether only pushed authorization requests are taken (RFC 9126 §6).
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_pushed_authorization_requests: bool,
    /// Whether its access tokens are always bound to a DPoP key (RFC 9449 §5.2).
    #[serde(default, skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens: bool,
    /// A set of demands beyond the ordinary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_profile: Option<SecurityProfile>,
    /// Whether authorization requests must be signed objects (RFC 9101 §10.5).
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_signed_request_object: bool,
    /// Algorithm of its signed request objects (JWA name); none: any that its keys allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_object_algorithm: Option<String>,
    /// Where its signed request objects are, byte-exact (OpenID Connect Core §6.2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_uris: Vec<String>,
    /// Algorithm of signed authorization answers (JARM); none: the ID token's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_response_algorithm: Option<String>,
    /// Algorithm of signed userinfo answers; none: they are plain JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_algorithm: Option<String>,
    /// Algorithm of signed introspection answers (RFC 9701 §6); none: RS256 when it asks for a signed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_algorithm: Option<String>,

    /// How people are named to it.
    #[serde(default, skip_serializing_if = "is_public")]
    pub subject_type: SubjectType,
    /// A document that lists the redirect URIs of its sector; its host names the sector (OpenID Connect Core §8.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    /// Whether the claims of granted scopes are in the ID token too, for clients that look nowhere else.
    #[serde(default, skip_serializing_if = "is_false")]
    pub claims_in_id_token: bool,
    /// `max_age` of requests that name none, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<i64>,
    /// `acr_values` of requests that name none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    /// Groups whose members may use it; none: everybody may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_groups: Vec<String>,

    /// Where people may be sent after signing out, byte-exact (OpenID Connect RP-Initiated Logout §3.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it is told by the server that a session ended (OpenID Connect Back-Channel Logout §2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Whether it wants `sid` there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub backchannel_logout_session_required: bool,
    /// Where it is told by the browser that a session ended (OpenID Connect Front-Channel Logout §2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    /// Whether it wants `iss` and `sid` there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub frontchannel_logout_session_required: bool,
    /// Where a sign-in that begins elsewhere is sent (OpenID Connect Core §4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<String>,

    /// Its home page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Its logo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Its privacy statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Its terms of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// E-mail addresses of those who run it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_public(value: &SubjectType) -> bool {
    *value == SubjectType::Public
}
