//! Token buckets by class of route and the caller's network.

use serde_json::json;

use crate::authenticator::Authenticator;
use crate::support::oidc::{self, Ask};
use crate::support::{Options, Reply, Request, TestApp};

/// A server behind a proxy on this machine, with small buckets that hardly refill during a test.
fn behind_a_proxy() -> TestApp {
    let settings = [
        ("limits.enabled", "true"),
        ("trusted_proxies", "127.0.0.1"),
        ("limits.starts_per_minute", "1"),
        ("limits.starts_burst", "3"),
        ("limits.verifies_per_minute", "1"),
        ("limits.verifies_burst", "4"),
        ("limits.tokens_per_minute", "1"),
        ("limits.tokens_burst", "5"),
    ];
    TestApp::with(&Options { settings: &settings, ..Options::default() })
}

fn start(app: &TestApp, caller: &str) -> Reply {
    via(app.request("POST", "/v1/passkeys/authentication/options").json(&json!({})), caller).send()
}

fn via(request: Request, caller: &str) -> Request {
    if caller.is_empty() { request } else { request.header("X-Forwarded-For", caller) }
}

#[track_caller]
fn refused(reply: Reply) {
    let reply = reply.expect_problem(429, "rate_limited");
    let wait: u64 = reply.header("retry-after").expect("when to come back").parse().expect("seconds");
    assert!((1..=61).contains(&wait), "{wait}");
    assert!(reply.json()["detail"].as_str().is_some_and(|words| words.contains(&wait.to_string())), "{}", reply.body);
}

#[test]
fn a_network_empties_its_own_bucket_only() {
    let app = behind_a_proxy();
    for host in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
        start(&app, host).expect(200);
    }
    for neighbour in ["198.51.100.1", "198.51.100.200", "::ffff:198.51.100.77"] {
        refused(start(&app, neighbour));
    }
    for honest in ["198.51.101.1", "203.0.113.9", "2001:db8::1", "10.0.0.1"] {
        start(&app, honest).expect(200);
    }
    // A /56 of IPv6 counts as one household.
    start(&app, "2001:db8:0:ff::2").expect(200);
    start(&app, "2001:db8:0:1::3").expect(200);
    refused(start(&app, "2001:db8:0:80::4"));
    start(&app, "2001:db8:0:100::1").expect(200);
}

/// What a caller writes itself is to the left of what the proxy adds, and does not count.
#[test]
fn a_caller_cannot_choose_its_own_bucket() {
    let app = behind_a_proxy();
    for lie in ["1.1.1.1, 198.51.100.1", "2.2.2.2, 198.51.100.1", "3.3.3.3,4.4.4.4,198.51.100.1"] {
        start(&app, lie).expect(200);
    }
    refused(start(&app, "5.5.5.5, 198.51.100.1"));
    refused(start(&app, "evil, 198.51.100.1"));
    // An invalid value never widens trust: the peer's own bucket is used.
    for garbage in ["evil", "198.51.100.1:80", "8.8.8.8, evil"] {
        start(&app, garbage).expect(200);
    }
    refused(start(&app, "9.9.9.9, worse"));
    refused(start(&app, ""));

    let settings = [("limits.enabled", "true"), ("limits.starts_per_minute", "1"), ("limits.starts_burst", "2")];
    let direct = TestApp::with(&Options { settings: &settings, ..Options::default() });
    start(&direct, "198.51.100.1").expect(200);
    start(&direct, "203.0.113.1").expect(200);
    refused(start(&direct, "192.0.2.1"));
}

