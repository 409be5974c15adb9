//! Bridges over HTTP: custom tokens by ceremony and by request, who may mint, what the target sees, and that we never
//! accept such a token ourselves.

use std::time::Duration as Real;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::Duration;
use passmint::bridge::facts::Fact;
use passmint::bridge::preset::firebase;
use passmint::domain::id::UserId;
use passmint::domain::user::UserStatus;
use passmint::storage::people;
use passmint::tokens::key_set::KeySet;
use passmint::tokens::keys::{Algorithm, KeyMaterial};
use passmint::tokens::verifier::{Audience, Expectation, Expiry, KeySource, Leeway, verify};
use serde_json::{Map, Value, json};

use crate::authenticator::{Authenticator, decode, sha256};
use crate::support::tokens::{Tokens, claims, header, within};
use crate::support::{Browser, Options, Reply, TestApp};

const BRIDGES: &str = r#"
[bridges.target]
preset = "jwt"
audience = "https://target.example"
lifetime = "2m"

[bridges.target.claims]
acr = "{{ session.acr }}"
amr = "{{ session.amr }}"
sid = "{{ session.id }}"
client_id = "{{ client.id }}"
role = "member"

[bridges.verified]
preset = "jwt"
audience = "https://target.example"
[bridges.verified.allow]
min_acr = "phr"

[bridges.fresh]
preset = "jwt"
audience = "https://target.example"
[bridges.fresh.allow]
max_auth_age = "5m"

[bridges.listed]
preset = "jwt"
audience = "https://target.example"
[bridges.listed.allow]
clients = ["other"]

[bridges.grouped]
preset = "jwt"
audience = "https://target.example"
[bridges.grouped.allow]
groups = ["staff"]

[bridges.linked]
preset = "jwt"
audience = "https://target.example"
subject = "{{ link('crm') }}"

[bridges.scoped]
preset = "jwt"
audience = "https://target.example"
[bridges.scoped.allow]
scopes = ["bridge:scoped"]

[bridges.room]
preset = "jwt"
audience = "https://target.example"
[bridges.room.inputs.room]
max_length = 20
[bridges.room.inputs.level]
one_of = ["low", "high"]
required = false
[bridges.room.claims]
topic = "{{ tmpl('rooms/{}/{}', input.room, user.id) }}"
level = "{{ input.level ?? 'low' }}"

[bridges.kept]
preset = "jwt"
audience = "https://target.example"
[bridges.kept.claims]
tenant = "{{ user.attr('tenant') }}"
topic = "{{ tmpl('tenants/{}/events', user.attr('tenant')) }}"
seats = "{{ user.attr('seats', 'number') ? }}"
trial = "{{ user.attr('trial', 'flag') ?? false }}"
roles = "{{ user.attr('roles', 'list') | in('editor', 'viewer') | with('user') ?? 'user' | list }}"

[bridges.off]
preset = "jwt"
enabled = false
audience = "https://target.example"
"#;

fn spawn() -> TestApp {
    TestApp::with(&Options { config: BRIDGES, ..Options::default() })
}

fn by_cookie(browser: &mut Browser, bridge: &str) -> Reply {
    browser.call("POST", &format!("/v1/bridges/{bridge}/token"), None)
}

fn by_bearer(app: &TestApp, access: &str, bridge: &str) -> Reply {
    app.client("web").bearer("POST", &format!("/v1/bridges/{bridge}/token"), access).send()
}

fn begin(app: &TestApp, client: &str, bridge: &str) -> Reply {
    let result = json!({ "kind": "bridge", "clientId": client, "bridge": bridge });
    app.client(client).post("/v1/passkeys/authentication/options", &json!({ "result": result }))
}

/// Signs in for a custom token.
pub(crate) fn by_ceremony(app: &TestApp, passkey: &mut Authenticator, bridge: &str) -> Reply {
    let begun = begin(app, "web", bridge).expect(200).json();
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    app.client("web").finish(&begun, &credential)
}

