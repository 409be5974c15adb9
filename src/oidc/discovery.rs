//! The server metadata: `/.well-known/openid-configuration` (OpenID Connect Discovery §4) and
//! `/.well-known/oauth-authorization-server` (RFC 8414), with identical bytes.
//!
//! What must always hold: the document is built once from the configuration, never from a request; it lists only what
//! is switched on, using the constants of the room that implements it. To add an endpoint: a row in [`ENDPOINTS`]. To
//! add a capability: a line in the section it belongs to, from the constant that its room goes by.

use actix_web::{HttpRequest, HttpResponse};
use chrono::Duration;
use serde_json::{Map, Value, json};

use super::{Room, wire};
use crate::domain::authentication::HIGHEST_ACR;
use crate::domain::claims::{GROUPS, standard};
use crate::logout;
use crate::tokens::dpop;
use crate::tokens::jwks::etag;
use crate::tokens::keys::Algorithm;
use crate::tokens::verifier::places::ASSERTION_ALGORITHMS;
use crate::web::cached;

const REGISTER: &str = "/oauth/register";

/// The metadata members that name an endpoint, with its path.
pub const ENDPOINTS: [(&str, &str); 10] = [
    ("authorization_endpoint", "/oauth/authorize"),
    ("token_endpoint", "/oauth/token"),
    ("userinfo_endpoint", "/oauth/userinfo"),
    ("jwks_uri", "/.well-known/jwks.json"),
    ("introspection_endpoint", "/oauth/introspect"),
    ("revocation_endpoint", "/oauth/revoke"),
    ("pushed_authorization_request_endpoint", "/oauth/par"),
    ("device_authorization_endpoint", "/oauth/device"),
    ("end_session_endpoint", "/oauth/logout"),
    ("registration_endpoint", REGISTER),
];

/// What the document is built from, besides the routes.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Our issuer URL.
    pub issuer: String,
    /// The algorithms that sign tokens and responses.
    pub algorithms: Vec<Algorithm>,
    /// Whether clients may register themselves.
    pub registration: bool,
    /// Whether a client ID may be the address of the client's metadata document.
    pub metadata_documents: bool,
    /// Whether people may create accounts.
    pub sign_up: bool,
    /// Whether clients may watch the session through a hidden page of ours (`check_session_iframe`).
    pub check_iframe: bool,
    /// Whether any token may be exchanged for another.
    pub token_exchange: bool,
    /// Whether tokens of other issuers are accepted as grants.
    pub jwt_bearer: bool,
    /// Whether this server issues identity assertions for other servers.
    pub gives_assertions: bool,
    /// Whether identity assertions of other issuers are accepted.
    pub takes_assertions: bool,
}

/// The published document, as bytes, and how long responses may be cached.
#[derive(Clone, Debug)]
pub struct Published {
    body: String,
    etag: String,
    /// How long key sets may be cached, in seconds. A new key is published for longer than this before it signs.
    pub keys_max_age: i64,
}

/// The longest time that public documents may be cached.
const MAX_AGE: Duration = Duration::minutes(5);

impl Published {
    /// Builds the document. `publish_before` is how long a new key is published before it signs.
    pub fn new(capabilities: &Capabilities, publish_before: Duration) -> Self {
        let body = Value::Object(document(capabilities)).to_string();
        Self { etag: etag(&body), body, keys_max_age: MAX_AGE.min(publish_before).num_seconds() }
    }
}

/// Returns the OpenID Provider metadata (OpenID Connect Discovery §4.2).
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "OAuth", responses((status = 200, description = "OpenID provider metadata")))]
pub async fn openid(request: HttpRequest, room: Room) -> HttpResponse {
    answer(&request, &room)
}

/// Returns the authorization server metadata (RFC 8414 §3). Identical to the OpenID Provider metadata.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "OAuth", responses((status = 200, description = "Authorization server metadata")))]
pub async fn oauth(request: HttpRequest, room: Room) -> HttpResponse {
    answer(&request, &room)
}

fn answer(request: &HttpRequest, room: &Room) -> HttpResponse {
    let published = &room.published;
    cached::document(request, &published.body, &published.etag, MAX_AGE.num_seconds())
}

fn document(capabilities: &Capabilities) -> Map<String, Value> {
    let issuer = &capabilities.issuer;
    let mut document = Map::new();
    document.insert("issuer".to_owned(), issuer.as_str().into());
    for (member, path) in ENDPOINTS.into_iter().filter(|(_, path)| *path != REGISTER || capabilities.registration) {
        document.insert(member.to_owned(), format!("{issuer}{path}").into());
    }
    if capabilities.metadata_documents {
        document.insert("client_id_metadata_document_supported".to_owned(), true.into());
    }
    if capabilities.gives_assertions {
        document
            .insert("identity_chaining_requested_token_types_supported".to_owned(), json!([wire::token_type::ID_JAG]));
    }
    if capabilities.takes_assertions {
        document.insert("authorization_grant_profiles_supported".to_owned(), json!([wire::ID_JAG_PROFILE]));
    }
    for (member, value) in logout::metadata(issuer, capabilities.check_iframe) {
        document.insert(member.to_owned(), value);
    }
    for part in [people(), tokens(capabilities), clients(capabilities), authorization(capabilities)] {
        let Value::Object(part) = part else { continue };
        document.extend(part);
    }
    document
}

