//! DPoP (RFC 9449): tokens bound to a key, and the proofs that go with them.

use chrono::Duration;
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::support::jose::{Key, fresh};
use crate::support::oidc::{self, Ask, redemption};
use crate::support::tokens::{PASSKEY_GRANT, Tokens, at_once, basic, claims};
use crate::support::urn::DEVICE_CODE;
use crate::support::{API_SECRET, Options, Reply, TestApp, introspect, verify};

/// A public and a confidential client whose tokens are always bound.
const CONFIG: &str = r#"
[clients.bound]
name = "Bound"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "profile", "passkeys"]
dpop_bound_access_tokens = true

[clients.backend]
name = "Backend"
kind = "confidential"
first_party = true
origins = ["ORIGIN"]
secret_digest = "API_DIGEST"
grants = ["passkey", "refresh_token"]
scopes = ["openid"]
dpop_bound_access_tokens = true
"#;
const ALGS: &str = r#"algs="ES256 EdDSA PS256""#;

fn spawn() -> TestApp {
    TestApp::with(&Options { config: CONFIG, settings: &[("challenges.store", "database")], ..Options::default() })
}

fn token_url(app: &TestApp) -> String {
    format!("{}/oauth/token", app.origin)
}

/// A passkey sign-in for a client, completed at the token endpoint with these headers.
fn redeem(app: &TestApp, client: &str, passkey: &mut Authenticator, headers: &[(&str, &str)]) -> Reply {
    let begun = app.client(client).begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]).to_string();
    let form = [
        ("grant_type", PASSKEY_GRANT),
        ("ceremony_id", begun["ceremonyId"].as_str().unwrap()),
        ("credential", &credential),
        ("client_id", client),
    ];
    let request = app.request("POST", "/oauth/token").form(&form);
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
}

/// Tokens of the client `bound` for a new person, bound to a key.
fn bound_to(app: &TestApp, key: &Key) -> (Authenticator, Tokens) {
    let (_, mut passkey) = app.person();
    let proof = key.proof("POST", &token_url(app), app.clock.now());
    let tokens = Tokens::of(&redeem(app, "bound", &mut passkey, &[("DPoP", &proof)]).expect(200).json());
    (passkey, tokens)
}

fn refresh(app: &TestApp, client: &str, token: &str, headers: &[(&str, &str)]) -> Reply {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client)];
    let request = app.request("POST", "/oauth/token").form(&form);
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
}

/// Requests the person's own account.
fn me(app: &TestApp, authorization: &str, proofs: &[&str]) -> Reply {
    let request = app.request("GET", "/v1/me").header("Authorization", authorization);
    proofs.iter().fold(request, |request, proof| request.header("DPoP", proof)).send()
}

fn me_url(app: &TestApp) -> String {
    format!("{}/v1/me", app.origin)
}

#[test]
fn tokens_are_bound_where_they_are_given() {
    let app = spawn();
    let (_, mut passkey) = app.person();
    for key in [Key::p256(), Key::ed25519(), Key::rsa()] {
        let proof = key.proof("POST", &token_url(&app), app.clock.now());
        let told = redeem(&app, "bound", &mut passkey, &[("DPoP", &proof)]).expect(200).json();
        assert_eq!(told["token_type"], "DPoP");
        let tokens = Tokens::of(&told);
        let jkt = json!({ "jkt": key.thumbprint() });
        assert_eq!((&claims(&tokens.access)["cnf"], &claims(&tokens.refresh)["cnf"]), (&jkt, &jkt));
        assert_eq!(claims(&tokens.id)["cnf"], Value::Null);
        let stored = format!("SELECT count(*) AS n FROM refresh_tokens WHERE jkt = '{}'", key.thumbprint());
        assert_eq!(app.count(&stored), 1);
        let seen = introspect(&app, &tokens.access);
        assert_eq!((&seen["cnf"], &seen["token_type"]), (&jkt, &json!("DPoP")));
        let proof = key.proof_with("GET", &me_url(&app), &tokens.access, app.clock.now());
        me(&app, &format!("DPoP {}", tokens.access), &[&proof]).expect(200);
    }
    // At the passkey API too.
    let key = Key::p256();
    let begun = app.client("bound").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let path = "/v1/passkeys/authentication/verify";
    let proof = key.proof("POST", &format!("{}{path}", app.origin), app.clock.now());
    let reply = app.client("bound").request("POST", path).json(&verify(&begun, &credential)).header("DPoP", &proof);
    let told = reply.send().expect(200).json();
    assert_eq!(told["tokenType"], "DPoP");
    let tokens = Tokens::of(&told);
    assert_eq!(claims(&tokens.access)["cnf"]["jkt"], key.thumbprint());
}