#[track_caller]
fn told(reply: &Reply, name: &str, status: u16, code: &str) {
    assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{name}: {}", reply.body);
}

fn token(reply: Reply) -> String {
    reply.expect(200).json()["token"].as_str().unwrap().to_owned()
}

/// Verifies a token as the target would, with the bridge's published keys.
fn checked(app: &TestApp, bridge: &str, token: &str) -> Map<String, Value> {
    let set = app.request("GET", &format!("/v1/bridges/{bridge}/jwks.json")).send().expect(200);
    let keys = KeySet::parse(set.body.as_bytes()).expect("a key set");
    let expected = Expectation {
        types: &["JWT"],
        issuer: &app.origin,
        audience: Audience::Exactly("https://target.example"),
        required: &["sub", "iat", "jti"],
        leeway: Leeway::OWN,
        expiry: Expiry::Enforced,
        max_lifetime: Some(600),
        keys: KeySource::Foreign { keys: &keys, algorithms: &[Algorithm::ES256] },
    };
    verify(token, &expected, app.clock.now()).unwrap_or_else(|refusal| panic!("{refusal}: {token}")).into_claims()
}

#[test]
fn a_token_comes_by_ceremony_by_cookie_and_by_access_token() {
    let app = spawn();
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("openid bridge:target");
    let user = claims(&tokens.access)["sub"].clone();
    let session = browser.get("/v1/session").json()["session"]["id"].clone();
    let minted = [
        ("ceremony", by_ceremony(&app, &mut passkey, "target"), json!("web")),
        ("cookie", by_cookie(&mut browser, "target"), json!("passmint")),
        ("bearer", by_bearer(&app, &tokens.access, "target"), json!("web")),
    ];
    let mut ids = Vec::new();
    for (name, reply, client) in minted {
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{name}");
        assert!(reply.cookies().is_empty(), "{name}");
        let answer = reply.json();
        assert_eq!((&answer["bridge"], &answer["expiresIn"]), (&json!("target"), &json!(120)), "{name}");
        let said = checked(&app, "target", answer["token"].as_str().unwrap());
        assert_eq!(said["sub"], user, "{name}");
        assert_eq!(said["client_id"], client, "{name}");
        assert_eq!(said["acr"], "phr", "{name}");
        assert_eq!(said["role"], "member", "{name}");
        assert_eq!(said["exp"].as_i64(), said["iat"].as_i64().map(|iat| iat + 120), "{name}");
        match name {
            "cookie" => assert_eq!(said["sid"], session, "{name}"),
            "bearer" => assert_eq!(said["sid"], tokens.session(), "{name}"),
            _ => assert!(said["sid"].is_string() && said["sid"] != session, "{name}: a session of its own"),
        }
        let signed = answer["token"].as_str().unwrap().split('.').nth(1).unwrap();
        let claims_digest = URL_SAFE_NO_PAD.encode(sha256(&decode(&json!(signed))));
        ids.push((said["jti"].as_str().unwrap().to_owned(), claims_digest));
    }
    for (id, claims_digest) in &ids {
        let sql = format!(
            "SELECT count(*) AS n FROM audit_events WHERE kind = 'bridge.minted' AND subject = '{id}' \
             AND detail->>'claims_sha256' = '{claims_digest}'"
        );
        assert_eq!(app.count(&sql), 1, "one event tells of {id}");
    }
    assert_eq!(app.events("bridge.minted"), 3);
    let told = "SELECT count(*) AS n FROM audit_events WHERE kind = 'bridge.minted' AND user_id IS NOT NULL \
                AND session_id IS NOT NULL AND subject_name = 'target' AND address_class = '127.0.0.0/24'";
    assert_eq!(app.count(told), 3, "each event says who, where and which bridge");
}

