//! Ceremonies for clients: the second call cannot change what the first call requested.

use serde_json::{Value, json};

use super::{HOSTILE, Traces, hostile};
use crate::authenticator::{Authenticator, decode};
use crate::support::{Client, Options, Reply, TestApp, verify};

pub(super) const HOME: &str = "https://id.example";
const ANDROID: &str = "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
const OTHER_ANDROID: &str = "android:apk-key-hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const VERIFY: &str = "/v1/passkeys/authentication/verify";
const OPTIONS: &str = "/v1/passkeys/authentication/options";

/// Two apps with an origin each and one on Android, under one RP id; a bridge.
const CONFIG: &str = r#"
[relying_parties.main]
rp_id = "id.example"
origins = [
    "https://id.example", "https://app.id.example", "https://two.id.example",
    "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
    "android:apk-key-hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
]

[clients.app]
first_party = true
origins = ["https://app.id.example"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "profile", "passkeys", "bridge:*"]
audiences = ["https://api.example"]

[clients.two]
first_party = true
origins = ["https://two.id.example"]
grants = ["passkey"]
scopes = ["openid", "bridge:*"]

[clients.native]
first_party = true
origins = ["android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"]
grants = ["passkey"]
scopes = ["openid"]

[clients.backend]
kind = "confidential"
first_party = true
origins = ["https://app.id.example"]
secret_digest = "API_DIGEST"
grants = ["passkey"]
scopes = ["openid", "bridge:*"]

[clients.third]
origins = ["https://app.id.example"]
grants = ["refresh_token"]
scopes = ["openid"]

[bridges.legacy]
preset = "jwt"
audience = "https://legacy.example"

[bridges.modern]
preset = "jwt"
audience = "https://modern.example"
"#;

pub(super) fn app() -> TestApp {
    TestApp::with(&Options { public_url: Some(HOME), config: CONFIG, ..Options::default() })
}

pub(super) fn client(app: &TestApp, id: &str, origin: &str) -> Client {
    let mut client = app.client(id);
    origin.clone_into(&mut client.origin);
    client
}

/// A passkey of a new person, in a browser that is now at another origin.
fn passkey(app: &TestApp, origin: &str) -> Authenticator {
    let (_, mut passkey) = app.person();
    origin.clone_into(&mut passkey.origin);
    passkey
}

pub(super) fn begin(client: &Client, result: &Value) -> Value {
    client.post(OPTIONS, &json!({ "result": result })).expect(200).json()
}

/// The second call is refused with this reason, and the client's own answer comes too late.
fn refused(
    app: &TestApp,
    name: &str,
    client: &Client,
    begun: &Value,
    answer: &Value,
    send: impl Fn() -> Reply,
    reason: &str,
) {
    let before = Traces::of(app);
    hostile(app, name, &send(), reason);
    assert_eq!(Traces::of(app), Traces { refusals: before.refusals + 1, ..before }, "{name}");
    client.finish(begun, answer).expect_problem(410, "ceremony_expired_or_used");
}

#[test]
fn the_client_named_in_the_second_call_is_the_one_of_the_first() {
    let app = app();
    let own = client(&app, "app", "https://app.id.example");
    let mut passkey = passkey(&app, "https://app.id.example");
    let wanted = json!({ "kind": "tokens", "clientId": "app", "scope": "openid" });
    let body = |begun: &Value, answer: &Value, id: &str| {
        let mut body = verify(begun, answer);
        body["clientId"] = json!(id);
        body
    };
    for other in ["two", "web", "APP", "", "nobody"] {
        let begun = begin(&own, &wanted);
        let answer = passkey.get(&begun["publicKey"]);
        let send = || own.post(VERIFY, &body(&begun, &answer, other));
        refused(&app, &format!("client {other:?}"), &own, &begun, &answer, send, "another client");
    }
    let begun = begin(&own, &wanted);
    let answer = passkey.get(&begun["publicKey"]);
    own.post(VERIFY, &body(&begun, &answer, "app")).expect(200);
    // A session belongs to no client.
    HOME.clone_into(&mut passkey.origin);
    let mut browser = app.browser();
    let begun = browser.begin_sign_in(&json!({}));
    let answer = passkey.get(&begun["publicKey"]);
    let reply = browser.post(VERIFY, &body(&begun, &answer, "app"));
    hostile(&app, "a session for a client", &reply, "another client");
    browser.finish_sign_in(&begun, &answer).expect_problem(410, "ceremony_expired_or_used");
}

