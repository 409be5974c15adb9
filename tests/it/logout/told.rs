//! Apps that are notified of the end of a session, over the back channel.

use std::time::{Duration as Real, Instant};

use chrono::Duration;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use passmint::domain::id::{PasskeyId, SessionId, UserId};
use passmint::domain::user::UserStatus;
use passmint::storage::{people, sessions};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{APPS, DONE, PRIVATE, asks, id_token, is_signed_in, logout, server, server_with, session_of, signed_in};
use crate::authenticator::Authenticator;
use crate::support::oidc::{Ask, present, redeem};
use crate::support::program::{Program, serve_on};
use crate::support::receiver::{Hit, Receiver};
use crate::support::tokens::{Tokens, claims, header, within};
use crate::support::{Browser, Database, Options, TestApp, free_ports, oidc, verify};

#[test]
fn a_logout_token_says_what_it_must_and_nothing_else() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let (mut browser, _, id) = signed_in(&app);
    let session = session_of(&mut browser);
    let reply = logout(&mut browser, &[("id_token_hint", &id), ("post_logout_redirect_uri", DONE)]);
    assert_eq!(reply.header("location"), Some(DONE));
    let hits = receiver.hits();
    assert_eq!(hits.len(), 1, "told before the browser is sent on");
    assert_eq!(hits[0].line, "POST /backchannel");
    assert_eq!(hits[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(hits[0].header("cookie").is_none() && hits[0].header("authorization").is_none());
    let token = hits[0].logout_token();
    let claims = app.verified(&token, "rp", "logout+jwt");
    let names: Vec<&str> = claims.keys().map(String::as_str).collect();
    let mut wanted = ["aud", "events", "exp", "iat", "iss", "jti", "sid", "sub"];
    wanted.sort_unstable();
    let mut found = names.clone();
    found.sort_unstable();
    assert_eq!(found, wanted, "no nonce");
    assert_eq!(claims["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    assert_eq!((claims["sid"].as_str(), claims["aud"].as_str()), (Some(session.to_string().as_str()), Some("rp")));
    assert_eq!(claims["sub"], self::claims(&id)["sub"]);
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 120);
    assert_eq!((header(&token)["alg"].as_str(), header(&id)["alg"].as_str()), (Some("ES256"), Some("ES256")));
    // Row 116: the token is accepted for nothing else.
    let (mut other, _, _) = signed_in(&app);
    asks(&logout(&mut other, &[("id_token_hint", &token), ("post_logout_redirect_uri", DONE)]));
}

/// Something that ends a session.
type Deed = fn(&TestApp, &mut Browser, &mut Authenticator, SessionId);

fn other(app: &TestApp, passkey: &mut Authenticator) -> Browser {
    let mut other = app.browser();
    other.sign_in(passkey).expect(200);
    other
}

fn user(browser: &mut Browser) -> UserId {
    browser.get("/v1/me").expect(200).json()["id"].as_str().unwrap().parse().unwrap()
}

/// Row 115, trap 1: whatever ends a session, its apps are notified once.
#[test]
fn every_way_to_end_a_session_tells_its_apps() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let rows: &[(&str, Deed)] = &[
        ("our own button", |app, browser, _, _| {
            let page = browser.get("/account").expect(200).body;
            let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
            let _ = app;
            let request = browser.request("POST", "/signout").form(&[("csrf", &csrf)]);
            browser.send(request).expect(303);
        }),
        ("the session API", |_, browser, _, _| {
            browser.call("DELETE", "/v1/session", None).expect(200);
        }),
        ("the list of sessions", |app, _, passkey, session| {
            other(app, passkey).call("DELETE", &format!("/v1/me/sessions/{session}"), None).expect(200);
        }),
        ("all others", |app, _, passkey, _| {
            other(app, passkey).call("DELETE", "/v1/me/sessions", None).expect(200);
        }),
        ("another sign-in in the same browser", |_, browser, passkey, _| {
            browser.sign_in(passkey).expect(200);
        }),
        ("the person is disabled", |app, browser, _, _| {
            let (user, now) = (user(browser), app.clock.now());
            assert!(app.db.blocking(|conn| people::set_status(conn, user, UserStatus::Disabled, now)).unwrap());
        }),
        ("the person is deleted", |app, browser, _, _| {
            let (user, now) = (user(browser), app.clock.now());
            assert!(app.db.blocking(|conn| people::delete(conn, user, now)).unwrap());
        }),
        ("its passkey is removed", |app, browser, _, _| {
            let (user, now) = (user(browser), app.clock.now());
            let passkey: PasskeyId =
                browser.get("/v1/passkeys").expect(200).json()["passkeys"][0]["id"].as_str().unwrap().parse().unwrap();
            assert_eq!(app.db.blocking(|conn| sessions::revoke_opened_by(conn, passkey, user, None, now)).unwrap(), 1);
        }),
        ("an operator's own SQL", |app, _, _, session| {
            app.sql(&format!("UPDATE sessions SET revoked_at = now() WHERE id = '{session}'"));
        }),
    ];
    let mut ended = Vec::new();
    for (name, end) in rows {
        let (mut browser, mut passkey, _) = signed_in(&app);
        let session = session_of(&mut browser);
        end(&app, &mut browser, &mut passkey, session);
        within(Real::from_secs(15), name, || receiver.hits().iter().any(|hit| hit.sid() == session.to_string()));
        ended.push(session.to_string());
    }
    within(Real::from_secs(15), "all is noted", || {
        app.count("SELECT count(*) AS n FROM outbox WHERE delivered_at IS NULL") == 0
    });
    let mut told: Vec<String> = receiver.hits().iter().map(Hit::sid).collect();
    told.sort();
    ended.sort();
    assert_eq!(told, ended, "each once");
    assert_eq!(app.events("delivery.failed"), 0);
}

/// An app for members of groups.
const STAFF: &str = r#"
[clients.staff]
name = "Staff"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["authorization_code", "refresh_token"]
redirect_uris = ["https://staff.example/cb"]
scopes = ["openid", "offline_access"]
id_token_algorithm = "ES256"
backchannel_logout_uri = "RECEIVER/staff"
allowed_groups = ["desk", "floor"]
"#;

/// A server with that app, and the groups.
fn with_staff(receiver: &Receiver) -> TestApp {
    let config = format!("{APPS}{STAFF}").replace("RECEIVER", &receiver.url);
    let app = TestApp::with(&Options { settings: PRIVATE, config: &config, ..Options::default() });
    app.sql(
        "INSERT INTO groups (id, name, created_at)
         SELECT gen_random_uuid(), name, now() FROM unnest(ARRAY['desk', 'floor', 'other']) AS name",
    );
    app
}

fn set_groups(app: &TestApp, person: UserId, names: &[&str]) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    app.db.blocking_tx(|conn| people::set_groups(conn, person, &names)).unwrap().unwrap();
}

