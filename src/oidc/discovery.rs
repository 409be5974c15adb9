//! What this server can do, told to everybody: `/.well-known/openid-configuration` (OpenID Connect Discovery §4) and
//! `/.well-known/oauth-authorization-server` (RFC 8414), the same bytes.
//!
//! What must hold: the document is made once from the configuration, never from a request; it lists only what is switched
//! on. An endpoint is listed when its path is a route ([`ENDPOINTS`]); what has no route of its own is in [`BUILT`]. To add
//! an endpoint: a row in the table. To add an ability: a member of [`Built`] and the lines it brings.

use actix_web::{HttpRequest, HttpResponse};
use chrono::Duration;
use serde_json::{Map, Value, json};

use super::{Room, wire};
use crate::domain::claims::{GROUPS, STANDARD};
use crate::tokens::jwks::etag;
use crate::tokens::keys::Algorithm;
use crate::web::cached;

/// Abilities of this build that no route tells of.
struct Built {
    /// Clients may authenticate by `private_key_jwt`, with these algorithms.
    assertion_algorithms: &'static [&'static str],
    /// Access tokens may be bound to DPoP keys (RFC 9449), with these algorithms.
    dpop_algorithms: &'static [&'static str],
    /// Authorization requests may be signed objects (RFC 9101), with these algorithms.
    request_object_algorithms: &'static [&'static str],
    /// Signed requests may be fetched from a registered address (OpenID Connect Core §6.2).
    request_uri: bool,
    /// Authorization answers may be signed (JARM).
    signed_answers: bool,
    /// Clients are told by the server that a session ended (Back-Channel Logout).
    backchannel_logout: bool,
    /// Clients are told by the browser (Front-Channel Logout).
    frontchannel_logout: bool,
}

const BUILT: Built = Built {
    assertion_algorithms: &[],
    dpop_algorithms: &[],
    request_object_algorithms: &[],
    request_uri: false,
    signed_answers: false,
    backchannel_logout: false,
    frontchannel_logout: false,
};

const AUTHORIZE: &str = "/oauth/authorize";
const DEVICE: &str = "/oauth/device";
const PAR: &str = "/oauth/par";
const REGISTER: &str = "/oauth/register";
const LOGOUT: &str = "/oauth/logout";

/// The members that name an endpoint, with its path. A member is in the document when the path is a route.
pub const ENDPOINTS: [(&str, &str); 10] = [
    ("authorization_endpoint", AUTHORIZE),
    ("token_endpoint", "/oauth/token"),
    ("userinfo_endpoint", "/oauth/userinfo"),
    ("jwks_uri", "/.well-known/jwks.json"),
    ("introspection_endpoint", "/oauth/introspect"),
    ("revocation_endpoint", "/oauth/revoke"),
    ("pushed_authorization_request_endpoint", PAR),
    ("device_authorization_endpoint", DEVICE),
    ("end_session_endpoint", LOGOUT),
    ("registration_endpoint", REGISTER),
];

/// What the document is made from, beside the routes.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Our issuer URL.
    pub issuer: String,
    /// What signs tokens and answers.
    pub algorithms: Vec<Algorithm>,
    /// Whether clients may register themselves.
    pub registration: bool,
}

/// The published documents, as bytes, and how long answers may be cached.
#[derive(Clone, Debug)]
pub struct Published {
    body: String,
    etag: String,
    /// How long key sets may be cached, in seconds: a new key is published for longer before it signs.
    pub keys_max_age: i64,
}

/// Longest time that public documents are cached.
const MAX_AGE: Duration = Duration::minutes(5);

impl Published {
    /// Makes the document, once. `paths` are those of all routes, `publish_before` is how long a new key is published
    /// before it signs.
    pub fn new<'a>(
        capabilities: &Capabilities,
        paths: impl IntoIterator<Item = &'a str>,
        publish_before: Duration,
    ) -> Self {
        let paths: Vec<&str> = paths.into_iter().collect();
        let body = Value::Object(document(capabilities, &paths)).to_string();
        Self { etag: etag(&body), body, keys_max_age: MAX_AGE.min(publish_before).num_seconds() }
    }
}

/// The server's metadata (OpenID Connect Discovery §4.2).
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "OAuth", responses((status = 200, description = "OpenID provider metadata")))]
pub async fn openid(request: HttpRequest, room: Room) -> HttpResponse {
    answer(&request, &room)
}

/// The same for clients that speak OAuth only (RFC 8414 §3).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "OAuth", responses((status = 200, description = "Authorization server metadata")))]
pub async fn oauth(request: HttpRequest, room: Room) -> HttpResponse {
    answer(&request, &room)
}

fn answer(request: &HttpRequest, room: &Room) -> HttpResponse {
    let published = &room.published;
    cached::document(request, &published.body, &published.etag, MAX_AGE.num_seconds())
}

fn document(capabilities: &Capabilities, paths: &[&str]) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("issuer".to_owned(), capabilities.issuer.as_str().into());
    let listed = |path: &str| paths.contains(&path) && (path != REGISTER || capabilities.registration);
    for (member, path) in ENDPOINTS.into_iter().filter(|(_, path)| listed(path)) {
        document.insert(member.to_owned(), format!("{}{path}", capabilities.issuer).into());
    }
    let has = |path: &str| paths.contains(&path);
    let parts = [
        people(),
        tokens(capabilities),
        clients(),
        grants(&has),
        if has(AUTHORIZE) { authorization(capabilities, &has) } else { Value::Null },
        if has(LOGOUT) { logout() } else { Value::Null },
    ];
    for part in parts {
        let Value::Object(part) = part else { continue };
        document.extend(part.into_iter().filter(|(_, value)| value.as_array().is_none_or(|list| !list.is_empty())));
    }
    document
}

