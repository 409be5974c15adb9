//! FAPI 2.0 Security Profile and Message Signing (conformance B10): the whole flow, and everything weaker refused.

use chrono::Duration;
use serde_json::{Value, json};

use crate::support::jose::{ASSERTION_TYPE, Key, as_toml};
use crate::support::oidc::{Ask, VERIFIER};
use crate::support::tokens::{INACTIVE, Tokens, claims, header};
use crate::support::{API_SECRET, Options, Reply, TestApp};

/// `bank` follows the security profile, `seal` message signing as well.
fn spawn(key: &Key) -> TestApp {
    spawn_with(key, &[])
}

fn spawn_with(key: &Key, settings: &[(&str, &str)]) -> TestApp {
    let client = |id: &str, profile: &str| {
        format!(
            "[clients.{id}]\nname = \"{id}\"\nkind = \"confidential\"\nauth_method = \"private_key_jwt\"\nfirst_party = true\n\
             secret_digest = \"API_DIGEST\"\nredirect_uris = [\"https://{id}.example/cb\"]\n\
             grants = [\"authorization_code\", \"refresh_token\"]\nscopes = [\"openid\", \"offline_access\"]\n\
             id_token_algorithm = \"ES256\"\nsecurity_profile = \"{profile}\"\n{}\n",
            as_toml(&[key.named("k1")])
        )
    };
    let config = [client("bank", "fapi2"), client("seal", "fapi2_message_signing")].join("\n");
    TestApp::with(&Options { config: &config, settings, ..Options::default() })
}

/// A call by the client, which proves its identity and, if it has one, its DPoP key.
fn call(app: &TestApp, client: &str, key: &Key, path: &str, form: &[(&str, &str)], dpop: Option<&Key>) -> Reply {
    let assertion = key.assertion(client, &app.origin, app.clock.now());
    let proof = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)];
    let form: Vec<(&str, &str)> = form.iter().filter(|(name, _)| *name != "client_id").copied().chain(proof).collect();
    let request = app.request("POST", path).form(&form);
    match dpop {
        Some(key) => {
            request.header("DPoP", &key.proof("POST", &format!("{}{path}", app.origin), app.clock.now())).send()
        }
        None => request.send(),
    }
}

/// RFC 9449 §8: a client without a nonce tries again with a new proof and everything else unchanged.
#[test]
fn a_lacking_nonce_uses_no_assertion_up() {
    let (key, dpop) = (Key::p256(), Key::p256());
    let app = spawn_with(&key, &[("dpop.require_nonce", "true")]);
    let assertion = key.assertion("bank", &app.origin, app.clock.now());
    let ask = Ask::of("bank");
    let pairs = ask.pairs();
    let proof = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
    let form: Vec<(&str, &str)> = pairs.iter().filter(|(name, _)| *name != "client_id").copied().chain(proof).collect();
    let push = |nonce: Option<&str>| {
        let (header, mut claims) = dpop.proof_parts("POST", &format!("{}/oauth/par", app.origin), app.clock.now());
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        app.request("POST", "/oauth/par").header("DPoP", &dpop.sign(&header, &claims)).form(&form).send()
    };
    let nonce = push(None).expect_oauth(400, "use_dpop_nonce").header("dpop-nonce").unwrap().to_owned();
    push(Some(&nonce)).expect(201);
    push(Some(&nonce)).expect_oauth(401, "invalid_client");
}

fn bring(client: &str, pushed: &Value) -> Ask {
    let names = ["redirect_uri", "response_type", "scope", "state"];
    let bare = names.into_iter().fold(Ask::of(client), Ask::without).without_pkce();
    bare.with("request_uri", pushed["request_uri"].as_str().unwrap())
}

fn redemption<'a>(client: &str, code: &'a str) -> Vec<(&'a str, &'a str)> {
    let redirect_uri = if client == "bank" { "https://bank.example/cb" } else { "https://seal.example/cb" };
    vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", VERIFIER),
    ]
}

