//! Hooks: what they are asked before a sign-in and told after one, what they may answer, and what happens when they
//! fail.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration as Real, Instant};

use chrono::Duration;
use passmint::domain::user::UserStatus;
use passmint::storage::people;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authenticator::Authenticator;
use crate::support::oidc::{Ask, present};
use crate::support::receiver::{Receiver, http};
use crate::support::tokens::{Tokens, at_once, basic, claims, within};
use crate::support::{API_SECRET, Options, Reply, TestApp, introspect};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const RP: &str = r#"
[clients.rp]
name = "Relying Party"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["authorization_code", "passkey", "refresh_token"]
redirect_uris = ["https://rp.example/cb"]
scopes = ["openid", "profile", "offline_access"]

[bridges.target]
preset = "jwt"
audience = "https://target.example"
"#;

/// A hook and the server that asks it.
struct Hooked {
    hook: Receiver,
    app: TestApp,
    _folder: TempDir,
}

impl Hooked {
    /// A hook that fails closed after half a second.
    fn new(more: &str) -> Self {
        Self::with(more, &[])
    }

    fn with(more: &str, settings: &[(&str, &str)]) -> Self {
        let (hook, folder) = (Receiver::start(), TempDir::new().expect("a folder"));
        let secret = folder.path().join("secret");
        std::fs::write(&secret, SECRET).expect("a secret");
        let config = format!(
            "{RP}\n[hooks.risk]\nwhen = \"before_sign_in\"\nurl = \"{}/risk\"\nsecret_file = \"{}\"\n{more}\n",
            hook.url,
            secret.display()
        );
        let mut all = vec![("outbound.allow_private_addresses", "true")];
        all.extend(settings);
        let app = TestApp::with(&Options { config: &config, settings: &all, ..Options::default() });
        hook.replies(&json!({ "decision": "allow" }));
        Self { hook, app, _folder: folder }
    }

    fn adds(&self, claims: &Value) {
        self.hook.replies(&json!({ "decision": "allow", "claims": claims }));
    }

    /// The name of the claim.
    fn claim(&self) -> String {
        format!("{}/claims", self.app.origin)
    }

    fn asked(&self) -> Vec<Value> {
        self.hook.hits().iter().map(|hit| serde_json::from_str(&hit.body).expect("JSON")).collect()
    }

    fn count(&self, table: &str) -> i64 {
        self.app.count(&format!("SELECT count(*) AS n FROM {table}"))
    }
}

fn redeemed(reply: &Reply) -> Tokens {
    Tokens::of(&reply.json())
}

#[test]
fn what_a_hook_adds_is_in_every_token_and_stays() {
    let hooked = Hooked::new("");
    let (_, mut passkey) = hooked.app.person();
    let added = json!({ "plan": "pro", "org": { "id": 7, "roles": ["admin"] } });
    hooked.adds(&added);
    let tokens = Tokens::of(&hooked.app.client("web").sign_in(&mut passkey, "openid").expect(200).json());
    let name = hooked.claim();
    for token in [&tokens.access, &tokens.id] {
        assert_eq!(claims(token)[&name], added);
    }
    assert_eq!(introspect(&hooked.app, &tokens.access)[&name], added);
    assert_eq!(hooked.app.userinfo(&tokens.access).expect(200).json()[&name], added);
    // What was said at the sign-in holds for the session, whatever the hook would say now.
    hooked.hook.replies(&json!({ "decision": "deny" }));
    let asked = hooked.asked().len();
    let again = redeemed(&hooked.app.client("web").refresh(&tokens.refresh).expect(200));
    let retried = redeemed(&hooked.app.client("web").refresh(&tokens.refresh).expect(200));
    for token in [&again.access, &again.id, &retried.access] {
        assert_eq!(claims(token)[&name], added);
    }
    assert_eq!(hooked.asked().len(), asked, "a refresh is no sign-in");
}

