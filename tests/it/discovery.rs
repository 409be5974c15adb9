//! The server's metadata (OpenID Connect Discovery, RFC 8414; conformance B0, B2), and how the server is addressed.

use std::collections::BTreeSet;
use std::time::Duration as Real;

use passmint::oidc::discovery::ENDPOINTS;
use passmint::routes::{ROUTES, methods_of};
use serde_json::Value;

use crate::support::oidc::Ask;
use crate::support::tokens::{basic, within};
use crate::support::{API_SECRET, Options, TestApp};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

fn metadata(app: &TestApp) -> Value {
    app.request("GET", OPENID).send().expect(200).json()
}

fn list<'a>(document: &'a Value, member: &str) -> Vec<&'a str> {
    document[member].as_array().unwrap_or_else(|| panic!("{member}")).iter().filter_map(Value::as_str).collect()
}

/// Conformance B0.1, B2.
#[test]
fn the_document_has_what_the_standards_ask_for() {
    let app = TestApp::with(&Options { public_url: Some("https://id.example"), ..Options::default() });
    let reply = app.request("GET", OPENID).send().expect(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let document = reply.json();
    assert_eq!(document["issuer"], "https://id.example");
    for (member, value) in document.as_object().unwrap() {
        assert!(!value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()), "{member}");
        if member.ends_with("_endpoint") || member.ends_with("_uri") {
            assert!(value.as_str().unwrap().starts_with("https://id.example/"), "{member}");
        }
    }
    for member in ["token_endpoint", "userinfo_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint"] {
        assert!(document[member].is_string(), "{member}");
    }
    assert_eq!(list(&document, "id_token_signing_alg_values_supported")[0], "RS256");
    assert!(list(&document, "scopes_supported").contains(&"openid"));
    assert!(!list(&document, "scopes_supported").iter().any(|scope| scope.starts_with("admin")));
    assert_eq!(list(&document, "subject_types_supported"), ["public", "pairwise"]);
    assert!(list(&document, "claims_supported").contains(&"phone_number_verified"));
    assert_eq!(list(&document, "acr_values_supported"), ["phr"]);
    for algorithm in ["none", "HS256"] {
        assert!(!reply.body.contains(&format!("_alg_values_supported\":[\"{algorithm}")), "{algorithm}");
    }
    if document.get("authorization_endpoint").is_some() {
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        assert_eq!(list(&document, "code_challenge_methods_supported"), ["S256"]);
        assert!(document["request_parameter_supported"].is_boolean());
        assert!(document["request_uri_parameter_supported"].is_boolean(), "left out it would mean true");
    }
}