/// Every fact that a template may name has a value for a person who has it: a fact that no person ever has would pass
/// every check of the template and then refuse everybody.
#[test]
fn every_fact_reaches_the_token_of_a_person_who_has_it() {
    let place = |name: &str| name.replace('.', "_");
    let lines = Fact::ALL.map(|(name, ..)| format!("{} = \"{{{{ {name} }}}}\"", place(name))).join("\n");
    let config = format!(
        "[bridges.told]\npreset = \"jwt\"\naudience = \"https://target.example\"\n[bridges.told.claims.told]\n{lines}"
    );
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let (mut browser, mut passkey, id) = app.ada();
    let profile =
        json!({ "preferred_username": "ada.l", "phone_number": "+44 20 7946 0000", "phone_number_verified": true });
    app.sql(&format!(
        "UPDATE users SET locale = 'en-GB', email_verified_at = now(), profile = '{profile}' WHERE id = '{id}';
         INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), 'staff', now());
         INSERT INTO group_members (group_id, user_id) SELECT id, '{id}' FROM groups"
    ));
    let tokens = Tokens::of(&app.client("web").sign_in(&mut passkey, "openid bridge:told").expect(200).json());
    let said = checked(&app, "told", &token(by_bearer(&app, &tokens.access, "told")));
    let told = &said["told"];
    for (name, ..) in Fact::ALL {
        let value = &told[place(name)];
        assert!(!value.is_null() && *value != json!("") && *value != json!([]), "{name}: {told}");
    }
    for (name, expected) in [
        ("user_id", json!(id.to_string())),
        ("user_email", json!("ada@example.com")),
        ("user_email_verified", json!(true)),
        ("user_phone", json!("+44 20 7946 0000")),
        ("user_phone_verified", json!(true)),
        ("user_name", json!("Ada Lovelace")),
        ("user_username", json!("ada.l")),
        ("user_locale", json!("en-GB")),
        ("user_groups", json!(["staff"])),
        ("session_id", json!(tokens.session())),
        ("session_acr", json!("phr")),
        ("passkey_uv", json!(true)),
        ("client_id", json!("web")),
        ("client_name", json!("Web")),
        ("grant_audience", json!([app.origin])),
        ("now", said["iat"].clone()),
        ("exp", said["exp"].clone()),
    ] {
        assert_eq!(told[name], expected, "{name}");
    }
    browser.sign_in(&mut passkey).expect(200);
    let by_our_pages = checked(&app, "told", &token(by_cookie(&mut browser, "told")));
    assert_eq!(by_our_pages["told"]["grant_audience"], json!([]), "a cookie is no access token");
}

/// A person's attributes are in their token, however it is requested; an attribute that does not fit the template mints
/// nothing.
#[test]
fn attributes_reach_the_token() {
    let app = spawn();
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("openid bridge:kept");
    let keep = |attributes: Value| app.sql(&format!("UPDATE users SET attributes = '{attributes}'"));
    told(&by_cookie(&mut browser, "kept"), "nothing is kept of them", 403, "forbidden");
    told(&by_ceremony(&app, &mut passkey, "kept"), "nothing is kept, by ceremony", 403, "forbidden");

    keep(json!({ "tenant": "acme", "seats": 3, "roles": ["owner", "viewer"], "other": "unasked" }));
    for reply in [
        by_cookie(&mut browser, "kept"),
        by_bearer(&app, &tokens.access, "kept"),
        by_ceremony(&app, &mut passkey, "kept"),
    ] {
        let said = checked(&app, "kept", &token(reply));
        assert_eq!((&said["tenant"], &said["topic"]), (&json!("acme"), &json!("tenants/acme/events")));
        assert_eq!((&said["seats"], &said["trial"]), (&json!(3), &json!(false)));
        assert_eq!(said["roles"], json!(["user", "viewer"]), "no role that the template does not name");
        assert!(!said.contains_key("other"));
    }
    keep(json!({ "tenant": "acme", "trial": true }));
    let said = checked(&app, "kept", &token(by_cookie(&mut browser, "kept")));
    assert_eq!((&said["trial"], &said["roles"], said.get("seats")), (&json!(true), &json!(["user"]), None));

    for (name, attributes) in [
        ("another kind", json!({ "tenant": ["acme"] })),
        ("another kind of one that may be missing", json!({ "tenant": "acme", "seats": "3" })),
        ("another kind of one with a default", json!({ "tenant": "acme", "trial": "no" })),
        ("a text with a meaning", json!({ "tenant": "acme/#" })),
        ("a wildcard", json!({ "tenant": "+" })),
        ("a look-alike", json!({ "tenant": "аcme" })),
        ("nothing", json!({ "tenant": "" })),
    ] {
        keep(attributes);
        told(&by_cookie(&mut browser, "kept"), name, 403, "forbidden");
        told(&by_ceremony(&app, &mut passkey, "kept"), name, 403, "forbidden");
    }
    // Written by something other than this server: no token is made from half of what is stored.
    keep(json!({ "tenant": "acme", "limits": { "seats": 3 } }));
    told(&by_cookie(&mut browser, "kept"), "what no attribute can be", 503, "unavailable");
    assert_eq!(app.events("bridge.minted"), 4);
}