#[test]
fn the_whole_way() {
    let (key, dpop) = (Key::p256(), Key::p256());
    let app = spawn(&key);
    let (mut browser, _) = app.person();
    for client in ["bank", "seal"] {
        let mut ask = Ask::of(client).with("nonce", "n");
        if client == "seal" {
            ask = ask.with("response_mode", "jwt");
            let object = key.request_object(client, &app.origin, app.clock.now(), &ask.pairs());
            ask = ["redirect_uri", "response_type", "scope", "state", "nonce", "response_mode"]
                .into_iter()
                .fold(ask, Ask::without)
                .without_pkce()
                .with("request", &object);
        }
        let pushed = call(&app, client, &key, "/oauth/par", &ask.pairs(), Some(&dpop)).expect(201).json();
        let back = bring(client, &pushed).send(&mut browser).back();
        let code = match back.get("response") {
            Some(response) => {
                assert_eq!(header(response)["alg"], "ES256", "never RS256");
                claims(response)["code"].as_str().unwrap().to_owned()
            }
            None => back.code(),
        };
        assert_eq!(back.get("response").is_some(), client == "seal");
        let told = call(&app, client, &key, "/oauth/token", &redemption(client, &code), Some(&dpop)).expect(200).json();
        assert_eq!(told["token_type"], "DPoP");
        let tokens = Tokens::of(&told);
        assert_eq!(header(&tokens.id)["alg"], "ES256");
        assert_eq!(claims(&tokens.id)["nonce"], "n");
        let url = format!("{}/oauth/userinfo", app.origin);
        let proof = dpop.proof_with("GET", &url, &tokens.access, app.clock.now());
        let userinfo = app.request("GET", "/oauth/userinfo").header("DPoP", &proof);
        let userinfo = userinfo.header("Authorization", &format!("DPoP {}", tokens.access)).send().expect(200);
        assert_eq!(userinfo.json()["sub"], claims(&tokens.id)["sub"]);
        // A confidential client may change its DPoP key: the refresh family is bound to the client itself.
        let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
        let fresh = call(&app, client, &key, "/oauth/token", &form, Some(&Key::p256())).expect(200).json();
        assert_eq!(fresh["token_type"], "DPoP");
    }
}

/// FAPI 2.0 Security Profile §5.4: whatever the configuration and the standards say for all other clients.
#[test]
fn nothing_is_signed_with_rs256() {
    let (key, dpop) = (Key::p256(), Key::p256());
    let app = spawn_with(&key, &[("tokens.algorithm", "RS256")]);
    let (mut browser, _) = app.person();
    let pushed = call(&app, "bank", &key, "/oauth/par", &Ask::of("bank").pairs(), None).expect(201).json();
    let code = bring("bank", &pushed).send(&mut browser).back().code();
    let told = call(&app, "bank", &key, "/oauth/token", &redemption("bank", &code), Some(&dpop)).expect(200).json();
    let access = Tokens::of(&told).access;
    assert_eq!(header(&access)["alg"], "ES256");
    let assertion = key.assertion("bank", &app.origin, app.clock.now());
    let form = [("token", &*access), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &*assertion)];
    let request = app.request("POST", "/oauth/introspect").header("Accept", "application/token-introspection+jwt");
    let answer = request.form(&form).send().expect(200);
    assert_eq!(answer.header("content-type"), Some("application/token-introspection+jwt"));
    assert_eq!(header(&answer.body)["alg"], "ES256");
}

/// FAPI 2.0 Security Profile §5.3.2.1: no rotation.
#[test]
fn a_refresh_token_stays_until_it_is_left_unused_or_revoked() {
    let (key, dpop) = (Key::p256(), Key::p256());
    let app = spawn(&key);
    let (mut browser, _) = app.person();
    let signed_in = |browser: &mut _| {
        let pushed = call(&app, "bank", &key, "/oauth/par", &Ask::of("bank").pairs(), None).expect(201).json();
        let code = bring("bank", &pushed).send(browser).back().code();
        let told = call(&app, "bank", &key, "/oauth/token", &redemption("bank", &code), Some(&dpop)).expect(200);
        Tokens::of(&told.json()).refresh
    };
    let refresh = |token: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        call(&app, "bank", &key, "/oauth/token", &form, Some(&dpop))
    };
    let revoked = signed_in(&mut browser);
    call(&app, "bank", &key, "/oauth/revoke", &[("token", revoked.as_str())], None).expect(200);
    refresh(&revoked).expect_oauth(400, "invalid_grant");

    let token = signed_in(&mut browser);
    let introspect = || call(&app, "bank", &key, "/oauth/introspect", &[("token", token.as_str())], None).expect(200);
    // After the retry window, and later than an unused token lives, counted from the first use.
    for step in [Duration::seconds(0), Duration::minutes(1), Duration::days(10), Duration::days(10)] {
        app.advance(step);
        let idle_end = || (app.clock.now() + Duration::days(14)).timestamp();
        let earliest = idle_end();
        let fresh = refresh(&token).expect(200).json();
        assert!(fresh["access_token"].is_string());
        assert_eq!(fresh.get("refresh_token"), None, "the client has it already");
        let told = introspect().json();
        assert_eq!(told["active"], true);
        let may_be = earliest..=idle_end();
        assert!(
            told["exp"].as_i64().is_some_and(|exp| may_be.contains(&exp)),
            "as long as it may be left unused: {told}"
        );
    }
    app.advance(Duration::days(15));
    assert_eq!(introspect().body, INACTIVE);
    refresh(&token).expect_oauth(400, "invalid_grant");
}

