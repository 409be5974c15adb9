//! Signed requests (RFC 9101; security rules 28 and 29) and signed responses (JARM).

use serde_json::{Map, Value, json};

use chrono::Duration;
use passmint::tokens::key_set::KeySet;
use passmint::tokens::keys::Algorithm;
use passmint::tokens::verifier::{Audience, Expectation, Expiry, KeySource, Leeway, NO_TYPE, verify};

use crate::support::jose::{Key, as_toml};
use crate::support::oidc::{Ask, CLIENTS};
use crate::support::receiver::Receiver;
use crate::support::tokens::{at_once, header};
use crate::support::{API_SECRET, Browser, Options, Reply, TestApp};

/// A client with keys and a secret, and one whose requests must be signed.
fn config(key: &Key, more: &str) -> String {
    let client = |id: &str, more: &str| {
        format!(
            "[clients.{id}]\nname = \"{id}\"\nkind = \"confidential\"\nauth_method = \"client_secret_post\"\n\
             first_party = true\nsecret_digest = \"API_DIGEST\"\nredirect_uris = [\"https://{id}.example/cb\"]\n\
             grants = [\"authorization_code\"]\nscopes = [\"openid\", \"email\"]\naudiences = [\"https://api.example\", \"https://b.example\"]\n{}\n{more}\n",
            as_toml(&[key.named("k1")])
        )
    };
    format!("{CLIENTS}\n{}\n{}", client("signer", more), client("strict", "require_signed_request_object = true"))
}

fn spawn(key: &Key) -> TestApp {
    spawn_with(key, "", "false")
}

fn spawn_with(key: &Key, more: &str, private: &str) -> TestApp {
    let settings = [("challenges.store", "database"), ("outbound.allow_private_addresses", private)];
    TestApp::with(&Options { config: &config(key, more), settings: &settings, ..Options::default() })
}

fn object(app: &TestApp, key: &Key, ask: &Ask) -> String {
    key.request_object("signer", &app.origin, app.clock.now(), &ask.pairs())
}

fn bring(object: &str) -> Ask {
    Ask::of("signer").with("request", object)
}

/// RFC 9101 §6.3.
#[test]
fn only_what_is_inside_counts() {
    let key = Key::p256();
    let app = spawn(&key);
    let (mut browser, _) = app.person();
    let inside = Ask::of("signer").with("scope", "openid email").with("state", "inside");
    let outside = bring(&object(&app, &key, &inside))
        .with("state", "outside")
        .with("scope", "openid admin")
        .with("redirect_uri", "https://evil.example/cb")
        .with("response_type", "token");
    let back = outside.send(&mut browser).back();
    assert_eq!((back.to.as_str(), back.get("state")), ("https://signer.example/cb", Some("inside")));
    let tokens = redeem(&app, &back.code());
    assert_eq!(tokens["scope"], "email openid");
    // Parameters only outside the object do not exist: here PKCE, which a confidential client may omit.
    let bare = object(&app, &key, &Ask::of("signer").without_pkce().with("resource", "https://api.example"));
    let code = bring(&bare).send(&mut browser).back().code();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", "https://signer.example/cb"),
        ("client_id", "signer"),
        ("client_secret", API_SECRET),
    ];
    app.request("POST", "/oauth/token").form(&form).send().expect(200);
    // Posted by a form of the app's page, and pushed.
    let posted = bring(&object(&app, &key, &inside)).post(&app).waits();
    assert_eq!(browser.get(&posted).back().get("state"), Some("inside"));
    let signed = object(&app, &key, &inside);
    let form = [("client_id", "signer"), ("client_secret", API_SECRET), ("request", &signed), ("state", "outside")];
    let pushed = app.request("POST", "/oauth/par").form(&form).send().expect(201).json();
    let bare = ["redirect_uri", "response_type", "scope", "state"].into_iter().fold(Ask::of("signer"), Ask::without);
    let back = bare.with("request_uri", pushed["request_uri"].as_str().unwrap()).send(&mut browser).back();
    assert_eq!(back.get("state"), Some("inside"));
}

#[track_caller]
fn redeem(app: &TestApp, code: &str) -> Value {
    let form = crate::support::oidc::redemption("signer", code, "https://signer.example/cb");
    let form = [form, vec![("client_secret", API_SECRET)]].concat();
    app.request("POST", "/oauth/token").form(&form).send().expect(200).json()
}

type Change = fn(&mut Value, &mut Value, i64);

