//! The passkey grant at the token endpoint, and how clients authenticate there: the same ceremony as over REST,
//! completed where a client authenticates.

use chrono::Duration;
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::support::tokens::{PASSKEY_GRANT, Tokens, at_once, basic, claims, header};
use crate::support::{API_SECRET, Options, Reply, TestApp, verify};

const FORM: &str = "application/x-www-form-urlencoded";

type Change = fn(&mut Value);
type Pairs = Vec<(&'static str, &'static str)>;

const BRIDGE: &str = r#"
[bridges.target]
preset = "jwt"
audience = "https://target.example"
"#;

fn answer(app: &TestApp, client: &str, passkey: &mut Authenticator) -> (Value, Value) {
    let begun = app.client(client).begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    (begun, credential)
}

#[track_caller]
fn refused(reply: Reply, name: &str, status: u16, error: &str) {
    assert_eq!((reply.status, reply.json()["error"].as_str()), (status, Some(error)), "{name}: {}", reply.body);
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{name}");
    assert!(reply.json()["error_description"].is_string(), "{name}");
}

#[test]
fn each_kind_of_client_ends_its_ceremony_in_its_own_way() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    for (name, client, authorization, more) in [
        ("public", "web", None, vec![("client_id", "web")]),
        ("Basic", "api", Some(basic("api", API_SECRET)), vec![]),
        ("Basic, named in the body too", "api", Some(basic("api", API_SECRET)), vec![("client_id", "api")]),
    ] {
        let result = json!({ "kind": "tokens", "clientId": client, "scope": "openid", "nonce": "n-1" });
        let begun = app.client(client).post("/v1/passkeys/authentication/options", &json!({ "result": result }));
        let begun = begun.expect(200).json();
        let credential = passkey.get_uninvited(&begun["publicKey"]);
        let reply = app.redeem(&begun, &credential, authorization.as_deref(), &more);
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{name}");
        assert_eq!(reply.header("pragma"), Some("no-cache"), "{name}");
        assert!(reply.cookies().is_empty(), "{name}: no cookie");
        let told = reply.json();
        assert_eq!((&told["token_type"], &told["scope"]), (&json!("Bearer"), &json!("openid")), "{name}");
        let tokens = Tokens::of(&told);
        assert_eq!(claims(&tokens.access)["client_id"], client, "{name}");
        assert_eq!(claims(&tokens.id)["nonce"], "n-1", "{name}");
        assert_eq!(claims(&tokens.id)["aud"], client, "{name}");
        refused(app.redeem(&begun, &credential, authorization.as_deref(), &more), name, 400, "invalid_grant");
    }
    assert_eq!(app.events("session.signed_in"), 3);
}

#[test]
fn the_audience_and_algorithms_are_those_of_the_client() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    let tokens = app.api_sign_in(&mut passkey, "openid");
    assert_eq!(claims(&tokens.access)["aud"], "https://api.example");
    assert_eq!(header(&tokens.id)["alg"], "ES256");
    assert!(!app.opens(&tokens.access), "a token for somebody else's API opens none of ours");
}

#[test]
fn a_ceremony_is_for_the_client_that_began_it_and_burns_with_the_first_try() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    let secret = basic("api", API_SECRET);
    for (name, begun_by, tried_by) in [
        ("another public client", "web", "other"),
        ("a confidential client", "web", "api"),
        ("a public one", "api", "web"),
    ] {
        let (begun, credential) = answer(&app, begun_by, &mut passkey);
        let redeem = |client: &str| match client {
            "api" => app.redeem(&begun, &credential, Some(&secret), &[]),
            other => app.redeem(&begun, &credential, None, &[("client_id", other)]),
        };
        refused(redeem(tried_by), name, 400, "invalid_grant");
        refused(redeem(begun_by), name, 400, "invalid_grant");
    }
    assert_eq!((app.events("session.signed_in"), app.events("ceremony.refused")), (0, 3));
}