#[test]
fn everything_weaker_is_refused() {
    let (key, dpop) = (Key::p256(), Key::p256());
    let app = spawn(&key);
    let (mut browser, _) = app.person();
    let url = format!("{}/oauth/par", app.origin);
    for client in ["bank", "seal"] {
        assert_eq!(Ask::of(client).send(&mut browser).back().error(), "invalid_request", "{client}: not pushed");
        let ask = Ask::of(client);
        let secret = [ask.pairs(), vec![("client_secret", API_SECRET)]].concat();
        app.request("POST", "/oauth/par").form(&secret).send().expect_oauth(401, "invalid_client");
        app.request("POST", "/oauth/par").form(&Ask::of(client).pairs()).send().expect_oauth(401, "invalid_client");
    }
    for (name, ask) in [
        ("no challenge", Ask::of("bank").without_pkce()),
        ("a plain challenge", Ask::of("bank").with("code_challenge_method", "plain")),
        ("a token in the answer", Ask::of("bank").with("response_type", "code id_token")),
        ("an unregistered place", Ask::of("bank").with("redirect_uri", "https://bank.example/cb2")),
    ] {
        let reply = call(&app, "bank", &key, "/oauth/par", &ask.pairs(), None);
        assert_eq!(reply.status, 400, "{name}: {}", reply.body);
    }
    let bank = Ask::of("bank");
    for (name, change) in [
        ("the endpoint as audience", json!({ "aud": url })),
        ("a list as audience", json!({ "aud": [app.origin] })),
        ("far in the future", json!({ "nbf": app.clock.now().timestamp() + 61 })),
    ] {
        let (header, mut parts) = key.assertion_parts("bank", &app.origin, app.clock.now());
        parts.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let assertion = key.sign(&header, &parts);
        let proof = vec![("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
        let form = [bank.pairs(), proof].concat();
        let reply = app.request("POST", "/oauth/par").form(&form).send();
        assert_eq!((reply.status, reply.json()["error"].as_str()), (401, Some("invalid_client")), "{name}");
    }

    // Codes and tokens.
    let code = |browser: &mut _| {
        let pushed = call(&app, "bank", &key, "/oauth/par", &bank.pairs(), None).expect(201).json();
        bring("bank", &pushed).send(browser).back().code()
    };
    let unbound = code(&mut browser);
    call(&app, "bank", &key, "/oauth/token", &redemption("bank", &unbound), None)
        .expect_oauth(400, "invalid_dpop_proof");
    let late = code(&mut browser);
    app.advance(Duration::seconds(61));
    call(&app, "bank", &key, "/oauth/token", &redemption("bank", &late), Some(&dpop))
        .expect_oauth(400, "invalid_grant");

    // Message signing: the request, its lifetime, the response.
    let seal = Ask::of("seal").with("response_mode", "jwt");
    call(&app, "seal", &key, "/oauth/par", &seal.pairs(), None).expect_oauth(400, "invalid_request");
    let object = |ask: &Ask, change: Value| {
        let (header, mut parts) = key.request_parts("seal", &app.origin, app.clock.now(), &ask.pairs());
        let parts_of = parts.as_object_mut().unwrap();
        parts_of.extend(change.as_object().unwrap().clone());
        parts_of.retain(|_, value| !value.is_null());
        key.sign(&header, &parts)
    };
    let now = app.clock.now().timestamp();
    for (name, object, error) in [
        ("a plain answer", object(&Ask::of("seal"), json!({})), "invalid_request"),
        ("no beginning", object(&seal, json!({ "nbf": null })), "invalid_request_object"),
        ("two hours long", object(&seal, json!({ "exp": now + 7200 })), "invalid_request_object"),
        ("two hours old", object(&seal, json!({ "nbf": now - 7200, "exp": now + 60 })), "invalid_request_object"),
    ] {
        let reply = call(&app, "seal", &key, "/oauth/par", &[("request", &object)], None);
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(error)), "{name}: {}", reply.body);
    }
    let good = object(&seal, json!({ "aud": [app.origin, "https://other.example"] }));
    call(&app, "seal", &key, "/oauth/par", &[("request", &good)], None).expect(201);
}