/// #98: a client whose tokens are always bound gets none without a proof.
#[test]
fn a_client_that_wants_bound_tokens_gets_no_others() {
    let app = spawn();
    let (_, mut passkey) = app.person();
    redeem(&app, "bound", &mut passkey, &[]).expect_oauth(400, "invalid_dpop_proof");
    redeem(&app, "backend", &mut passkey, &[("Authorization", &basic("backend", API_SECRET))])
        .expect_oauth(400, "invalid_dpop_proof");
    for grant in [
        &[("grant_type", "authorization_code"), ("code", "x")][..],
        &[("grant_type", "client_credentials")],
        &[("grant_type", DEVICE_CODE), ("device_code", "x")],
    ] {
        app.token_by("backend", grant).expect_oauth(400, "invalid_dpop_proof");
    }
    let begun = app.client("bound").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let reply = app.client("bound").finish(&begun, &credential).expect_problem(401, "invalid_dpop_proof");
    assert_eq!(reply.challenge(), Some(r#"DPoP error="invalid_dpop_proof""#));
    let key = Key::p256();
    let (_, tokens) = bound_to(&app, &key);
    refresh(&app, "bound", &tokens.refresh, &[]).expect_oauth(400, "invalid_dpop_proof");
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens"), 1, "nothing was given");
}

type Change = fn(&mut Value, &mut Value, i64);

/// Faults of a proof, whatever it is for (#95, #96).
const BAD: [(&str, Change); 33] = [
    ("no typ", |h, _, _| drop(h.as_object_mut().unwrap().remove("typ"))),
    ("typ JWT", |h, _, _| h["typ"] = json!("JWT")),
    ("typ at+jwt", |h, _, _| h["typ"] = json!("at+jwt")),
    ("no alg", |h, _, _| drop(h.as_object_mut().unwrap().remove("alg"))),
    ("alg none", |h, _, _| h["alg"] = json!("none")),
    ("alg RS256", |h, _, _| h["alg"] = json!("RS256")),
    ("alg HS256", |h, _, _| h["alg"] = json!("HS256")),
    ("another key's alg", |h, _, _| h["alg"] = json!("EdDSA")),
    ("no jwk", |h, _, _| drop(h.as_object_mut().unwrap().remove("jwk"))),
    ("jwk as text", |h, _, _| h["jwk"] = json!("x")),
    ("x5c in its place", |h, _, _| {
        h.as_object_mut().unwrap().remove("jwk");
        h["x5c"] = json!(["MIIB"]);
    }),
    ("a private member", |h, _, _| h["jwk"]["d"] = json!("AAAA")),
    ("one of another kind of key", |h, _, _| h["jwk"]["p"] = json!("AAAA")),
    ("a symmetric key", |h, _, _| h["jwk"] = json!({ "kty": "oct", "k": "AAAA" })),
    ("a key that names another alg", |h, _, _| h["jwk"]["alg"] = json!("PS256")),
    ("crit", |h, _, _| h["crit"] = json!(["htm"])),
    ("b64", |h, _, _| h["b64"] = json!(false)),
    ("no jti", |_, c, _| drop(c.as_object_mut().unwrap().remove("jti"))),
    ("an empty jti", |_, c, _| c["jti"] = json!("")),
    ("jti as a number", |_, c, _| c["jti"] = json!(1)),
    ("a huge jti", |_, c, _| c["jti"] = json!("x".repeat(600))),
    ("no htm", |_, c, _| drop(c.as_object_mut().unwrap().remove("htm"))),
    ("another htm", |_, c, _| c["htm"] = json!("PUT")),
    ("htm in lower case", |_, c, _| c["htm"] = json!(c["htm"].as_str().unwrap().to_lowercase())),
    ("no htu", |_, c, _| drop(c.as_object_mut().unwrap().remove("htu"))),
    ("another path", |_, c, _| c["htu"] = json!(format!("{}x", c["htu"].as_str().unwrap()))),
    ("another host", |_, c, _| c["htu"] = json!(c["htu"].as_str().unwrap().replace("localhost", "127.0.0.1"))),
    ("another port", |_, c, _| c["htu"] = json!("http://localhost:1/oauth/token")),
    ("another scheme", |_, c, _| c["htu"] = json!(c["htu"].as_str().unwrap().replace("http:", "https:"))),
    ("no iat", |_, c, _| drop(c.as_object_mut().unwrap().remove("iat"))),
    ("iat as text", |_, c, now| c["iat"] = json!(now.to_string())),
    ("an hour old", |_, c, now| c["iat"] = json!(now - 3600)),
    ("an hour ahead", |_, c, now| c["iat"] = json!(now + 3600)),
];

/// Proofs that must be accepted (conformance: FAPI 2.0).
const GOOD: [(&str, Change); 14] = [
    ("as it is", |_, _, _| {}),
    ("10 s old", |_, c, now| c["iat"] = json!(now - 10)),
    ("10 s ahead", |_, c, now| c["iat"] = json!(now + 10)),
    ("30 s old", |_, c, now| c["iat"] = json!(now - 30)),
    ("iat with a fraction", |_, c, now| c["iat"] = json!(f64::from(i32::try_from(now).unwrap()) - 0.5)),
    ("nbf and exp", |_, c, now| (c["nbf"], c["exp"]) = (json!(now), json!(now + 60))),
    ("exp in the past", |_, c, now| c["exp"] = json!(now - 60)),
    ("further claims", |_, c, _| (c["x"], c["sub"]) = (json!({ "y": [1] }), json!("somebody"))),
    ("a query", |_, c, _| c["htu"] = json!(format!("{}?a=b", c["htu"].as_str().unwrap()))),
    ("a fragment", |_, c, _| c["htu"] = json!(format!("{}#a", c["htu"].as_str().unwrap()))),
    ("scheme in upper case", |_, c, _| c["htu"] = json!(c["htu"].as_str().unwrap().replace("http:", "HTTP:"))),
    ("host in upper case", |_, c, _| c["htu"] = json!(c["htu"].as_str().unwrap().replace("localhost", "LocalHost"))),
    ("typ with application/", |h, _, _| h["typ"] = json!("application/dpop+jwt")),
    ("a nonce nobody asked for", |_, c, _| c["nonce"] = json!("x")),
];

fn changed(key: &Key, (mut header, mut claims): (Value, Value), change: Change, now: i64) -> String {
    change(&mut header, &mut claims, now);
    key.sign(&header, &claims)
}

#[test]
fn proofs_at_the_token_endpoint_by_name() {
    let app = spawn();
    let (key, stranger) = (Key::p256(), Key::p256());
    let (_, mut tokens) = bound_to(&app, &key);
    let now = app.clock.now();
    let parts = || key.proof_parts("POST", &token_url(&app), now);
    for (name, change) in BAD {
        let proof = changed(&key, parts(), change, now.timestamp());
        let reply = refresh(&app, "bound", &tokens.refresh, &[("DPoP", &proof)]);
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_dpop_proof")), "{name}");
        assert_eq!(reply.header("www-authenticate"), None, "{name}: 400 challenges nobody");
    }
    let good = key.proof("POST", &token_url(&app), now);
    let (header, claims) = parts();
    let parts_of: Vec<&str> = good.split('.').collect();
    for (name, proof) in [
        ("another's signature", stranger.sign(&header, &claims)),
        ("no JWT", "x".to_owned()),
        ("cut short", good[..good.len() - 1].to_owned()),
        ("no signature", format!("{}.{}.", parts_of[0], parts_of[1])),
        ("huge", "x".repeat(6000)),
        ("empty", String::new()),
        ("an access token", tokens.access.clone()),
    ] {
        refresh(&app, "bound", &tokens.refresh, &[("DPoP", &proof)]).expect_oauth(400, "invalid_dpop_proof");
        let _ = name;
    }
    let other = key.proof("POST", &token_url(&app), now);
    refresh(&app, "bound", &tokens.refresh, &[("DPoP", &good), ("DPoP", &other)])
        .expect_oauth(400, "invalid_dpop_proof");
    let rsa = Key::rsa();
    let (mut header, claims) = rsa.proof_parts("POST", &token_url(&app), now);
    header["alg"] = json!("RS256");
    let proof = rsa.sign(&header, &claims);
    refresh(&app, "bound", &tokens.refresh, &[("DPoP", &proof)]).expect_oauth(400, "invalid_dpop_proof");
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE generation > 0"), 0, "nothing was rotated");

    for (name, change) in GOOD {
        let proof = changed(&key, parts(), change, now.timestamp());
        let reply = refresh(&app, "bound", &tokens.refresh, &[("DPoP", &proof)]);
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        assert_eq!(reply.header("dpop-nonce"), None, "none is wanted");
        tokens = Tokens::of(&reply.json());
        refresh(&app, "bound", &tokens.refresh, &[("DPoP", &proof)]).expect_oauth(400, "invalid_dpop_proof");
    }
}

#[test]
fn proofs_at_a_resource_by_name() {
    let app = spawn();
    let (key, stranger) = (Key::p256(), Key::p256());
    let (_, tokens) = bound_to(&app, &key);
    let now = app.clock.now();
    let authorization = format!("DPoP {}", tokens.access);
    let ath = passmint::tokens::dpop::access_token_hash(&tokens.access);
    let parts = || {
        let (header, mut claims) = key.proof_parts("GET", &me_url(&app), now);
        claims["ath"] = json!(ath);
        (header, claims)
    };
    let refused = |name: &str, proofs: &[&str], error: &str| {
        let reply = me(&app, &authorization, proofs);
        assert_eq!((reply.status, &reply.json()["code"]), (401, &json!(error)), "{name}: {}", reply.body);
        let challenge = format!(r#"DPoP error="{error}", {ALGS}"#);
        assert_eq!(reply.challenge(), Some(challenge.as_str()), "{name}");
    };
    let own: [(&str, Change); 4] = [
        ("no ath", |_, c, _| drop(c.as_object_mut().unwrap().remove("ath"))),
        ("another ath", |_, c, _| c["ath"] = json!("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo")),
        ("ath as a number", |_, c, _| c["ath"] = json!(1)),
        ("the method of another request", |_, c, _| c["htm"] = json!("POST")),
    ];
    for (name, change) in BAD.into_iter().chain(own) {
        refused(name, &[&changed(&key, parts(), change, now.timestamp())], "invalid_dpop_proof");
    }
    let sign = |key: &Key| key.proof_with("GET", &me_url(&app), &tokens.access, now);
    refused("no proof", &[], "invalid_dpop_proof");
    refused("two proofs", &[&sign(&key), &sign(&key)], "invalid_dpop_proof");
    refused("another's signature", &[&stranger.sign(&parts().0, &parts().1)], "invalid_dpop_proof");
    refused("no JWT", &["x"], "invalid_dpop_proof");
    refused("another key", &[&sign(&stranger)], "invalid_token");
    let rsa = Key::rsa();
    let (mut header, mut claims) = rsa.proof_parts("GET", &me_url(&app), now);
    (header["alg"], claims["ath"]) = (json!("RS256"), json!(ath));
    refused("RS256", &[&rsa.sign(&header, &claims)], "invalid_dpop_proof");

    for (name, change) in GOOD {
        let proof = changed(&key, parts(), change, now.timestamp());
        let reply = me(&app, &authorization, &[&proof]);
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        refused(&format!("{name}, again"), &[&proof], "invalid_dpop_proof");
    }
    for scheme in ["dpop", "DPOP", "Dpop"] {
        me(&app, &format!("{scheme} {}", tokens.access), &[&sign(&key)]).expect(200);
    }
    // A valid proof does not make up for an invalid token.
    let reply = me(&app, &format!("DPoP {}x", tokens.access), &[&sign(&key)]).expect_problem(401, "invalid_token");
    assert_eq!(reply.challenge(), Some(format!(r#"DPoP error="invalid_token", {ALGS}"#).as_str()));
}

/// #97: the schemes are not interchangeable.
#[test]
fn a_bound_token_is_no_bearer_token_and_the_other_way_round() {
    let app = spawn();
    let key = Key::p256();
    let (_, bound) = bound_to(&app, &key);
    let (_, _, plain) = app.person_with_tokens("openid");
    let proof = |token: &str| key.proof_with("GET", &me_url(&app), token, app.clock.now());
    for proofs in [vec![], vec![proof(&bound.access)]] {
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        let reply = me(&app, &format!("Bearer {}", bound.access), &proofs).expect_problem(401, "invalid_token");
        assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    let reply = me(&app, &format!("DPoP {}", plain.access), &[&proof(&plain.access)]);
    let reply = reply.expect_problem(401, "invalid_token");
    assert!(reply.header("www-authenticate").unwrap().starts_with("DPoP error="));
    me(&app, &format!("Bearer {}", plain.access), &[]).expect(200);
    me(&app, &format!("DPoP {}", bound.access), &[&proof(&bound.access)]).expect(200);
}

/// #66: a retry within the window is only for the key that the family is bound to.
#[test]
fn a_retry_needs_the_key_too() {
    let app = spawn();
    let (key, other) = (Key::p256(), Key::p256());
    let (_, tokens) = bound_to(&app, &key);
    let with = |key: &Key| {
        let proof = key.proof("POST", &token_url(&app), app.clock.now());
        refresh(&app, "bound", &tokens.refresh, &[("DPoP", &proof)])
    };
    with(&other).expect_oauth(400, "invalid_grant");
    let first = Tokens::of(&with(&key).expect(200).json());
    with(&other).expect_oauth(400, "invalid_grant");
    refresh(&app, "bound", &tokens.refresh, &[]).expect_oauth(400, "invalid_dpop_proof");
    assert_eq!(Tokens::of(&with(&key).expect(200).json()).refresh, first.refresh, "another's try ended nothing");
}

/// #99: the public URL counts, not what the request says about itself.
#[test]
fn the_address_is_the_public_one() {
    let app =
        TestApp::with(&Options { config: CONFIG, public_url: Some("https://id.example.com"), ..Options::default() });
    let (key, mut passkey) = (Key::p256(), app.passkey());
    app.browser().sign_up(&mut passkey);
    for (name, url, accepted) in [
        ("the public one", "https://id.example.com/oauth/token".to_owned(), true),
        ("with the default port", "https://id.example.com:443/oauth/token".to_owned(), true),
        ("where it listens", format!("{}/oauth/token", app.url), false),
        ("what a proxy might say", "http://id.example.com/oauth/token".to_owned(), false),
        ("what the request calls us", "https://evil.example/oauth/token".to_owned(), false),
    ] {
        let proof = key.proof("POST", &url, app.clock.now());
        let headers = [
            ("DPoP", proof.as_str()),
            ("Host", "evil.example"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Proto", "http"),
        ];
        let reply = redeem(&app, "bound", &mut passkey, &headers);
        assert_eq!(reply.status, if accepted { 200 } else { 400 }, "{name}: {}", reply.body);
    }
}

/// RFC 9449 §5: a public client's family is bound to its key; a confidential client authenticates with its secret.
#[test]
fn refreshing_wants_the_same_key_of_a_public_client() {
    let app = spawn();
    let (key, other) = (Key::p256(), Key::p256());
    let (mut passkey, first) = bound_to(&app, &key);
    let proof = |key: &Key| key.proof("POST", &token_url(&app), app.clock.now());
    refresh(&app, "bound", &first.refresh, &[("DPoP", &proof(&other))]).expect_oauth(400, "invalid_grant");
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE revoked_at IS NOT NULL"), 0);
    let told = refresh(&app, "bound", &first.refresh, &[("DPoP", &proof(&key))]).expect(200).json();
    assert_eq!(told["token_type"], "DPoP");
    let second = Tokens::of(&told);
    assert_eq!(claims(&second.refresh)["cnf"]["jkt"], key.thumbprint());
    // A retry after a lost answer requires the key too.
    refresh(&app, "bound", &first.refresh, &[("DPoP", &proof(&other))]).expect_oauth(400, "invalid_grant");
    let again = Tokens::of(&refresh(&app, "bound", &first.refresh, &[("DPoP", &proof(&key))]).expect(200).json());
    assert_eq!(again.refresh, second.refresh);

    let secret = basic("backend", API_SECRET);
    let headers = [("Authorization", secret.as_str()), ("DPoP", &proof(&key))];
    let mine = Tokens::of(&redeem(&app, "backend", &mut passkey, &headers).expect(200).json());
    assert_eq!(claims(&mine.refresh)["cnf"], Value::Null);
    let headers = [("Authorization", secret.as_str()), ("DPoP", &proof(&other))];
    let fresh = Tokens::of(&refresh(&app, "backend", &mine.refresh, &headers).expect(200).json());
    assert_eq!(claims(&fresh.access)["cnf"]["jkt"], other.thumbprint());
}

/// #97, RFC 9449 §10: a code that was requested with a key's thumbprint is only for the holder of that key.
#[test]
fn a_thumbprint_at_the_authorization_endpoint_binds_the_code() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let (key, other) = (Key::p256(), Key::p256());
    let ask = Ask::of("spa").with("dpop_jkt", &key.thumbprint());
    let mut redeemed = |holder: Option<&Key>| {
        let code = ask.send(&mut browser).back().code();
        let request = app.request("POST", "/oauth/token").form(&redemption("spa", &code, "https://spa.example/cb"));
        match holder {
            Some(holder) => request.header("DPoP", &holder.proof("POST", &token_url(&app), app.clock.now())).send(),
            None => request.send(),
        }
    };
    redeemed(None).expect_oauth(400, "invalid_grant");
    redeemed(Some(&other)).expect_oauth(400, "invalid_grant");
    let tokens = Tokens::of(&redeemed(Some(&key)).expect(200).json());
    assert_eq!(claims(&tokens.access)["cnf"]["jkt"], key.thumbprint());
}

/// A client may bind its tokens voluntarily, and a family that began with a key stays bound to it.
#[test]
fn whoever_begins_with_a_key_goes_on_with_it() {
    let app = spawn();
    let (_, mut passkey) = app.person();
    let key = Key::ed25519();
    let proof = || key.proof("POST", &token_url(&app), app.clock.now());
    let tokens = Tokens::of(&redeem(&app, "web", &mut passkey, &[("DPoP", &proof())]).expect(200).json());
    refresh(&app, "web", &tokens.refresh, &[]).expect_oauth(400, "invalid_grant");
    refresh(&app, "web", &tokens.refresh, &[("DPoP", &proof())]).expect(200);
}

#[test]
fn a_proof_counts_once_everywhere() {
    let app = spawn();
    let twin = TestApp::with(&Options {
        beside: Some(&app),
        public_url: Some(&app.origin),
        config: CONFIG,
        settings: &[("challenges.store", "database")],
    });
    let key = Key::p256();
    let (_, tokens) = bound_to(&app, &key);
    let proof = key.proof_with("GET", &me_url(&app), &tokens.access, app.clock.now());
    let authorization = format!("DPoP {}", tokens.access);
    let statuses =
        at_once(64, |number| me(if number % 2 == 0 { &app } else { &twin }, &authorization, &[&proof]).status);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 63, "{statuses:?}");
    // Another key may use the same id.
    let (other, jti) = (Key::p256(), fresh());
    for key in [&key, &other] {
        let (header, mut claims) = key.proof_parts("POST", &token_url(&app), app.clock.now());
        claims["jti"] = json!(jti);
        let reply = refresh(&app, "web", "x", &[("DPoP", &key.sign(&header, &claims))]);
        reply.expect_oauth(400, "invalid_grant");
    }
}

/// RFC 9449 §8 and §9.
#[test]
fn nonces_are_given_out_and_wanted_back() {
    let app =
        TestApp::with(&Options { config: CONFIG, settings: &[("dpop.require_nonce", "true")], ..Options::default() });
    let (_, mut passkey) = app.person();
    let key = Key::p256();
    let proof = |method: &str, url: &str, token: Option<&str>, nonce: Option<&str>| {
        let (header, mut claims) = key.proof_parts(method, url, app.clock.now());
        if let Some(token) = token {
            claims["ath"] = json!(passmint::tokens::dpop::access_token_hash(token));
        }
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        key.sign(&header, &claims)
    };
    let at_token = |nonce: Option<&str>| proof("POST", &token_url(&app), None, nonce);
    // A nonce is valid for spans of five minutes: start at the beginning of one.
    app.advance(Duration::seconds(301 - app.clock.now().timestamp().rem_euclid(300)));
    let reply = redeem(&app, "bound", &mut passkey, &[("DPoP", &at_token(None))]).expect_oauth(400, "use_dpop_nonce");
    assert_eq!(reply.header("www-authenticate"), None);
    let nonce = reply.header("dpop-nonce").unwrap().to_owned();
    for wrong in ["x", "", &nonce[1..]] {
        let reply = redeem(&app, "bound", &mut passkey, &[("DPoP", &at_token(Some(wrong)))]);
        assert_eq!(reply.expect_oauth(400, "use_dpop_nonce").header("dpop-nonce"), Some(nonce.as_str()));
    }
    let reply = redeem(&app, "bound", &mut passkey, &[("DPoP", &at_token(Some(&nonce)))]).expect(200);
    assert!(reply.header("dpop-nonce").is_some(), "the next one comes with the answer");
    let tokens = Tokens::of(&reply.json());

    let at_me = |nonce: Option<&str>| proof("GET", &me_url(&app), Some(&tokens.access), nonce);
    let authorization = format!("DPoP {}", tokens.access);
    let reply = me(&app, &authorization, &[&at_me(None)]).expect_problem(401, "use_dpop_nonce");
    let challenge = format!(r#"DPoP error="use_dpop_nonce", {ALGS}"#);
    assert_eq!(reply.challenge(), Some(challenge.as_str()));
    assert!(reply.header("dpop-nonce").is_some());
    me(&app, &authorization, &[&at_me(Some(&nonce))]).expect(200);
    app.advance(Duration::minutes(5));
    me(&app, &authorization, &[&at_me(Some(&nonce))]).expect(200);
    app.advance(Duration::minutes(4));
    let reply = me(&app, &authorization, &[&at_me(None)]).expect_problem(401, "use_dpop_nonce");
    let newer = reply.header("dpop-nonce").unwrap().to_owned();
    assert_ne!(newer, nonce);
    me(&app, &authorization, &[&at_me(Some(&newer))]).expect(200);
    app.advance(Duration::minutes(2));
    refresh(&app, "bound", &tokens.refresh, &[("DPoP", &at_token(Some(&nonce)))]).expect_oauth(400, "use_dpop_nonce");
}

#[test]
fn pages_of_clients_may_send_proofs() {
    let app = spawn();
    let preflight = app
        .request("OPTIONS", "/oauth/token")
        .header("Origin", &app.origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "dpop")
        .send();
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("DPoP"));
    let reply = app.client("bound").request("POST", "/oauth/token").form(&[("client_id", "bound")]).send();
    assert!(reply.header("access-control-expose-headers").unwrap().contains("DPoP-Nonce"));
}
