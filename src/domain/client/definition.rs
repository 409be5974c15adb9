//! A client's definition, without its secret: the stored document, in the vocabulary of the configuration.
//!
//! To add a property: a field with `#[serde(default)]`, skipped when empty, so that existing documents still
//! deserialize; its rule in `check`; its key in the configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::scope::Scopes;

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// A browser or native app: anyone can read its secrets.
    #[default]
    Public,
    /// A server, run by its owner.
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
    /// RFC 8693; the rules in the configuration say what may be exchanged.
    TokenExchange,
    /// RFC 7523 §2.1; the trusted issuers in the configuration say whose tokens are accepted.
    JwtBearer,
}

/// How a client authenticates at our endpoints (RFC 7591 §2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Not at all: the client is public.
    None,
    /// Its secret in the `Authorization` header.
    ClientSecretBasic,
    /// Its secret in the body.
    ClientSecretPost,
    /// A JWT signed with a key of its own (RFC 7523 §2.2).
    PrivateKeyJwt,
}

/// An external workload that acts as the client, identified by the tokens of its platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederatedIdentity {
    /// Our name for the trusted issuer that issues them.
    pub issuer: String,
    /// `sub` of its tokens, byte for byte.
    pub subject: String,
    /// `aud` of its tokens: exactly this one.
    pub audience: String,
}

/// A named set of additional requirements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityProfile {
    /// FAPI 2.0 Security Profile: PAR, PKCE, `private_key_jwt`, DPoP.
    Fapi2,
    /// Additionally FAPI 2.0 Message Signing: signed requests and responses.
    Fapi2MessageSigning,
}

/// Which `sub` the client gets for people (OpenID Connect Core §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectType {
    /// The same `sub` as every other public client.
    #[default]
    Public,
    /// A `sub` that is specific to the client's sector.
    Pairwise,
}

/// A client's definition, without its secret: the stored document, in the vocabulary of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientDefinition {
    /// Name shown to people.
    pub name: String,
    /// Public or confidential.
    pub kind: ClientKind,
    /// Run by the operators of this server: nobody is asked for consent, and it may run ceremonies directly.
    #[serde(default)]
    pub first_party: bool,
    /// Web origins of its pages, byte-exact; CORS and `clientDataJSON.origin` are checked against them.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Redirect URIs, byte-exact.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Grants it may use.
    #[serde(default)]
    pub grants: Vec<GrantType>,
    /// Scopes it may request; `bridge:*` stands for every bridge.
    #[serde(default)]
    pub scopes: Scopes,
    /// The relying-party profile of its ceremonies; `None`: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relying_party: Option<String>,
    /// Audiences (resource identifiers) that it may request access tokens for, in addition to this server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// Life of its access tokens, in seconds; `None`: the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_ttl: Option<i64>,
    /// Algorithm of its ID tokens (JWA name); `None`: RS256, as OpenID Connect expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_algorithm: Option<String>,
    /// Audiences whose tokens it may introspect, in addition to its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_introspect: Vec<String>,

    /// How it authenticates; `None`: the default of its kind, see
    /// [`Client::authenticates_by`](super::Client::authenticates_by).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<AuthMethod>,
    /// Its public keys, a JWK Set (RFC 7517 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// The URL of its public keys; never together with `jwks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The workloads that act as the client, each proven by a token of its platform. If there are any, no other
    /// authentication is accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub federated: Vec<FederatedIdentity>,
    /// Whether PKCE is required; it always is for a public client.
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_pkce: bool,
    /// Whether only pushed authorization requests are accepted (RFC 9126 §6).
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_pushed_authorization_requests: bool,
    /// Whether its access tokens are always bound to a DPoP key (RFC 9449 §5.2).
    #[serde(default, skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens: bool,
    /// A set of additional requirements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_profile: Option<SecurityProfile>,
    /// Whether authorization requests must be signed objects (RFC 9101 §10.5).
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_signed_request_object: bool,
    /// Algorithm of its signed request objects (JWA name); `None`: any that its keys allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_object_algorithm: Option<String>,
    /// The URLs of its signed request objects, byte-exact (OpenID Connect Core §6.2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_uris: Vec<String>,
    /// Algorithm of signed authorization responses (JARM); `None`: the ID token's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_response_algorithm: Option<String>,
    /// Algorithm of signed userinfo responses; `None`: they are plain JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_algorithm: Option<String>,
    /// Algorithm of signed introspection responses (RFC 9701 §6); `None`: RS256 when it asks for a signed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_algorithm: Option<String>,

    /// Which `sub` it gets for people.
    #[serde(default, skip_serializing_if = "is_public")]
    pub subject_type: SubjectType,
    /// The URL of a document that lists the redirect URIs of its sector; its host defines the sector (OpenID Connect
    /// Core §8.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    /// Whether the ID token also contains the claims of granted scopes, for clients that read claims only there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub claims_in_id_token: bool,
    /// Claims that it receives of people's attributes, with the scope `profile`: claim → attribute.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attribute_claims: BTreeMap<String, String>,
    /// `max_age` of requests that name none, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<i64>,
    /// `acr_values` of requests that name none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    /// Groups whose members may use it; empty: everyone may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_groups: Vec<String>,

    /// Where people may be sent after signing out, byte-exact (OpenID Connect RP-Initiated Logout §3.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where the server notifies it that a session ended (OpenID Connect Back-Channel Logout §2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Whether that notification must contain `sid`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub backchannel_logout_session_required: bool,
    /// Where the browser notifies it that a session ended (OpenID Connect Front-Channel Logout §2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    /// Whether that notification must contain `iss` and `sid`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub frontchannel_logout_session_required: bool,
    /// Where a sign-in that starts elsewhere is sent (OpenID Connect Core §4).
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