#[test]
fn a_bridge_signs_with_a_key_of_its_own() {
    let app = spawn();
    let (mut browser, _) = app.person();
    let kid = header(&token(by_cookie(&mut browser, "target")))["kid"].clone();
    let set = |path: &str| app.request("GET", path).send().expect(200).json()["keys"].clone();
    let named = |keys: &Value| keys.as_array().unwrap().iter().any(|key| key["kid"] == kid);
    assert!(named(&set("/v1/bridges/target/jwks.json")));
    assert!(!named(&set("/.well-known/jwks.json")), "not a key of our own tokens");
    assert!(!named(&set("/v1/bridges/fresh/jwks.json")), "not the key of another bridge");
    for key in set("/v1/bridges/target/jwks.json").as_array().unwrap() {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
    }
    let missing = app.request("GET", "/v1/bridges/nothing/jwks.json").send();
    missing.expect_problem(404, "not_found");
}

#[test]
fn who_may_not_mint() {
    let app = spawn();
    let (mut browser, mut passkey, all) = app.person_with_tokens("openid bridge:target bridge:listed bridge:off");
    let openid = Tokens::of(&app.client("web").sign_in(&mut passkey, "openid").json());
    let linked = Tokens::of(&app.client("web").sign_in(&mut passkey, "bridge:linked").json());
    let foreign = app.api_sign_in(&mut passkey, "openid");
    let mut stranger = app.browser();
    for (name, reply, status, code) in [
        ("nobody", by_cookie(&mut stranger, "target"), 401, "not_signed_in"),
        ("nobody, at no bridge", by_cookie(&mut stranger, "nothing"), 401, "not_signed_in"),
        ("no such bridge", by_cookie(&mut browser, "nothing"), 404, "not_found"),
        ("switched off", by_cookie(&mut browser, "off"), 404, "not_found"),
        ("switched off, by token", by_bearer(&app, &all.access, "off"), 404, "not_found"),
        ("a strange name", by_cookie(&mut browser, "..%2Ftarget"), 404, "not_found"),
        ("without its scope", by_bearer(&app, &openid.access, "target"), 403, "insufficient_scope"),
        ("another bridge's scope", by_bearer(&app, &linked.access, "target"), 403, "insufficient_scope"),
        ("a token for another API", by_bearer(&app, &foreign.access, "target"), 401, "invalid_token"),
        ("not a listed client", by_bearer(&app, &all.access, "listed"), 403, "forbidden"),
        ("not a listed client, our pages", by_cookie(&mut browser, "listed"), 403, "forbidden"),
        ("no account there", by_cookie(&mut browser, "linked"), 403, "forbidden"),
    ] {
        told(&reply, name, status, code);
        assert!(reply.json().get("token").is_none(), "{name}");
    }
    for (name, client, bridge, status, code) in [
        ("no such bridge", "web", "nothing", 404, "not_found"),
        ("switched off", "web", "off", 404, "not_found"),
        ("a client without the scope", "other", "target", 400, "invalid_scope"),
        ("no such client", "nobody", "target", 401, "invalid_client"),
    ] {
        told(&begin(&app, client, bridge), name, status, code);
    }
    let sessions = app.count("SELECT count(*) AS n FROM sessions");
    for (name, bridge, status, code) in [
        ("not a listed client", "listed", 403, "forbidden"),
        ("in none of its groups", "grouped", 403, "forbidden"),
        ("no account there", "linked", 403, "forbidden"),
    ] {
        told(&by_ceremony(&app, &mut passkey, bridge), name, status, code);
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions"), sessions, "nobody was signed in for nothing");
    let people = app.count("SELECT count(*) AS n FROM users");
    let result = json!({ "kind": "bridge", "clientId": "web", "bridge": "linked" });
    let wanted = json!({ "purpose": "sign-up", "result": result });
    let begun = app.client("web").post("/v1/passkeys/registration/options", &wanted).expect(200).json();
    let credential = app.passkey().create(&begun["publicKey"]);
    let answer = crate::support::verify(&begun, &credential);
    let reply = app.client("web").post("/v1/passkeys/registration/verify", &answer);
    told(&reply, "somebody new, who has no account there", 403, "forbidden");
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), people, "nobody was signed up for nothing");
    app.sql("INSERT INTO external_ids (user_id, source, external_id) SELECT id, 'crm', 'c-7' FROM users");
    assert_eq!(claims(&token(by_ceremony(&app, &mut passkey, "linked")))["sub"], "c-7");
    assert_eq!(app.events("bridge.minted"), 1);
}

