//! Client authentication over HTTP: one method per client, assertions that count once, and keys that are fetched.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::Duration;
use serde_json::{Value, json};

use crate::support::jose::{ASSERTION_TYPE, Key, as_toml};
use crate::support::tokens::{at_once, basic};
use crate::support::{API_SECRET, Options, Reply, TestApp};

/// An invalid refresh token: a caller that gets as far as this answer has authenticated.
const PAST: (u16, &str) = (400, "invalid_grant");
const REFUSED: (u16, &str) = (401, "invalid_client");

/// A client that authenticates with a key, as the configuration declares it.
fn keyed(id: &str, more: &str) -> String {
    format!(
        "[clients.{id}]\nname = \"{id}\"\nkind = \"confidential\"\norigins = [\"ORIGIN\"]\ngrants = [\"refresh_token\"]\nmay_introspect = [\"ORIGIN\"]\n\
         auth_method = \"private_key_jwt\"\n{more}\n"
    )
}

fn spawn(config: &str) -> TestApp {
    TestApp::with(&Options { config, settings: &[("challenges.store", "database")], ..Options::default() })
}

/// Calls the token endpoint with an assertion. Returns the outcome.
fn by_assertion(app: &TestApp, assertion: &str) -> (u16, String) {
    outcome(&send(app, None, &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)]))
}

fn send(app: &TestApp, authorization: Option<&str>, more: &[(&str, &str)]) -> Reply {
    let form = [&[("grant_type", "refresh_token"), ("refresh_token", "x")], more].concat();
    let request = app.request("POST", "/oauth/token").form(&form);
    match authorization {
        Some(value) => request.header("Authorization", value).send(),
        None => request.send(),
    }
}

fn outcome(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["error"].as_str().unwrap_or_default().to_owned())
}

fn words((status, error): (u16, &str)) -> (u16, String) {
    (status, error.to_owned())
}