/// An app for members of groups is notified when somebody leaves the last of them, and the session continues.
#[test]
fn who_leaves_the_last_group_of_an_app_is_signed_out_there() {
    let receiver = Receiver::start();
    let app = with_staff(&receiver);
    let (mut browser, _, _) = signed_in(&app);
    let (person, session) = (user(&mut browser), session_of(&mut browser));
    let belongs_to = |names: &[&str]| set_groups(&app, person, names);
    let told = || app.count("SELECT count(*) AS n FROM outbox");
    for all in [&["desk", "floor", "other"][..], &["floor", "other"]] {
        belongs_to(all);
        id_token(&app, &mut browser, "staff");
    }
    belongs_to(&["desk"]);
    assert_eq!(told(), 0, "one of the app's groups is left");
    belongs_to(&["other"]);
    assert_eq!(told(), 1);
    within(Real::from_secs(15), "it is told", || receiver.hits().iter().any(|hit| hit.line.ends_with(" /staff")));
    assert_eq!(receiver.hits()[0].sid(), session.to_string());
    assert!(is_signed_in(&mut browser), "here, and in the app for everybody");

    // It is notified again when a whole group is deleted; the end of the session is then reported only to the others.
    belongs_to(&["desk"]);
    let mut tokens = |scope: &str| {
        let asked = Ask::of("staff").with("scope", scope);
        redeem(&app, "staff", &asked.send(&mut browser).back().code())
    };
    let (online, offline) = (tokens("openid"), tokens("openid offline_access"));
    assert!(app.opens(&online.access));
    app.sql("DELETE FROM groups WHERE name = 'desk'");
    assert_eq!(told(), 2);

    // Someone who is admitted again must sign in again: a refresh would give an ID token of the session, whose end
    // nobody would report.
    app.sql("INSERT INTO groups (id, name, created_at) SELECT gen_random_uuid(), 'desk', now()");
    belongs_to(&["desk"]);
    oidc::refresh(&app, "staff", &online.refresh, &[]).expect_oauth(400, "invalid_grant");
    assert!(!app.opens(&online.access), "neither is its access token good for anything");
    let kept = oidc::refresh(&app, "staff", &offline.refresh, &[]).expect(200).json();
    assert!(!claims(kept["id_token"].as_str().unwrap()).as_object().unwrap().contains_key("sid"), "of no session");
    browser.call("DELETE", "/v1/session", None).expect(200);
    assert_eq!(told(), 3);
}

