//! Bridges whose target makes the token itself: what the target is asked, what it returns, and everything else it could
//! answer. The target is a real HTTP server on this machine that behaves as documented, or as it never should.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::receiver::{Hit, Receiver, http};
use crate::support::tokens::{claims, within};
use crate::support::{Options, Reply, TestApp};

/// A credential that must appear nowhere but in its header.
const KEY: &str = "standard_9f8e7d6c5b4a39281706f5e4d3c2b1a0";
const APP: &str = "5a8b2c1d-0c5b-4f0e-9d5a-7c1f3b2a9e40";

const BRIDGES: &str = r#"
[bridges.appwrite]
preset = "appwrite"
url = "TARGET/v1"
audience = "my-project"
secret_file = "SECRET_FILE"

[bridges.appwrite.allow]
unnamed_actors = true

[bridges.silent]
preset = "appwrite"
url = "TARGET/v1"
audience = "my-project"
secret_file = "SECRET_FILE"

[bridges.instantdb]
preset = "instantdb"
url = "TARGET"
audience = "5a8b2c1d-0c5b-4f0e-9d5a-7c1f3b2a9e40"
secret_file = "SECRET_FILE"
[bridges.instantdb.allow]
unnamed_actors = true

[bridges.by-address]
preset = "instantdb"
url = "TARGET"
audience = "5a8b2c1d-0c5b-4f0e-9d5a-7c1f3b2a9e40"
secret_file = "SECRET_FILE"
subject = "{{ user.email }}"

[bridges.staff]
preset = "appwrite"
url = "TARGET/v1"
audience = "my-project"
secret_file = "SECRET_FILE"
[bridges.staff.allow]
groups = ["staff"]

[clients.page]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey"]
scopes = ["openid"]
audiences = ["https://orders.example"]

[clients.orders]
kind = "confidential"
secret_digest = "API_DIGEST"
first_party = true
origins = ["ORIGIN"]
grants = ["token_exchange"]
scopes = ["openid", "bridge:*"]

[exchange_rules.orders]
clients = ["orders"]
subject_audiences = ["https://orders.example"]
scopes = ["openid"]
bridges = ["appwrite", "instantdb", "silent"]
impersonation = true
"#;

struct Set {
    app: TestApp,
    target: Receiver,
    _directory: tempfile::TempDir,
}

impl Set {
    fn with(private: &str) -> Self {
        let (target, directory) = (Receiver::start(), tempfile::tempdir().expect("a directory"));
        let file = directory.path().join("secret");
        std::fs::write(&file, format!("{KEY}\n")).expect("written");
        let config = BRIDGES.replace("TARGET", &target.url).replace("SECRET_FILE", &file.display().to_string());
        let settings = &[("outbound.allow_private_addresses", private)];
        let app = TestApp::with(&Options { config: &config, settings, ..Options::default() });
        Self { app, target, _directory: directory }
    }

    fn ask(&self, access: &str, bridge: &str) -> Reply {
        let reply = self.app.client("web").bearer("POST", &format!("/v1/bridges/{bridge}/token"), access).send();
        assert!(!reply.body.contains(KEY), "{}", reply.body);
        reply
    }

    /// What `orders`, which acts on the person's behalf, gets for an access token.
    fn exchange(&self, access: &str, bridge: &str) -> Reply {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", access),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", bridge),
        ];
        self.app.token_by("orders", &form)
    }
}