/// What the caller supplies reaches the token only as the bridge declares it, however the token is requested.
#[test]
fn inputs_are_what_the_bridge_declares() {
    let app = spawn();
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("openid bridge:room bridge:target");
    let user = claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
    let path = "/v1/bridges/room/token";
    let said = |token: &str| (claims(token)["topic"].clone(), claims(token)["level"].clone());
    let given = json!({ "inputs": { "room": "blue", "level": "high" } });
    let expected = (json!(format!("rooms/blue/{user}")), json!("high"));
    assert_eq!(said(&token(browser.call("POST", path, Some(&given)))), expected);
    assert_eq!(said(&token(app.client("web").bearer("POST", path, &tokens.access).json(&given).send())), expected);
    let result = json!({ "kind": "bridge", "clientId": "web", "bridge": "room", "inputs": given["inputs"] });
    let begun = app.client("web").post("/v1/passkeys/authentication/options", &json!({ "result": result }));
    let begun = begun.expect(200).json();
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    assert_eq!(said(&token(app.client("web").finish(&begun, &credential))), expected);

    let minted = app.events("bridge.minted");
    for (name, body) in [
        ("no body", None),
        ("nothing in it", Some(json!({}))),
        ("a missing input", Some(json!({ "inputs": { "level": "low" } }))),
        ("an unknown one", Some(json!({ "inputs": { "room": "blue", "role": "admin" } }))),
        ("another type", Some(json!({ "inputs": { "room": 5 } }))),
        ("no object", Some(json!({ "inputs": ["room"] }))),
        ("structure", Some(json!({ "inputs": { "room": "blue/red" } }))),
        ("a wildcard", Some(json!({ "inputs": { "room": "*" } }))),
        ("a look-alike", Some(json!({ "inputs": { "room": "bl\u{fc}e" } }))),
        ("too long", Some(json!({ "inputs": { "room": "x".repeat(21) } }))),
        ("much too long", Some(json!({ "inputs": { "room": "x".repeat(20_000) } }))),
        ("not listed", Some(json!({ "inputs": { "room": "blue", "level": "highest" } }))),
        ("another member", Some(json!({ "inputs": { "room": "blue" }, "claims": { "role": "admin" } }))),
    ] {
        told(&browser.call("POST", path, body.as_ref()), name, 400, "invalid_request");
        let inputs = body.as_ref().map_or(Value::Null, |body| body["inputs"].clone());
        let result = json!({ "kind": "bridge", "clientId": "web", "bridge": "room", "inputs": inputs });
        if name != "another member" {
            let reply = app.client("web").post("/v1/passkeys/authentication/options", &json!({ "result": result }));
            told(&reply, name, 400, "invalid_request");
        }
    }
    let plain = browser.request("POST", path).body("text/plain", b"{}".to_vec()).send();
    told(&plain, "no JSON", 415, "unsupported_media_type");
    let needless = browser.call("POST", "/v1/bridges/target/token", Some(&given));
    told(&needless, "a bridge without inputs", 400, "invalid_request");
    token(browser.call("POST", "/v1/bridges/target/token", Some(&json!({}))));
    assert_eq!(app.events("bridge.minted"), minted + 1);
}