/// RFC 6749 §2.3, RFC 9700 §2.5: each client by each method, at each endpoint.
#[test]
fn a_client_has_one_method_and_no_other() {
    let key = Key::p256();
    let config = [
        "[clients.form]\nname = \"Form\"\nkind = \"confidential\"\nauth_method = \"client_secret_post\"\nsecret_digest = \"API_DIGEST\"\ngrants = [\"refresh_token\"]\n",
        &keyed("keyed", &as_toml(&[key.named("k1")])),
        "[clients.header]\nname = \"Header\"\nkind = \"confidential\"\nauth_method = \"client_secret_basic\"\nsecret_digest = \"API_DIGEST\"\ngrants = [\"refresh_token\"]\n",
        // It also has a secret, which its method makes useless.
        &keyed("both", &format!("secret_digest = \"API_DIGEST\"\n{}", as_toml(&[key.named("k1")]))),
    ]
    .join("\n");
    let app = spawn(&config);
    for (client, own) in [
        ("web", "none"),
        // The configuration does not say how its secret is sent.
        ("api", "basic or post"),
        ("header", "basic"),
        ("form", "post"),
        ("keyed", "jwt"),
        ("both", "jwt"),
    ] {
        for way in ["none", "basic", "post", "jwt"] {
            for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
                let assertion = key.assertion(client, &app.origin, app.clock.now());
                let header = basic(client, API_SECRET);
                let (header, form) = match way {
                    "none" => (None, vec![("client_id", client)]),
                    "basic" => (Some(&header), vec![]),
                    "post" => (None, vec![("client_id", client), ("client_secret", API_SECRET)]),
                    _ => (None, vec![("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)]),
                };
                let form =
                    [form, vec![("grant_type", "refresh_token"), ("refresh_token", "x"), ("token", "x")]].concat();
                let request = app.request("POST", path).form(&form);
                let reply = match header {
                    Some(header) => request.header("Authorization", header).send(),
                    None => request.send(),
                };
                let expected = match path {
                    _ if !own.split(" or ").any(|one| one == way) => words(REFUSED),
                    "/oauth/token" => words(PAST),
                    "/oauth/introspect" if own == "none" => words(REFUSED),
                    _ => (200, String::new()),
                };
                let got = if reply.status == 200 { (200, String::new()) } else { outcome(&reply) };
                assert_eq!(got, expected, "{client} by {way} at {path}: {}", reply.body);
                if reply.status == 401 {
                    assert!(reply.header("www-authenticate").unwrap().starts_with("Basic"), "{client} by {way}");
                }
            }
        }
    }
}

#[test]
fn two_methods_at_once_are_an_invalid_request() {
    let key = Key::p256();
    let app = spawn(&keyed("keyed", &as_toml(&[key.named("k1")])));
    let assertion = key.assertion("keyed", &app.origin, app.clock.now());
    let jwt = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
    let header = basic("keyed", "x");
    for (name, header, form) in [
        ("header and secret", Some(header.as_str()), vec![("client_id", "keyed"), ("client_secret", "x")]),
        ("header and assertion", Some(header.as_str()), jwt.to_vec()),
        ("secret and assertion", None, [&jwt[..], &[("client_secret", "x")]].concat()),
        ("an assertion without its type", None, vec![jwt[1]]),
        ("a type without assertion", None, vec![jwt[0]]),
    ] {
        assert_eq!(outcome(&send(&app, header, &form)), words((400, "invalid_request")), "{name}");
    }
    // With another `client_id` the assertion is somebody else's, and authenticates none of these clients.
    for id in ["web", "nobody"] {
        assert_eq!(outcome(&send(&app, None, &[&jwt[..], &[("client_id", id)]].concat())), words(REFUSED), "{id}");
    }
    assert_eq!(outcome(&send(&app, None, &[&jwt[..], &[("client_id", "keyed")]].concat())), words(PAST), "unspent");
}

/// RFC 7523 §3, rfc7523bis, FAPI 2.0 §5.3.2.1, by name; a refused assertion leaves its `jti` unused.
#[test]
fn assertions_by_name() {
    type Change = fn(&mut Value, &mut Value, &str, i64);
    let (key, stranger) = (Key::p256(), Key::p256());
    let app = spawn(&keyed("keyed", &as_toml(&[key.named("k1")])));
    let refused: [(&str, Change); 33] = [
        ("expired five minutes ago", |_, c, _, now| (c["exp"], c["iat"]) = (json!(now - 300), json!(now - 400))),
        ("expired now", |_, c, _, now| (c["exp"], c["iat"]) = (json!(now), json!(now - 60))),
        ("living too long", |_, c, _, now| c["exp"] = json!(now + 330)),
        ("no exp", |_, c, _, _| drop(c.as_object_mut().unwrap().remove("exp"))),
        ("exp as text", |_, c, _, now| c["exp"] = json!((now + 60).to_string())),
        ("exp as a boolean", |_, c, _, _| c["exp"] = json!(true)),
        ("iat 61 s ahead", |_, c, _, now| (c["iat"], c["exp"]) = (json!(now + 61), json!(now + 120))),
        ("nbf 61 s ahead", |_, c, _, now| (c["nbf"], c["exp"]) = (json!(now + 61), json!(now + 120))),
        ("no aud", |_, c, _, _| drop(c.as_object_mut().unwrap().remove("aud"))),
        ("the token endpoint as aud", |_, c, issuer, _| c["aud"] = json!(format!("{issuer}/oauth/token"))),
        ("the PAR endpoint as aud", |_, c, issuer, _| c["aud"] = json!(format!("{issuer}/oauth/par"))),
        ("the issuer with a slash", |_, c, issuer, _| c["aud"] = json!(format!("{issuer}/"))),
        ("an array", |_, c, issuer, _| c["aud"] = json!([issuer])),
        ("an array with another", |_, c, issuer, _| c["aud"] = json!([issuer, "https://other.example"])),
        ("another server", |_, c, _, _| c["aud"] = json!("https://other.example")),
        ("no sub", |_, c, _, _| drop(c.as_object_mut().unwrap().remove("sub"))),
        ("another sub", |_, c, _, _| c["sub"] = json!("api")),
        ("no iss", |_, c, _, _| drop(c.as_object_mut().unwrap().remove("iss"))),
        ("another iss", |_, c, _, _| c["iss"] = json!("api")),
        ("an unknown iss", |_, c, _, _| (c["iss"], c["sub"]) = (json!("nobody"), json!("nobody"))),
        ("no jti", |_, c, _, _| drop(c.as_object_mut().unwrap().remove("jti"))),
        ("an empty jti", |_, c, _, _| c["jti"] = json!("")),
        ("jti as a number", |_, c, _, _| c["jti"] = json!(7)),
        ("alg none", |h, _, _, _| h["alg"] = json!("none")),
        ("HS256", |h, _, _, _| h["alg"] = json!("HS256")),
        ("RS256 with an EC key", |h, _, _, _| h["alg"] = json!("RS256")),
        ("no alg", |h, _, _, _| drop(h.as_object_mut().unwrap().remove("alg"))),
        ("another kid", |h, _, _, _| h["kid"] = json!("k2")),
        ("kid as a number", |h, _, _, _| h["kid"] = json!(1)),
        ("crit", |h, _, _, _| h["crit"] = json!(["exp"])),
        ("b64", |h, _, _, _| h["b64"] = json!(false)),
        ("the type of an access token", |h, _, _, _| h["typ"] = json!("at+jwt")),
        ("the type of a proof", |h, _, _, _| h["typ"] = json!("dpop+jwt")),
    ];
    for (name, change) in refused {
        let now = app.clock.now();
        let (mut header, mut claims) = key.assertion_parts("keyed", &app.origin, now);
        change(&mut header, &mut claims, &app.origin, now.timestamp());
        assert_eq!(by_assertion(&app, &key.sign(&header, &claims)), words(REFUSED), "{name}");
    }
    let (mut header, claims) = key.assertion_parts("keyed", &app.origin, app.clock.now());
    assert_eq!(by_assertion(&app, &stranger.sign(&header, &claims)), words(REFUSED), "another's signature");
    header["jwk"] = stranger.jwk();
    assert_eq!(by_assertion(&app, &stranger.sign(&header, &claims)), words(REFUSED), "another's key brought along");
    let good = key.assertion("keyed", &app.origin, app.clock.now());
    let parts: Vec<&str> = good.split('.').collect();
    for (name, text) in [
        ("cut short", good[..good.len() - 1].to_owned()),
        ("padded", format!("{good}=")),
        ("four parts", format!("{good}.x")),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("garbage", "x".to_owned()),
        ("huge", "x".repeat(20_000)),
    ] {
        assert_eq!(by_assertion(&app, &text), words(REFUSED), "{name}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM used_jti"), 0, "nothing refused was spent");

    let accepted: [(&str, Change); 12] = [
        ("as it is", |_, _, _, _| {}),
        ("times with fractions", |_, c, _, now| {
            let now = f64::from(i32::try_from(now).unwrap());
            (c["exp"], c["iat"], c["nbf"]) = (json!(now + 60.5), json!(now), json!(now - 0.25));
        }),
        ("iat 8 s ahead", |_, c, _, now| c["iat"] = json!(now + 8)),
        ("nbf 8 s ahead", |_, c, _, now| c["nbf"] = json!(now + 8)),
        ("no iat", |_, c, _, _| drop(c.as_object_mut().unwrap().remove("iat"))),
        ("five minutes", |_, c, _, now| c["exp"] = json!(now + 300)),
        ("almost over", |_, c, _, now| (c["exp"], c["iat"]) = (json!(now + 5), json!(now - 60))),
        ("typ JWT", |h, _, _, _| h["typ"] = json!("JWT")),
        ("its own typ", |h, _, _, _| h["typ"] = json!("client-authentication+jwt")),
        ("no kid", |h, _, _, _| drop(h.as_object_mut().unwrap().remove("kid"))),
        ("jku and x5u, not looked at", |h, _, _, _| (h["jku"], h["x5u"]) = (json!("http://x.invalid"), json!("x"))),
        ("further claims", |_, c, _, _| c["scope"] = json!("openid")),
    ];
    for (name, change) in accepted {
        let now = app.clock.now();
        let (mut header, mut claims) = key.assertion_parts("keyed", &app.origin, now);
        change(&mut header, &mut claims, &app.origin, now.timestamp());
        assert_eq!(by_assertion(&app, &key.sign(&header, &claims)), words(PAST), "{name}");
    }
}

/// FAPI 2.0 §5.4: RSA with PKCS#1 is only for other clients.
#[test]
fn the_algorithms_are_those_of_the_client() {
    let (p256, ed25519, rsa) = (Key::p256(), Key::ed25519(), Key::rsa());
    let mut only_ps256 = rsa.named("k1");
    only_ps256["alg"] = json!("PS256");
    let keys = |key: &Key| as_toml(&[key.named("k1")]);
    let fapi = |id: &str, key: &Key| {
        keyed(id, &format!("security_profile = \"fapi2\"\nid_token_algorithm = \"ES256\"\n{}", keys(key)))
    };
    let config = [
        keyed("ec", &keys(&p256)),
        keyed("ed", &keys(&ed25519)),
        keyed("rsa", &keys(&rsa)),
        keyed("pss", &as_toml(&[only_ps256])),
        fapi("fapi-ec", &p256),
        fapi("fapi-ed", &ed25519),
        fapi("fapi-rsa", &rsa),
    ];
    let app = spawn(&config.join("\n"));
    for (client, key, algorithm, accepted) in [
        ("ec", &p256, "ES256", true),
        ("ed", &ed25519, "EdDSA", true),
        ("rsa", &rsa, "RS256", true),
        ("rsa", &rsa, "PS256", true),
        ("rsa", &rsa, "PS384", false),
        ("pss", &rsa, "PS256", true),
        ("pss", &rsa, "RS256", false),
        ("fapi-ec", &p256, "ES256", true),
        ("fapi-ed", &ed25519, "EdDSA", true),
        ("fapi-rsa", &rsa, "PS256", true),
        ("fapi-rsa", &rsa, "RS256", false),
    ] {
        let (mut header, claims) = key.assertion_parts(client, &app.origin, app.clock.now());
        header["alg"] = json!(algorithm);
        let got = by_assertion(&app, &key.sign(&header, &claims));
        // A FAPI client that is asked for a DPoP proof has authenticated.
        let past = if client.starts_with("fapi") { (400, "invalid_dpop_proof") } else { PAST };
        assert_eq!(got, words(if accepted { past } else { REFUSED }), "{client} with {algorithm}");
    }
}

/// Of many equal assertions at many servers one succeeds; the same id from another client is a different one.
#[test]
fn an_assertion_counts_once_everywhere() {
    let key = Key::p256();
    let config = [keyed("keyed", &as_toml(&[key.named("k1")])), keyed("other-keyed", &as_toml(&[key.named("k1")]))];
    let app = spawn(&config.join("\n"));
    let twin = TestApp::with(&Options {
        beside: Some(&app),
        public_url: Some(&app.origin),
        config: &config.join("\n").replace("ORIGIN", &app.origin),
        settings: &[("challenges.store", "database")],
    });
    let (header, mut claims) = key.assertion_parts("keyed", &app.origin, app.clock.now());
    let assertion = key.sign(&header, &claims);
    let outcomes = at_once(64, |number| by_assertion(if number % 2 == 0 { &app } else { &twin }, &assertion));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == words(PAST)).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == words(REFUSED)).count(), 63, "{outcomes:?}");
    (claims["iss"], claims["sub"]) = (json!("other-keyed"), json!("other-keyed"));
    assert_eq!(by_assertion(&twin, &key.sign(&header, &claims)), words(PAST), "another client's");
    // The same id in another assertion is still the same id.
    (claims["iss"], claims["sub"], claims["exp"]) =
        (json!("keyed"), json!("keyed"), json!(app.clock.now().timestamp() + 200));
    assert_eq!(by_assertion(&app, &key.sign(&header, &claims)), words(REFUSED), "the id again");
}