/// Appwrite's answer: a secret of the requested length.
fn appwrite(hit: &Hit) -> Vec<u8> {
    let user = hit.line.strip_prefix("POST /v1/users/").and_then(|rest| rest.strip_suffix("/tokens")).unwrap_or("");
    let asked: Value = serde_json::from_str(&hit.body).unwrap_or_default();
    if hit.header("x-appwrite-key") != Some(KEY) {
        return http(401, "application/json", br#"{"message":"key","code":401,"type":"general_unauthorized_scope"}"#);
    }
    let length = usize::try_from(asked["length"].as_u64().unwrap_or(6)).unwrap();
    let body = json!({ "$id": "t", "$createdAt": "2026-01-01T00:00:00.000+00:00", "userId": user, "secret": "5".repeat(length),
                       "expire": "2026-01-01T00:05:00.000+00:00", "phrase": "" });
    http(201, "application/json; charset=UTF-8", body.to_string().as_bytes())
}

/// InstantDB's answer.
fn instantdb(hit: &Hit) -> Vec<u8> {
    let asked: Value = serde_json::from_str(&hit.body).unwrap_or_default();
    let known = hit.header("authorization") == Some(&format!("Bearer {KEY}")) && hit.header("app-id") == Some(APP);
    if hit.line != "POST /admin/refresh_tokens" || !known {
        return http(400, "application/json", br#"{"type":"record-not-found","message":"x"}"#);
    }
    let id = asked["id"].as_str().unwrap_or(APP);
    let user = json!({ "id": id, "app_id": APP, "email": asked["email"], "refresh_token": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0" });
    http(200, "application/json", json!({ "user": user, "created": true }).to_string().as_bytes())
}

#[test]
fn appwrite_is_asked_for_a_long_secret_of_the_person() {
    let set = Set::with("true");
    set.target.sends(appwrite);
    let (mut browser, mut passkey, tokens) = set.app.person_with_tokens("openid bridge:appwrite");
    let user = claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
    let answer = set.ask(&tokens.access, "appwrite").expect(200).json();
    let whole = json!({ "bridge": "appwrite", "token": "5".repeat(64), "expiresIn": 300, "subject": user });
    assert_eq!(answer, whole);
    let hits = set.target.hits();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].line, format!("POST /v1/users/{user}/tokens"));
    assert_eq!(hits[0].header("x-appwrite-project"), Some("my-project"));
    assert_eq!(serde_json::from_str::<Value>(&hits[0].body).unwrap(), json!({ "length": 64, "expire": 300 }));
    // By cookie and by ceremony the result is the same.
    let reply = browser.call("POST", "/v1/bridges/appwrite/token", None).expect(200).json();
    assert_eq!(reply, whole);
    let result = json!({ "kind": "bridge", "clientId": "web", "bridge": "appwrite" });
    let web = set.app.client("web");
    let begun = web.post("/v1/passkeys/authentication/options", &json!({ "result": result })).expect(200).json();
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let ended = web.finish(&begun, &credential).expect(200).json();
    assert_eq!((&ended["token"], &ended["subject"]), (&whole["token"], &whole["subject"]), "{ended}");
    assert_eq!(set.app.events("bridge.minted"), 3);
    assert_eq!(
        set.app.count(&format!(
            "SELECT count(*) AS n FROM audit_events e WHERE e::text LIKE '%{KEY}%' OR e::text LIKE '%55555555%'"
        )),
        0
    );
    assert_eq!(set.app.count(&format!("SELECT count(*) AS n FROM bridges b WHERE b::text LIKE '%{KEY}%'")), 0);
    let imported = "SELECT count(*) AS n FROM bridges WHERE definition->>'key' = 'imported'";
    assert_eq!(set.app.count(imported), 5, "the file leaves a trace, not its content");
    set.app.request("GET", "/v1/bridges/appwrite/jwks.json").send().expect(404);
}

#[test]
fn instantdb_is_asked_by_id_or_by_a_verified_address() {
    let set = Set::with("true");
    set.target.sends(instantdb);
    let (_, _, tokens) = set.app.person_with_tokens("openid bridge:instantdb bridge:by-address");
    let user = claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
    let answer = set.ask(&tokens.access, "instantdb").expect(200).json();
    assert_eq!((&answer["token"], &answer["subject"]), (&json!("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"), &json!(user)));
    assert_eq!(answer["expiresIn"], 0);
    assert_eq!(serde_json::from_str::<Value>(&set.target.hits()[0].body).unwrap(), json!({ "id": user }));
    // Nobody verified an address, so the target is not asked.
    assert_eq!(set.ask(&tokens.access, "by-address").status, 403);
    assert_eq!(set.target.hits().len(), 1);
    set.app.sql("UPDATE users SET email = 'ada@example.com', email_verified_at = now()");
    let answer = set.ask(&tokens.access, "by-address").expect(200).json();
    assert_eq!(answer["subject"], "ada@example.com");
    assert_eq!(
        serde_json::from_str::<Value>(&set.target.hits()[1].body).unwrap(),
        json!({ "email": "ada@example.com" })
    );
}

/// Only the documented answer gives a token; what came instead is not disclosed.
#[test]
fn every_other_answer_gives_nothing() {
    let set = Set::with("true");
    let (_, _, tokens) = set.app.person_with_tokens("openid bridge:appwrite bridge:staff");
    let user = claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
    let good = json!({ "userId": user, "secret": "5".repeat(64) }).to_string();
    let elsewhere = Receiver::start();
    elsewhere.sends(appwrite);
    let redirect = format!(
        "HTTP/1.1 307 Moved\r\nLocation: {}/v1/users/{user}/tokens\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url
    );
    let twice = format!(r#"{{"userId":"{user}","secret":"{}","secret":"{}"}}"#, "5".repeat(64), "6".repeat(64));
    let huge = json!({ "userId": user, "secret": "5".repeat(100_000) }).to_string();
    let long = json!({ "userId": user, "secret": "5".repeat(5000) }).to_string();
    let other = json!({ "userId": "somebody-else", "secret": "5".repeat(64) }).to_string();
    let short = json!({ "userId": user, "secret": "5".repeat(6) }).to_string();
    let blank = json!({ "userId": user, "secret": " ".repeat(64) }).to_string();
    let json = |body: &str| http(201, "application/json", body.as_bytes());
    for (what, answer, status) in [
        ("401", http(401, "application/json", br#"{"message":"secret words"}"#), 503),
        ("403", http(403, "application/json", b"{}"), 503),
        ("404: no such user", http(404, "application/json", br#"{"type":"user_not_found"}"#), 403),
        ("400", http(400, "application/json", b"{}"), 503),
        ("422", http(422, "application/json", b"{}"), 503),
        ("429", http(429, "application/json", b"{}"), 503),
        ("500", http(500, "text/html", b"<h1>secret words</h1>"), 503),
        ("a redirect", redirect.into_bytes(), 503),
        ("HTML", http(201, "text/html", good.as_bytes()), 503),
        ("no type", format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{good}", good.len()).into_bytes(), 503),
        ("no JSON", json("secret words"), 503),
        ("a list", json(&format!("[{good}]")), 503),
        ("nothing", json("{}"), 503),
        ("a member twice", json(&twice), 503),
        ("another person's", json(&other), 503),
        ("six characters", json(&short), 503),
        ("blanks", json(&blank), 503),
        ("a token of 5,000 characters", json(&long), 503),
        ("100 kB", json(&huge), 503),
        ("half an answer", json(&good)[..80].to_vec(), 503),
        ("no HTTP", b"hello\r\n".to_vec(), 503),
        ("no answer", Vec::new(), 503),
    ] {
        set.target.sends(move |_| answer.clone());
        let reply = set.ask(&tokens.access, "appwrite");
        assert_eq!(reply.status, status, "{what}: {}", reply.body);
        assert!(!reply.body.contains("secret words") && !reply.body.contains("5555"), "{what}: {}", reply.body);
    }
    assert_eq!(elsewhere.hits().len(), 0, "nothing is followed, least of all with the key");
    assert_eq!(set.app.events("bridge.minted"), 0);
    // The rule is checked before the target is asked.
    let asked = set.target.hits().len();
    assert_eq!(set.ask(&tokens.access, "staff").status, 403);
    assert_eq!(set.target.hits().len(), asked);
}

/// InstantDB creates people who do not exist yet, so none of its refusals is about the person.
#[test]
fn which_statuses_are_about_the_person_each_target_says_for_itself() {
    let set = Set::with("true");
    let (_, _, tokens) = set.app.person_with_tokens("openid bridge:appwrite bridge:instantdb");
    for status in [400, 401, 404, 422] {
        set.target.sends(move |_| http(status, "application/json", br#"{"type":"record-not-found"}"#));
        assert_eq!(set.ask(&tokens.access, "instantdb").status, 503, "InstantDB, {status}");
        let appwrite = if status == 404 { 403 } else { 503 };
        assert_eq!(set.ask(&tokens.access, "appwrite").status, appwrite, "Appwrite, {status}");
    }
}

/// What is made from an expiring token expires with it, or is not made: the target is not even asked.
#[test]
fn nothing_is_made_in_exchange_that_outlives_what_it_is_made_of() {
    let set = Set::with("true");
    set.target.sends(|hit| if hit.line.starts_with("POST /admin/") { instantdb(hit) } else { appwrite(hit) });
    let (_, mut passkey) = set.app.person();
    let subject = set.app.client("page").sign_in(&mut passkey, "openid").expect(200).json();
    let subject = subject["accessToken"].as_str().unwrap();
    let exchange = |bridge: &str| set.exchange(subject, bridge);
    exchange("instantdb").expect_oauth(400, "invalid_target");
    assert_eq!(set.target.hits().len(), 0, "a token that never ends");
    // Of ten minutes, a little more than one is left, then a little less than one.
    set.app.advance(chrono::Duration::seconds(530));
    let life = exchange("appwrite").expect(200).json()["expires_in"].as_i64().unwrap();
    assert!((60..=70).contains(&life), "{life}");
    assert_eq!(serde_json::from_str::<Value>(&set.target.hits()[0].body).unwrap()["expire"], life);
    set.app.advance(chrono::Duration::seconds(11));
    exchange("appwrite").expect_oauth(400, "invalid_target");
    assert_eq!(set.target.hits().len(), 1, "less than Appwrite's shortest life is left");
}

/// A target's own token cannot name an actor, so an actor gets none unless the operator allows it.
#[test]
fn who_acts_for_a_person_gets_no_token_that_cannot_say_so() {
    let set = Set::with("true");
    set.target.sends(appwrite);
    let (_, mut passkey) = set.app.person();
    let subject = set.app.client("page").sign_in(&mut passkey, "openid").expect(200).json();
    let refused = set.exchange(subject["accessToken"].as_str().unwrap(), "silent").expect_oauth(400, "invalid_target");
    assert!(refused.body.contains("cannot name who acts"), "{}", refused.body);
    assert_eq!((set.target.hits().len(), set.app.events("bridge.minted")), (0, 0));
}

/// A target that hangs uses up its own slots and no others.
#[test]
fn a_target_that_hangs_leaves_the_places_of_the_others_free() {
    const PLACES: usize = 8;
    let set = Set::with("true");
    let (_, _, tokens) = set.app.person_with_tokens("openid bridge:appwrite bridge:instantdb");
    let goes_on = Arc::new(AtomicBool::new(false));
    let may_answer = Arc::clone(&goes_on);
    set.target.sends(move |hit| {
        if hit.line.starts_with("POST /admin/") {
            return instantdb(hit);
        }
        while !may_answer.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
        appwrite(hit)
    });
    std::thread::scope(|scope| {
        for _ in 0..PLACES {
            scope.spawn(|| set.ask(&tokens.access, "appwrite"));
        }
        within(Duration::from_secs(4), "all its places are taken", || set.target.hits().len() == PLACES);
        assert_eq!(set.ask(&tokens.access, "appwrite").status, 503, "one more does not wait");
        assert_eq!(set.target.hits().len(), PLACES, "nor is the target asked");
        set.ask(&tokens.access, "instantdb").expect(200);
        goes_on.store(true, Ordering::Relaxed);
    });
    set.ask(&tokens.access, "appwrite").expect(200);
}

#[test]
fn a_slow_target_holds_nobody_up_for_long() {
    let set = Set::with("true");
    let (_, _, tokens) = set.app.person_with_tokens("openid bridge:appwrite");
    set.target.answers(&[(201, Duration::from_secs(9))]);
    let begun = Instant::now();
    assert_eq!(set.ask(&tokens.access, "appwrite").status, 503);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[test]
fn a_private_address_and_a_stopped_bridge_are_asked_nothing() {
    let closed = Set::with("false");
    closed.target.sends(appwrite);
    let (_, _, tokens) = closed.app.person_with_tokens("openid bridge:appwrite");
    assert_eq!(closed.ask(&tokens.access, "appwrite").status, 503);
    assert_eq!(closed.target.hits().len(), 0, "outbound.allow_private_addresses is off");

    let set = Set::with("true");
    set.target.sends(appwrite);
    let (_, _, tokens) = set.app.person_with_tokens("openid bridge:appwrite");
    set.ask(&tokens.access, "appwrite").expect(200);
    set.app.sql("UPDATE bridges SET stopped_at = now(), stopped_by = 'test' WHERE name = 'appwrite'; INSERT INTO changes (kind, key) VALUES ('bridges', 'appwrite')");
    within(Duration::from_secs(10), "the stop is followed", || set.ask(&tokens.access, "appwrite").status == 404);
}
