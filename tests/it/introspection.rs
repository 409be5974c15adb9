//! Introspection over HTTP (RFC 7662): a token's client and those listed for its audience learn about it, nobody else
//! learns anything, and all inactive answers are identical.

use std::time::Duration as Real;

use chrono::Duration;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use passmint::domain::id::UserId;
use passmint::domain::user::UserStatus;
use passmint::storage::people;
use serde_json::{Value, json};

use crate::support::jose::Key;
use crate::support::tokens::{INACTIVE, Tokens, basic, claims, header, within};
use crate::support::{API_SECRET, Options, PRODUCT_LIMITS, Reply, TestApp};

/// A client that may introspect only its own tokens, and one for an audience that nobody uses.
const STRANGERS: &str = r#"
[clients.stranger]
name = "Stranger"
kind = "confidential"
first_party = true
origins = ["ORIGIN"]
secret_digest = "API_DIGEST"
grants = ["passkey", "refresh_token"]
scopes = ["openid"]

[clients.elsewhere]
name = "Elsewhere"
kind = "confidential"
first_party = true
origins = ["ORIGIN"]
secret_digest = "API_DIGEST"
grants = ["passkey"]
scopes = ["openid"]
may_introspect = ["https://elsewhere.example"]
"#;

fn spawn() -> TestApp {
    TestApp::with(&Options { config: STRANGERS, ..Options::default() })
}

fn ask(app: &TestApp, client: &str, token: &str) -> Reply {
    let request = app.request("POST", "/oauth/introspect").form(&[("token", token)]);
    request.header("Authorization", &basic(client, API_SECRET)).send()
}

#[test]
fn an_access_token_is_told_whole() {
    let app = spawn();
    let (_, _, tokens) = app.person_with_tokens("openid passkeys");
    let reply = ask(&app, "api", &tokens.access).expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("access-control-allow-origin"), None);
    let (told, said) = (reply.json(), claims(&tokens.access));
    assert_eq!(told["active"], true);
    assert_eq!(told["token_type"], "Bearer");
    for name in ["iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti", "sid", "auth_time", "acr"] {
        assert!(!told[name].is_null(), "{name} is told");
        assert_eq!(told[name], said[name], "{name}");
    }
}

#[test]
fn who_may_know() {
    let app = spawn();
    let (_, mut passkey, webs) = app.person_with_tokens("openid passkeys");
    let apis = app.api_sign_in(&mut passkey, "openid");
    for (name, client, token, active) in [
        ("listed for this server's audience", "api", &webs.access, true),
        ("its own client", "api", &apis.access, true),
        ("its own client, refresh", "api", &apis.refresh, true),
        ("not listed", "stranger", &webs.access, false),
        ("not listed, other audience", "stranger", &apis.access, false),
        ("listed for another audience", "elsewhere", &webs.access, false),
        ("another client's refresh token", "api", &webs.refresh, false),
        ("another client's refresh token, stranger", "stranger", &apis.refresh, false),
    ] {
        let reply = ask(&app, client, token).expect(200);
        assert_eq!(reply.json()["active"], active, "{name}");
        assert_eq!(reply.body == INACTIVE, !active, "{name}: {}", reply.body);
    }
    let told = ask(&app, "api", &apis.refresh).json();
    assert_eq!((&told["token_type"], &told["client_id"]), (&json!("refresh_token"), &json!("api")));
}

#[test]
fn every_inactive_answer_is_the_same() {
    let app = spawn();
    let (mut browser, mut passkey, expired) = app.person_with_tokens("openid");
    let used = app.api_sign_in(&mut passkey, "openid");
    let by_api = |refresh: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        let request = app.request("POST", "/oauth/token").basic("api", API_SECRET);
        Tokens::of(&request.form(&form).send().expect(200).json())
    };
    let leaf = by_api(&used.refresh);
    app.advance(Duration::minutes(11));
    let (_, _, revoked) = app.person_with_tokens("openid");
    app.client("web").revoke(&revoked.access).expect(200);
    let ended = app.api_sign_in(&mut passkey, "openid");
    browser.call("DELETE", &format!("/v1/me/sessions/{}", ended.session()), None).expect(200);
    let (_, _, live) = app.person_with_tokens("openid");
    let forged = Key::p256().sign(&header(&live.access), &claims(&live.access));
    let mut said = claims(&live.access);
    said["iss"] = json!("https://elsewhere.example");
    let foreign = Key::p256().sign(&header(&live.access), &said);
    for (name, token) in [
        ("expired", expired.access.as_str()),
        ("revoked", &revoked.access),
        ("its refresh token", &revoked.refresh),
        ("session ended", &ended.access),
        ("session ended, refresh", &ended.refresh),
        ("used refresh token", &used.refresh),
        ("ID token", &live.id),
        ("session cookie", browser.session().unwrap()),
        ("another issuer's", &foreign),
        ("signed by somebody else", &forged),
        ("malformed", "a.b.c"),
        ("garbage", "garbage"),
        ("cut short", &live.access[..live.access.len() - 1]),
        ("with white space", &format!(" {}", live.access)),
        ("client secret", API_SECRET),
    ] {
        let reply = ask(&app, "api", token);
        assert_eq!((reply.status, reply.body.as_str()), (200, INACTIVE), "{name}");
    }
    assert_eq!(ask(&app, "api", &live.access).json()["active"], true, "the control");
    assert_eq!(ask(&app, "api", &leaf.refresh).json()["active"], true, "the live leaf");
}