/// A client that may use every bridge may also use one by naming its scope.
#[test]
fn every_bridge_is_also_one_that_asks_for_its_scope() {
    let app = spawn();
    let (mut browser, mut passkey, all) = app.person_with_tokens("openid bridge:scoped");
    token(by_ceremony(&app, &mut passkey, "scoped"));
    token(by_cookie(&mut browser, "scoped"));
    token(by_bearer(&app, &all.access, "scoped"));
    let openid = Tokens::of(&app.client("web").sign_in(&mut passkey, "openid bridge:target").json());
    told(&by_bearer(&app, &openid.access, "scoped"), "another bridge's scope", 403, "insufficient_scope");
}

#[test]
fn a_cookie_counts_only_from_our_own_pages() {
    let app = spawn();
    let (browser, _, tokens) = app.person_with_tokens("bridge:target");
    let path = "/v1/bridges/target/token";
    for (name, header, value) in [
        ("another site", "Origin", "https://evil.example"),
        ("a sandboxed frame", "Origin", "null"),
        ("a cross-site form", "Sec-Fetch-Site", "cross-site"),
        ("a sibling host", "Sec-Fetch-Site", "same-site"),
    ] {
        let reply = browser.request("POST", path).without(header).header(header, value).send();
        told(&reply, name, 403, "csrf");
    }
    let both = browser.request("POST", path).header("Authorization", &format!("Bearer {}", tokens.access)).send();
    told(&both, "both", 400, "invalid_request");
    browser.request("GET", path).send().expect_problem(405, "method_not_allowed");
    assert_eq!(app.events("bridge.minted"), 0);
}

#[test]
fn an_old_sign_in_is_renewed_by_a_step_up() {
    let app = spawn();
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("bridge:fresh bridge:target");
    token(by_cookie(&mut browser, "fresh"));
    token(by_bearer(&app, &tokens.access, "fresh"));
    app.advance(Duration::minutes(6));
    for (name, reply) in
        [("cookie", by_cookie(&mut browser, "fresh")), ("bearer", by_bearer(&app, &tokens.access, "fresh"))]
    {
        told(&reply, name, 401, "reauthentication_required");
        assert!(reply.header("www-authenticate").unwrap().contains("insufficient_user_authentication"), "{name}");
    }
    token(by_bearer(&app, &tokens.access, "target"));
    browser.step_up(&mut passkey).expect(200);
    token(by_cookie(&mut browser, "fresh"));
    let refreshed = Tokens::of(&app.client("web").refresh(&tokens.refresh).expect(200).json());
    let reply = by_bearer(&app, &refreshed.access, "fresh");
    told(&reply, "a refresh is no sign-in", 401, "reauthentication_required");
}