#[test]
fn the_second_call_comes_from_the_origin_of_the_first() {
    let app = app();
    let own = client(&app, "app", "https://app.id.example");
    let mut passkey = passkey(&app, "https://app.id.example");
    for kind in [
        json!({ "kind": "tokens", "clientId": "app", "scope": "openid" }),
        json!({ "kind": "bridge", "clientId": "app", "bridge": "legacy" }),
    ] {
        for other in ["https://two.id.example", HOME, "https://evil.example", "null"] {
            let begun = begin(&own, &kind);
            let answer = passkey.get(&begun["publicKey"]);
            let elsewhere = client(&app, "app", other);
            let send = || elsewhere.finish(&begun, &answer);
            refused(&app, &format!("from {other}"), &own, &begun, &answer, send, "another origin");
        }
    }
}

/// The origin that the passkey's client data names must be in the RP's list and in the client's.
#[test]
fn the_answer_was_made_on_an_origin_of_the_client() {
    let app = app();
    let own = client(&app, "app", "https://app.id.example");
    let mut passkey = passkey(&app, "https://app.id.example");
    let wanted = json!({ "kind": "tokens", "clientId": "app", "scope": "openid" });
    for other in ["https://two.id.example", HOME, ANDROID] {
        let begun = begin(&own, &wanted);
        let honest = passkey.get(&begun["publicKey"]);
        other.clone_into(&mut passkey.origin);
        let answer = passkey.get(&begun["publicKey"]);
        "https://app.id.example".clone_into(&mut passkey.origin);
        let before = Traces::of(&app);
        let told = own.finish(&begun, &answer).expect_problem(403, "wrong_origin").json();
        assert_eq!((&told["received"], &told["allowed"]), (&json!(other), &json!(["https://app.id.example"])));
        assert_eq!(Traces::of(&app), Traces { refusals: before.refusals + 1, ..before }, "{other}");
        own.finish(&begun, &honest).expect_problem(410, "ceremony_expired_or_used");
    }
    // A session for our own pages is only opened on our own pages, wherever else the RP id is used.
    let mut browser = app.browser();
    for other in ["https://app.id.example", ANDROID] {
        let begun = browser.begin_sign_in(&json!({}));
        other.clone_into(&mut passkey.origin);
        let answer = passkey.get(&begun["publicKey"]);
        let told = browser.finish_sign_in(&begun, &answer).expect_problem(403, "wrong_origin").json();
        assert_eq!(told["allowed"], json!([HOME]), "{other}");
        HOME.clone_into(&mut passkey.origin);
        let answer = passkey.get(&begun["publicKey"]);
        browser.finish_sign_in(&begun, &answer).expect_problem(410, "ceremony_expired_or_used");
    }
}

/// An Android app sends no `Origin`; its signing certificate is in the client data.
#[test]
fn android_apps() {
    let app = app();
    let native = app.client("native");
    let mut passkey = passkey(&app, ANDROID);
    let post = |path: &str, body: &Value| app.request("POST", path).json(body).send();
    let first = json!({ "result": { "kind": "tokens", "clientId": "native", "scope": "openid" } });
    let begun = post(OPTIONS, &first).expect(200).json();
    assert_eq!(begun["publicKey"]["rpId"], "id.example");
    let answer = passkey.get(&begun["publicKey"]);
    assert_eq!(post(VERIFY, &verify(&begun, &answer)).expect(200).json()["kind"], "tokens");
    for origin in [OTHER_ANDROID, HOME, &ANDROID.to_uppercase(), "android:apk-key-hash:", &format!("{ANDROID}=")] {
        let begun = post(OPTIONS, &first).expect(200).json();
        origin.clone_into(&mut passkey.origin);
        let answer = passkey.get(&begun["publicKey"]);
        post(VERIFY, &verify(&begun, &answer)).expect_problem(403, "wrong_origin");
    }
    // No page may act for it.
    native.post(OPTIONS, &first).expect_problem(403, "wrong_origin");
}

