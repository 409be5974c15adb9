//! Clients' tokens for themselves (RFC 6749 §4.4, RFC 9068 §2.2): no person, no session, nothing written.

use std::time::Duration as Real;

use passmint::routes::{Access, ROUTES};
use serde_json::{Value, json};

use crate::support::tokens::{INACTIVE, basic, claims, header, within};
use crate::support::{API_SECRET, Options, Reply, TestApp};

const CLIENTS: &str = r#"
[clients.machine]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["things:read", "things:write", "openid", "profile", "offline_access", "admin", "admin:users", "bridge:*"]
audiences = ["https://api.example", "https://other.example"]
access_ttl = "2m"

[clients.resting]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["things:read"]
"#;

fn spawn() -> TestApp {
    TestApp::with(&Options { config: CLIENTS, ..Options::default() })
}

fn ask(app: &TestApp, client: &str, more: &[(&str, &str)]) -> Reply {
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(more);
    app.token_by(client, &form)
}

fn access(reply: Reply) -> String {
    reply.expect(200).json()["access_token"].as_str().unwrap().to_owned()
}

fn introspected(app: &TestApp, client: &str, token: &str) -> Reply {
    let request = app.request("POST", "/oauth/introspect").form(&[("token", token)]);
    request.header("Authorization", &basic(client, API_SECRET)).send().expect(200)
}

/// Security rule 82.
#[test]
fn a_client_gets_a_token_for_itself() {
    let app = spawn();
    let rows = "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM refresh_tokens) AS n";
    let reply = ask(&app, "machine", &[("scope", "things:read")]).expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("pragma"), Some("no-cache"));
    let told = reply.json();
    let names: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["access_token", "expires_in", "scope", "token_type"], "no refresh token, no ID token");
    assert_eq!(
        (&told["token_type"], &told["expires_in"], &told["scope"]),
        (&json!("Bearer"), &json!(120), &json!("things:read"))
    );
    let token = told["access_token"].as_str().unwrap();
    assert_eq!(header(token)["typ"], "at+jwt");
    let said = app.verified(token, "https://api.example", "at+jwt");
    assert_eq!((&said["sub"], &said["client_id"]), (&json!("machine"), &json!("machine")));
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 120);
    for absent in ["sid", "auth_time", "acr", "amr", "credential_class", "grant_id", "nonce"] {
        assert!(!said.contains_key(absent), "{absent}");
    }
    assert_eq!(app.count(rows), 0, "nothing is written");
    let again = access(ask(&app, "machine", &[("scope", "things:read")]));
    assert_ne!(claims(&again)["jti"], said["jti"]);
}

#[test]
fn without_a_scope_it_gets_what_is_not_about_people_and_no_administration() {
    let app = spawn();
    assert_eq!(ask(&app, "machine", &[]).expect(200).json()["scope"], "things:read things:write");
    assert_eq!(ask(&app, "machine", &[("scope", "admin:users")]).expect(200).json()["scope"], "admin:users", "by name");
}

#[test]
fn the_audience_is_one_of_its_own() {
    let app = spawn();
    for (resources, expected) in [
        (&[][..], json!("https://api.example")),
        (&["https://other.example"], json!("https://other.example")),
        (&["https://api.example/"], json!("https://api.example")),
        (&[app.origin.as_str()], json!(app.origin)),
        (&["https://other.example", "https://api.example"], json!(["https://other.example", "https://api.example"])),
    ] {
        let form: Vec<_> = resources.iter().map(|one| ("resource", *one)).collect();
        assert_eq!(claims(&access(ask(&app, "machine", &form)))["aud"], expected);
    }
    for resource in ["https://foreign.example", "https://api.example//", "HTTPS://api.example", "machine"] {
        ask(&app, "machine", &[("resource", resource)]).expect_oauth(400, "invalid_target");
    }
}