/// A client's own server with its keys; counts the requests.
pub struct KeyServer {
    port: u16,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<String>>,
}

impl KeyServer {
    pub fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(String::new())));
        let (count, said) = (Arc::clone(&asked), Arc::clone(&answer));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(said.lock().unwrap().as_bytes());
            }
        });
        let server = Self { port, asked, answer };
        server.publish(keys, "application/json");
        server
    }

    pub fn publish(&self, keys: &[Value], media_type: &str) {
        let body = json!({ "keys": keys }).to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nCache-Control: max-age=3600\r\n");
        self.say(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()));
    }

    pub fn say(&self, answer: String) {
        *self.answer.lock().unwrap() = answer;
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The URL of its keys.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/jwks", self.port)
    }

    fn config(&self) -> String {
        keyed("fetched", &format!("jwks_uri = \"{}\"", self.url()))
    }
}

fn spawn_with(keys: &KeyServer, private: &str) -> TestApp {
    TestApp::with(&Options {
        config: &keys.config(),
        settings: &[("outbound.allow_private_addresses", private)],
        ..Options::default()
    })
}

/// Sends the client's assertion with this `kid` for its key.
fn under(app: &TestApp, key: &Key, kid: &str) -> (u16, String) {
    let (mut header, claims) = key.assertion_parts("fetched", &app.origin, app.clock.now());
    header["kid"] = json!(kid);
    by_assertion(app, &key.sign(&header, &claims))
}