/// A code that was waiting while its person briefly left the group still gives an ID token.
#[test]
fn whoever_comes_back_to_a_group_with_a_code_is_told_of() {
    let receiver = Receiver::start();
    let app = with_staff(&receiver);
    let (mut browser, _, _) = signed_in(&app);
    let person = user(&mut browser);
    set_groups(&app, person, &["desk"]);
    let code = Ask::of("staff").send(&mut browser).back().code();
    set_groups(&app, person, &["other"]);
    set_groups(&app, person, &["desk"]);
    let told = || app.count("SELECT count(*) AS n FROM outbox WHERE payload->>'client' = 'staff'");
    assert_eq!(told(), 1);
    assert_eq!(claims(&redeem(&app, "staff", &code).id)["sid"], json!(session_of(&mut browser).to_string()));
    browser.call("DELETE", "/v1/session", None).expect(200);
    assert_eq!(told(), 2, "that the session of that ID token ended");
}

#[test]
fn a_session_without_apps_or_that_ended_before_tells_nobody() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let (mut browser, _) = app.person();
    id_token(&app, &mut browser, "second");
    let code = Ask::of("rp").send(&mut browser.clone()).back().code();
    browser.call("DELETE", "/v1/session", None).expect(200);
    let told = "SELECT count(*) AS n FROM outbox WHERE payload->>'client' = 'second'";
    assert_eq!(app.count(told), 0, "an app without an address is not told");
    present(&app, "rp", &code).expect_oauth(400, "invalid_grant");
    assert_eq!(app.count("SELECT count(*) AS n FROM outbox"), 1, "one that was given a code may hold a session");
}

/// An app that runs the ceremony itself has a session of its own, and is notified of that session's end, whatever ends
/// it.
#[test]
fn an_app_that_signs_people_in_itself_is_told_too() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let mut passkey = app.passkey();
    let rp = app.client("rp");
    let wanted = json!({ "purpose": "sign-up", "result": { "kind": "tokens", "clientId": "rp", "scope": "openid" } });
    let begun = rp.post("/v1/passkeys/registration/options", &wanted).expect(200).json();
    let credential = passkey.create(&begun["publicKey"]);
    let made = rp.post("/v1/passkeys/registration/verify", &verify(&begun, &credential)).expect(200).json();
    let signed_up = Tokens::of(&made);
    let signed_in = Tokens::of(&rp.sign_in(&mut passkey, "openid").expect(200).json());
    rp.sign_in(&mut passkey, "profile").expect(200);
    let mut browser = app.browser();
    browser.sign_in(&mut passkey).expect(200);
    browser.call("DELETE", "/v1/me/sessions", None).expect(200);
    within(Real::from_secs(15), "both are told", || receiver.hits().len() >= 2);
    let mut told: Vec<String> = receiver.hits().iter().map(Hit::sid).collect();
    let mut ended = [signed_up.session(), signed_in.session()];
    told.sort();
    ended.sort();
    assert_eq!(told, ended, "and nobody of a session without an ID token");
    assert_eq!(app.count("SELECT count(*) AS n FROM outbox"), 2);
}

/// A slow app does not delay the person, and is notified all the same.
#[test]
fn a_slow_app_is_not_waited_for() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let (mut browser, _, id) = signed_in(&app);
    receiver.answers(&[(200, Real::from_secs(3))]);
    let begun = Instant::now();
    let reply = logout(&mut browser, &[("id_token_hint", &id), ("post_logout_redirect_uri", DONE)]);
    let took = begun.elapsed();
    assert_eq!(reply.header("location"), Some(DONE));
    assert!(took < Real::from_millis(2_500), "{took:?}");
    within(Real::from_secs(15), "it arrives", || {
        app.count("SELECT count(*) AS n FROM outbox WHERE delivered_at IS NOT NULL") == 1
    });
    assert_eq!(receiver.hits().len(), 1, "and is not sent twice");
}