/// Members that the second call does not have are refused without using the ceremony up; the first call decides the
/// result.
#[test]
fn scope_audience_and_bridge_are_those_of_the_first_call() {
    let app = app();
    let own = client(&app, "app", "https://app.id.example");
    let mut passkey = passkey(&app, "https://app.id.example");
    let begun = begin(&own, &json!({ "kind": "tokens", "clientId": "app", "scope": "openid", "nonce": "n1" }));
    let answer = passkey.get(&begun["publicKey"]);
    for (member, value) in [
        ("scope", json!("openid profile passkeys")),
        ("audience", json!(HOME)),
        ("nonce", json!("n2")),
        ("bridge", json!("modern")),
        ("kind", json!("session")),
        ("result", json!({ "kind": "bridge", "clientId": "app", "bridge": "modern" })),
        ("relyingParty", json!("main")),
    ] {
        let mut body = verify(&begun, &answer);
        body[member] = value;
        own.post(VERIFY, &body).expect_problem(400, "invalid_request");
    }
    let given = own.finish(&begun, &answer).expect(200).json();
    assert_eq!((&given["kind"], &given["scope"]), (&json!("tokens"), &json!("openid")));
    let (access, id) = (claims(&given["accessToken"]), claims(&given["idToken"]));
    assert_eq!((&access["aud"], &access["client_id"]), (&json!("https://api.example"), &json!("app")));
    assert_eq!((&id["nonce"], &id["aud"]), (&json!("n1"), &json!("app")));

    let begun = begin(&own, &json!({ "kind": "bridge", "clientId": "app", "bridge": "legacy" }));
    let answer = passkey.get(&begun["publicKey"]);
    let reply = own.finish(&begun, &answer).expect(200);
    assert!(reply.cookies().is_empty());
    let given = reply.json();
    assert_eq!((&given["kind"], &given["bridge"]), (&json!("bridge"), &json!("legacy")));
    assert_eq!(claims(&given["token"])["aud"], "https://legacy.example");
    assert!(given.get("accessToken").is_none() && given.get("refreshToken").is_none());
}

pub(super) fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&decode(&json!(payload))).unwrap()
}

/// Cookies are neither read nor set, even where the browser sends them: at our own origin.
#[test]
fn ceremonies_for_clients_know_no_cookies() {
    let app = TestApp::spawn();
    let ((mut victim, _), (_, mut passkey)) = (app.person(), app.person());
    victim.begin_sign_in(&json!({}));
    let me = victim.get("/v1/session").expect(200).json();
    let cookies: Vec<String> = victim.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let result = json!({ "kind": "tokens", "clientId": "web", "scope": "openid" });
    for origin in [app.origin.as_str(), ""] {
        let post = |path: &str, body: &Value| {
            let request = app.request("POST", path).header("Cookie", &cookies.join("; "));
            if origin.is_empty() { request } else { request.header("Origin", origin) }.json(body).send().expect(200)
        };
        let options = post(OPTIONS, &json!({ "result": result }));
        let answer = passkey.get(&options.json()["publicKey"]);
        let given = post(VERIFY, &verify(&options.json(), &answer));
        assert!(options.cookies().is_empty() && given.cookies().is_empty(), "{origin:?}");
        assert_ne!(given.json()["user"]["id"], me["user"]["id"]);
        // A new account is created although somebody is signed in here.
        let options = post("/v1/passkeys/registration/options", &json!({ "result": result }));
        let answer = app.passkey().create(&options.json()["publicKey"]);
        let given = post("/v1/passkeys/registration/verify", &verify(&options.json(), &answer));
        assert_eq!(given.json()["kind"], "tokens", "{origin:?}");
        assert!(options.cookies().is_empty() && given.cookies().is_empty());
        assert_ne!(given.json()["user"]["id"], me["user"]["id"]);
    }
    assert_eq!(victim.get("/v1/session").expect(200).json(), me, "the cookie's session is as it was");
}