/// What a hook says is for the app that the person signed in to, not for those its tokens are passed on to.
#[test]
fn what_is_exchanged_for_our_tokens_has_none_of_it_and_nor_has_its_refresh() {
    const FURTHER: &str = r#"
[clients.page]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey"]
scopes = ["openid", "read"]
audiences = ["https://orders.example"]

[clients.orders]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange", "refresh_token"]
scopes = ["read"]
audiences = ["https://stock.example"]

[exchange_rules.days]
clients = ["orders"]
subject_audiences = ["https://orders.example"]
new_audiences = ["https://stock.example"]
scopes = ["read"]
impersonation = true
refreshable = true
"#;
    let hooked = Hooked::new(FURTHER);
    hooked.adds(&json!({ "plan": "pro" }));
    let (_, mut passkey) = hooked.app.person();
    let tokens = redeemed(&hooked.app.client("page").sign_in(&mut passkey, "openid read").expect(200));
    let name = hooked.claim();
    assert!(claims(&tokens.access).get(&name).is_some());
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &tokens.access),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", "https://stock.example"),
    ];
    let given = hooked.app.token_by("orders", &exchange).expect(200).json();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", given["refresh_token"].as_str().unwrap())];
    let again = hooked.app.token_by("orders", &refresh).expect(200).json();
    for told in [given, again] {
        let access = claims(told["access_token"].as_str().unwrap());
        assert_eq!((access["aud"].as_str(), access.get(&name)), (Some("https://stock.example"), None));
    }
}

#[test]
fn what_a_hook_added_to_a_browsers_session_reaches_its_apps() {
    let hooked = Hooked::new("");
    let added = json!({ "plan": "pro" });
    hooked.adds(&added);
    let (mut browser, _) = hooked.app.person();
    let name = hooked.claim();
    for scope in ["openid", "openid offline_access"] {
        let code = Ask::of("rp").with("scope", scope).send(&mut browser).back().code();
        let tokens = redeemed(&present(&hooked.app, "rp", &code).expect(200));
        assert_eq!(claims(&tokens.access)[&name], added, "{scope}");
        let again = redeemed(&hooked.app.client("rp").refresh(&tokens.refresh).expect(200));
        assert_eq!((&claims(&again.access)[&name], &claims(&again.id)[&name]), (&added, &added), "{scope}");
    }
}

#[test]
fn every_way_in_asks_and_a_step_up_does_not() {
    let hooked = Hooked::new("");
    let app = &hooked.app;
    let (mut browser, mut passkey) = app.person();
    browser.sign_in(&mut passkey).expect(200);
    app.client("web").sign_in(&mut passkey, "openid profile").expect(200);
    let begun = app.client("api").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    app.redeem(&begun, &credential, Some(&basic("api", API_SECRET)), &[]).expect(200);
    let result = json!({ "result": { "kind": "bridge", "clientId": "web", "bridge": "target" } });
    let begun = app.client("web").post("/v1/passkeys/authentication/options", &result).expect(200).json();
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    app.client("web").finish(&begun, &credential).expect(200);
    let asked = hooked.asked();
    let seen: Vec<_> = asked.iter().map(|call| (&call["data"]["result"], &call["data"]["clientId"])).collect();
    let (session, tokens, bridge, none) = (json!("session"), json!("tokens"), json!("bridge"), Value::Null);
    let (web, api) = (json!("web"), json!("api"));
    assert_eq!(
        seen,
        [(&session, &none), (&session, &none), (&tokens, &web), (&tokens, &api), (&bridge, &web)],
        "sign-up, sign-in, tokens, the passkey grant, a bridge"
    );
    let user = browser.get("/v1/session").expect(200).json()["user"]["id"].clone();
    assert_eq!((&asked[0]["data"]["user"]["isNew"], &asked[1]["data"]["user"]["isNew"]), (&json!(true), &json!(false)));
    for call in &asked {
        let data = &call["data"];
        assert_eq!((&call["type"], &data["user"]["id"]), (&json!("sign_in.before"), &user));
        assert_eq!((&data["method"], &data["acr"]), (&json!("passkey"), &json!("phr")));
        assert!(data["user"].get("email").is_none() && data["requestId"].is_string(), "{data}");
    }
    for hit in hooked.hook.hits() {
        assert!(crate::webhooks::is_signed(&hit, SECRET));
    }
    browser.step_up(&mut passkey).expect(200);
    assert_eq!(hooked.asked().len(), 5, "who is signed in already is not signed in again");
}