/// Security rule 28.
#[test]
fn refusals_by_name() {
    let key = Key::p256();
    let app = spawn(&key);
    let (mut browser, _) = app.person();
    let rows: Vec<(&str, Change)> = vec![
        ("no algorithm", |header, _, _| header["alg"] = json!("none")),
        ("a shared secret", |header, _, _| header["alg"] = json!("HS256")),
        ("another type of token", |header, _, _| header["typ"] = json!("at+jwt")),
        ("a client assertion's type", |header, _, _| header["typ"] = json!("client-authentication+jwt")),
        ("a critical extension", |header, _, _| header["crit"] = json!(["x"])),
        ("another issuer", |_, claims, _| claims["iss"] = json!("house")),
        ("no issuer", |_, claims, _| claims["iss"] = Value::Null),
        ("another audience", |_, claims, _| claims["aud"] = json!("https://evil.example")),
        ("no audience", |_, claims, _| claims["aud"] = Value::Null),
        ("another client", |_, claims, _| claims["client_id"] = json!("house")),
        ("no client", |_, claims, _| claims["client_id"] = Value::Null),
        ("past", |_, claims, now| claims["exp"] = json!(now - 1)),
        ("for ever", |_, claims, now| claims["exp"] = json!(now + 86_460)),
        ("a time as text", |_, claims, now| claims["exp"] = json!((now + 60).to_string())),
        ("not yet", |_, claims, now| claims["nbf"] = json!(now + 60)),
        ("about the client, as an assertion is", |_, claims, _| claims["sub"] = json!("signer")),
        ("an object within", |_, claims, _| claims["request"] = json!("a.b.c")),
        ("a reference within", |_, claims, _| claims["request_uri"] = json!("https://signer.example/r")),
        ("a list for a text", |_, claims, _| claims["scope"] = json!(["openid"])),
        ("nothing for a text", |_, claims, _| claims["state"] = Value::Null),
        ("yes for a text", |_, claims, _| claims["prompt"] = json!(true)),
    ];
    for (name, change) in rows {
        let now = app.clock.now();
        let (mut header, mut claims) = key.request_parts("signer", &app.origin, now, &Ask::of("signer").pairs());
        change(&mut header, &mut claims, now.timestamp());
        let members: Map<String, Value> = claims.as_object().unwrap().clone();
        let absent = |name: &str| ["iss", "aud", "client_id"].contains(&name);
        let claims: Value = members.into_iter().filter(|(name, value)| !(value.is_null() && absent(name))).collect();
        refused(&mut browser, &key.sign(&header, &claims), name);
    }
    let other = Key::p256();
    refused(&mut browser, &object(&app, &other, &Ask::of("signer")), "a foreign key");
    let good = object(&app, &key, &Ask::of("signer"));
    refused(&mut browser, &good[..good.len() - 2], "cut off");
    refused(&mut browser, "x", "no object");
    refused(&mut browser, &"a".repeat(6000), "long");
    let both = bring(&good).with("request_uri", "urn:ietf:params:oauth:request_uri:x");
    assert_eq!(both.send(&mut browser).back().error(), "invalid_request");
    bring(&good).send(&mut browser).back().code();
    let (header, mut claims) = key.request_parts("signer", &app.origin, app.clock.now(), &Ask::of("signer").pairs());
    let now = f64::from(i32::try_from(app.clock.now().timestamp()).unwrap());
    (claims["iat"], claims["nbf"], claims["exp"]) = (json!(now), json!(now - 0.5), json!(now + 60.5));
    let fractions = key.sign(&header, &claims);
    bring(&fractions).send(&mut browser).back().code();
    refused(&mut browser, &fractions, "used before, dates with fractions or not");
    let without = Ask::of("house").with("request", &good).send(&mut browser).back();
    assert_eq!(without.error(), "request_not_supported", "a client without keys");
    let unsigned = Ask::of("strict").send(&mut browser).back();
    assert_eq!(unsigned.error(), "invalid_request", "a client that must sign");
    let signed = key.request_object("strict", &app.origin, app.clock.now(), &Ask::of("strict").pairs());
    Ask::of("strict").with("request", &signed).send(&mut browser).back().code();
}

#[track_caller]
fn refused(browser: &mut Browser, object: &str, name: &str) {
    let reply: Reply = bring(object).send(browser);
    let back = reply.back();
    assert_eq!(back.error(), "invalid_request_object", "{name}");
    assert_eq!(back.get("state"), Some("the state"), "{name}");
}

