//! Claims about a person: userinfo (OpenID Connect Core §5.3) and which of them are in ID tokens (§5.4).

use chrono::Duration;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use passmint::domain::claims::standard;
use passmint::domain::id::UserId;
use passmint::domain::standard_claims::fits;
use passmint::domain::user::UserStatus;
use passmint::storage::people;
use serde_json::{Map, Value, json};

use crate::authenticator::Authenticator;
use crate::support::oidc::{Ask, redeem};
use crate::support::tokens::{Tokens, at_once, claims, header};
use crate::support::{Browser, Options, Reply, TestApp};

const CLIENTS: &str = r#"
[clients.full]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "profile", "email", "address", "phone", "groups", "offline_access", "passkeys"]

[clients.everything]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "profile", "email", "groups"]
claims_in_id_token = true

[clients.noting]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey"]
scopes = ["openid", "profile", "email"]
claims_in_id_token = true
attribute_claims = { "https://acme.example/roles" = "roles", seats = "seats", tenant = "tenant" }

[clients.signed]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey"]
scopes = ["openid", "profile"]
userinfo_algorithm = "ES256"

[clients.elsewhere]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey"]
scopes = ["openid"]
audiences = ["https://api.example"]

[clients.panel]
first_party = true
redirect_uris = ["https://panel.example/cb"]
grants = ["authorization_code"]
scopes = ["openid", "profile", "email"]
audiences = ["https://api.example"]

[clients.machine]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["things:read"]
"#;

const PERSON: [&str; 14] = [
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "address",
    "phone_number",
    "phone_number_verified",
];

fn spawn() -> TestApp {
    TestApp::with(&Options { config: CLIENTS, ..Options::default() })
}

/// A person with a value for every standard claim, and two groups.
fn complete(app: &TestApp) -> (Browser, Authenticator, UserId) {
    let (browser, passkey, id) = app.ada();
    let profile = json!({
        "given_name": "Ada", "family_name": "Lovelace", "middle_name": "King", "nickname": "ada",
        "preferred_username": "ada", "profile": "https://ada.example/", "picture": "https://ada.example/me.png",
        "website": "https://ada.example/blog", "gender": "female", "birthdate": "1815-12-10", "zoneinfo": "Europe/London",
        "address": {"formatted": "12 St James's Square\nLondon", "street_address": "12 St James's Square",
            "locality": "London", "region": "Greater London", "postal_code": "SW1Y 4JH", "country": "GB"},
        "phone_number": "+44 20 7946 0000", "phone_number_verified": true,
    });
    let profile = profile.to_string().replace('\'', "''");
    app.sql(&format!(
        "UPDATE users SET locale = 'en-GB', profile = '{profile}' WHERE id = '{id}';
         INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), 'staff', now()), (gen_random_uuid(), 'admins', now());
         INSERT INTO group_members (group_id, user_id) SELECT id, '{id}' FROM groups"
    ));
    (browser, passkey, id)
}

fn tokens(app: &TestApp, client: &str, passkey: &mut Authenticator, scope: &str) -> Tokens {
    Tokens::of(&app.client(client).sign_in(passkey, scope).expect(200).json())
}

fn told(reply: Reply) -> Map<String, Value> {
    reply.expect(200).json().as_object().unwrap().clone()
}

