//! Webhooks: who is notified of what, how it is signed, and what happens to messages that do not arrive.

use std::collections::BTreeSet;
use std::time::Duration as Real;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Duration;
use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use passmint::storage::outbox;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::Operator;
use crate::support::program::{Program, serve_on};
use crate::support::receiver::{Hit, Receiver};
use crate::support::tokens::within;
use crate::support::{Database, Options, TestApp};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const PATIENCE: Real = Real::from_secs(15);
const ALLOWED: &[(&str, &str)] = &[("outbound.private_hosts", "127.0.0.1")];

/// A receiver and the files with its secrets.
struct Hooked {
    receiver: Receiver,
    folder: TempDir,
}

impl Hooked {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("secret"), SECRET).expect("a secret");
        std::fs::write(folder.path().join("next"), format!("{NEXT_SECRET}\n")).expect("a secret");
        Self { receiver: Receiver::start(), folder }
    }

    fn secret(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A webhook of this receiver, as the file declares it.
    fn webhook(&self, name: &str, events: &str, more: &str) -> String {
        let (url, secret) = (&self.receiver.url, self.secret("secret"));
        format!("[webhooks.{name}]\nurl = \"{url}/{name}\"\nsecret_file = \"{secret}\"\nevents = {events}\n{more}\n")
    }

    fn told(&self, events: &str) -> TestApp {
        serve(&self.webhook("crm", events, ""))
    }

    fn hits(&self, name: &str) -> Vec<Hit> {
        let line = format!("POST /{name}");
        self.receiver.hits().into_iter().filter(|hit| hit.line == line).collect()
    }

    fn bodies(&self, name: &str) -> Vec<Value> {
        self.hits(name).iter().map(|hit| serde_json::from_str(&hit.body).expect("JSON")).collect()
    }

    fn types(&self, name: &str) -> Vec<String> {
        let mut types: Vec<String> =
            self.bodies(name).iter().map(|body| body["type"].as_str().expect("a type").to_owned()).collect();
        types.sort();
        types
    }
}

/// A server with these webhooks.
fn serve(config: &str) -> TestApp {
    TestApp::with(&Options { config, settings: ALLOWED, ..Options::default() })
}

/// HMAC-SHA256 as specified in RFC 2104 §2, independently of the server's implementation.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |with: u8| (0..64).map(|at| key.get(at).unwrap_or(&0) ^ with).collect::<Vec<u8>>();
    let inner = digest(&SHA256, &[pad(0x36).as_slice(), text].concat());
    digest(&SHA256, &[pad(0x5c).as_slice(), inner.as_ref()].concat()).as_ref().to_vec()
}

/// Whether one of a message's signatures was made with this secret.
pub fn is_signed(hit: &Hit, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let header = |name: &str| hit.header(name).unwrap_or_else(|| panic!("{name} is missing"));
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), hit.body);
    let expected = format!("v1,{}", STANDARD.encode(hmac(&key, signed.as_bytes())));
    header("webhook-signature").split(' ').any(|signature| signature == expected)
}

fn undelivered(app: &TestApp) -> i64 {
    app.count("SELECT count(*) AS n FROM outbox WHERE delivered_at IS NULL AND given_up_at IS NULL")
}

fn given_up(app: &TestApp) -> i64 {
    app.count("SELECT count(*) AS n FROM outbox WHERE given_up_at IS NOT NULL")
}

fn event(kind: &str) -> String {
    format!("INSERT INTO audit_events (at, kind) VALUES (now(), '{kind}')")
}

