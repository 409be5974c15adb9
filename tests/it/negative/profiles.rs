//! N7, N14, W12, W14: several relying parties on one server.

use diesel::{Connection as _, PgConnection};
use passmint::assembly::{self, StartError};
use passmint::clock::Clock;
use serde_json::{Value, json};

use super::{Traces, hostile};
use crate::authenticator::{Authenticator, encode};
use crate::support::{Client, Options, Reply, TestApp, verify};

const HOME: &str = "https://id.example";
const APP: &str = "https://app.id.example";
const SHOP: &str = "https://shop.test";
/// An origin of the shop's relying party that belongs to no client.
const NOBODYS: &str = "https://www.shop.test";
/// A website of another domain that shares the shop's passkeys.
const RELATED: &str = "https://shop.example";
const CONFIG: &str = r#"
[relying_parties.main]
rp_id = "id.example"
origins = ["https://id.example", "https://app.id.example"]
default = true

[relying_parties.shop]
rp_id = "shop.test"
display_name = "Shop"
origins = ["https://shop.test", "https://www.shop.test"]
related_origins = ["https://shop.example", "https://www.shop.example"]

[clients.both]
first_party = true
origins = ["https://app.id.example", "https://shop.test", "https://shop.example"]
grants = ["passkey"]
scopes = ["openid", "passkeys"]

[clients.shop]
first_party = true
relying_party = "shop"
origins = ["https://shop.test"]
grants = ["passkey"]
scopes = ["openid", "passkeys"]
"#;

fn app() -> TestApp {
    TestApp::with(&Options { public_url: Some(HOME), config: CONFIG, ..Options::default() })
}

fn at(app: &TestApp, origin: &str) -> Client {
    let mut client = app.client("both");
    origin.clone_into(&mut client.origin);
    client
}

/// Signs up for tokens of the client `both` at an origin.
fn sign_up(app: &TestApp, origin: &str) -> Authenticator {
    let (client, mut passkey) = (at(app, origin), Authenticator::synchronised(origin));
    let result = json!({ "kind": "tokens", "clientId": "both", "scope": "openid" });
    let begun = client.post("/v1/passkeys/registration/options", &json!({ "result": result })).expect(200).json();
    let answer = passkey.create(&begun["publicKey"]);
    client.post("/v1/passkeys/registration/verify", &verify(&begun, &answer)).expect(200);
    passkey
}

#[test]
fn the_origin_chooses_the_relying_party() {
    let app = app();
    for (origin, rp_id) in [(APP, "id.example"), (SHOP, "shop.test")] {
        let begun = at(&app, origin).begin("openid");
        assert_eq!(begun["publicKey"]["rpId"], rp_id);
        let mut passkey = sign_up(&app, origin);
        at(&app, origin).sign_in(&mut passkey, "openid").expect(200);
    }
    // Naming the other relying party does not help a page: its origin decides.
    let result = json!({ "kind": "tokens", "clientId": "both", "scope": "openid" });
    let body = json!({ "result": result, "relyingParty": "main" });
    let begun = at(&app, SHOP).post("/v1/passkeys/authentication/options", &body).expect(200).json();
    assert_eq!(begun["publicKey"]["rpId"], "shop.test");
    // Without an origin: by name, otherwise by client, otherwise the default.
    for (client, named, rp_id) in
        [("both", None, "id.example"), ("both", Some("shop"), "shop.test"), ("shop", None, "shop.test")]
    {
        let body = json!({ "result": { "kind": "tokens", "clientId": client }, "relyingParty": named });
        let reply = app.request("POST", "/v1/passkeys/authentication/options").json(&body).send().expect(200);
        assert_eq!(reply.json()["publicKey"]["rpId"], rp_id, "{client} {named:?}");
    }
    let body = json!({ "relyingParty": "nothing", "result": { "kind": "tokens", "clientId": "both" } });
    let unknown = app.request("POST", "/v1/passkeys/authentication/options").json(&body).send();
    unknown.expect_problem(400, "invalid_request");
}