#[test]
fn refusals_by_name() {
    let app = spawn();
    let grant = ("grant_type", "client_credentials");
    let public = app.request("POST", "/oauth/token").form(&[grant, ("client_id", "web")]).send();
    public.expect_oauth(400, "unauthorized_client");
    ask(&app, "api", &[]).expect_oauth(400, "unauthorized_client");
    let wrong = app.request("POST", "/oauth/token").form(&[grant]).header("Authorization", &basic("machine", "wrong"));
    wrong.send().expect_oauth(401, "invalid_client");
    app.request("POST", "/oauth/token").form(&[grant]).send().expect_oauth(401, "invalid_client");
    for (name, scope) in [
        ("a person's", "openid"),
        ("beside a good one", "things:read profile"),
        ("a refresh token", "offline_access"),
        ("custom tokens", "bridge:backend"),
        ("not its own", "things:delete"),
        ("malformed", "things:\"read\""),
    ] {
        let reply = ask(&app, "machine", &[("scope", scope)]).expect_oauth(400, "invalid_scope");
        let words = reply.json()["error_description"].as_str().unwrap().to_owned();
        assert!(!words.contains("things"), "{name}: {words}");
    }
    ask(&app, "machine", &[("scope", "things:read"), ("scope", "x")]).expect_oauth(400, "invalid_request");
}

/// A token without a person is refused at every route that is for people.
#[test]
fn it_opens_nothing_that_is_for_people() {
    let app = spawn();
    let token = access(ask(&app, "machine", &[("resource", &app.origin)]));
    let mut tried = 0;
    for route in ROUTES {
        if !matches!(route.access, Access::SignedIn | Access::Browser | Access::OwnPage | Access::Token) {
            continue;
        }
        let path = route.path.replace("{id}", "x").replace("{name}", "x");
        let mut request = app.request(route.method, &path).header("Authorization", &format!("Bearer {token}"));
        if matches!(route.method, "POST" | "PATCH") {
            let of_type =
                if route.access == Access::OwnPage { "application/x-www-form-urlencoded" } else { "application/json" };
            request = request.body(if route.access == Access::Token { "" } else { of_type }, Vec::new());
        }
        let reply = request.send();
        assert!(matches!(reply.status, 400 | 401 | 403), "{} {path}: {} {}", route.method, reply.status, reply.body);
        tried += 1;
    }
    assert!(tried > 10, "{tried}");
    let session = app.request("GET", "/v1/session").header("Authorization", &format!("Bearer {token}")).send();
    assert_ne!(session.status, 200, "{}", session.body);
}

/// RFC 7662: its own client, and clients listed for the audience, learn that it is active.
#[test]
fn introspection_tells_of_it() {
    let app = spawn();
    let token = access(ask(&app, "machine", &[("scope", "things:read")]));
    for client in ["machine", "api"] {
        let told = introspected(&app, client, &token).json();
        assert_eq!(told["active"], true, "{client}");
        for name in ["sub", "client_id", "scope", "aud", "iss", "exp", "iat", "jti"] {
            assert_eq!(told[name], claims(&token)[name], "{name}");
        }
        for absent in ["sid", "username", "acr", "auth_time"] {
            assert_eq!(told.get(absent), None::<&Value>, "{absent}");
        }
    }
    assert_eq!(introspected(&app, "resting", &token).body, INACTIVE, "a stranger");
    app.advance(chrono::Duration::minutes(2));
    assert_eq!(introspected(&app, "machine", &token).body, INACTIVE, "expired");
}

/// RFC 7009: it lives with no session, so it is revoked by its own id; another client cannot do that.
#[test]
fn it_can_be_given_back() {
    let app = spawn();
    let (token, other) = (access(ask(&app, "machine", &[])), access(ask(&app, "machine", &[])));
    let revoke = |client: &str| {
        let request = app.request("POST", "/oauth/revoke").form(&[("token", &token)]);
        request.header("Authorization", &basic(client, API_SECRET)).send().expect(200)
    };
    revoke("resting");
    assert_eq!(introspected(&app, "machine", &token).json()["active"], true, "a stranger revokes nothing");
    revoke("machine");
    revoke("machine");
    assert_eq!(introspected(&app, "machine", &token).body, INACTIVE);
    assert_eq!(introspected(&app, "machine", &other).json()["active"], true, "that one token only");
    assert_eq!(app.events("token.revoked"), 1);
}

#[test]
fn a_disabled_clients_tokens_are_inactive_within_seconds() {
    let app = spawn();
    let token = access(ask(&app, "resting", &[("resource", &app.origin)]));
    assert_eq!(introspected(&app, "api", &token).json()["active"], true);
    app.sql(
        "UPDATE clients SET disabled_at = now() WHERE id = 'resting';
         INSERT INTO changes (kind, key) VALUES ('clients', 'resting')",
    );
    within(Real::from_secs(15), "the client is refused", || ask(&app, "resting", &[]).status == 401);
    assert_eq!(introspected(&app, "api", &token).body, INACTIVE);
}