#[test]
fn keys_are_fetched_kept_and_fetched_again_for_a_new_name() {
    let (first, second) = (Key::p256(), Key::p256());
    let keys = KeyServer::start(&[first.named("one")]);
    let app = spawn_with(&keys, "true");
    let outcomes = at_once(16, |_| under(&app, &first, "one"));
    assert!(outcomes.iter().all(|outcome| *outcome == words(PAST)), "{outcomes:?}");
    assert_eq!(keys.asked(), 1, "many at once ask once");

    keys.publish(&[second.named("two")], "application/jwk-set+json");
    assert_eq!(under(&app, &second, "two"), words(REFUSED), "asked a moment ago");
    assert_eq!(under(&app, &first, "one"), words(PAST), "what is known stays good");
    assert_eq!(keys.asked(), 1);
    app.advance(Duration::seconds(31));
    assert_eq!(under(&app, &second, "two"), words(PAST), "fetched again");
    assert_eq!(under(&app, &first, "one"), words(REFUSED), "and the old key is gone");
    assert_eq!(keys.asked(), 2);
    app.advance(Duration::seconds(31));
    let flood = at_once(32, |number| under(&app, &first, &format!("x{number}")));
    assert!(flood.iter().all(|outcome| *outcome == words(REFUSED)));
    assert_eq!(keys.asked(), 3, "a flood of unknown names asks once in 30 seconds");
}