/// An app adds a passkey for the relying party, and at the origins, that its sign-ins use.
#[test]
fn an_app_adds_passkeys_for_its_own_relying_party() {
    let app = app();
    let mut first = sign_up(&app, SHOP);
    let mut shop = at(&app, SHOP);
    "shop".clone_into(&mut shop.id);
    let tokens = shop.sign_in(&mut first, "openid passkeys").expect(200).json();
    let bearer = format!("Bearer {}", tokens["accessToken"].as_str().unwrap());
    let post = |path: &str, origin: Option<&str>, body: &Value| -> Reply {
        let request = app.request("POST", path).header("Authorization", &bearer);
        let request = origin.into_iter().fold(request, |request, origin| request.header("Origin", origin));
        request.json(body).send()
    };
    let asks = |origin: Option<&str>, named: Option<&str>| {
        post("/v1/passkeys/registration/options", origin, &json!({ "purpose": "add", "relyingParty": named }))
    };
    for (origin, named, rp_id) in [
        (None, None, "shop.test"),
        (None, Some("shop"), "shop.test"),
        (None, Some("main"), "id.example"),
        (Some(SHOP), None, "shop.test"),
        (Some(SHOP), Some("main"), "shop.test"),
    ] {
        let begun = asks(origin, named).expect(200).json();
        assert_eq!(begun["publicKey"]["rp"]["id"], rp_id, "{origin:?} {named:?}");
    }
    asks(None, Some("nothing")).expect_problem(400, "invalid_request");
    for origin in [NOBODYS, APP, HOME, "https://evil.example", "null"] {
        asks(Some(origin), None).expect_problem(403, "wrong_origin");
    }
    // A native app has no `Origin`, but its passkey's client data has one.
    let finish = |origin: &str| {
        let begun = asks(None, None).expect(200).json();
        let answer = Authenticator::synchronised(origin).create(&begun["publicKey"]);
        post("/v1/passkeys/registration/verify", None, &verify(&begun, &answer))
    };
    let before = Traces::of(&app);
    for origin in [NOBODYS, APP, HOME] {
        finish(origin).expect_problem(403, "wrong_origin");
    }
    assert_eq!(Traces::of(&app), Traces { refusals: before.refusals + 3, ..before });
    assert_eq!(finish(SHOP).expect(200).json()["passkey"]["rpId"], "shop.test");
}

/// With a cookie, a passkey is added for our own pages, whatever the page asks for and whichever header it omits.
#[test]
fn our_own_pages_add_passkeys_for_their_own_relying_party() {
    let app = app();
    let (browser, _) = app.person();
    for silent in ["", "Origin", "Sec-Fetch-Site"] {
        let request = browser.request("POST", "/v1/passkeys/registration/options").without(silent);
        let begun = request.json(&json!({ "purpose": "add", "relyingParty": "shop" })).send().expect(200).json();
        assert_eq!(begun["publicKey"]["rp"]["id"], "id.example", "without {silent:?}");
    }
}

