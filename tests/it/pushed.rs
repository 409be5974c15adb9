//! Pushed authorization requests (RFC 9126; security rule 30, conformance B10).

use chrono::Duration;
use serde_json::json;

use crate::support::jose::Key;
use crate::support::oidc::{self, Ask, CLIENTS, redeem, redemption};
use crate::support::tokens::{Tokens, at_once, claims};
use crate::support::{API_SECRET, Options, Reply, TestApp};

const PAR: &str = "/oauth/par";

/// Clients, one of which must push.
fn spawn() -> TestApp {
    let careful = "[clients.careful]\nname = \"Careful\"\nkind = \"confidential\"\nauth_method = \"client_secret_post\"\n\
                   first_party = true\nsecret_digest = \"API_DIGEST\"\nredirect_uris = [\"https://careful.example/cb\"]\n\
                   grants = [\"authorization_code\"]\nscopes = [\"openid\"]\nrequire_pushed_authorization_requests = true";
    let config = format!("{CLIENTS}\n{careful}");
    TestApp::with(&Options { config: &config, settings: &[("challenges.store", "database")], ..Options::default() })
}

fn push(app: &TestApp, ask: &Ask, more: &[(&str, &str)]) -> Reply {
    let form = [ask.pairs(), more.to_vec()].concat();
    app.request("POST", PAR).form(&form).send()
}

/// Pushes for a client with a secret. Returns the handle.
#[track_caller]
fn handle(app: &TestApp, ask: &Ask) -> String {
    let pushed = push(app, ask, &[("client_secret", API_SECRET)]).expect(201);
    pushed.json()["request_uri"].as_str().unwrap().to_owned()
}

/// The request that the browser brings.
fn bring(client: &str, handle: &str) -> Ask {
    let names = ["redirect_uri", "response_type", "scope", "state"];
    let bare = names.into_iter().fold(Ask::of(client), Ask::without).without_pkce();
    bare.with("request_uri", handle)
}

#[test]
fn the_handle_is_all_that_the_browser_brings() {
    let app = spawn();
    let (mut browser, _) = app.person();
    let ask = Ask::of("house").with("scope", "openid email").with("nonce", "n");
    let pushed = push(&app, &ask, &[("client_secret", API_SECRET)]).expect(201);
    assert_eq!(pushed.header("cache-control"), Some("no-store"));
    let told = pushed.json();
    assert_eq!(told["expires_in"], 60);
    let handle = told["request_uri"].as_str().unwrap();
    assert!(handle.starts_with("urn:ietf:params:oauth:request_uri:pmq_") && handle.len() > 70, "{handle}");
    let stored = "SELECT count(*) AS n FROM pushed_requests WHERE request::text LIKE '%pmq_%'";
    assert_eq!(app.count(stored), 0, "only its digest is kept");

    // Other parameters besides it are ignored, but a repeated one is refused.
    let twice = bring("house", handle).and("scope", "openid").and("scope", "openid email").send(&mut browser);
    assert_eq!((twice.status, twice.header("location")), (400, None), "{}", twice.body);
    let beside = bring("house", handle).with("scope", "openid offline_access").with("state", "mine").with("nonce", "x");
    let back = beside.with("redirect_uri", "https://evil.example/cb").send(&mut browser).back();
    assert_eq!((back.to.as_str(), back.get("state")), ("https://house.example/cb", Some("the state")));
    assert_eq!(back.get("iss"), Some(app.origin.as_str()));
    let tokens = redeem(&app, "house", &back.code());
    assert_eq!((tokens.scope.as_str(), &claims(&tokens.id)["nonce"]), ("email openid", &json!("n")));
    let again = bring("house", handle).send(&mut browser);
    assert_eq!((again.status, again.header("location")), (400, None), "used up");
}

/// A pushed request stays on the server: neither cookies nor pages give it to the browser, which could change it.
#[test]
fn a_pushed_request_is_kept_by_the_server_alone() {
    let app = spawn();
    let ask = Ask::of("house").with("state", "state-of-7261").with("nonce", "nonce-of-7261");
    let mut stranger = app.browser();
    let sent = bring("house", &handle(&app, &ask)).send(&mut stranger);
    let page = stranger.get(&sent.waits()).expect(200);
    for reply in [&sent, &page] {
        assert!(!format!("{reply:?}").contains("of-7261"), "{reply:?}");
    }
    assert!(stranger.cookies.iter().all(|(_, value)| value.len() < 64), "handles only: {:?}", stranger.cookies);
}

#[test]
fn a_handle_is_good_for_its_client_for_a_minute_and_for_one_code() {
    let app = spawn();
    let (mut browser, mut passkey) = app.person();
    let made = handle(&app, &Ask::of("house"));
    let foreign = bring("shop", &made).send(&mut browser);
    assert_eq!((foreign.status, foreign.header("location")), (400, None), "another client's");
    for nothing in
        ["urn:ietf:params:oauth:request_uri:", "urn:ietf:params:oauth:request_uri:pmq_x", &made[..made.len() - 1]]
    {
        let reply = bring("house", nothing).send(&mut browser);
        assert_eq!((reply.status, reply.header("location")), (400, None), "{nothing}");
    }
    // Opened twice before anybody signed in: the second page works, and then the first one has ended.
    let mut stranger = app.browser();
    let first = bring("house", &made).send(&mut stranger).waits();
    let second = bring("house", &made).send(&mut stranger).waits();
    app.advance(Duration::minutes(5));
    stranger.sign_in(&mut passkey).expect(200);
    let back = stranger.get(&second).back();
    redeem(&app, "house", &back.code());
    assert_ne!(stranger.get(&first).status, 303, "one code for one push");
    let late = handle(&app, &Ask::of("house"));
    app.advance(Duration::seconds(61));
    let reply = bring("house", &late).send(&mut browser);
    assert_eq!((reply.status, reply.header("location")), (400, None), "too late");
}