#[test]
fn kept_keys_outlive_a_failure_for_an_hour() {
    let key = Key::p256();
    let keys = KeyServer::start(&[key.named("one")]);
    let app = spawn_with(&keys, "true");
    assert_eq!(under(&app, &key, "one"), words(PAST));
    keys.say("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_owned());
    app.advance(Duration::minutes(61));
    assert_eq!(under(&app, &key, "one"), words(PAST), "stale, and its server fails");
    assert_eq!(under(&app, &key, "one"), words(PAST));
    assert_eq!(keys.asked(), 2, "nobody is asked again at once");
    app.advance(Duration::minutes(60));
    assert_eq!(under(&app, &key, "one"), words(REFUSED), "too old");
    keys.publish(&[key.named("one")], "text/html");
    app.advance(Duration::seconds(31));
    assert_eq!(under(&app, &key, "one"), words(REFUSED), "not JSON");
    keys.publish(&[key.named("one")], "application/json");
    assert_eq!(under(&app, &key, "one"), words(REFUSED), "asked a moment ago");
    app.advance(Duration::seconds(31));
    assert_eq!(under(&app, &key, "one"), words(PAST));
}

/// Unless they are opened, no address in the operator's own network is even connected to.
#[test]
fn private_addresses_are_closed_unless_they_are_opened() {
    let key = Key::p256();
    let keys = KeyServer::start(&[key.named("one")]);
    let app = spawn_with(&keys, "false");
    assert_eq!(under(&app, &key, "one"), words(REFUSED));
    assert_eq!(keys.asked(), 0);
}

/// Ids of expired assertions are forgotten, those of live ones are not.
#[test]
fn used_ids_are_swept_after_their_end() {
    let key = Key::p256();
    let app = spawn(&keyed("keyed", &as_toml(&[key.named("k1")])));
    assert_eq!(by_assertion(&app, &key.assertion("keyed", &app.origin, app.clock.now())), words(PAST));
    let sweep = || {
        let now = app.clock.now();
        app.db.blocking(move |conn| passmint::storage::sweep::sweep(conn, now, None)).unwrap();
        app.count("SELECT count(*) AS n FROM used_jti")
    };
    assert_eq!(sweep(), 1);
    app.advance(Duration::minutes(7));
    assert_eq!(sweep(), 0);
}