/// An access token of a browser session does not become fresh by what its person does in the browser: its holder may be
/// somebody else.
#[test]
fn an_access_token_is_as_old_as_its_own_sign_in() {
    let app = spawn();
    let (_, _, tokens) = app.person_with_tokens("bridge:fresh bridge:target passkeys");
    app.advance(Duration::minutes(6));
    let now = app.clock.now();
    app.sql(&format!("UPDATE sessions SET auth_time = '{now}', verified_at = '{now}' WHERE client_id = 'web'"));
    token(by_bearer(&app, &tokens.access, "target"));
    let reply = by_bearer(&app, &tokens.access, "fresh");
    told(&reply, "the session is fresh, the token is not", 401, "reauthentication_required");
    let add = app.client("web").bearer("POST", "/v1/passkeys/registration/options", &tokens.access);
    add.json(&json!({})).send().expect_problem(401, "reauthentication_required");
}

#[test]
fn a_sign_in_without_verification_reaches_no_bridge_that_wants_one() {
    let settings = &[("passkeys.user_verification", "preferred")];
    let app = TestApp::with(&Options { config: BRIDGES, settings, ..Options::default() });
    let (mut browser, mut passkey) = app.person();
    passkey.user_verified = false;
    browser.sign_in(&mut passkey).expect(200);
    assert_eq!(checked(&app, "target", &token(by_cookie(&mut browser, "target")))["acr"], "1");
    told(&by_cookie(&mut browser, "verified"), "cookie", 401, "reauthentication_required");
    told(&by_ceremony(&app, &mut passkey, "verified"), "ceremony", 401, "reauthentication_required");
    let tokens = Tokens::of(&app.client("web").sign_in(&mut passkey, "bridge:verified").expect(200).json());
    told(&by_bearer(&app, &tokens.access, "verified"), "token", 401, "reauthentication_required");
    passkey.user_verified = true;
    browser.step_up(&mut passkey).expect(200);
    assert_eq!(checked(&app, "verified", &token(by_cookie(&mut browser, "verified"))).get("acr"), None);
}

#[test]
fn a_disabled_person_mints_nothing() {
    let app = spawn();
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("bridge:target");
    token(by_cookie(&mut browser, "target"));
    let user: UserId = claims(&tokens.access)["sub"].as_str().unwrap().parse().unwrap();
    let now = app.clock.now();
    assert!(app.db.blocking(|conn| people::set_status(conn, user, UserStatus::Disabled, now)).unwrap());
    told(&by_cookie(&mut browser, "target"), "cookie", 401, "not_signed_in");
    told(&by_bearer(&app, &tokens.access, "target"), "bearer", 401, "invalid_token");
    told(&by_ceremony(&app, &mut passkey, "target"), "ceremony", 403, "sign_in_refused");
    assert_eq!(app.events("bridge.minted"), 1);
}

#[test]
fn a_missing_key_is_a_sanitised_503_and_signs_nobody_in() {
    let app = spawn();
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("bridge:target");
    let sessions = app.count("SELECT count(*) AS n FROM sessions");
    let begun = begin(&app, "web", "target").expect(200).json();
    app.sql(
        // Otherwise the server would create another key at once.
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no key''; END';
         CREATE TRIGGER refuse BEFORE INSERT ON signing_keys FOR EACH ROW EXECUTE FUNCTION refuse();
         UPDATE signing_keys SET revoked_at = now() WHERE purpose = 'bridge:target';
         INSERT INTO changes (kind, key) VALUES ('keys', 'bridge:target')",
    );
    within(Real::from_secs(15), "the key is gone", || {
        app.request("GET", "/v1/bridges/target/jwks.json").send().status == 404
    });
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    for (name, reply) in [
        ("cookie", by_cookie(&mut browser, "target")),
        ("bearer", by_bearer(&app, &tokens.access, "target")),
        ("ceremony", app.client("web").finish(&begun, &credential)),
    ] {
        told(&reply, name, 503, "unavailable");
        assert!(reply.header("retry-after").is_some(), "{name}");
        for inner in ["key", "ES256", "bridge:", "sign"] {
            assert!(!reply.body.contains(inner), "{name} tells of {inner}: {}", reply.body);
        }
    }
    assert_eq!(app.events("bridge.minted"), 0);
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions"), sessions, "no session was opened in vain");
    token(by_cookie(&mut browser, "fresh"));
}