/// Security rule 119: each advertised algorithm.
#[test]
fn objects_of_each_advertised_algorithm_are_taken() {
    let (ec, ed, rsa) = (Key::p256(), Key::ed25519(), Key::rsa());
    let config = format!(
        "[clients.signer]\nkind = \"confidential\"\nfirst_party = true\nsecret_digest = \"API_DIGEST\"\n\
         redirect_uris = [\"https://signer.example/cb\"]\ngrants = [\"authorization_code\"]\nscopes = [\"openid\"]\n\
         auth_method = \"client_secret_post\"\n{}\n",
        as_toml(&[ec.named("ec"), ed.named("ed"), rsa.named("rsa")])
    );
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let (mut browser, _) = app.person();
    let mut taken = Vec::new();
    for (key, kid, algorithm) in
        [(&ec, "ec", "ES256"), (&ed, "ed", "EdDSA"), (&rsa, "rsa", "PS256"), (&rsa, "rsa", "RS256")]
    {
        let asked = Ask::of("signer");
        let (mut header, claims) = key.request_parts("signer", &app.origin, app.clock.now(), &asked.pairs());
        (header["kid"], header["alg"]) = (json!(kid), json!(algorithm));
        bring(&key.sign(&header, &claims)).send(&mut browser).back().code();
        taken.push(algorithm.to_owned());
    }
    let document = app.request("GET", "/.well-known/openid-configuration").send().expect(200).json();
    let advertised = document["request_object_signing_alg_values_supported"].clone();
    let mut advertised: Vec<String> = serde_json::from_value(advertised).unwrap();
    advertised.sort();
    taken.sort();
    assert_eq!(advertised, taken);
}

/// A stranger gets the error on our own page: anybody could have made the link.
#[test]
fn a_stranger_is_not_sent_on_by_a_broken_object() {
    let key = Key::p256();
    let app = TestApp::with(&Options {
        config: &config(&key, "").replace("first_party = true\nsecret", "first_party = false\nsecret"),
        ..Options::default()
    });
    let reply = bring("x").send(&mut app.browser());
    assert_eq!((reply.status, reply.header("location")), (400, None));
    assert!(reply.body.contains("invalid_request_object"), "{}", reply.body);
    let reply = bring("x").with("redirect_uri", "https://evil.example/cb").send(&mut app.person().0);
    assert_eq!((reply.status, reply.header("location")), (400, None));
}

#[test]
fn an_object_with_an_id_counts_once() {
    let key = Key::p256();
    let app = spawn(&key);
    let (mut browser, _) = app.person();
    let cookies: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (cookies, path) = (cookies.join("; "), bring(&object(&app, &key, &Ask::of("signer"))).path());
    let replies = at_once(64, |_| app.request("GET", &path).header("Cookie", &cookies).send());
    let codes = replies.iter().filter(|reply| reply.header("location").is_some_and(|to| to.contains("code="))).count();
    assert_eq!(codes, 1);
    // OpenID Connect Core §6.1 does not require an expiry; the id is then remembered for a day.
    let (header, mut claims) = key.request_parts("signer", &app.origin, app.clock.now(), &Ask::of("signer").pairs());
    claims.as_object_mut().unwrap().remove("exp");
    let endless = key.sign(&header, &claims);
    bring(&endless).send(&mut browser).back().code();
    app.advance(Duration::hours(1));
    refused(&mut browser, &endless, "used before");
    // Viewing uses nothing up: a page that asks can be opened again until somebody has answered.
    let asks = object(&app, &key, &Ask::of("signer").with("prompt", "consent"));
    bring(&asks).send(&mut browser).waits();
    let path = bring(&asks).send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    browser.submit(&page, &path, &[("decision", "allow")]).returning().code();
    refused(&mut browser, &asks, "used before");
    // An object without an id may be opened again until it expires.
    let (header, mut claims) = key.request_parts("signer", &app.origin, app.clock.now(), &Ask::of("signer").pairs());
    claims.as_object_mut().unwrap().remove("jti");
    let lasting = key.sign(&header, &claims);
    for _ in 0..2 {
        bring(&lasting).send(&mut browser).back().code();
    }
    app.advance(Duration::minutes(6));
    refused(&mut browser, &lasting, "past");
}

/// RFC 9449 §8: a client that is given a nonce repeats the same request, with the same signed object.
#[test]
fn an_object_is_not_used_up_by_a_push_without_a_nonce() {
    let (key, dpop) = (Key::p256(), Key::p256());
    let settings = [("dpop.require_nonce", "true")];
    let app = TestApp::with(&Options { config: &config(&key, ""), settings: &settings, ..Options::default() });
    let object = object(&app, &key, &Ask::of("signer"));
    let push = |nonce: Option<&str>| {
        let (header, mut claims) = dpop.proof_parts("POST", &format!("{}/oauth/par", app.origin), app.clock.now());
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        let form = [("client_id", "signer"), ("client_secret", API_SECRET), ("request", &object)];
        app.request("POST", "/oauth/par").header("DPoP", &dpop.sign(&header, &claims)).form(&form).send()
    };
    let told = push(None).expect_oauth(400, "use_dpop_nonce");
    let nonce = told.header("dpop-nonce").unwrap();
    push(Some(nonce)).expect(201);
    push(Some(nonce)).expect_oauth(400, "invalid_request_object");
}