#[test]
fn events_are_told_signed_and_only_those_asked_for() {
    let hooked = Hooked::new();
    let app = serve(
        &[
            hooked.webhook("crm", r#"["user.created", "session.*"]"#, ""),
            hooked.webhook("all", r#"["*"]"#, ""),
            hooked.webhook("off", r#"["*"]"#, "enabled = false"),
        ]
        .concat(),
    );
    let (mut browser, mut passkey) = app.person();
    browser.call("DELETE", "/v1/session", None).expect(200);
    browser.sign_in(&mut passkey).expect(200);
    browser.add(&mut app.passkey()).expect(200);
    within(PATIENCE, "all are told", || hooked.types("all").len() == 4 && undelivered(&app) == 0);

    assert_eq!(hooked.types("crm"), ["session.signed_in", "session.signed_out", "user.created"]);
    assert_eq!(hooked.types("all"), ["passkey.added", "session.signed_in", "session.signed_out", "user.created"]);
    assert!(hooked.hits("off").is_empty());
    for hit in hooked.receiver.hits() {
        assert!(is_signed(&hit, SECRET) && !is_signed(&hit, NEXT_SECRET));
        assert_eq!(hit.header("content-type"), Some("application/json"));
    }
    let ids: BTreeSet<String> =
        hooked.hits("all").iter().map(|hit| hit.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 4, "each event has its own");
    let bodies = hooked.bodies("crm");
    let signed_in = bodies.iter().find(|body| body["type"] == "session.signed_in").expect("it was told");
    let user = browser.get("/v1/session").expect(200).json()["user"]["id"].clone();
    assert_eq!((&signed_in["data"]["userId"], &signed_in["data"]["detail"]["acr"]), (&user, &json!("phr")));
    assert!(signed_in["timestamp"].as_str().unwrap().ends_with('Z'), "{signed_in}");
}

#[test]
fn personal_data_are_told_to_those_marked_for_them_alone() {
    let hooked = Hooked::new();
    let app = serve(
        &[
            hooked.webhook("plain", r#"["user.created"]"#, ""),
            hooked.webhook("mail", r#"["user.created"]"#, "personal_data = true"),
        ]
        .concat(),
    );
    let (mut browser, mut passkey) = (app.browser(), app.passkey());
    let begun = browser.begin_registration(&json!({ "purpose": "sign-up", "email": "ada@example.com", "name": "Ada" }));
    let credential = passkey.create(&begun["publicKey"]);
    browser.finish_registration(&begun, &credential).expect(200);
    within(PATIENCE, "both are told", || undelivered(&app) == 0);
    let person = json!({ "email": "ada@example.com", "emailVerified": false, "name": "Ada" });
    assert_eq!(hooked.bodies("mail")[0]["data"]["person"], person);
    let plain = &hooked.hits("plain")[0].body;
    assert!(!plain.contains("ada@example.com") && !plain.contains("\"Ada\""), "{plain}");
}

#[test]
fn two_secrets_sign_while_the_receiver_changes_over() {
    let hooked = Hooked::new();
    let config =
        hooked.webhook("crm", r#"["user.created"]"#, &format!("previous_secret_file = \"{}\"", hooked.secret("next")));
    let app = serve(&config);
    app.person();
    within(PATIENCE, "it is told", || undelivered(&app) == 0);
    let hit = &hooked.hits("crm")[0];
    assert!(is_signed(hit, SECRET) && is_signed(hit, NEXT_SECRET));
}

#[test]
fn what_does_not_arrive_is_tried_again_under_its_id() {
    let hooked = Hooked::new();
    let app = hooked.told(r#"["user.created"]"#);
    hooked.receiver.answers(&[(500, Real::ZERO), (302, Real::ZERO), (429, Real::ZERO), (204, Real::ZERO)]);
    app.person();
    for status in [500, 302, 429] {
        let noted = format!("SELECT count(*) AS n FROM outbox WHERE last_error LIKE '%{status}'");
        within(PATIENCE, "a try", || app.count(&noted) == 1);
        app.advance(Duration::minutes(2));
    }
    within(PATIENCE, "it arrives", || undelivered(&app) == 0);
    let hits = hooked.hits("crm");
    assert_eq!(hits.len(), 4);
    let times: Vec<i64> = hits.iter().map(|hit| hit.header("webhook-timestamp").unwrap().parse().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + 120), "each try has its own time: {times:?}");
    for hit in &hits {
        assert!(is_signed(hit, SECRET));
        assert_eq!((hit.header("webhook-id"), &hit.body), (hits[0].header("webhook-id"), &hits[0].body));
    }
    assert_eq!(app.events("delivery.failed"), 0, "a try that fails is not an event; what is given up is");
}

/// A receiver that cannot be reached is not notified of that, or there would be no end.
#[test]
fn what_is_given_up_is_seen_can_be_tried_again_and_is_told_to_nobody() {
    let hooked = Hooked::new();
    let config = hooked.webhook("crm", r#"["*"]"#, "");
    let app = serve(&config);
    hooked.receiver.answers(&[(410, Real::ZERO)]);
    app.person();
    within(PATIENCE, "it is given up", || given_up(&app) == 1);
    let seen = "SELECT count(*) AS n FROM audit_events WHERE kind = 'delivery.failed' AND detail->>'kind' = 'webhook' \
                AND detail->'message'->>'to' = 'crm' AND detail->'message'->>'type' = 'user.created'";
    assert_eq!(app.count(seen), 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM outbox"), 1, "and no message tells of it");

    let mut operator = Operator::of(&app);
    operator.set("PASSMINT_OUTBOUND_ALLOW_PRIVATE_ADDRESSES", "true");
    operator.write("passmint.toml", &config);
    let listed: Value = serde_json::from_str(&operator.ok(&["outbox", "list", "--kind", "webhook", "--json"])).unwrap();
    assert_eq!(listed[0]["lastError"], "the receiver is gone (status 410)");
    assert!(operator.ok(&["outbox", "list", "--kind", "backchannel_logout"]).lines().count() == 1, "the headings");
    operator.ok(&["outbox", "retry", &listed[0]["id"].to_string()]);
    within(PATIENCE, "it arrives", || given_up(&app) == 0 && undelivered(&app) == 0);
    let told = hooked.types("crm");
    assert_eq!(told, ["user.created", "user.created"], "that it was tried again is told to nobody either");
}

#[test]
fn after_a_day_it_is_given_up() {
    let hooked = Hooked::new();
    let app = hooked.told(r#"["user.created"]"#);
    hooked.receiver.always(500);
    app.person();
    within(PATIENCE, "a try", || app.count("SELECT count(*) AS n FROM outbox WHERE last_error IS NOT NULL") == 1);
    assert_eq!(given_up(&app), 0, "not at once");
    within(Real::from_secs(20), "it is given up", || {
        app.advance(Duration::hours(1));
        given_up(&app) == 1
    });
    assert_eq!(app.events("delivery.failed"), 1);
}

#[test]
fn the_status_alone_says_that_it_arrived() {
    let hooked = Hooked::new();
    let app = hooked.told(r#"["group.changed"]"#);
    for (name, answer) in [
        ("too large", "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nx"),
        ("packed", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"),
        ("cut off", "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nx"),
        ("no chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz"),
    ] {
        let before = hooked.hits("crm").len();
        hooked.receiver.sends(|_| answer.as_bytes().to_vec());
        app.sql(&event("group.changed"));
        within(PATIENCE, name, || hooked.hits("crm").len() > before && undelivered(&app) == 0);
        assert_eq!((hooked.hits("crm").len(), given_up(&app)), (before + 1, 0), "{name}");
    }
}

/// Every event that commits is delivered, none that rolls back is, whichever began first.
#[test]
fn of_a_thousand_events_none_is_lost_and_none_invented() {
    let hooked = Hooked::new();
    let app = hooked.told(r#"["group.changed"]"#);
    let slow = std::thread::spawn({
        let url = app.database_url().to_owned();
        move || {
            let mut conn = diesel::PgConnection::establish(&url).unwrap();
            conn.batch_execute(&format!("BEGIN; {}; SELECT pg_sleep(3); COMMIT", event("group.changed"))).unwrap();
        }
    });
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let url = app.database_url().to_owned();
            std::thread::spawn(move || {
                let mut conn = diesel::PgConnection::establish(&url).unwrap();
                for number in 0..150 {
                    let end = if (number + writer) % 6 == 0 { "ROLLBACK" } else { "COMMIT" };
                    conn.batch_execute(&format!("BEGIN; {}; {end}", event("group.changed"))).unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    slow.join().unwrap();
    let written = app.events("group.changed");
    assert_eq!(written, 1001);
    within(Real::from_secs(40), "all are told", || undelivered(&app) == 0);
    let told: BTreeSet<i64> = hooked.bodies("crm").iter().map(|body| body["data"]["id"].as_i64().unwrap()).collect();
    assert_eq!(told.len(), 1001);
    assert_eq!(
        app.count(&format!(
            "SELECT count(*) AS n FROM audit_events WHERE kind = 'group.changed' AND id NOT IN ({})",
            told.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        )),
        0
    );
}

#[test]
fn what_a_killed_server_held_is_sent_by_the_next() {
    let hooked = Hooked::new();
    let database = Database::create();
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("passmint.toml"), hooked.webhook("crm", r#"["group.changed"]"#, "")).unwrap();
    let mut conn = diesel::PgConnection::establish(database.url()).unwrap();
    let first = Program::start(serve_on(folder.path(), &database, ALLOWED));
    hooked.receiver.answers(&[(200, Real::from_secs(3))]);
    conn.batch_execute(&event("group.changed")).unwrap();
    within(PATIENCE, "it is being sent", || hooked.hits("crm").len() == 1);
    let port = first.port;
    first.kill();
    // Another server may take over its messages only when the lease ends, in half a minute.
    conn.batch_execute("UPDATE outbox SET next_try_at = now()").unwrap();
    let _second = Program::start_at(serve_on(folder.path(), &database, ALLOWED), port);
    within(PATIENCE, "it is sent again", || hooked.hits("crm").len() == 2);
    let hits = hooked.hits("crm");
    assert_eq!(hits[0].header("webhook-id"), hits[1].header("webhook-id"), "so that the receiver knows it");
}

#[test]
fn one_that_is_slow_holds_up_nobody_else() {
    let (slow, quick) = (Hooked::new(), Hooked::new());
    let config =
        [slow.webhook("slow", r#"["group.changed"]"#, ""), quick.webhook("quick", r#"["group.changed"]"#, "")].concat();
    let app = TestApp::with(&Options { config: &config, settings: ALLOWED, ..Options::default() });
    slow.receiver.answers(&[(200, Real::from_secs(20)); 40]);
    app.sql("INSERT INTO audit_events (at, kind) SELECT now(), 'group.changed' FROM generate_series(1, 40)");
    within(PATIENCE, "the quick one is told", || quick.hits("quick").len() == 40);
    assert!(slow.hits("slow").len() <= 8, "a few at a time: {}", slow.hits("slow").len());
}

#[test]
fn what_happened_can_be_told_again() {
    let hooked = Hooked::new();
    let config = hooked.webhook("crm", r#"["user.*"]"#, "");
    let app = serve(&config);
    app.person();
    app.sql(&event("group.changed"));
    within(PATIENCE, "it is told", || undelivered(&app) == 0 && hooked.hits("crm").len() == 1);
    let mut operator = Operator::of(&app);
    operator.set("PASSMINT_OUTBOUND_ALLOW_PRIVATE_ADDRESSES", "true");
    operator.write("passmint.toml", &config);
    assert!(operator.ok(&["webhooks", "list"]).contains("user.*"));
    let said = operator.ok(&["webhooks", "replay", "crm", "--from", "2020-01-01T00:00:00Z"]);
    assert_eq!(said, "1 message is sent again by a running server\n");
    within(PATIENCE, "it is told again", || hooked.hits("crm").len() == 2);
    let hits = hooked.hits("crm");
    assert_eq!((hits[0].header("webhook-id"), &hits[0].body), (hits[1].header("webhook-id"), &hits[1].body));
    assert_eq!(
        operator.refused(&["webhooks", "replay", "nobody", "--from", "2020-01-01T00:00:00Z"]).lines().count(),
        1
    );

    let said = operator.ok(&["webhooks", "test", "crm"]);
    assert!(said.ends_with("/crm took the message\n"), "{said}");
    let hit = hooked.hits("crm").pop().unwrap();
    assert!(is_signed(&hit, SECRET) && hit.body.contains("\"webhook.test\""), "{}", hit.body);
    hooked.receiver.always(302);
    assert!(operator.refused(&["webhooks", "test", "crm"]).contains("status 302"));
    let secret = operator.ok(&["webhooks", "secret"]);
    assert!(secret.starts_with("whsec_") && secret != operator.ok(&["webhooks", "secret"]));
}

#[test]
fn one_that_is_not_configured_any_more_is_told_nothing() {
    let hooked = Hooked::new();
    let app = hooked.told(r#"["group.changed"]"#);
    hooked.receiver.always(500);
    app.sql(&event("group.changed"));
    within(PATIENCE, "a try", || app.count("SELECT attempts::bigint AS n FROM outbox") >= 1);
    let beside = TestApp::with(&Options { beside: Some(&app), ..Options::default() });
    assert_eq!(given_up(&beside), 1);
    app.sql(&event("group.changed"));
    assert_eq!(app.count("SELECT count(*) AS n FROM outbox"), 1);
    let retry = || app.db.blocking(|conn| outbox::retry(conn, None, app.clock.now())).expect("a retry");
    assert_eq!(retry(), 0, "nobody would ever deliver it");
    // For an event whose transaction had begun when the receiver was removed.
    app.sql(
        "INSERT INTO outbox (kind, lane, payload, next_try_at, created_at) SELECT kind, lane, payload, now(), now() FROM outbox",
    );
    let _beside = TestApp::with(&Options { beside: Some(&app), ..Options::default() });
    assert_eq!(given_up(&app), 2);
    let _again = TestApp::with(&Options {
        beside: Some(&app),
        config: &hooked.webhook("crm", r#"["user.*", "group.changed"]"#, ""),
        settings: ALLOWED,
        ..Options::default()
    });
    app.sql(&event("group.changed"));
    assert_eq!(app.count("SELECT count(*) AS n FROM outbox"), 3, "told from now on");
    assert_eq!(retry(), 2, "there is somebody again");
}

/// Each mistake stops the start, and all are reported at once.
#[test]
fn mistakes_are_told_at_the_start() {
    let hooked = Hooked::new();
    let operator = Operator::new();
    operator.write("short", "whsec_c2hvcnQ=");
    operator.write(
        "passmint.toml",
        &[
            "[webhooks.missing]\nurl = \"https://a.example/\"\nsecret_file = \"nowhere\"\nevents = [\"*\"]\n",
            "[webhooks.short]\nurl = \"https://a.example/\"\nsecret_file = \"short\"\nevents = [\"*\"]\n",
        ]
        .concat(),
    );
    let said = operator.run(&["check-config"]).err;
    assert!(said.contains("webhooks.missing.secret_file (passmint.toml:3)"), "{said}");
    assert!(said.contains("webhooks.short.secret_file (passmint.toml:7)"), "{said}");
    assert!(said.contains("passmint webhooks secret") && !said.contains("c2hvcnQ"), "{said}");

    operator.write("passmint.toml", &hooked.webhook("crm", r#"["sesion.signed_in", "nothing.*"]"#, ""));
    let said = operator.run(&["check-config"]).err;
    for part in ["outbound.private_hosts", "did you mean \"session.signed_in\"?", "\"nothing.*\" is no event"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