#[test]
fn each_class_of_route_has_a_bucket_of_its_own() {
    let app = behind_a_proxy();
    let caller = "198.51.100.1";
    let post = |path: &str| via(app.request("POST", path), caller);
    let verify = |path: &str| post(path).json(&json!({ "ceremonyId": "pmc_x", "credential": {} })).send();
    for _ in 0..3 {
        start(&app, caller).expect(200);
    }
    refused(start(&app, caller));
    refused(post("/v1/passkeys/registration/options").json(&json!({})).send());
    for path in ["/v1/passkeys/registration/verify", "/v1/passkeys/authentication/verify"] {
        verify(path).expect(410);
        verify(path).expect(410);
    }
    refused(verify("/v1/passkeys/authentication/verify"));
    refused(verify("/v1/passkeys/registration/verify"));
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("token", "x"), ("client_id", "web")];
    for (path, status) in [
        ("/oauth/token", 400),
        ("/oauth/revoke", 200),
        ("/oauth/introspect", 401),
        ("/oauth/token", 400),
        ("/oauth/revoke", 200),
    ] {
        post(path).form(&form).send().expect(status);
    }
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        let reply = post(path).form(&form).send().expect_oauth(429, "temporarily_unavailable");
        assert!(reply.header("retry-after").is_some());
    }
    // Unlimited routes keep working: a caller over a limit can still read, sign out and fetch keys.
    for path in ["/v1/session", "/.well-known/jwks.json", "/livez", "/readyz", "/signed-out"] {
        for _ in 0..10 {
            via(app.request("GET", path), caller).send().expect(200);
        }
    }
    // The page is still served, only without autofill.
    let page = via(app.request("GET", "/").header("Host", app.origin.trim_start_matches("http://")), caller)
        .send()
        .expect(200);
    assert!(!page.body.contains("pmc_"), "no ceremony is begun for it");
    let page =
        via(app.request("GET", "/").header("Host", app.origin.trim_start_matches("http://")), "203.0.113.1").send();
    assert!(page.expect(200).body.contains("pmc_"), "others have it");
}

/// Libraries of single-page apps send a silent request whenever a token expires.
#[test]
fn silent_requests_of_one_session_are_all_answered() {
    let app = oidc::app_with(&[("limits.enabled", "true")]);
    let (mut browser, _) = app.person();
    let silent = Ask::of("house").with("prompt", "none");
    for _ in 0..200 {
        silent.send(&mut browser).back().code();
    }
    let mut stranger = app.browser();
    Ask::of("house").send(&mut stranger).waits();
    let flood: Vec<u16> = (0..100).map(|_| Ask::of("house").send(&mut stranger).status).collect();
    assert!(flood.contains(&429), "what waits for strangers is as limited as any start: {flood:?}");
    silent.send(&mut browser).back().code();
}

/// When even the large bucket is empty, an app's silent request is refused at its own redirect URI, and nowhere else.
#[test]
fn a_silent_request_too_many_is_told_to_its_app() {
    let settings = [("limits.enabled", "true"), ("limits.tokens_per_minute", "1"), ("limits.tokens_burst", "5")];
    let app = oidc::app_with(&settings);
    let (mut browser, _) = app.person();
    let silent = Ask::of("house").with("prompt", "none");
    for _ in 0..5 {
        silent.send(&mut browser).back().code();
    }
    let back = silent.send(&mut browser).back();
    assert_eq!((back.error(), back.get("state")), ("temporarily_unavailable", Some("the state")));
    assert_eq!((back.to.as_str(), back.get("iss")), ("https://house.example/cb", Some(app.origin.as_str())));
    for page in [
        Ask::of("house"),
        silent.clone().with("redirect_uri", "https://evil.example/cb"),
        silent.clone().without("redirect_uri"),
        silent.clone().with("client_id", "nobody"),
    ] {
        let reply = page.send(&mut browser);
        assert_eq!((reply.status, reply.header("location")), (429, None), "{}", page.path());
    }
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", "web")];
    app.request("POST", "/oauth/token").form(&form).send().expect_oauth(400, "invalid_grant");
}

/// A flood from many networks fills no table that honest people need.
#[test]
fn honest_people_sign_in_while_others_flood() {
    let app = behind_a_proxy();
    for network in 0..=200_u8 {
        for host in 1..=5_u8 {
            let reply = start(&app, &format!("10.9.{network}.{host}"));
            assert_eq!(reply.status, if host <= 3 { 200 } else { 429 }, "{network} {host}");
        }
    }
    let (mut browser, mut passkey) = (app.browser(), app.passkey());
    let mut post = |path: &str, body: &serde_json::Value| {
        let request = via(browser.request("POST", path).json(body), "203.0.113.50");
        browser.send(request)
    };
    let begun = post("/v1/passkeys/registration/options", &json!({})).expect(200).json();
    let credential = passkey.create(&begun["publicKey"]);
    post("/v1/passkeys/registration/verify", &crate::support::verify(&begun, &credential)).expect(200);
}