/// What a client may not request is refused at the first call, before anything is begun.
#[test]
fn first_calls_of_clients() {
    let app = app();
    let at = |origin: &str| client(&app, "app", origin);
    let own = at("https://app.id.example");
    let tokens = |id: &str, more: Value| {
        let mut result = json!({ "kind": "tokens", "clientId": id });
        result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "result": result })
    };
    let bridge = |name: &str| json!({ "result": { "kind": "bridge", "clientId": "app", "bridge": name } });
    let longest = "n".repeat(513);
    let table = [
        ("unknown client", &own, tokens("nobody", json!({})), 401, "invalid_client"),
        ("third party", &own, tokens("third", json!({})), 400, "unauthorized_client"),
        ("origin of another client", &own, tokens("two", json!({})), 403, "wrong_origin"),
        ("our own origin", &at(HOME), tokens("app", json!({})), 403, "wrong_origin"),
        ("unknown origin", &at("https://evil.example"), tokens("app", json!({})), 403, "wrong_origin"),
        ("null", &at("null"), tokens("app", json!({})), 403, "wrong_origin"),
        ("a session", &own, json!({}), 403, "csrf"),
        ("a session, unknown origin", &at("https://evil.example"), json!({}), 403, "wrong_origin"),
        ("a scope of others", &own, tokens("app", json!({ "scope": "openid email" })), 400, "invalid_scope"),
        ("administration", &own, tokens("app", json!({ "scope": "openid admin" })), 400, "invalid_scope"),
        (
            "an audience of others",
            &own,
            tokens("app", json!({ "audience": "https://x.example" })),
            400,
            "invalid_target",
        ),
        ("no nonce", &own, tokens("app", json!({ "nonce": "" })), 400, "invalid_request"),
        ("a long nonce", &own, tokens("app", json!({ "nonce": longest })), 400, "invalid_request"),
        ("an unknown bridge", &own, bridge("nothing"), 404, "not_found"),
        ("an unknown kind", &own, json!({ "result": { "kind": "admin" } }), 400, "invalid_request"),
        ("a bridge's member for tokens", &own, tokens("app", json!({ "bridge": "legacy" })), 400, "invalid_request"),
        ("another person's id", &own, json!({ "userId": "me" }), 400, "invalid_request"),
    ];
    // Nothing is wrong with the app's page, except that it does not say what it wants.
    let forgot = own.post(OPTIONS, &json!({})).expect_problem(403, "csrf").json();
    assert!(forgot["detail"].as_str().is_some_and(|words| words.contains("`result` with its `clientId`")), "{forgot}");
    for (name, client, body, status, code) in &table {
        for path in [OPTIONS, "/v1/passkeys/registration/options"] {
            let reply = client.post(path, body);
            assert_eq!((reply.status, reply.json()["code"].as_str()), (*status, Some(*code)), "{name}: {}", reply.body);
            assert!(reply.cookies().is_empty() && reply.body != HOSTILE, "{name}");
        }
    }
    // Somebody signed in adds a passkey for themselves, never for a client.
    let mut body = tokens("app", json!({}));
    body["purpose"] = json!("add");
    own.post("/v1/passkeys/registration/options", &body).expect_problem(400, "invalid_request");
    // Without an `Origin`, the origin in the answer decides.
    app.request("POST", OPTIONS).json(&tokens("app", json!({}))).send().expect(200);
}

/// An access token with the right to manage passkeys adds them at the origin where it began, in its own session.
#[test]
fn adding_by_access_token() {
    let app = app();
    let own = client(&app, "app", "https://app.id.example");
    let mut mine = passkey(&app, "https://app.id.example");
    let sign_in = |passkey: &mut Authenticator| {
        let given = own.sign_in(passkey, "openid passkeys").expect(200).json();
        given["accessToken"].as_str().unwrap().to_owned()
    };
    let wanted = json!({ "kind": "tokens", "clientId": "app", "scope": "openid passkeys", "audience": HOME });
    let token = |passkey: &mut Authenticator| {
        let begun = begin(&own, &wanted);
        let answer = passkey.get(&begun["publicKey"]);
        own.finish(&begun, &answer).expect(200).json()["accessToken"].as_str().unwrap().to_owned()
    };
    let (first, second) = (token(&mut mine), token(&mut mine));
    let call = |token: &str, origin: &str, path: &str, body: &Value| {
        client(&app, "app", origin).bearer("POST", path, token).json(body).send()
    };
    let options = |token: &str| {
        let add = json!({ "purpose": "add" });
        call(token, "https://app.id.example", "/v1/passkeys/registration/options", &add)
    };
    let path = "/v1/passkeys/registration/verify";
    options(&sign_in(&mut mine)).expect_problem(401, "invalid_token");
    for (name, token, origin, reason) in [
        ("another session of theirs", &second, "https://app.id.example", "another session"),
        ("another origin", &first, "https://two.id.example", "another origin"),
    ] {
        let begun = options(&first).expect(200).json();
        let answer = Authenticator::new("https://app.id.example").create(&begun["publicKey"]);
        hostile(&app, name, &call(token, origin, path, &verify(&begun, &answer)), reason);
        let late = call(&first, "https://app.id.example", path, &verify(&begun, &answer));
        late.expect_problem(410, "ceremony_expired_or_used");
    }
    let begun = options(&first).expect(200);
    assert!(begun.cookies().is_empty());
    let answer = Authenticator::new("https://app.id.example").create(&begun.json()["publicKey"]);
    let added = call(&first, "https://app.id.example", path, &verify(&begun.json(), &answer)).expect(200);
    assert!(added.cookies().is_empty());
    assert_eq!(added.json()["kind"], "passkey");
}