#[test]
fn one_that_denies_leaves_nothing_behind() {
    let hooked = Hooked::new("");
    let (mut browser, mut passkey) = hooked.app.person();
    let user = browser.get("/v1/session").expect(200).json()["user"]["id"].as_str().unwrap().to_owned();
    let (sessions, people) = (hooked.count("sessions"), hooked.count("users"));
    let words = "Your trial has ended, <b>Ada</b>. Ünlü?";
    hooked.hook.replies(&json!({ "decision": "deny", "message": words }));

    let refused = hooked.app.browser().sign_in(&mut passkey).expect_problem(403, "sign_in_denied");
    assert_eq!(refused.json()["message"], words);
    assert!(refused.cookies().iter().all(|(name, ..)| name.ends_with("-pre")), "{:?}", refused.cookies());
    hooked.app.client("web").sign_in(&mut passkey, "openid").expect_problem(403, "sign_in_denied");
    let mut newcomer = hooked.app.browser();
    let begun = newcomer.begin_registration(&json!({ "purpose": "sign-up" }));
    let credential = hooked.app.passkey().create(&begun["publicKey"]);
    newcomer.finish_registration(&begun, &credential).expect_problem(403, "sign_in_denied");
    assert_eq!((hooked.count("sessions"), hooked.count("users")), (sessions, people));
    assert_eq!(hooked.count("refresh_tokens"), 0);
    let told = format!(
        "SELECT count(*) AS n FROM audit_events WHERE kind = 'ceremony.refused' AND user_id = '{user}' \
         AND detail->>'reason' = 'the hook `risk` denied it'"
    );
    assert_eq!(hooked.app.count(&told), 2);
    assert_eq!(hooked.app.events("session.signed_in"), 0);

    let begun = hooked.app.client("api").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let answer = hooked.app.redeem(&begun, &credential, Some(&basic("api", API_SECRET)), &[]);
    let told = answer.json();
    assert_eq!((answer.status, &told["error"]), (400, &json!("access_denied")));
    assert_eq!(told["error_description"], "This sign-in is not allowed.", "ASCII alone may stand there");
    hooked.hook.replies(&json!({ "decision": "deny", "message": "Your trial has ended." }));
    let begun = hooked.app.client("api").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let answer = hooked.app.redeem(&begun, &credential, Some(&basic("api", API_SECRET)), &[]);
    assert_eq!(answer.json()["error_description"], "Your trial has ended.");
}