fn people() -> Value {
    let own = ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid"];
    let claims: Vec<&str> = own.into_iter().chain(STANDARD.iter().map(|claim| claim.name)).chain([GROUPS]).collect();
    json!({
        "scopes_supported": ["openid", "profile", "email", "address", "phone", GROUPS, "offline_access", "passkeys"],
        "claims_supported": claims,
        "claim_types_supported": ["normal"],
        "subject_types_supported": ["public", "pairwise"],
        // What a sign-in with a passkey reaches; `phrh` wants attested hardware, which few have.
        "acr_values_supported": ["phr"],
    })
}

fn tokens(capabilities: &Capabilities) -> Value {
    let algorithms = names(&capabilities.algorithms);
    json!({
        "id_token_signing_alg_values_supported": algorithms,
        "userinfo_signing_alg_values_supported": algorithms,
        "introspection_signing_alg_values_supported": algorithms,
        "dpop_signing_alg_values_supported": BUILT.dpop_algorithms,
    })
}

/// RS256 first: the one that everybody understands.
fn names(algorithms: &[Algorithm]) -> Vec<&'static str> {
    [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]
        .into_iter()
        .filter(|algorithm| algorithms.contains(algorithm))
        .map(Algorithm::as_str)
        .collect()
}

fn clients() -> Value {
    let by_key = if BUILT.assertion_algorithms.is_empty() { None } else { Some("private_key_jwt") };
    let confidential: Vec<&str> = ["client_secret_basic", "client_secret_post"].into_iter().chain(by_key).collect();
    let all: Vec<&str> = confidential.iter().copied().chain(["none"]).collect();
    json!({
        "token_endpoint_auth_methods_supported": all,
        "token_endpoint_auth_signing_alg_values_supported": BUILT.assertion_algorithms,
        "revocation_endpoint_auth_methods_supported": all,
        "revocation_endpoint_auth_signing_alg_values_supported": BUILT.assertion_algorithms,
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": BUILT.assertion_algorithms,
    })
}

fn grants(has: &impl Fn(&str) -> bool) -> Value {
    let grants: Vec<&str> = [
        ("authorization_code", has(AUTHORIZE)),
        (wire::REFRESH_TOKEN, true),
        (wire::CLIENT_CREDENTIALS, true),
        ("urn:ietf:params:oauth:grant-type:device_code", has(DEVICE)),
        (wire::PASSKEY, true),
    ]
    .into_iter()
    .filter_map(|(name, is_on)| is_on.then_some(name))
    .collect();
    json!({ "grant_types_supported": grants })
}

fn authorization(capabilities: &Capabilities, has: &impl Fn(&str) -> bool) -> Value {
    let plain = ["query", "form_post"];
    let signed = ["jwt", "query.jwt", "form_post.jwt"];
    let modes: Vec<&str> = plain.into_iter().chain(signed.into_iter().filter(|_| BUILT.signed_answers)).collect();
    let signing = if BUILT.signed_answers { names(&capabilities.algorithms) } else { Vec::new() };
    let mut part = json!({
        "response_types_supported": ["code"],
        "response_modes_supported": modes,
        "authorization_signing_alg_values_supported": signing,
        "authorization_response_iss_parameter_supported": true,
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account", "create"],
        "display_values_supported": ["page"],
        "ui_locales_supported": ["en"],
        "claims_parameter_supported": true,
        "request_parameter_supported": !BUILT.request_object_algorithms.is_empty(),
        "request_object_signing_alg_values_supported": BUILT.request_object_algorithms,
        // Left out, it would mean true.
        "request_uri_parameter_supported": BUILT.request_uri,
    });
    if BUILT.request_uri {
        part["require_request_uri_registration"] = true.into();
    }
    if has(PAR) {
        part["require_pushed_authorization_requests"] = false.into();
    }
    part
}

fn logout() -> Value {
    json!({
        "backchannel_logout_supported": BUILT.backchannel_logout,
        "backchannel_logout_session_supported": BUILT.backchannel_logout,
        "frontchannel_logout_supported": BUILT.frontchannel_logout,
        "frontchannel_logout_session_supported": BUILT.frontchannel_logout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities() -> Capabilities {
        let algorithms = vec![Algorithm::ES256, Algorithm::RS256];
        Capabilities { issuer: "https://id.example".into(), algorithms, registration: false }
    }

    #[test]
    fn an_endpoint_is_listed_when_it_is_a_route() {
        for (member, path) in ENDPOINTS {
            let on = Capabilities { registration: true, ..capabilities() };
            let with = document(&on, &[path]);
            assert_eq!(with[member], format!("https://id.example{path}"), "{member}");
            let without = document(&on, &[]);
            assert!(!without.contains_key(member), "{member}");
        }
        assert!(!document(&capabilities(), &[REGISTER]).contains_key("registration_endpoint"), "switched off");
    }

    /// RFC 8414 §2: empty lists are left out; the schema knows no null.
    #[test]
    fn nothing_is_null_or_empty() {
        let paths: Vec<&str> = ENDPOINTS.iter().map(|(_, path)| *path).collect();
        for (name, value) in document(&capabilities(), &paths) {
            assert!(!value.is_null() && value != json!([]) && value != json!(""), "{name}");
        }
    }

    #[test]
    fn keys_are_cached_for_less_than_they_are_published_before_they_sign() {
        let age = |publish_before| Published::new(&capabilities(), [], publish_before).keys_max_age;
        assert_eq!(age(Duration::minutes(10)), 300);
        assert_eq!(age(Duration::seconds(20)), 20);
        assert_eq!(age(Duration::zero()), 0);
    }
}