/// A temporary service account: its file and its public key.
fn service_account() -> (tempfile::NamedTempFile, RsaKeyPair) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let key = STANDARD.encode(der.as_ref());
    let text = json!({
        "type": "service_account", "project_id": "demo-idp", "private_key_id": "0123456789abcdef",
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"),
        "client_email": "firebase-adminsdk-x1@demo-idp.iam.gserviceaccount.com",
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text.to_string()).unwrap();
    (file, pair)
}

#[test]
fn a_firebase_token_is_what_google_takes() {
    let (file, pair) = service_account();
    let config = format!(
        "[bridges.fire]\npreset = \"firebase\"\nservice_account_file = {:?}\n\
         [bridges.fire.claims]\npasskey = true\nclass = \"{{{{ session.acr }}}}\"\n",
        file.path()
    );
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("bridge:fire");
    for (name, reply) in [
        ("ceremony", by_ceremony(&app, &mut passkey, "fire")),
        ("cookie", by_cookie(&mut browser, "fire")),
        ("bearer", by_bearer(&app, &tokens.access, "fire")),
    ] {
        let token = token(reply);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            .verify(signed.as_bytes(), &decode(&json!(signature)))
            .unwrap_or_else(|_| panic!("{name}: signed by the service account"));
        let said = claims(&token);
        assert_eq!(firebase::check(&header(&token), &said), Ok(()), "{name}");
        assert_eq!(said["uid"], claims(&tokens.access)["sub"], "{name}");
        assert_eq!(said["iss"], "firebase-adminsdk-x1@demo-idp.iam.gserviceaccount.com", "{name}");
        assert_eq!(said["claims"], json!({ "passkey": true, "class": "phr" }), "{name}");
        assert!(!app.opens(&token), "{name}: never taken back");
    }
    assert_eq!(app.events("bridge.minted"), 3);
    let keys = app.request("GET", "/v1/bridges/fire/jwks.json").send();
    keys.expect_problem(404, "not_found");
}

/// A verifier that looks up the key named in a token's header must find it, even if the configuration names the key.
#[test]
fn an_imported_key_is_published_under_the_kid_that_tokens_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, material) = (folder.path().join("live.pem"), KeyMaterial::generate(Algorithm::ES256).unwrap());
    let body = STANDARD.encode(material.secret().expose());
    std::fs::write(&file, format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"))
        .expect("written");
    let bridge = |name: &str, kid: &str| {
        let file = file.display();
        format!(
            "[bridges.{name}]\npreset = \"jwt\"\naudience = \"https://target.example\"\nlifetime = \"2m\"\n\
             key_file = \"{file}\"\n{kid}\n"
        )
    };
    let config = bridge("named", "kid = \"live\"") + &bridge("unnamed", "");
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let (mut browser, _) = app.person();
    let thumbprint = material.thumbprint();
    for (name, kid, other) in [("named", "live", &*thumbprint), ("unnamed", &*thumbprint, "live")] {
        let minted = token(by_cookie(&mut browser, name));
        assert_eq!(header(&minted)["kid"], kid, "{name}");
        checked(&app, name, &minted);
        let set = app.request("GET", &format!("/v1/bridges/{name}/jwks.json")).send().expect(200).json();
        assert_eq!(set["keys"][0]["kid"], kid, "{name}");
        let pem = |kid: &str| app.request("GET", &format!("/v1/bridges/{name}/keys/{kid}.pem")).send();
        assert_eq!(pem(kid).expect(200).body, material.public().expect("a public half").to_pem(), "{name}");
        pem(other).expect_problem(404, "not_found");
    }
}