/// Attributes are for the clients that the operator makes claims of them for, and go with the scope `profile`.
#[test]
fn attributes_are_claims_where_a_client_has_them() {
    let app = spawn();
    let (_, mut passkey, id) = complete(&app);
    app.sql(&format!(
        "UPDATE users SET attributes = '{{\"roles\": [\"a\", \"b\"], \"seats\": 3, \"other\": true}}' WHERE id = '{id}'"
    ));
    let noted = |claims: &Map<String, Value>| {
        let ours = |(name, _): &(&String, &Value)| {
            ["https://acme.example/roles", "seats", "tenant", "roles", "other"].contains(&name.as_str())
        };
        Value::Object(claims.iter().filter(ours).map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    let expected = json!({ "https://acme.example/roles": ["a", "b"], "seats": 3 });
    for (client, scope, expected) in [
        ("noting", "openid profile", &expected),
        ("noting", "openid email", &json!({})),
        ("full", "openid profile", &json!({})),
        ("everything", "openid profile", &json!({})),
    ] {
        let tokens = tokens(&app, client, &mut passkey, scope);
        assert_eq!(&noted(&told(app.userinfo(&tokens.access))), expected, "{client}, {scope}: userinfo");
        assert_eq!(&noted(claims(&tokens.id).as_object().unwrap()), expected, "{client}, {scope}: the ID token");
        assert_eq!(noted(claims(&tokens.access).as_object().unwrap()), json!({}), "{client}: the access token");
    }
}

/// Security rule 92; the lists are those of OpenID Connect Core §5.4.
#[test]
fn each_scope_gives_its_claims_and_no_others() {
    let app = spawn();
    let (_, mut passkey, id) = complete(&app);
    for scope in ["", "profile", "email", "address", "phone"] {
        let tokens = tokens(&app, "full", &mut passkey, &format!("openid {scope}"));
        let told = told(app.userinfo(&tokens.access));
        let expected: Vec<&str> = standard().filter(|(_, of)| *of == scope).map(|(name, _)| name).collect();
        assert_eq!(told.len(), expected.len() + 1, "{scope}: {told:?}");
        assert_eq!(told["sub"], id.to_string(), "{scope}");
        assert_eq!(told["sub"], claims(&tokens.id)["sub"], "{scope}: the one of the ID token");
        for name in expected {
            assert!(fits(name, &told[name]) || told[name].is_i64(), "{name}");
            assert!(claims(&tokens.id).get(name).is_none(), "{name} is told by userinfo, not by the ID token");
        }
    }
    let all =
        told(app.userinfo(&tokens(&app, "full", &mut passkey, "openid profile email address phone groups").access));
    for name in PERSON {
        assert!(all.contains_key(name), "{name}");
    }
    assert_eq!((&all["email_verified"], &all["groups"]), (&json!(false), &json!(["admins", "staff"])));
    app.sql(&format!("UPDATE users SET email_verified_at = now() WHERE id = '{id}'"));
    let now_verified = told(app.userinfo(&tokens(&app, "full", &mut passkey, "openid email").access));
    assert_eq!(now_verified["email_verified"], true);
}

/// What a person does not have is left out: never null, never empty (conformance B0.6).
#[test]
fn what_a_person_has_not_got_is_left_out() {
    let app = spawn();
    let (_, mut passkey) = app.person();
    let tokens = tokens(&app, "full", &mut passkey, "openid profile email address phone groups");
    let told = told(app.userinfo(&tokens.access));
    let names: Vec<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(names, ["sub", "updated_at"]);
}

#[test]
fn the_token_comes_in_the_header_or_in_a_form() {
    let app = spawn();
    let (_, mut passkey, _) = complete(&app);
    let access = tokens(&app, "full", &mut passkey, "openid profile").access;
    let bearer = format!("Bearer {access}");
    let get = app.request("GET", "/oauth/userinfo").header("Authorization", &bearer).send().expect(200);
    assert_eq!(get.header("cache-control"), Some("no-store"));
    assert_eq!(get.header("content-type"), Some("application/json"));
    assert!(get.header("date").is_some());
    for (name, request) in [
        ("POST, header, no body", app.request("POST", "/oauth/userinfo").header("Authorization", &bearer)),
        (
            "POST, header, a form",
            app.request("POST", "/oauth/userinfo").header("Authorization", &bearer).form(&[("x", "y")]),
        ),
        ("POST, form", app.request("POST", "/oauth/userinfo").form(&[("access_token", &access)])),
        (
            "GET, another scheme's case",
            app.request("GET", "/oauth/userinfo").header("Authorization", &format!("bearer {access}")),
        ),
        (
            "GET, something else in the address",
            app.request("GET", "/oauth/userinfo?schema=openid").header("Authorization", &bearer),
        ),
    ] {
        assert_eq!(request.send().expect(200).json(), get.json(), "{name}");
    }
}

/// Security rules 92, 93.
#[test]
fn nothing_else_than_an_access_token_for_this_server_opens_it() {
    let app = spawn();
    let (browser, mut passkey, _) = complete(&app);
    let full = tokens(&app, "full", &mut passkey, "openid profile");
    let narrow = tokens(&app, "full", &mut passkey, "profile");
    let other = tokens(&app, "elsewhere", &mut passkey, "openid");
    let machine = app.token_by("machine", &[("grant_type", "client_credentials")]).expect(200).json();
    let machine = machine["access_token"].as_str().unwrap().to_owned();
    let by = |token: &str| app.request("GET", "/oauth/userinfo").header("Authorization", &format!("Bearer {token}"));
    let bearer = Some("Bearer");
    let invalid = Some(r#"Bearer error="invalid_token""#);
    for (name, request, status, error, challenge) in [
        ("nothing", app.request("GET", "/oauth/userinfo"), 401, "invalid_token", bearer),
        ("a session cookie", browser.request("GET", "/oauth/userinfo"), 401, "invalid_token", bearer),
        ("an ID token", by(&full.id), 401, "invalid_token", invalid),
        ("a refresh token", by(&full.refresh), 401, "invalid_token", invalid),
        ("garbage", by("garbage"), 401, "invalid_token", invalid),
        ("a byte more", by(&format!("{}A", full.access)), 401, "invalid_token", invalid),
        ("for another audience", by(&other.access), 401, "invalid_token", invalid),
        ("of a client for itself", by(&machine), 401, "invalid_token", invalid),
        ("without openid", by(&narrow.access), 403, "insufficient_scope", Some(r#"Bearer error="insufficient_scope""#)),
        (
            "in the address",
            app.request("GET", &format!("/oauth/userinfo?access_token={}", full.access)),
            400,
            "invalid_request",
            None,
        ),
        ("in the address too", by(&full.access).query("access_token=x"), 400, "invalid_request", None),
        (
            "twice",
            app.request("POST", "/oauth/userinfo")
                .header("Authorization", &format!("Bearer {}", full.access))
                .form(&[("access_token", &full.access)]),
            400,
            "invalid_request",
            None,
        ),
        (
            "as JSON",
            app.request("POST", "/oauth/userinfo").json(&json!({"access_token": full.access})),
            415,
            "invalid_request",
            None,
        ),
        (
            "Basic",
            app.request("GET", "/oauth/userinfo").header("Authorization", &format!("Basic {}", full.access)),
            401,
            "invalid_token",
            invalid,
        ),
    ] {
        let reply = request.send();
        assert_eq!((reply.status, reply.json()["error"].as_str()), (status, Some(error)), "{name}: {}", reply.body);
        assert_eq!(reply.challenge(), challenge, "{name}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{name}");
        assert!(!reply.body.contains("ada"), "{name}");
    }
    by(&full.access).send().expect(200);
}

/// RFC 9068 §4: here it is enough that we are among several audiences, while our other APIs must be the only one. The
/// holder of a genuine token for something else is told so; about any other token nothing is disclosed.
#[test]
fn a_token_for_an_api_and_this_server_opens_it_and_no_other_api_of_ours() {
    let app = spawn();
    let (mut browser, _, id) = complete(&app);
    let mut token_for = |resources: &[&str]| {
        let ask = resources.iter().fold(Ask::of("panel"), |ask, one| ask.and("resource", one));
        redeem(&app, "panel", &ask.send(&mut browser).back().code()).access
    };
    let (both, theirs) = (token_for(&["https://api.example", &app.origin]), token_for(&["https://api.example"]));
    let by =
        |path: &str, token: &str| app.request("GET", path).header("Authorization", &format!("Bearer {token}")).send();
    assert_eq!(claims(&both)["aud"].as_array().map(Vec::len), Some(2));
    assert_eq!(told(by("/oauth/userinfo", &both))["sub"], id.to_string());
    for token in [&both, &theirs] {
        let reply = by("/v1/me", token).expect_problem(401, "invalid_token").json();
        let expected = format!("must be this server alone: request one for {}.", app.origin);
        assert!(reply["detail"].as_str().is_some_and(|words| words.ends_with(&expected)), "{reply}");
    }
    let why = |token: &str| {
        by("/oauth/userinfo", token).expect_oauth(401, "invalid_token").json()["error_description"].clone()
    };
    assert!(why(&theirs).as_str().is_some_and(|words| words.contains(&app.origin)), "{}", why(&theirs));
    let nothing = why("garbage");
    assert_eq!(why(&format!("{theirs}A")), nothing, "a broken signature");
    app.advance(Duration::minutes(10));
    assert_eq!((why(&theirs), why(&both)), (nothing.clone(), nothing), "expired");
}

/// Security rule 93: whatever ends, userinfo knows it at once.
#[test]
fn what_has_ended_tells_nothing_any_more() {
    for (name, end) in [
        (
            "expired",
            (|app: &TestApp, _: UserId, _: &Tokens| app.advance(Duration::minutes(10)))
                as fn(&TestApp, UserId, &Tokens),
        ),
        ("given back", |app, _, tokens| drop(app.client("full").revoke(&tokens.access).expect(200))),
        ("its refresh token given back", |app, _, tokens| drop(app.client("full").revoke(&tokens.refresh).expect(200))),
        ("account disabled", |app, id, _| {
            let now = app.clock.now();
            assert!(app.db.blocking(|conn| people::set_status(conn, id, UserStatus::Disabled, now)).unwrap());
        }),
        ("account deleted", |app, id, _| {
            assert!(app.db.blocking(|conn| people::delete(conn, id, app.clock.now())).unwrap());
        }),
        ("session ended", |app, id, _| {
            app.sql(&format!("UPDATE sessions SET revoked_at = now() WHERE user_id = '{id}'"));
        }),
    ] {
        let app = spawn();
        let (_, mut passkey, id) = complete(&app);
        let tokens = tokens(&app, "full", &mut passkey, "openid profile");
        app.userinfo(&tokens.access).expect(200);
        end(&app, id, &tokens);
        let reply = app.userinfo(&tokens.access);
        assert_eq!(reply.status, 401, "{name}");
        assert_eq!(reply.json()["error"], "invalid_token", "{name}");
        assert_eq!(reply.challenge(), Some(r#"Bearer error="invalid_token""#), "{name}: not why");
    }
}

/// Security rule 94.
#[test]
fn pages_of_the_tokens_client_may_read_it_and_no_others() {
    let more = r#"
[clients.foreign]
grants = ["refresh_token"]
origins = ["https://foreign.example"]
"#;
    let app = TestApp::with(&Options { config: &format!("{CLIENTS}{more}"), ..Options::default() });
    let (_, mut passkey, _) = complete(&app);
    let access = tokens(&app, "full", &mut passkey, "openid").access;
    let from = |origin: &str| {
        let request = app.request("GET", "/oauth/userinfo").header("Authorization", &format!("Bearer {access}"));
        request.header("Origin", origin).send()
    };
    let own = from(&app.origin).expect(200);
    assert_eq!(own.header("access-control-allow-origin"), Some(app.origin.as_str()));
    assert_eq!(own.header("access-control-allow-credentials"), None);
    let another = from("https://foreign.example").expect_oauth(400, "invalid_request");
    assert!(!another.body.contains("sub"), "another client's page");
    let nobodys = from("https://evil.example").expect(200);
    assert_eq!(
        nobodys.header("access-control-allow-origin"),
        None,
        "answered like who says no origin, and not to be read"
    );
    let preflight = app
        .request("OPTIONS", "/oauth/userinfo")
        .header("Origin", &app.origin)
        .header("Access-Control-Request-Method", "POST")
        .send()
        .expect(204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some(app.origin.as_str()));
}

/// OpenID Connect Core §5.3.2.
#[test]
fn a_client_gets_its_answer_signed() {
    let app = spawn();
    let (_, mut passkey, id) = complete(&app);
    let tokens = tokens(&app, "signed", &mut passkey, "openid profile");
    let reply = app.userinfo(&tokens.access).expect(200);
    assert_eq!(reply.header("content-type"), Some("application/jwt"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let said = signed(&app, &reply.body, "signed");
    assert_eq!((&said["iss"], &said["aud"]), (&json!(app.origin), &json!("signed")));
    assert_eq!((&said["sub"], &said["given_name"]), (&json!(id.to_string()), &json!("Ada")));
    for absent in ["nonce", "exp", "at_hash", "client_id"] {
        assert!(said.get(absent).is_none(), "{absent}");
    }
    assert_eq!(header(&reply.body)["alg"], "ES256");
    assert_eq!(header(&reply.body).get("typ"), None, "it is none of our tokens");
    app.userinfo(&reply.body).expect_oauth(401, "invalid_token");
    assert_eq!(app.introspection(&reply.body), r#"{"active":false}"#);
}

/// The claims of a response without an expiry, its signature verified by a third-party library.
fn signed(app: &TestApp, jwt: &str, audience: &str) -> Value {
    let set: JwkSet = serde_json::from_str(&app.request("GET", "/.well-known/jwks.json").send().body).unwrap();
    let kid = header(jwt)["kid"].as_str().unwrap().to_owned();
    let key = DecodingKey::from_jwk(set.find(&kid).expect("the key is published")).unwrap();
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&[audience]);
    rules.set_issuer(&[&app.origin]);
    rules.set_required_spec_claims(&["iss", "aud", "sub"]);
    rules.validate_exp = false;
    jsonwebtoken::decode::<Value>(jwt, &key, &rules).expect("a good signature").claims
}

/// OpenID Connect Core §5.4, conformance B0.7 and trap 8.
#[test]
fn an_id_token_has_scope_claims_only_for_clients_that_want_them_there() {
    let app = spawn();
    let (_, mut passkey, id) = complete(&app);
    let plain = claims(&tokens(&app, "full", &mut passkey, "openid profile email address phone groups").id);
    let mut names: Vec<&str> = plain.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["acr", "amr", "at_hash", "aud", "auth_time", "exp", "iat", "iss", "jti", "sid", "sub"]);

    let whole = tokens(&app, "everything", &mut passkey, "openid profile email groups");
    let refreshed = Tokens::of(&app.client("everything").refresh(&whole.refresh).expect(200).json());
    for told in [claims(&whole.id), claims(&refreshed.id)] {
        assert_eq!((&told["sub"], &told["name"]), (&json!(id.to_string()), &json!("Ada Lovelace")));
        assert_eq!((&told["email"], &told["email_verified"]), (&json!("ada@example.com"), &json!(false)));
        assert_eq!(told["groups"], json!(["admins", "staff"]));
        assert!(told.get("credential_class").is_none() && told.get("address").is_none());
    }
}

/// OpenID Connect Core §5.5: claims requested by name are returned where they were requested, and nowhere else.
#[test]
fn claims_asked_for_by_name_come_where_they_were_asked_for() {
    let app = spawn();
    let (mut browser, _, id) = complete(&app);
    let wish = r#"{"userinfo":{"name":{"essential":true},"unheard_of":null,"phone_number":null},"id_token":{"email":null,"groups":null}}"#;
    let code = Ask::of("panel").with("claims", wish).send(&mut browser).back().code();
    let tokens = redeem(&app, "panel", &code);
    let told = told(app.userinfo(&tokens.access));
    assert_eq!(told, *json!({"sub": id.to_string(), "name": "Ada Lovelace"}).as_object().unwrap());
    let said = claims(&tokens.id);
    assert_eq!((&said["email"], &said["email_verified"]), (&json!("ada@example.com"), &json!(false)));
    assert!(said.get("name").is_none() && said.get("groups").is_none());
}

/// A panel, a dashboard or a proxy may ask as often as it likes: nothing is written.
#[test]
fn asking_changes_nothing() {
    let app = spawn();
    let (_, mut passkey, _) = complete(&app);
    let access = tokens(&app, "full", &mut passkey, "openid profile").access;
    let state = "SELECT count(*) + (SELECT count(*) FROM audit_events) + (SELECT count(*) FROM refresh_tokens) AS n FROM sessions";
    let before = app.count(state);
    let answers = at_once(32, |_| app.userinfo(&access).body);
    assert!(answers.iter().all(|body| *body == answers[0]), "{answers:?}");
    assert_eq!(app.count(state), before);
}