#[test]
fn a_disabled_persons_tokens_are_inactive_at_once() {
    let app = spawn();
    let (_, mut passkey, webs) = app.person_with_tokens("openid");
    let apis = app.api_sign_in(&mut passkey, "openid");
    let user: UserId = claims(&webs.access)["sub"].as_str().unwrap().parse().unwrap();
    let now = app.clock.now();
    assert!(app.db.blocking(|conn| people::set_status(conn, user, UserStatus::Disabled, now)).unwrap());
    for token in [&webs.access, &apis.access, &apis.refresh] {
        assert_eq!(ask(&app, "api", token).body, INACTIVE);
    }
}

/// An operator who disables a client also wants its existing tokens to stop working.
#[test]
fn a_disabled_clients_tokens_are_worth_nothing_within_seconds() {
    let app = spawn();
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("openid passkeys");
    let apis = app.api_sign_in(&mut passkey, "openid");
    assert!(app.opens(&tokens.access));
    app.sql(
        "UPDATE clients SET disabled_at = now() WHERE id = 'web';
         INSERT INTO changes (kind, key) VALUES ('clients', 'web')",
    );
    within(Real::from_secs(15), "the client is refused", || app.client("web").refresh(&tokens.refresh).status != 200);
    app.client("web").refresh(&tokens.refresh).expect_oauth(401, "invalid_client");
    assert_eq!(ask(&app, "api", &tokens.access).body, INACTIVE);
    assert!(!app.opens(&tokens.access));
    assert_eq!(ask(&app, "api", &apis.access).json()["active"], true, "another client's stay");
    assert!(browser.get("/v1/session").json()["session"].is_object());
}

#[test]
fn only_clients_with_a_secret_may_ask() {
    let app = spawn();
    let (_, _, tokens) = app.person_with_tokens("openid");
    let token = ("token", tokens.access.as_str());
    for (name, form, authorization, status, error) in [
        ("nobody", vec![token], None, 401, "invalid_client"),
        ("its own public client", vec![token, ("client_id", "web")], None, 401, "invalid_client"),
        ("the token itself", vec![token], Some(format!("Bearer {}", tokens.access)), 401, "invalid_client"),
        ("a wrong secret", vec![token], Some(basic("api", "wrong")), 401, "invalid_client"),
        ("no token", vec![], Some(basic("api", API_SECRET)), 400, "invalid_request"),
        ("an empty token", vec![("token", "")], Some(basic("api", API_SECRET)), 400, "invalid_request"),
    ] {
        let mut request = app.request("POST", "/oauth/introspect").form(&form);
        if let Some(value) = &authorization {
            request = request.header("Authorization", value);
        }
        let reply = request.send();
        assert_eq!((reply.status, reply.json()["error"].as_str()), (status, Some(error)), "{name}");
        assert_eq!(reply.json().get("active"), None::<&Value>, "{name}");
    }
    app.request("GET", "/oauth/introspect").send().expect_oauth(405, "invalid_request");
}

#[test]
fn a_storage_fault_is_503_and_never_inactive() {
    let app = TestApp::with(&Options { config: STRANGERS, settings: PRODUCT_LIMITS, ..Options::default() });
    let (_, mut passkey, webs) = app.person_with_tokens("openid");
    let apis = app.api_sign_in(&mut passkey, "openid");
    let mut holder = PgConnection::establish(app.database_url()).unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").unwrap();
    for token in [&webs.access, &apis.refresh] {
        ask(&app, "api", token).expect_oauth(503, "temporarily_unavailable");
    }
    let me = app.client("web").bearer("GET", "/v1/me", &webs.access).send();
    me.expect_problem(503, "unavailable");
    holder.batch_execute("ROLLBACK").unwrap();
    assert_eq!(ask(&app, "api", &webs.access).json()["active"], true);
}

/// RFC 9701 §5: a signed answer is only for the client that asked for it, and cannot be used as a token.
#[test]
fn a_signed_answer_is_for_whoever_asked() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    let tokens = app.api_sign_in(&mut passkey, "openid");
    let ask = |token: &str| {
        let request = app.request("POST", "/oauth/introspect").form(&[("token", token)]);
        let request = request.header("Authorization", &basic("api", API_SECRET));
        request.header("Accept", "application/json;q=0.1, application/token-introspection+jwt").send().expect(200)
    };
    for (token, active) in [(tokens.access.as_str(), true), ("x", false)] {
        let reply = ask(token);
        assert_eq!(reply.header("content-type"), Some("application/token-introspection+jwt"));
        assert_eq!(
            (&header(&reply.body)["typ"], &header(&reply.body)["alg"]),
            (&json!("token-introspection+jwt"), &json!("RS256"))
        );
        let told = claims(&reply.body);
        assert_eq!((&told["iss"], &told["aud"]), (&json!(app.origin), &json!("api")));
        assert_eq!(told["token_introspection"]["active"], active);
        assert!(told.get("sub").is_none() && told.get("exp").is_none(), "it passes for no token");
        let me = app.request("GET", "/v1/me").header("Authorization", &format!("Bearer {}", reply.body)).send();
        assert_eq!(me.status, 401);
        assert_eq!(app.introspection(&reply.body), INACTIVE);
    }
}