#[test]
fn ceremonies_for_other_results_give_no_tokens() {
    let app = TestApp::with(&Options { config: BRIDGE, ..Options::default() });
    let (mut browser, mut passkey) = app.person();
    let session = browser.begin_sign_in(&json!({}));
    let step_up = browser.begin_sign_in(&json!({ "purpose": "step-up" }));
    let bridge = json!({ "kind": "bridge", "clientId": "web", "bridge": "target" });
    let bridge = app.client("web").post("/v1/passkeys/authentication/options", &json!({ "result": bridge }));
    let bridge = bridge.expect(200).json();
    let sessions = app.count("SELECT count(*) AS n FROM sessions");
    for (name, begun) in [("a session", session), ("a step-up", step_up), ("a bridge", bridge)] {
        let credential = passkey.get_uninvited(&begun["publicKey"]);
        refused(app.redeem(&begun, &credential, None, &[("client_id", "web")]), name, 400, "invalid_grant");
        let late = browser.finish_sign_in(&begun, &credential);
        assert_eq!((late.status, late.json()["code"].as_str()), (410, Some("ceremony_expired_or_used")), "{name}");
    }
    let registration = browser.begin_registration(&json!({ "purpose": "add" }));
    let credential = app.passkey().create(&registration["publicKey"]);
    let reply = app.redeem(&registration, &credential, None, &[("client_id", "web")]);
    refused(reply, "a registration", 400, "invalid_grant");
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions"), sessions, "nobody was signed in");
    assert_eq!(app.events("bridge.minted"), 0, "nothing was minted in passing");
}

#[test]
fn a_confidential_client_cannot_end_its_ceremony_without_its_secret() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    let (begun, credential) = answer(&app, "api", &mut passkey);
    let reply = app.client("api").finish(&begun, &credential);
    reply.expect_problem(400, "unauthorized_client");
    let secret = basic("api", API_SECRET);
    refused(app.redeem(&begun, &credential, Some(&secret), &[]), "afterwards", 400, "invalid_grant");
    assert_eq!(app.events("session.signed_in"), 0);
}

#[test]
fn a_confidential_client_ends_a_sign_up_where_it_authenticates() {
    let app = TestApp::spawn();
    let secret = basic("api", API_SECRET);
    let ask = || {
        let result = json!({ "kind": "tokens", "clientId": "api", "scope": "openid" });
        let sign_up = json!({ "purpose": "sign-up", "name": "Ada", "result": result });
        app.client("api").post("/v1/passkeys/registration/options", &sign_up).expect(200).json()
    };
    let begun = ask();
    let answer = app.passkey().create(&begun["publicKey"]);
    let elsewhere = app.client("api").post("/v1/passkeys/registration/verify", &verify(&begun, &answer));
    elsewhere.expect_problem(400, "unauthorized_client");
    refused(app.redeem(&begun, &answer, Some(&secret), &[]), "afterwards", 400, "invalid_grant");
    let begun = ask();
    let answer = app.passkey().create(&begun["publicKey"]);
    refused(app.redeem(&begun, &answer, None, &[("client_id", "web")]), "another client", 400, "invalid_grant");
    let (begun, other) = (ask(), ask());
    let answer = app.passkey().create(&other["publicKey"]);
    refused(app.redeem(&begun, &answer, Some(&secret), &[]), "another challenge", 400, "invalid_grant");
    assert_eq!((app.events("user.created"), app.events("ceremony.refused")), (0, 3));

    let begun = ask();
    let mut passkey = app.passkey();
    let answer = passkey.create(&begun["publicKey"]);
    let reply = app.redeem(&begun, &answer, Some(&secret), &[]);
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.cookies().is_empty(), "no cookie");
    let made = Tokens::of(&reply.json());
    assert_eq!((claims(&made.access)["client_id"].as_str(), app.events("user.created")), (Some("api"), 1));
    refused(app.redeem(&begun, &answer, Some(&secret), &[]), "twice", 400, "invalid_grant");
    let again = app.api_sign_in(&mut passkey, "openid");
    assert_eq!(claims(&again.id)["sub"], claims(&made.id)["sub"]);
}