fn people() -> Value {
    let own = ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid"];
    let claims: Vec<&str> = own.into_iter().chain(standard().map(|(name, _)| name)).chain([GROUPS]).collect();
    json!({
        "scopes_supported": ["openid", "profile", "email", "address", "phone", GROUPS, "offline_access", "passkeys"],
        "claims_supported": claims,
        "claim_types_supported": ["normal"],
        "subject_types_supported": ["public", "pairwise"],
        "acr_values_supported": [HIGHEST_ACR],
    })
}

fn tokens(capabilities: &Capabilities) -> Value {
    let algorithms = names(&capabilities.algorithms);
    json!({
        "id_token_signing_alg_values_supported": algorithms,
        "userinfo_signing_alg_values_supported": algorithms,
        "introspection_signing_alg_values_supported": algorithms,
        "dpop_signing_alg_values_supported": dpop::ALGORITHMS.map(Algorithm::as_str),
    })
}

/// RS256 first, because every client supports it.
fn names(algorithms: &[Algorithm]) -> Vec<&'static str> {
    [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]
        .into_iter()
        .filter(|algorithm| algorithms.contains(algorithm))
        .map(Algorithm::as_str)
        .collect()
}

fn clients(capabilities: &Capabilities) -> Value {
    let confidential = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let all: Vec<&str> = confidential.into_iter().chain(["none"]).collect();
    // RS256 is accepted from old clients but not advertised: FAPI 2.0 §5.4 forbids it.
    let algorithms: Vec<&str> = ASSERTION_ALGORITHMS
        .into_iter()
        .filter(|algorithm| *algorithm != Algorithm::RS256)
        .map(Algorithm::as_str)
        .collect();
    let mut grants =
        vec![wire::AUTHORIZATION_CODE, wire::REFRESH_TOKEN, wire::CLIENT_CREDENTIALS, wire::DEVICE_CODE, wire::PASSKEY];
    grants.extend(capabilities.token_exchange.then_some(wire::TOKEN_EXCHANGE));
    grants.extend(capabilities.jwt_bearer.then_some(wire::JWT_BEARER));
    json!({
        "grant_types_supported": grants,
        "token_endpoint_auth_methods_supported": all,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": all,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
    })
}

fn authorization(capabilities: &Capabilities) -> Value {
    let create = capabilities.sign_up.then_some("create");
    let prompts: Vec<&str> = ["none", "login", "consent", "select_account"].into_iter().chain(create).collect();
    json!({
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post", "jwt", "query.jwt", "form_post.jwt"],
        "authorization_signing_alg_values_supported": names(&capabilities.algorithms),
        "authorization_response_iss_parameter_supported": true,
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": prompts,
        "display_values_supported": ["page"],
        "ui_locales_supported": ["en"],
        "claims_parameter_supported": true,
        "request_parameter_supported": true,
        "request_uri_parameter_supported": true,
        "require_request_uri_registration": true,
        "request_object_signing_alg_values_supported": ASSERTION_ALGORITHMS.map(Algorithm::as_str),
        "require_pushed_authorization_requests": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities() -> Capabilities {
        Capabilities {
            issuer: "https://id.example".into(),
            algorithms: vec![Algorithm::ES256, Algorithm::RS256],
            registration: false,
            metadata_documents: false,
            sign_up: false,
            check_iframe: false,
            token_exchange: false,
            jwt_bearer: false,
            gives_assertions: false,
            takes_assertions: false,
        }
    }

    #[test]
    fn what_is_switched_off_is_not_listed() {
        let off = document(&capabilities());
        let on = document(&Capabilities {
            registration: true,
            metadata_documents: true,
            sign_up: true,
            check_iframe: true,
            ..capabilities()
        });
        for member in ["registration_endpoint", "check_session_iframe", "client_id_metadata_document_supported"] {
            assert!(!off.contains_key(member) && on.contains_key(member), "{member}");
        }
        // Apps offer to create an account if it is advertised (Initiating User Registration 1.0 §4.1).
        let creates =
            |document: &Map<String, Value>| document["prompt_values_supported"].to_string().contains("create");
        assert!(!creates(&off) && creates(&on));
    }

    /// RFC 8414 §2: empty lists are omitted; the schema has no null.
    #[test]
    fn nothing_is_null_or_empty() {
        for (name, value) in document(&capabilities()) {
            assert!(!value.is_null() && value != json!([]) && value != json!(""), "{name}");
        }
    }

    #[test]
    fn keys_are_cached_for_less_than_they_are_published_before_they_sign() {
        let age = |publish_before| Published::new(&capabilities(), publish_before).keys_max_age;
        assert_eq!(age(Duration::minutes(10)), 300);
        assert_eq!(age(Duration::seconds(20)), 20);
        assert_eq!(age(Duration::zero()), 0);
    }
}