/// Security rule 29, OpenID Connect Core §6.2.
#[test]
fn objects_are_fetched_from_registered_addresses_only() {
    let key = Key::p256();
    let server = Receiver::start();
    let registered = format!("request_uris = [\"{0}/r\", \"{0}/v#2\"]", server.url);
    let app = spawn_with(&key, &registered, "true");
    let (mut browser, _) = app.person();
    let at = |uri: &str| Ask::of("signer").with("request_uri", uri);
    for unregistered in ["/other", "/r?x=1", "/r#1", "/v"] {
        let back = at(&format!("{}{unregistered}", server.url)).send(&mut browser).back();
        assert_eq!(back.error(), "invalid_request_uri", "{unregistered}");
    }
    assert_eq!(server.hits().len(), 0, "nothing was fetched");
    for path in ["/r", "/v#2"] {
        server.says(&object(&app, &key, &Ask::of("signer").with("state", path)));
        let back = at(&format!("{}{path}", server.url)).send(&mut browser).back();
        assert_eq!(back.get("state"), Some(path));
        back.code();
    }
    assert_eq!(server.hits().last().unwrap().line, "GET /v", "the fragment is not sent");
    server.says("x");
    assert_eq!(at(&format!("{}/r", server.url)).send(&mut browser).back().error(), "invalid_request_object");
    server.always(500);
    assert_eq!(at(&format!("{}/r", server.url)).send(&mut browser).back().error(), "invalid_request_uri");

    let closed = spawn_with(&key, &registered, "false");
    let hits = server.hits().len();
    let (mut browser, _) = closed.person();
    assert_eq!(at(&format!("{}/r", server.url)).send(&mut browser).back().error(), "invalid_request_uri");
    assert_eq!(server.hits().len(), hits, "a private address is not even connected to");
}

/// The one parameter of a response, verified as its client would.
#[track_caller]
fn opened(app: &TestApp, response: &str) -> Map<String, Value> {
    let set = app.request("GET", "/.well-known/jwks.json").send().expect(200);
    let keys = KeySet::parse(set.body.as_bytes()).unwrap();
    let expected = Expectation {
        types: &[NO_TYPE],
        issuer: &app.origin,
        audience: Audience::OnlyText("signer"),
        required: &[],
        leeway: Leeway::OWN,
        expiry: Expiry::Enforced,
        max_lifetime: None,
        keys: KeySource::Foreign { keys: &keys, algorithms: &[Algorithm::RS256, Algorithm::ES256] },
    };
    let now = app.clock.now();
    let claims: Map<String, Value> = verify(response, &expected, now).unwrap().into_claims();
    assert!(claims["exp"].as_i64().unwrap() <= now.timestamp() + 600, "ten minutes at most");
    claims
}

/// JARM §2.
#[test]
fn answers_are_one_signed_token_where_they_are_asked_for() {
    let key = Key::p256();
    for (more, algorithm) in [("", "RS256"), ("authorization_response_algorithm = \"ES256\"", "ES256")] {
        let app = spawn_with(&key, more, "false");
        let (mut browser, _) = app.person();
        for mode in ["jwt", "query.jwt"] {
            let back = Ask::of("signer").with("response_mode", mode).send(&mut browser).back();
            assert_eq!(back.parameters.keys().collect::<Vec<_>>(), ["response"], "{mode}: nothing beside it");
            let response = back.get("response").unwrap();
            assert_eq!(header(response)["alg"], algorithm);
            let told = opened(&app, response);
            let names: Vec<&str> = told.keys().map(String::as_str).collect();
            assert_eq!(names, ["aud", "code", "exp", "iss", "state"]);
            assert_eq!(told["state"], "the state");
            redeem(&app, told["code"].as_str().unwrap());
            // It is not accepted as a token of ours.
            let me = app.request("GET", "/v1/me").header("Authorization", &format!("Bearer {response}")).send();
            assert_eq!(me.status, 401);
        }
        let page = Ask::of("signer").with("response_mode", "form_post.jwt").send(&mut browser).expect(200);
        let (_, rest) = page.body.split_once("name=\"response\" value=\"").expect("the field");
        let response = rest.split_once('"').unwrap().0;
        assert!(!page.body.contains("name=\"code\"") && !page.body.contains("name=\"state\""));
        redeem(&app, opened(&app, response)["code"].as_str().unwrap());
        let silent =
            Ask::of("signer").with("response_mode", "jwt").with("prompt", "none").send(&mut app.browser()).back();
        let told = opened(&app, silent.get("response").unwrap());
        assert_eq!((&told["error"], &told["state"]), (&json!("login_required"), &json!("the state")));
    }
    let app = spawn(&key);
    let (mut browser, _) = app.person();
    let back = Ask::of("signer").with("response_mode", "fragment.jwt").send(&mut browser).back();
    assert_eq!(back.error(), "invalid_request");
}