#[test]
fn of_32_at_once_one_gets_tokens() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    for _ in 0..3 {
        let (begun, credential) = answer(&app, "web", &mut passkey);
        let replies = at_once(32, |number| {
            if number % 2 == 0 {
                app.redeem(&begun, &credential, None, &[("client_id", "web")]).status
            } else {
                app.client("web").post("/v1/passkeys/authentication/verify", &verify(&begun, &credential)).status
            }
        });
        assert_eq!(replies.iter().filter(|status| **status == 200).count(), 1, "{replies:?}");
        assert!(replies.iter().all(|status| [200, 400, 410].contains(status)), "{replies:?}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens"), 3);
}

#[test]
fn bad_answers_are_refused_and_burn_the_ceremony() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    let web = [("client_id", "web")];
    let changes: [(&str, Change); 4] = [
        ("another signature", |credential| credential["response"]["signature"] = json!("MEQCIA")),
        ("no user handle", |credential| credential["response"]["userHandle"] = Value::Null),
        ("another id", |credential| credential["id"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ("an unknown member", |credential| credential["response"] = json!({})),
    ];
    for (name, change) in changes {
        let (begun, credential) = answer(&app, "web", &mut passkey);
        let mut bad = credential.clone();
        change(&mut bad);
        refused(app.redeem(&begun, &bad, None, &web), name, 400, "invalid_grant");
        refused(app.redeem(&begun, &credential, None, &web), name, 400, "invalid_grant");
    }
    let (begun, _) = answer(&app, "web", &mut passkey);
    let other = app.client("web").begin("openid");
    let credential = passkey.get_uninvited(&other["publicKey"]);
    refused(app.redeem(&begun, &credential, None, &web), "another challenge", 400, "invalid_grant");

    let (begun, credential) = answer(&app, "web", &mut passkey);
    app.advance(Duration::minutes(6));
    refused(app.redeem(&begun, &credential, None, &web), "too late", 400, "invalid_grant");
    assert_eq!(app.events("session.signed_in"), 0);
}

#[test]
fn client_authentication_by_name() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    let good = basic("api", API_SECRET);
    let (mine, credential) = answer(&app, "api", &mut passkey);
    let cases: Vec<(&str, Vec<String>, Pairs, u16, &str)> = vec![
        ("nobody", vec![], vec![], 401, "invalid_client"),
        ("unknown", vec![], vec![("client_id", "nobody")], 401, "invalid_client"),
        ("confidential without a secret", vec![], vec![("client_id", "api")], 401, "invalid_client"),
        (
            "confidential with an empty secret",
            vec![],
            vec![("client_id", "api"), ("client_secret", "")],
            401,
            "invalid_client",
        ),
        (
            "a wrong secret in the body",
            vec![],
            vec![("client_id", "api"), ("client_secret", "wrong")],
            401,
            "invalid_client",
        ),
        ("a wrong secret by Basic", vec![basic("api", "wrong")], vec![], 401, "invalid_client"),
        ("an empty secret by Basic", vec![basic("api", "")], vec![], 401, "invalid_client"),
        ("an unknown client by Basic", vec![basic("nobody", API_SECRET)], vec![], 401, "invalid_client"),
        (
            "a public client with a secret",
            vec![],
            vec![("client_id", "web"), ("client_secret", API_SECRET)],
            401,
            "invalid_client",
        ),
        ("a public client with a secret by Basic", vec![basic("web", API_SECRET)], vec![], 401, "invalid_client"),
        (
            "both ways",
            vec![good.clone()],
            vec![("client_id", "api"), ("client_secret", API_SECRET)],
            400,
            "invalid_request",
        ),
        ("another client in the body", vec![good.clone()], vec![("client_id", "web")], 400, "invalid_request"),
        ("two headers", vec![good.clone(), good.clone()], vec![], 401, "invalid_client"),
        ("another scheme", vec![good.replace("Basic", "Digest")], vec![], 401, "invalid_client"),
        ("a bearer token", vec![format!("Bearer {API_SECRET}")], vec![], 401, "invalid_client"),
        ("not base64", vec!["Basic %%%".to_owned()], vec![], 401, "invalid_client"),
        ("no colon", vec!["Basic YXBp".to_owned()], vec![], 401, "invalid_client"),
    ];
    let credential_text = credential.to_string();
    for (name, headers, more, status, error) in cases {
        let mut form = vec![
            ("grant_type", PASSKEY_GRANT),
            ("ceremony_id", mine["ceremonyId"].as_str().unwrap()),
            ("credential", credential_text.as_str()),
        ];
        form.extend(&more);
        let mut request = app.request("POST", "/oauth/token").form(&form);
        for value in &headers {
            request = request.header("Authorization", value);
        }
        let reply = request.send();
        let challenge = reply.header("www-authenticate").map(ToOwned::to_owned);
        refused(reply, name, status, error);
        assert_eq!(challenge.is_some_and(|text| text.starts_with("Basic")), status == 401, "{name}");
    }
    // A stranger cannot use up anybody's ceremony: the client is checked first.
    let reply = app.redeem(&mine, &credential, Some(&good), &[]);
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[test]
fn the_form_is_read_strictly() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    let refresh = Tokens::of(&app.client("web").sign_in(&mut passkey, "openid").json()).refresh;
    let body = format!("grant_type=refresh_token&client_id=web&refresh_token={refresh}");
    let post = |path: &str, kind: &str, body: String| app.request("POST", path).body(kind, body.into_bytes()).send();
    let in_json = json!({ "grant_type": "refresh_token", "client_id": "web", "refresh_token": refresh }).to_string();
    let long = format!("{body}&padding={}", "x".repeat(33 * 1024));
    let many = (0..70).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
    for (name, reply, status, error) in [
        ("in the address", post(&format!("/oauth/token?{body}"), FORM, String::new()), 400, "invalid_request"),
        ("a part in the address", post("/oauth/token?client_id=web", FORM, body.clone()), 400, "invalid_request"),
        ("JSON", post("/oauth/token", "application/json", in_json), 415, "invalid_request"),
        ("multipart", post("/oauth/token", "multipart/form-data; boundary=x", body.clone()), 415, "invalid_request"),
        ("no content type", post("/oauth/token", "", body.clone()), 415, "invalid_request"),
        (
            "the token twice",
            post("/oauth/token", FORM, format!("{body}&refresh_token={refresh}")),
            400,
            "invalid_request",
        ),
        ("the grant twice", post("/oauth/token", FORM, format!("{body}&grant_type=password")), 400, "invalid_request"),
        ("the client twice", post("/oauth/token", FORM, format!("{body}&client_id=web")), 400, "invalid_request"),
        ("an unknown one twice", post("/oauth/token", FORM, format!("{body}&x=1&x=1")), 400, "invalid_request"),
        ("too long", post("/oauth/token", FORM, long), 413, "invalid_request"),
        ("too many", post("/oauth/token", FORM, format!("{body}&{many}")), 400, "invalid_request"),
        ("no grant", post("/oauth/token", FORM, "client_id=web".to_owned()), 400, "invalid_request"),
        (
            "no ceremony",
            post("/oauth/token", FORM, format!("client_id=web&grant_type={PASSKEY_GRANT}")),
            400,
            "invalid_request",
        ),
    ] {
        refused(reply, name, status, error);
    }
    for grant in ["password", "implicit", "REFRESH_TOKEN", "refresh_token "] {
        let reply = app.client("web").token(&[("grant_type", grant), ("refresh_token", &refresh)]);
        refused(reply, grant, 400, "unsupported_grant_type");
    }
    for method in ["GET", "PUT", "DELETE"] {
        let reply = app.request(method, "/oauth/token").send().expect_oauth(405, "invalid_request");
        assert_eq!(reply.header("allow"), Some("POST"), "{method}");
    }
    app.client("web").refresh(&refresh).expect(200);
}