/// Wrong answers in somebody's name count against the networks they come from, and never against the person.
#[test]
fn nobody_is_locked_out_by_what_others_answer() {
    let app = behind_a_proxy();
    let (_, mut passkey) = app.person();
    let answer = |from: &str, passkey: &mut Authenticator| {
        let mut browser = app.browser();
        let mut post = |path: &str, body: &serde_json::Value| {
            let request = via(browser.request("POST", path).json(body), from);
            browser.send(request)
        };
        let begun = post("/v1/passkeys/authentication/options", &json!({})).expect(200).json();
        let credential = passkey.get_uninvited(&begun["publicKey"]);
        post("/v1/passkeys/authentication/verify", &crate::support::verify(&begun, &credential))
    };
    let (credential_id, user_handle) = (passkey.credential_id.clone(), passkey.user_handle.clone());
    let mut forged = Authenticator { credential_id, user_handle, ..app.passkey() };
    for network in 0..40_u8 {
        answer(&format!("10.8.{network}.1"), &mut forged).expect_problem(400, "verification_failed");
    }
    assert_eq!(app.events("ceremony.refused"), 40);
    answer("203.0.113.50", &mut passkey).expect(200);
}

/// A person's custom tokens of one bridge have their own bucket, whatever network they are requested from.
#[test]
fn custom_tokens_are_limited_by_person_and_bridge() {
    let settings = [
        ("limits.enabled", "true"),
        ("trusted_proxies", "127.0.0.1"),
        ("limits.bridges_per_minute", "1"),
        ("limits.bridges_burst", "2"),
    ];
    let config = "[bridges.one]\npreset = \"jwt\"\naudience = \"https://one.example\"\n\
                  [bridges.two]\npreset = \"jwt\"\naudience = \"https://two.example\"";
    let app = TestApp::with(&Options { config, settings: &settings, ..Options::default() });
    let (_, _, ada) = app.person_with_tokens("bridge:one bridge:two");
    let (_, _, bob) = app.person_with_tokens("bridge:one");
    let mint = |access: &str, bridge: &str, caller: &str| {
        let request = app.client("web").bearer("POST", &format!("/v1/bridges/{bridge}/token"), access);
        via(request, caller).send()
    };
    mint(&ada.access, "one", "198.51.100.1").expect(200);
    mint(&ada.access, "one", "203.0.113.9").expect(200);
    refused(mint(&ada.access, "one", "192.0.2.1"));
    mint(&ada.access, "two", "192.0.2.1").expect(200);
    mint(&bob.access, "one", "192.0.2.1").expect(200);
    for _ in 0..5 {
        mint(&ada.access, "none", "192.0.2.1").expect_problem(404, "not_found");
    }
}

/// A custom token from a ceremony uses the same bucket; when it is empty, nobody is signed in.
#[test]
fn custom_tokens_of_ceremonies_are_limited_too() {
    let settings = [("limits.enabled", "true"), ("limits.bridges_per_minute", "1"), ("limits.bridges_burst", "2")];
    let config = "[bridges.one]\npreset = \"jwt\"\naudience = \"https://one.example\"\n\
                  [bridges.two]\npreset = \"jwt\"\naudience = \"https://two.example\"";
    let app = TestApp::with(&Options { config, settings: &settings, ..Options::default() });
    let (_, mut ada, tokens) = app.person_with_tokens("bridge:one");
    let (_, mut bob) = app.person();
    let client = app.client("web");
    let by_ceremony = |passkey: &mut Authenticator, bridge: &str| {
        let result = json!({ "kind": "bridge", "clientId": "web", "bridge": bridge });
        let begun = client.post("/v1/passkeys/authentication/options", &json!({ "result": result })).expect(200).json();
        let credential = passkey.get_uninvited(&begun["publicKey"]);
        client.finish(&begun, &credential)
    };
    by_ceremony(&mut ada, "one").expect(200);
    client.bearer("POST", "/v1/bridges/one/token", &tokens.access).send().expect(200);
    let sessions = "SELECT count(*) AS n FROM sessions";
    let before = app.count(sessions);
    refused(by_ceremony(&mut ada, "one"));
    assert_eq!((app.count(sessions), app.events("bridge.minted")), (before, 2));
    by_ceremony(&mut ada, "two").expect(200);
    by_ceremony(&mut bob, "one").expect(200);
}