/// The check depends on what the browser says about its page, never on what anybody says about the way to us.
#[test]
fn the_preflight_believes_no_proxy() {
    let ask = |app: &TestApp, headers: &[(&str, &str)]| {
        let request = app.request("GET", "/v1/passkeys/relying-party");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send().expect(200).json()
    };
    let (page, stranger) = (("Sec-Fetch-Site", "same-origin"), ("Origin", "https://evil.example"));
    let behind_a_proxy = app();
    for said in [
        ("Forwarded", "for=192.0.2.1;host=evil.example;proto=http"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("Host", "upstream:9000"),
        ("Host", "127.0.0.1:443"),
    ] {
        let told = ask(&behind_a_proxy, &[page, said]);
        assert_eq!((&told["ok"], &told["origin"]), (&json!(true), &json!(HOME)), "{said:?}");
        let told = ask(&behind_a_proxy, &[stranger, said]);
        assert_eq!((&told["ok"], &told["origin"]), (&json!(false), &json!("https://evil.example")), "{said:?}");
    }
    // On a local machine another host name is detected: passkeys work only at the public one.
    let local = TestApp::spawn();
    let own = local.origin.trim_start_matches("http://");
    for (host, ok) in [(own, true), (local.url.trim_start_matches("http://"), false), ("upstream:9000", true)] {
        let told = ask(&local, &[page, ("Host", host), ("X-Forwarded-Host", own)]);
        assert_eq!(told["ok"], ok, "{host}: {told}");
        assert!(ok || told["goTo"] == json!(local.origin), "{told}");
    }
}

/// A passkey belongs to one RP id: elsewhere it is unknown, whatever its answer says.
#[test]
fn a_passkey_of_one_is_unknown_to_the_other() {
    let app = app();
    let (mut main, mut shop) = (sign_up(&app, APP), sign_up(&app, SHOP));
    for (passkey, own, other, other_id) in [(&mut main, APP, SHOP, "shop.test"), (&mut shop, SHOP, APP, "id.example")] {
        let client = at(&app, other);
        let before = Traces::of(&app);
        // A browser at the other origin would not even offer it, but other software may.
        other.clone_into(&mut passkey.origin);
        let told = client.sign_in(passkey, "openid").expect_problem(404, "passkey_unknown").json();
        let signal = json!({ "rpId": other_id, "credentialId": encode(&passkey.credential_id) });
        assert_eq!(told["signalUnknown"], signal);
        // N14: created for its own RP id, sent to the other.
        passkey.rp_id = Some(if other == SHOP { "id.example" } else { "shop.test" }.to_owned());
        hostile(&app, "N14", &client.sign_in(passkey, "openid"), "another RP id");
        // N7: created at its own origin, sent to the other.
        passkey.rp_id = None;
        own.clone_into(&mut passkey.origin);
        client.sign_in(passkey, "openid").expect_problem(403, "wrong_origin");
        assert_eq!(Traces::of(&app), Traces { refusals: before.refusals + 3, ..before });
        at(&app, own).sign_in(passkey, "openid").expect(200);
    }
}

/// The same credential id under two RP ids is two passkeys; under one RP id it is one.
#[test]
fn credential_ids_are_unique_within_an_rp_id() {
    let app = app();
    let main = sign_up(&app, APP);
    let (client, mut twin) = (at(&app, SHOP), Authenticator::synchronised(SHOP));
    twin.credential_id.clone_from(&main.credential_id);
    let result = json!({ "kind": "tokens", "clientId": "both", "scope": "openid" });
    let mut register = || {
        let begun = client.post("/v1/passkeys/registration/options", &json!({ "result": result })).expect(200).json();
        let answer = twin.create(&begun["publicKey"]);
        client.post("/v1/passkeys/registration/verify", &verify(&begun, &answer))
    };
    register().expect(200);
    register().expect_problem(409, "credential_exists");
    assert_eq!(app.count("SELECT count(*) AS n FROM credential_index"), 2);
}

/// An address with passkeys here and none there looks like an unknown address there.
#[test]
fn decoys_are_per_rp_id() {
    let app = app();
    let (mut browser, mut passkey) = (app.browser(), app.passkey());
    let begun = browser.begin_registration(&json!({ "purpose": "sign-up", "email": "alice@example.test" }));
    let answer = passkey.create(&begun["publicKey"]);
    browser.finish_registration(&begun, &answer).expect(200);
    let listed = |origin: &str| {
        let result = json!({ "kind": "tokens", "clientId": "both", "scope": "openid" });
        let body = json!({ "result": result, "email": "alice@example.test" });
        let begun = at(&app, origin).post("/v1/passkeys/authentication/options", &body).expect(200).json();
        begun["publicKey"]["allowCredentials"].as_array().unwrap().iter().map(|e| e["id"].clone()).collect::<Vec<_>>()
    };
    assert!(listed(APP).contains(&json!(encode(&passkey.credential_id))));
    assert!(listed(SHOP).len() == listed(APP).len() && listed(SHOP).iter().all(|id| !listed(APP).contains(id)));
}

/// WebAuthn Level 3 §5.11: websites of other domains share the passkeys of an RP id.
#[test]
fn a_passkey_is_made_and_used_at_a_related_origin() {
    let app = app();
    assert_eq!(at(&app, RELATED).begin("openid")["publicKey"]["rpId"], "shop.test");
    for (made, used) in [(SHOP, RELATED), (RELATED, SHOP), (RELATED, RELATED)] {
        let mut passkey = sign_up(&app, made);
        used.clone_into(&mut passkey.origin);
        at(&app, used).sign_in(&mut passkey, "openid").expect(200);
    }
    // What was begun at one origin must be completed there, and the origin in the client data counts.
    let mut passkey = sign_up(&app, SHOP);
    RELATED.clone_into(&mut passkey.origin);
    let (begun, before) = (at(&app, SHOP).begin("openid"), Traces::of(&app));
    let answer = passkey.get_uninvited(&begun["publicKey"]);
    hostile(&app, "N7", &at(&app, RELATED).finish(&begun, &answer), "another origin");
    "https://other.example".clone_into(&mut passkey.origin);
    at(&app, RELATED).sign_in(&mut passkey, "openid").expect_problem(403, "wrong_origin");
    assert_eq!(Traces::of(&app), Traces { refusals: before.refusals + 2, ..before });
    // A related origin of the relying party does not thereby belong to a client.
    let body = json!({ "result": { "kind": "tokens", "clientId": "both" } });
    for origin in ["https://www.shop.example", "https://other.example", "http://shop.example"] {
        let reply = at(&app, origin).post("/v1/passkeys/authentication/options", &body);
        reply.expect_problem(403, "wrong_origin");
    }
    let preflight = app.request("OPTIONS", "/v1/passkeys/authentication/options").header("Origin", RELATED);
    let reply = preflight.header("Access-Control-Request-Method", "POST").send().expect(204);
    assert_eq!(reply.header("access-control-allow-origin"), Some(RELATED));
}

/// The document is for the domain that is asked, and no domain vouches for the origins of another.
#[test]
fn each_domain_publishes_its_own_related_origins() {
    let app = app();
    let ask = |headers: &[(&str, &str)]| {
        let request = app.request("GET", "/.well-known/webauthn");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send().expect(200).json()["origins"].clone()
    };
    let shop = json!([RELATED, "https://www.shop.example", SHOP, NOBODYS]);
    for host in ["shop.test", "shop.test:443", "SHOP.test"] {
        assert_eq!(ask(&[("Host", host)]), shop, "{host}: the related ones first, for browsers count names");
    }
    let preflight = app.request("GET", "/v1/passkeys/relying-party").header("Origin", RELATED).send().expect(200);
    let accepted = preflight.json()["origins"].as_array().unwrap().clone();
    assert_eq!(accepted.len(), 4);
    assert!(accepted.iter().all(|origin| shop.as_array().unwrap().contains(origin)), "W12: one list");
    for headers in [
        [("Host", "id.example"), ("X-Forwarded-Host", "shop.test")],
        [("Host", "upstream:9000"), ("Forwarded", "host=shop.test")],
        [("Host", "shop.example"), ("X-Forwarded-Host", "shop.test")],
    ] {
        assert_eq!(ask(&headers), json!([HOME, APP]), "{headers:?}");
    }
}

/// W12: the document about related origins is the list that origins are checked against.
#[test]
fn related_origins_are_the_accepted_ones() {
    let app = app();
    let reply = app.request("GET", "/.well-known/webauthn").send().expect(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let published = reply.json()["origins"].clone();
    let preflight = app.request("GET", "/v1/passkeys/relying-party").header("Origin", APP).send().expect(200).json();
    assert_eq!(published, preflight["origins"]);
    assert_eq!(published, json!([HOME, APP]));
    let refused = app.request("GET", "/v1/passkeys/relying-party").header("Origin", "https://evil.example").send();
    let refused = refused.expect(200).json();
    assert_eq!(
        (&refused["ok"], &refused["reason"], &refused["goTo"]),
        (&json!(false), &json!("wrong_origin"), &json!(HOME))
    );
}

/// W14: the server does not start if that would leave passkeys without their RP id.
#[test]
fn another_rp_id_does_not_start() {
    let app = app();
    sign_up(&app, SHOP);
    let start = |public_url: &str, config: &str| {
        let options = Options { public_url: Some(public_url), config, beside: Some(&app), ..Options::default() };
        assembly::assemble(&app.config_beside(&options), &Clock::system(), "test").map(drop)
    };
    start(HOME, CONFIG).expect("the same relying parties");
    let lost = start(HOME, "").expect_err("the shop's passkeys are lost");
    assert!(matches!(lost, StartError::RelyingParties(_)), "{lost}");
    assert!(lost.to_string().contains("shop.test (1)"), "{lost}");
    app.sql("DELETE FROM users");
    start("https://new.example", "").expect("nothing to lose");
    PgConnection::establish(app.database_url()).expect("the database is still there");
}