#[test]
fn of_many_at_once_one_gets_a_code() {
    let app = spawn();
    let (browser, _) = app.person();
    let made = handle(&app, &Ask::of("house"));
    let cookies: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (cookies, path) = (cookies.join("; "), bring("house", &made).path());
    let replies = at_once(64, |_| app.request("GET", &path).header("Cookie", &cookies).send());
    let codes = replies.iter().filter(|reply| reply.header("location").is_some_and(|to| to.contains("code="))).count();
    assert_eq!(codes, 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM authorization_codes"), 1);
}

/// What the authorization endpoint would refuse is refused here, to the client, by the same code.
#[test]
fn refusals_by_name() {
    let app = spawn();
    let house = Ask::of("house");
    for (name, ask, error) in [
        (
            "a reference within",
            house.clone().with("request_uri", "urn:ietf:params:oauth:request_uri:x"),
            "invalid_request",
        ),
        ("an unregistered place", house.clone().with("redirect_uri", "https://evil.example/cb"), "invalid_request"),
        ("no place", house.clone().without("redirect_uri"), "invalid_request"),
        ("a scope it may not have", house.clone().with("scope", "openid admin"), "invalid_scope"),
        ("another response type", house.clone().with("response_type", "code id_token"), "unsupported_response_type"),
        ("no response type", house.clone().without("response_type"), "invalid_request"),
        ("an unknown mode", house.clone().with("response_mode", "fragment"), "invalid_request"),
        ("a plain challenge", house.clone().with("code_challenge_method", "plain"), "invalid_request"),
        ("an unknown prompt", house.clone().with("prompt", "none login"), "invalid_request"),
        ("a foreign resource", house.clone().with("resource", "https://evil.example"), "invalid_target"),
        ("no thumbprint", house.clone().with("dpop_jkt", "x"), "invalid_request"),
        ("twice", house.clone().and("state", "again"), "invalid_request"),
        ("registration", house.clone().with("registration", "{}"), "registration_not_supported"),
        ("an object without keys", house.clone().with("request", "a.b.c"), "request_not_supported"),
    ] {
        let reply = push(&app, &ask, &[("client_secret", API_SECRET)]);
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(error)), "{name}: {}", reply.body);
    }
    push(&app, &house, &[("client_secret", "wrong")]).expect_oauth(401, "invalid_client");
    push(&app, &house, &[]).expect_oauth(401, "invalid_client");
    push(&app, &Ask::of("nobody"), &[]).expect_oauth(401, "invalid_client");
    push(&app, &Ask::of("spa").without_pkce(), &[]).expect_oauth(400, "invalid_request");
    push(&app, &Ask::of("spa"), &[]).expect(201);
    app.request("POST", PAR).json(&json!({})).send().expect_oauth(415, "invalid_request");
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(app.request(method, PAR).send().status, 405, "{method}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM pushed_requests"), 1, "what is refused is not kept");
}

#[test]
fn a_client_that_must_push_cannot_do_without() {
    let app = spawn();
    let (mut browser, _) = app.person();
    assert_eq!(Ask::of("careful").send(&mut browser).back().error(), "invalid_request");
    let made = handle(&app, &Ask::of("careful"));
    bring("careful", &made).send(&mut browser).back().code();
}

/// RFC 9449 §10.1: the code is bound to the key that is proven at the push.
#[test]
fn a_key_at_the_push_binds_the_code() {
    let app = spawn();
    let (mut browser, _) = app.person();
    let (key, other) = (Key::p256(), Key::p256());
    let proof = |key: &Key, path: &str| key.proof("POST", &format!("{}{path}", app.origin), app.clock.now());
    let ask = Ask::of("house");
    let form = [ask.pairs(), vec![("client_secret", API_SECRET)]].concat();
    let owned = |form: &[(&str, &str)]| -> Vec<(String, String)> {
        form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let named = |jkt: &str| owned(&[form.clone(), vec![("dpop_jkt", jkt)]].concat());
    let send = |form: &[(String, String)], key: Option<&Key>| {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = app.request("POST", PAR).form(&form);
        match key {
            Some(key) => request.header("DPoP", &proof(key, PAR)).send(),
            None => request.send(),
        }
    };
    let plain = owned(&form);
    send(&named(&other.thumbprint()), Some(&key)).expect_oauth(400, "invalid_dpop_proof");
    for pushed in
        [send(&plain, Some(&key)), send(&named(&key.thumbprint()), Some(&key)), send(&named(&key.thumbprint()), None)]
    {
        let made = pushed.expect(201).json()["request_uri"].as_str().unwrap().to_owned();
        let code = bring("house", &made).send(&mut browser).back().code();
        let request = app.request("POST", "/oauth/token").form(&redemption("house", &code, "https://house.example/cb"));
        let told = request.header("DPoP", &proof(&key, "/oauth/token")).send().expect(200).json();
        assert_eq!(claims(&Tokens::of(&told).access)["cnf"]["jkt"], key.thumbprint());
    }
    for wrong in [None, Some(&other)] {
        let made = send(&plain, Some(&key)).expect(201).json()["request_uri"].as_str().unwrap().to_owned();
        let code = bring("house", &made).send(&mut browser).back().code();
        let request = app.request("POST", "/oauth/token").form(&redemption("house", &code, "https://house.example/cb"));
        let reply = match wrong {
            Some(key) => request.header("DPoP", &proof(key, "/oauth/token")).send(),
            None => request.send(),
        };
        assert_eq!(reply.status, 400, "{}", reply.body);
        assert_eq!(oidc::present(&app, "house", &code).status, 400, "and the code is burnt");
    }
}