#[test]
fn what_a_client_may_not_ask_for_is_refused_at_the_first_call() {
    let config = r#"
[clients.third]
name = "Third"
kind = "public"
redirect_uris = ["https://third.example/back"]
grants = ["refresh_token"]
scopes = ["openid"]
"#;
    let app = TestApp::with(&Options { config, ..Options::default() });
    for (name, result, status, code) in [
        ("no such client", json!({ "clientId": "nobody" }), 401, "invalid_client"),
        ("a third party", json!({ "clientId": "third" }), 400, "unauthorized_client"),
        ("a scope", json!({ "clientId": "other", "scope": "openid passkeys" }), 400, "invalid_scope"),
        ("administration", json!({ "clientId": "web", "scope": "admin" }), 400, "invalid_scope"),
        ("an audience", json!({ "clientId": "web", "audience": "https://api.example" }), 400, "invalid_target"),
        ("a long nonce", json!({ "clientId": "web", "nonce": "x".repeat(513) }), 400, "invalid_request"),
    ] {
        let mut result = result;
        result["kind"] = json!("tokens");
        let reply = app.client("web").post("/v1/passkeys/authentication/options", &json!({ "result": result }));
        assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{name}: {}", reply.body);
    }
}

/// Check 56.
#[test]
fn the_pages_of_a_client_may_read_its_answers_and_no_others() {
    let config = r#"
[clients.server_only]
name = "Without pages"
kind = "public"
redirect_uris = ["https://native.example/back"]
grants = ["refresh_token"]
scopes = ["openid"]
"#;
    let app = TestApp::with(&Options { config, ..Options::default() });
    let (_, _, tokens) = app.person_with_tokens("openid");
    let refresh = |origin: Option<&str>, client: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh), ("client_id", client)];
        let request = app.request("POST", "/oauth/token").form(&form);
        match origin {
            Some(origin) => request.header("Origin", origin).send(),
            None => request.send(),
        }
    };
    let mine = refresh(Some(&app.origin), "web").expect(200);
    assert_eq!(mine.header("access-control-allow-origin"), Some(app.origin.as_str()));
    assert_eq!(mine.header("access-control-allow-credentials"), None);
    assert!(mine.header("vary").unwrap().contains("Origin"));
    let server = refresh(None, "web").expect(200);
    assert_eq!(server.header("access-control-allow-origin"), None);
    // No page can read what an unknown origin is told, and a caller with such an origin is treated like one without.
    for (name, origin) in [
        ("another site", "https://evil.example"),
        ("a sandboxed frame", "null"),
        ("in other letters", &app.origin.to_uppercase()),
    ] {
        let answered = refresh(Some(origin), "web").expect(200);
        assert_eq!(answered.header("access-control-allow-origin"), None, "{name}");
    }
    let foreign = refresh(Some(&app.origin), "server_only");
    assert!(foreign.header("access-control-allow-origin").is_some());
    refused(foreign, "a client's page for a client without pages", 400, "invalid_request");
    for (origin, allowed) in [(app.origin.as_str(), true), ("https://evil.example", false)] {
        let preflight = app.request("OPTIONS", "/oauth/token").header("Origin", origin);
        let reply = preflight.header("Access-Control-Request-Method", "POST").send().expect(204);
        assert_eq!(reply.header("access-control-allow-origin").is_some(), allowed, "{origin}");
    }
}