/// RFC 8414: conformance B11. Security rule 119: whatever host the caller names.
#[test]
fn both_forms_are_the_same_bytes_through_any_host() {
    let app = TestApp::spawn();
    let plain = app.request("GET", OPENID).send().expect(200);
    for path in [OPENID, OAUTH] {
        for (name, value) in [
            ("Host", "evil.example"),
            ("Host", "localhost:1"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Proto", "https"),
            ("Forwarded", "host=evil.example;proto=https"),
            ("X-Original-URL", "/evil"),
            ("Accept", "text/html"),
            ("Accept-Language", "de"),
        ] {
            let reply = app.request("GET", path).header(name, value).send().expect(200);
            assert_eq!(reply.body, plain.body, "{path} {name}: {value}");
        }
    }
    let query = app.request("GET", &format!("{OPENID}?issuer=https://evil.example")).send().expect(200);
    assert_eq!(query.body, plain.body);
}

/// Security rule 119: each advertised endpoint is a route, and each route of that kind is advertised.
#[test]
fn every_advertised_endpoint_is_there() {
    let app = TestApp::spawn();
    let document = metadata(&app);
    for (member, path) in ENDPOINTS {
        let is_route = ROUTES.iter().any(|route| route.path == path);
        match document.get(member).and_then(Value::as_str) {
            Some(url) => {
                assert!(is_route, "{member}");
                assert_eq!(url, format!("{}{path}", app.origin), "{member}");
                let method = methods_of(path)[0];
                let reply = app.request(method, path).send();
                assert!(!matches!(reply.status, 404 | 405 | 500..), "{member}: {}", reply.status);
            }
            None => assert!(!is_route || member == "registration_endpoint", "{member} is a route and not advertised"),
        }
    }
    let advertised: BTreeSet<&str> =
        document.as_object().unwrap().keys().map(String::as_str).filter(|name| name.ends_with("_endpoint")).collect();
    let known: BTreeSet<&str> = ENDPOINTS.iter().map(|(member, _)| *member).collect();
    assert!(advertised.is_subset(&known), "{advertised:?}");
}

/// Security rule 119: what is advertised works, and what is not is refused.
#[test]
fn grants_and_authentication_are_those_advertised() {
    let app = TestApp::spawn();
    let document = metadata(&app);
    let grants = list(&document, "grant_types_supported");
    let secret = basic("api", API_SECRET);
    for grant in [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:passmint:params:oauth:grant-type:passkey",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "implicit",
        "password",
        "Refresh_Token",
        "",
    ] {
        let form = [("grant_type", grant)];
        let reply = app.request("POST", "/oauth/token").form(&form).header("Authorization", &secret).send();
        let unsupported = reply.json()["error"] == "unsupported_grant_type";
        let expected = !grant.is_empty() && !grants.contains(&grant);
        assert_eq!(unsupported, expected, "{grant}: {}", reply.body);
    }
    for method in ["client_secret_basic", "client_secret_post", "none"] {
        assert!(list(&document, "token_endpoint_auth_methods_supported").contains(&method), "{method}");
    }
    for unknown in ["client_secret_jwt", "tls_client_auth"] {
        assert!(!document.to_string().contains(unknown), "{unknown}");
    }
    assert!(!list(&document, "introspection_endpoint_auth_methods_supported").contains(&"none"));
}

/// Security rule 119: each value advertised for requests is accepted, and similar values are not.
#[test]
fn values_of_requests_are_those_advertised() {
    const CLIENT: &str = r#"
[clients.all]
kind = "confidential"
auth_method = "client_secret_post"
first_party = true
secret_digest = "API_DIGEST"
redirect_uris = ["https://all.example/cb"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "address", "phone", "groups", "offline_access", "passkeys"]
"#;
    let app = TestApp::with(&Options { config: CLIENT, ..Options::default() });
    let document = metadata(&app);
    let pushed = |parameter: &str, value: &str| {
        let ask = Ask::of("all").with(parameter, value);
        let form = [ask.pairs(), vec![("client_secret", API_SECRET)]].concat();
        app.request("POST", "/oauth/par").form(&form).send().status
    };
    for (member, parameter, others) in [
        ("response_types_supported", "response_type", ["token", "code id_token"]),
        ("response_modes_supported", "response_mode", ["fragment", "web_message"]),
        ("prompt_values_supported", "prompt", ["now", "None"]),
        ("code_challenge_methods_supported", "code_challenge_method", ["plain", "s256"]),
        ("scopes_supported", "scope", ["admin", "OpenID"]),
    ] {
        for value in list(&document, member) {
            assert_eq!(pushed(parameter, value), 201, "{parameter}={value} is advertised");
        }
        for other in others {
            assert_eq!(pushed(parameter, other), 400, "{parameter}={other} is not");
        }
    }
}

/// Security rule 119 and trap 7: each algorithm has a key, and each key an advertised algorithm; Ed25519 only where
/// wanted.
#[test]
fn algorithms_are_those_of_the_keys() {
    let with = "[clients.ed]\nfirst_party = true\norigins = [\"ORIGIN\"]\ngrants = [\"passkey\"]\nid_token_algorithm = \"EdDSA\"";
    for (config, expected) in [("", &["RS256", "ES256"][..]), (with, &["RS256", "ES256", "EdDSA"])] {
        let app = TestApp::with(&Options { config, ..Options::default() });
        assert_eq!(list(&metadata(&app), "id_token_signing_alg_values_supported"), expected);
        let keys = || app.request("GET", "/.well-known/jwks.json").send().expect(200).json();
        within(Real::from_secs(30), "the RSA key is made", || keys()["keys"][0]["alg"] == "RS256");
        let set = keys();
        let algorithms: Vec<&str> =
            set["keys"].as_array().unwrap().iter().filter_map(|key| key["alg"].as_str()).collect();
        assert_eq!(algorithms, expected, "RS256 first, Ed25519 last");
        for key in set["keys"].as_array().unwrap() {
            assert!(key["kid"].is_string() && key["use"] == "sig", "{key}");
            for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
                assert!(key.get(private).is_none(), "{private}");
            }
        }
    }
}

/// Security rule 85.
#[test]
fn documents_are_cached_and_asked_for_again_by_their_tag() {
    let app = TestApp::with(&Options { settings: &[("keys.publish_before_signing", "2m")], ..Options::default() });
    for (path, age) in [(OPENID, 300), (OAUTH, 300), ("/.well-known/jwks.json", 120)] {
        let reply = app.request("GET", path).send().expect(200);
        assert_eq!(reply.header("cache-control"), Some(format!("public, max-age={age}").as_str()), "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{path}");
        let tag = reply.header("etag").expect("a tag").to_owned();
        for tags in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
            let again = app.request("GET", path).header("If-None-Match", &tags).send().expect(304);
            assert_eq!((again.body.as_str(), again.header("etag")), ("", Some(tag.as_str())), "{path}");
        }
        app.request("GET", path).header("If-None-Match", "\"other\"").send().expect(200);
    }
}