#[test]
fn failures_are_tried_again_and_seen() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    receiver.answers(&[(500, Real::ZERO), (302, Real::ZERO), (204, Real::ZERO)]);
    let (mut browser, _, _) = signed_in(&app);
    browser.call("DELETE", "/v1/session", None).expect(200);
    for failures in 1..=2 {
        within(Real::from_secs(15), "a failure", || app.events("delivery.failed") == failures);
        app.advance(Duration::seconds(10));
    }
    within(Real::from_secs(15), "it arrives", || {
        app.count("SELECT count(*) AS n FROM outbox WHERE delivered_at IS NOT NULL") == 1
    });
    let tokens: Vec<Value> = receiver.hits().iter().map(|hit| claims(&hit.logout_token())).collect();
    assert_eq!(tokens.len(), 3);
    assert!(
        tokens[0]["jti"] != tokens[1]["jti"] && tokens[1]["exp"].as_i64() > tokens[0]["exp"].as_i64(),
        "signed anew"
    );
    let metrics = crate::support::Request::new("GET", &app.admin_url, "/metrics").send();
    if metrics.status == 200 {
        assert!(metrics.body.contains("passmint_outbox_attempts_total"), "{}", metrics.body);
    }
}

/// Back-Channel Logout §2.8: an app answers 400 to a token that it rejects, but also when its own logout failed, which
/// may be temporary.
#[test]
fn a_refusal_is_tried_a_few_times_more() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let mut failures = 0;
    let mut fails = || {
        failures += 1;
        within(Real::from_secs(15), "a failure", || app.events("delivery.failed") == failures);
        app.advance(Duration::minutes(6));
    };
    receiver.answers(&[(400, Real::ZERO), (400, Real::ZERO), (200, Real::ZERO)]);
    let (mut browser, _, _) = signed_in(&app);
    browser.call("DELETE", "/v1/session", None).expect(200);
    for _ in 0..2 {
        fails();
    }
    within(Real::from_secs(15), "it arrives", || {
        app.count("SELECT count(*) AS n FROM outbox WHERE delivered_at IS NOT NULL") == 1
    });

    receiver.answers(&[(400, Real::ZERO); 6]);
    let (mut browser, _, _) = signed_in(&app);
    browser.call("DELETE", "/v1/session", None).expect(200);
    for _ in 0..6 {
        fails();
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM outbox WHERE given_up_at IS NOT NULL"), 1);
}

/// Row 115: pending notifications are in the database, so they survive a server that dies.
#[test]
fn what_a_killed_server_was_telling_is_told_by_the_next() {
    let (receiver, database, port) = (Receiver::start(), Database::create(), free_ports(2));
    let folder = TempDir::new().expect("a folder");
    let config = APPS.replace("RECEIVER", &receiver.url).replace("ORIGIN", &format!("http://localhost:{port}"));
    std::fs::write(folder.path().join("passmint.toml"), config).expect("a configuration");
    let start = || Program::start_at(serve_on(folder.path(), &database, PRIVATE), port);
    let first = start();
    let mut browser = first.browser();
    browser.sign_up(&mut Authenticator::synchronised(&first.origin));
    Ask::of("rp").send(&mut browser).back().code();
    receiver.answers(&[(200, Real::from_secs(3))]);
    let mut conn = PgConnection::establish(database.url()).expect("a connection");
    conn.batch_execute("UPDATE sessions SET revoked_at = now()").unwrap();
    within(Real::from_secs(15), "it is being told", || receiver.hits().len() == 1);
    first.kill();
    // Another server may take over its messages only when the lease ends, in half a minute.
    conn.batch_execute("UPDATE outbox SET next_try_at = now()").unwrap();
    let _second = start();
    within(Real::from_secs(15), "it is told again", || receiver.hits().len() == 2);
    let told: Vec<Value> = receiver.hits().iter().map(|hit| claims(&hit.logout_token())).collect();
    assert_eq!((&told[0]["sid"], &told[0]["sub"]), (&told[1]["sid"], &told[1]["sub"]));
    assert_ne!(told[0]["jti"], told[1]["jti"], "signed anew");
}

/// Trap 1: where private addresses are not allowed, the error says so.
#[test]
fn an_address_that_may_not_be_reached_is_told_of() {
    let receiver = Receiver::start();
    let app = server_with(&receiver, &[]);
    let (mut browser, _, _) = signed_in(&app);
    browser.call("DELETE", "/v1/session", None).expect(200);
    within(Real::from_secs(15), "a failure", || app.events("delivery.failed") == 1);
    let told = "SELECT count(*) AS n FROM audit_events WHERE kind = 'delivery.failed' AND client_id = 'rp' \
                AND detail->>'error' LIKE '%outbound.allow_private_addresses%'";
    assert_eq!(app.count(told), 1);
    assert!(receiver.hits().is_empty());
}