/// Security rule 41: a client for members of groups is restricted to them at the passkey API too.
#[test]
fn a_client_for_groups_gives_others_nothing() {
    let config = "[clients.club]\nname = \"Club\"\nfirst_party = true\norigins = [\"ORIGIN\"]\n\
                  grants = [\"passkey\", \"refresh_token\"]\nscopes = [\"openid\"]\nallowed_groups = [\"members\"]";
    let app = TestApp::with(&Options { config, ..Options::default() });
    let (_, mut passkey, id) = app.ada();
    let sessions = "SELECT count(*) AS n FROM sessions";
    let before = app.count(sessions);
    app.client("club").sign_in(&mut passkey, "openid").expect_problem(403, "sign_in_refused");
    assert_eq!(app.count(sessions), before, "nobody was signed in");
    // A newcomer is in no group: they are told before a useless passkey is created.
    let sign_up = json!({ "purpose": "sign-up", "result": { "kind": "tokens", "clientId": "club" } });
    let closed = app.client("club").post("/v1/passkeys/registration/options", &sign_up);
    closed.expect_problem(403, "sign_up_closed");
    app.sql("INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), 'members', now())");
    app.sql(&format!("INSERT INTO group_members SELECT id, '{id}' FROM groups WHERE name = 'members'"));
    app.client("club").sign_in(&mut passkey, "openid").expect(200);
}