/// What hostile and broken hooks send back: a name, the bytes, and what the audit trail says about it.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let json = |body: &str| http(200, "application/json", body.as_bytes());
    let redirect = b"HTTP/1.1 307 Go\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n".to_vec();
    let endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{".to_vec();
    let packed =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx";
    let heads = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000)).into_bytes();
    vec![
        ("reset", Vec::new(), "no"),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "no proper answer"),
        ("status 500", http(500, "application/json", br#"{"decision":"allow"}"#), "status 500"),
        ("status 201", http(201, "application/json", br#"{"decision":"allow"}"#), "it answered with status 201"),
        ("status 204", b"HTTP/1.1 204 Empty\r\n\r\n".to_vec(), "it answered with status 204"),
        ("a redirect inward", redirect, "status 307"),
        ("a body cut off", endless, "no proper answer"),
        ("packed", packed.to_vec(), "encoded"),
        ("an endless head", heads, "no proper answer"),
        ("one megabyte", http(200, "application/json", &vec![b' '; 1 << 20]), "larger"),
        ("20 KB", json(&format!("{}{}", " ".repeat(20_000), r#"{"decision":"allow"}"#)), "larger than 16 KiB"),
        ("another type", http(200, "text/html", br#"{"decision":"allow"}"#), "application/json"),
        ("no JSON", json("allow"), "no JSON object"),
        ("twice", json(r#"{"decision":"deny","decision":"allow"}"#), "twice"),
        ("another decision", json(r#"{"decision":"maybe"}"#), "decision"),
        ("a reserved claim", json(r#"{"decision":"allow","claims":{"sub":"root"}}"#), "tokens use themselves"),
        ("claims too deep", json(r#"{"decision":"allow","claims":{"a":{"b":{"c":{}}}}}"#), "deeper"),
        (
            "claims too large",
            json(&json!({ "decision": "allow", "claims": { "a": "x".repeat(1000) } }).to_string()),
            "1,000",
        ),
        ("claims of another type", json(r#"{"decision":"allow","claims":"admin"}"#), "no object"),
        (
            "a message of 10 MB's kind",
            json(&json!({ "decision": "deny", "message": "x".repeat(300) }).to_string()),
            "message",
        ),
    ]
}

#[test]
fn a_hook_that_fails_denies() {
    let hooked = Hooked::new("");
    let (_, mut passkey) = hooked.app.person();
    let sessions = hooked.count("sessions");
    for (name, raw, why) in hostile() {
        hooked.app.sql("DELETE FROM audit_events");
        hooked.hook.sends(move |_| raw.clone());
        let refused = hooked.app.client("web").sign_in(&mut passkey, "openid");
        assert_eq!(refused.status, 503, "{name}: {}", refused.body);
        assert_eq!(refused.json()["code"], "unavailable", "{name}");
        let reason = "SELECT count(*) AS n FROM audit_events WHERE kind = 'ceremony.refused' \
                      AND detail->>'reason' LIKE 'the hook `risk` failed: %";
        assert_eq!(hooked.app.count(&format!("{reason}{why}%'")), 1, "{name}");
    }
    assert_eq!(hooked.count("sessions"), sessions);
    hooked.hook.replies(&json!({ "decision": "allow" }));
    hooked.app.client("web").sign_in(&mut passkey, "openid").expect(200);
}

#[test]
fn a_hook_that_fails_is_passed_over_where_that_is_wanted() {
    let hooked = Hooked::new("on_failure = \"allow\"");
    let (_, mut passkey) = hooked.app.person();
    for (name, raw, _) in hostile() {
        hooked.app.sql("DELETE FROM audit_events");
        hooked.hook.sends(move |_| raw.clone());
        let signed_in = hooked.app.client("web").sign_in(&mut passkey, "openid");
        assert_eq!(signed_in.status, 200, "{name}: {}", signed_in.body);
        let tokens = Tokens::of(&signed_in.json());
        assert!(claims(&tokens.access).get(hooked.claim()).is_none(), "{name}: nothing of it is believed");
        let told = "SELECT count(*) AS n FROM audit_events WHERE kind = 'session.signed_in' AND detail->'failedHooks' = '[\"risk\"]'";
        assert_eq!(hooked.app.count(told), 1, "{name}");
    }
    hooked.hook.replies(&json!({ "decision": "deny" }));
    hooked.app.client("web").sign_in(&mut passkey, "openid").expect_problem(403, "sign_in_denied");
}

#[test]
fn a_slow_hook_is_waited_for_as_long_as_it_may_take() {
    for (on_failure, status) in [("deny", 503), ("allow", 200)] {
        let hooked = Hooked::new(&format!("timeout = \"300ms\"\non_failure = \"{on_failure}\""));
        let (_, mut passkey) = hooked.app.person();
        hooked.hook.sends(|_| {
            std::thread::sleep(Real::from_secs(4));
            http(200, "application/json", br#"{"decision":"allow"}"#)
        });
        let began = Instant::now();
        assert_eq!(hooked.app.client("web").sign_in(&mut passkey, "openid").status, status);
        let took = began.elapsed();
        assert!(took > Real::from_millis(300) && took < Real::from_millis(3500), "{took:?}");
    }
}

/// Twelve people wait for a hook with only two connections to the database, and nobody else waits for a connection.
#[test]
fn no_connection_is_held_while_a_hook_thinks() {
    let hooked = Hooked::with("timeout = \"5s\"", &[("database.pool", "2")]);
    let passkeys: Vec<Authenticator> = (0..12).map(|_| hooked.app.person().1).collect();
    let (mut other, _) = hooked.app.person();
    let passkeys = Mutex::new(passkeys);
    hooked.hook.sends(|_| {
        std::thread::sleep(Real::from_millis(1500));
        http(200, "application/json", br#"{"decision":"allow"}"#)
    });
    let (begun, quick) = (Instant::now(), mpsc::channel());
    let app = &hooked.app;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Real::from_millis(700));
            let asked = Instant::now();
            other.get("/v1/session").expect(200);
            quick.0.send(asked.elapsed()).unwrap();
        });
        at_once(12, |_| {
            let mut passkey = passkeys.lock().unwrap().pop().unwrap();
            app.client("web").sign_in(&mut passkey, "openid").expect(200);
        });
    });
    let took = begun.elapsed();
    assert!(took < Real::from_secs(6), "they wait together, not one after the other: {took:?}");
    let waited = quick.1.recv().unwrap();
    assert!(waited < Real::from_secs(2), "{waited:?}");
}

/// The write checks every condition again: what changes while the hook thinks decides.
#[test]
fn an_account_that_is_disabled_while_the_hook_thinks_is_not_signed_in() {
    let hooked = Hooked::new("");
    let (mut browser, mut passkey) = hooked.app.person();
    let user = browser.get("/v1/session").expect(200).json()["user"]["id"].as_str().unwrap().parse().unwrap();
    let (db, now) = (hooked.app.db.clone(), hooked.app.clock.now());
    let done = Arc::new(Mutex::new(false));
    let disabled = Arc::clone(&done);
    hooked.hook.sends(move |_| {
        *disabled.lock().unwrap() =
            db.blocking(|conn| people::set_status(conn, user, UserStatus::Disabled, now)).unwrap();
        http(200, "application/json", br#"{"decision":"allow"}"#)
    });
    hooked.app.client("web").sign_in(&mut passkey, "openid").expect_problem(403, "sign_in_refused");
    assert!(*done.lock().unwrap());
}

#[test]
fn a_hook_of_one_client_is_not_asked_about_another_and_may_know_who_it_is() {
    let hooked = Hooked::new("clients = [\"web\"]\npersonal_data = true");
    let (mut browser, mut passkey) = (hooked.app.browser(), hooked.app.passkey());
    let begun = browser.begin_registration(&json!({ "purpose": "sign-up", "email": "ada@example.com", "name": "Ada" }));
    let credential = passkey.create(&begun["publicKey"]);
    browser.finish_registration(&begun, &credential).expect(200);
    hooked.app.client("other").sign_in(&mut passkey, "openid").expect(200);
    hooked.app.advance(Duration::seconds(1));
    hooked.app.client("web").sign_in(&mut passkey, "openid").expect(200);
    let asked = hooked.asked();
    let clients: Vec<&Value> = asked.iter().map(|call| &call["data"]["clientId"]).collect();
    assert_eq!(clients, [&Value::Null, &json!("web")], "the sign-up on our own page, and its own client");
    for call in &asked {
        let user = &call["data"]["user"];
        let told = (&user["email"], &user["emailVerified"], &user["name"]);
        assert_eq!(told, (&json!("ada@example.com"), &json!(false), &json!("Ada")));
    }
}

/// The session of our own page belongs to no client, and leads to a code for any of them.
#[test]
fn a_hook_of_one_client_is_not_got_round_by_signing_in_on_our_page() {
    let hooked = Hooked::new("clients = [\"rp\"]");
    hooked.adds(&json!({ "plan": "pro" }));
    let (mut browser, mut passkey) = hooked.app.person();
    let code = Ask::of("rp").with("scope", "openid").send(&mut browser).back().code();
    let tokens = redeemed(&present(&hooked.app, "rp", &code).expect(200));
    assert_eq!(claims(&tokens.access)[hooked.claim()]["plan"], "pro");
    hooked.hook.replies(&json!({ "decision": "deny" }));
    hooked.app.browser().sign_in(&mut passkey).expect_problem(403, "sign_in_denied");
    hooked.app.client("web").sign_in(&mut passkey, "openid").expect(200);
}

/// A hook that is notified after a sign-in, and the server that notifies it.
pub struct AfterSignIn {
    pub hook: Receiver,
    pub app: TestApp,
    _folder: TempDir,
}

impl AfterSignIn {
    pub fn new() -> Self {
        let (hook, folder) = (Receiver::start(), TempDir::new().expect("a folder"));
        let secret = folder.path().join("secret");
        std::fs::write(&secret, SECRET).expect("a secret");
        let config = format!(
            "[hooks.crm]\nwhen = \"after_sign_in\"\nurl = \"{}/crm\"\nsecret_file = \"{}\"\ntimeout = \"5s\"\n",
            hook.url,
            secret.display()
        );
        let settings = &[("outbound.allow_private_addresses", "true")];
        let app = TestApp::with(&Options { config: &config, settings, ..Options::default() });
        Self { hook, app, _folder: folder }
    }

    /// Waits until no message is waiting for delivery.
    pub fn has_delivered(&self) {
        let waiting = "SELECT count(*) AS n FROM outbox WHERE delivered_at IS NULL AND given_up_at IS NULL";
        within(Real::from_secs(15), "it is delivered", || self.app.count(waiting) == 0);
    }
}

#[test]
fn what_a_hook_says_after_a_sign_in_is_kept_for_the_person() {
    let hooked = AfterSignIn::new();
    hooked.hook.replies(&json!({ "title": "Your plan", "items": [{ "label": "Orders", "value": "7" }] }));
    let (mut browser, mut passkey) = hooked.app.person();
    hooked.has_delivered();
    let hit = &hooked.hook.hits()[0];
    assert!(crate::webhooks::is_signed(hit, SECRET) && hit.body.contains("\"user.created\""), "{}", hit.body);
    let page = browser.get("/account").expect(200).body;
    assert!(page.contains("Your plan") && page.contains("Orders"), "{page}");
    let (mut stranger, _) = hooked.app.person();
    hooked.has_delivered();
    hooked.app.sql("DELETE FROM hook_results WHERE user_id = (SELECT id FROM users ORDER BY created_at DESC LIMIT 1)");
    assert!(!stranger.get("/account").expect(200).body.contains("Your plan"), "each their own");

    // Another sign-in gives another text, or none if the hook has nothing to say.
    hooked.hook.replies(&json!({ "title": "Welcome <i>back</i>" }));
    browser.sign_in(&mut passkey).expect(200);
    hooked.has_delivered();
    let page = browser.get("/account").expect(200).body;
    assert!(
        !page.contains("Your plan") && !page.contains("<i>back</i>") && page.contains("Welcome &#60;i&#62;back"),
        "{page}"
    );
    hooked.hook.sends(|_| b"HTTP/1.1 204 Nothing\r\nContent-Length: 0\r\n\r\n".to_vec());
    browser.sign_in(&mut passkey).expect(200);
    hooked.has_delivered();
    assert!(!browser.get("/account").expect(200).body.contains("Welcome &#60;"));
}

#[test]
fn what_cannot_be_shown_is_given_up_and_nobody_waits() {
    let hooked = AfterSignIn::new();
    hooked.hook.sends(|_| {
        std::thread::sleep(Real::from_secs(2));
        http(200, "application/json", br#"{"title":"x","script":"alert(1)"}"#)
    });
    let began = Instant::now();
    let (mut browser, _) = hooked.app.person();
    assert!(began.elapsed() < Real::from_millis(1900), "{:?}", began.elapsed());
    hooked.has_delivered();
    let seen = "SELECT count(*) AS n FROM audit_events WHERE kind = 'delivery.failed' AND detail->>'kind' = 'after_sign_in' \
                AND detail->>'error' LIKE 'the answer is not made of title%'";
    assert_eq!(hooked.app.count(seen), 1);
    assert!(!browser.get("/account").expect(200).body.contains("alert(1)"));
}

#[test]
fn what_cannot_be_read_is_not_asked_for_again() {
    let hooked = AfterSignIn::new();
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
    ] {
        let before = hooked.hook.hits().len();
        hooked.hook.sends(|_| answer.as_bytes().to_vec());
        hooked.app.person();
        hooked.has_delivered();
        assert_eq!(hooked.hook.hits().len(), before + 1, "{answer}");
    }
    assert_eq!(hooked.app.events("delivery.failed"), 2);
}

#[test]
fn of_somebody_whom_a_backend_makes_no_hook_is_told() {
    let hooked = AfterSignIn::new();
    hooked.app.sql("INSERT INTO audit_events (at, kind, user_id) VALUES (now(), 'user.created', gen_random_uuid())");
    let written = || hooked.app.count("SELECT count(*) AS n FROM outbox");
    assert_eq!(written(), 0);
    hooked.app.person();
    assert_eq!(written(), 1, "who signs up signs in");
}

/// What is said about an earlier sign-in comes too late; the stored text is deleted with the hook and with the person.
#[test]
fn what_was_said_last_holds_and_goes_with_the_hook() {
    let hooked = AfterSignIn::new();
    hooked.hook.replies(&json!({ "title": "First" }));
    let (mut browser, _) = hooked.app.person();
    hooked.has_delivered();
    hooked.app.sql("UPDATE hook_results SET at = at + interval '1 minute', result = '{\"title\": \"Newer\"}'");
    hooked.app.sql("UPDATE outbox SET delivered_at = NULL, next_try_at = created_at");
    hooked.has_delivered();
    assert!(browser.get("/account").expect(200).body.contains("Newer"));
    let _without = TestApp::with(&Options { beside: Some(&hooked.app), ..Options::default() });
    assert!(!browser.get("/account").expect(200).body.contains("Newer"));
}