/// Security rule 122: each resource has exactly one path.
#[test]
fn no_other_spelling_of_a_path_is_the_path() {
    let app = TestApp::spawn();
    for path in ["/.well-known/openid-configuration", "/oauth/userinfo", "/oauth/token", "/oauth/introspect"] {
        let encoded = path.replacen("/o", "/%6f", 1);
        for other in [
            format!("{path}/"),
            format!("/{path}"),
            path.to_uppercase(),
            path.replacen("/o", "/O", 1),
            format!("{}%2f{}", path.rsplit_once('/').unwrap().0, path.rsplit_once('/').unwrap().1),
            format!("{path}%00"),
            format!("{path}%20"),
            format!("{path};x=y"),
            format!("/x/..{path}"),
        ] {
            for method in ["GET", "POST"] {
                let reply = app.request(method, &other).send();
                assert_eq!(reply.status, 404, "{method} {other}");
            }
        }
        // A percent-encoded letter is the same letter (RFC 3986 §6.2.2.2): same resource, same rules.
        let (plain, same) = (app.request("GET", path).send(), app.request("GET", &encoded).send());
        assert!(same.status == 404 || same.status == plain.status, "{encoded}: {}", same.status);
    }
    // It does not bypass access control either.
    for (path, encoded) in
        [("/v1/admin/clients", "/v1/%61dmin/clients"), ("/v1/me", "/v1/%6de"), ("/account", "/%61ccount")]
    {
        let (plain, same) = (app.request("GET", path).send(), app.request("GET", encoded).send());
        assert!([303, 401].contains(&plain.status), "{path}: {}", plain.status);
        assert!(same.status == 404 || same.status == plain.status, "{encoded}: {}", same.status);
    }
}

/// Security rule 123.
#[test]
fn the_method_is_the_method() {
    let app = TestApp::spawn();
    for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        let reply = app.request("GET", "/oauth/token").header(header, "POST").send();
        reply.expect_oauth(405, "invalid_request");
        let reply = app.request("POST", "/oauth/introspect").header(header, "GET").form(&[("_method", "GET")]).send();
        reply.expect_oauth(401, "invalid_client");
    }
    for path in [OPENID, "/oauth/token", "/oauth/userinfo"] {
        let reply = app.request("OPTIONS", path).send().expect(405);
        assert_eq!(reply.header("access-control-allow-origin"), None, "{path}");
    }
}

/// Security rule 124, RFC 6749 §5.2: registered codes, plain characters, and no echo of the request.
#[test]
fn errors_are_registered_and_repeat_nothing() {
    const REGISTERED: [&str; 13] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "invalid_token",
        "insufficient_scope",
        "access_denied",
        "server_error",
        "temporarily_unavailable",
        "invalid_dpop_proof",
    ];
    let app = TestApp::spawn();
    let marker = "m4rk3r<\"\\\u{fc}";
    let secret = basic("api", API_SECRET);
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/userinfo", "/oauth/par", "/oauth/device"]
    {
        for form in [
            vec![],
            vec![("grant_type", marker)],
            vec![("grant_type", "refresh_token"), ("refresh_token", marker), ("scope", marker)],
            vec![("grant_type", "client_credentials"), ("scope", marker), ("resource", marker)],
            vec![
                ("grant_type", "urn:passmint:params:oauth:grant-type:passkey"),
                ("ceremony_id", marker),
                ("credential", marker),
            ],
            vec![("access_token", marker)],
            vec![("client_id", marker), ("client_secret", marker)],
            vec![(marker, marker), (marker, marker)],
        ] {
            for authorization in [None, Some(secret.as_str()), Some("Bearer m4rk3r"), Some("m4rk3r")] {
                let mut request = app.request("POST", path).form(&form);
                if let Some(value) = authorization {
                    request = request.header("Authorization", value);
                }
                let reply = request.send();
                if reply.status == 200 {
                    continue;
                }
                let (error, words) = (reply.json()["error"].clone(), reply.json()["error_description"].clone());
                assert!(REGISTERED.contains(&error.as_str().unwrap()), "{path} {form:?}: {error}");
                let words = words.as_str().expect("words");
                assert!(
                    words.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
                    "{path}: {words}"
                );
                assert!(!reply.body.contains("m4rk3r"), "{path}: {}", reply.body);
                assert!(!reply.headers.iter().any(|(_, value)| value.contains("m4rk3r")), "{path}");
            }
        }
    }
}
