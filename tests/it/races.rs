//! What must happen once happens once, however many ask at the same time and at whichever server.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::negative::{HOSTILE, last_reason};
use crate::support::{Browser, Options, Reply, Request, TestApp, verify};

const VERIFY: &str = "/v1/passkeys/authentication/verify";
const REGISTER: &str = "/v1/passkeys/registration/verify";
const SHARED: Options<'static> = Options {
    settings: &[("challenges.store", "database")],
    config: "",
    public_url: Some("https://id.example"),
    beside: None,
};

/// Sends all requests at the same moment.
fn at_once(requests: Vec<Request>) -> Vec<Reply> {
    let start = Barrier::new(requests.len());
    std::thread::scope(|scope| {
        let senders: Vec<_> = requests
            .into_iter()
            .map(|request| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    request.send()
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    })
}

/// How many responses have each status, in order.
fn statuses(replies: &[Reply]) -> Vec<(u16, usize)> {
    let mut all: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    all.sort_unstable();
    all.chunk_by(|a, b| a == b).map(|group| (group[0], group.len())).collect()
}

/// The same browser at another server.
fn at(app: &TestApp, browser: &Browser) -> Browser {
    let mut same = app.browser();
    same.cookies.clone_from(&browser.cookies);
    same
}

/// N3: 64 answers to one ceremony, at one server with its memory and at two that share a database: one is accepted.
#[test]
fn of_64_answers_one_is_taken() {
    let memory = TestApp::with(&Options { public_url: Some("https://id.example"), ..Options::default() });
    of_64(&[&memory]);
    let one = TestApp::with(&SHARED);
    let other = TestApp::with(&Options { beside: Some(&one), ..SHARED });
    of_64(&[&one, &other]);
}

fn of_64(servers: &[&TestApp]) {
    let app = servers[0];
    for round in 0..3 {
        let (_, mut passkey) = app.person();
        let mut browser = app.browser();
        let sessions = app.count("SELECT count(*) AS n FROM sessions");
        let begun = browser.begin_sign_in(&json!({}));
        let answer = verify(&begun, &passkey.get(&begun["publicKey"]));
        let to = |n: usize| at(servers[n % servers.len()], &browser).request("POST", VERIFY).json(&answer);
        let replies = at_once((0..64).map(to).collect());
        assert_eq!(statuses(&replies), [(200, 1), (410, 63)], "round {round}");
        assert_eq!(app.count("SELECT count(*) AS n FROM sessions"), sessions + 1);

        let users = app.count("SELECT count(*) AS n FROM users");
        let begun = browser.begin_registration(&json!({ "purpose": "sign-up" }));
        let answer = verify(&begun, &app.passkey().create(&begun["publicKey"]));
        let to = |n: usize| at(servers[n % servers.len()], &browser).request("POST", REGISTER).json(&answer);
        let replies = at_once((0..64).map(to).collect());
        assert_eq!(statuses(&replies), [(200, 1), (410, 63)], "round {round}: sign-up");
        assert_eq!(app.count("SELECT count(*) AS n FROM users"), users + 1);
    }
    assert_eq!(app.events("ceremony.refused"), 0, "too late is no attack");
}

/// N21: two ceremonies begun at counter 5 and both answered with 6, as a key and its copy would: one is accepted, and
/// the key is suspended.
#[test]
fn two_ceremonies_at_one_counter() {
    let one = TestApp::with(&SHARED);
    let other = TestApp::with(&Options { beside: Some(&one), ..SHARED });
    for round in 1..=8 {
        let mut key = Authenticator { counter: 5, ..Authenticator::new(&one.origin) };
        one.browser().sign_up(&mut key);
        let requests = [&one, &other].map(|server| {
            let mut browser = server.browser();
            let begun = browser.begin_sign_in(&json!({}));
            key.counter = 5;
            let answer = key.get(&begun["publicKey"]);
            browser.request("POST", VERIFY).json(&verify(&begun, &answer))
        });
        let replies = at_once(requests.into());
        assert_eq!(statuses(&replies), [(200, 1), (400, 1)], "round {round}");
        assert_eq!(one.events("passkey.clone_suspected"), round);
        assert_eq!(one.events("ceremony.refused"), round * 2 - 1);
        one.browser().sign_in(&mut key).expect_problem(403, "sign_in_refused");
    }
    assert_eq!(one.count("SELECT count(*) AS n FROM credentials WHERE sign_count <> 6"), 0);
}

/// Two copies of one key that both find counter 5 are never both accepted, however the statements interleave.
#[test]
fn a_counter_is_used_once_by_16() {
    let app = TestApp::with(&SHARED);
    let mut key = Authenticator { counter: 5, ..Authenticator::new(&app.origin) };
    app.browser().sign_up(&mut key);
    let requests = (0..16).map(|_| {
        let mut browser = app.browser();
        let begun = browser.begin_sign_in(&json!({}));
        key.counter = 5;
        let answer = key.get(&begun["publicKey"]);
        browser.request("POST", VERIFY).json(&verify(&begun, &answer))
    });
    let replies = at_once(requests.collect());
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1, "{:?}", statuses(&replies));
    assert!(replies.iter().all(|reply| [200, 400, 403].contains(&reply.status)), "{:?}", statuses(&replies));
    assert_eq!(app.events("passkey.clone_suspected"), 1);
    assert_eq!(app.events("session.signed_in"), 1);
    assert_eq!(app.events("ceremony.refused"), 15);
}

/// N37: one new passkey registered by 16 people at once belongs to one person.
#[test]
fn one_credential_id_registered_by_16() {
    let app = TestApp::with(&SHARED);
    let id = app.passkey().credential_id;
    let requests = (0..16).map(|n| {
        let (mut browser, mut passkey) = (app.browser(), app.passkey());
        // Half of them already have an account.
        let purpose = if n % 2 == 0 { "sign-up" } else { "add" };
        if purpose == "add" {
            browser.sign_up(&mut app.passkey());
        }
        let begun = browser.begin_registration(&json!({ "purpose": purpose }));
        passkey.credential_id.clone_from(&id);
        let answer = passkey.create(&begun["publicKey"]);
        browser.request("POST", REGISTER).json(&verify(&begun, &answer))
    });
    let replies = at_once(requests.collect());
    assert_eq!(statuses(&replies), [(200, 1), (409, 15)]);
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 8 + 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM users WHERE id NOT IN (SELECT user_id FROM credentials)"), 0);
    assert_eq!(app.events("ceremony.refused"), 15);
}

/// W8: of two parallel removals of the last two passkeys, one is refused.
#[test]
fn the_last_two_passkeys_removed_at_once() {
    let app = TestApp::with(&SHARED);
    for round in 0..8 {
        let (mut browser, _) = app.person();
        browser.add(&mut app.passkey()).expect(200);
        let listed = browser.get("/v1/passkeys").expect(200).json();
        let ids: Vec<&Value> = listed["passkeys"].as_array().unwrap().iter().map(|entry| &entry["id"]).collect();
        let remove = |id: &&Value| browser.request("DELETE", &format!("/v1/passkeys/{}", id.as_str().unwrap()));
        let replies = at_once(ids.iter().map(remove).collect());
        assert_eq!(statuses(&replies), [(200, 1), (409, 1)], "round {round}");
        let left = browser.get("/v1/passkeys").expect(200).json();
        assert_eq!(left["passkeys"].as_array().map(Vec::len), Some(1), "round {round}");
    }
}

/// One passkey removed by 8 at once is removed once.
#[test]
fn one_passkey_removed_by_8() {
    let app = TestApp::with(&SHARED);
    let (mut browser, _) = app.person();
    browser.add(&mut app.passkey()).expect(200);
    browser.add(&mut app.passkey()).expect(200);
    let listed = browser.get("/v1/passkeys").expect(200).json();
    let path = format!("/v1/passkeys/{}", listed["passkeys"][2]["id"].as_str().unwrap());
    let replies = at_once((0..8).map(|_| browser.request("DELETE", &path)).collect());
    assert_eq!(statuses(&replies), [(200, 1), (404, 7)]);
    assert_eq!(app.events("passkey.removed"), 1);
}

/// An addition does not invalidate what another one's decision was based on: two at once are both stored.
#[test]
fn two_passkeys_added_at_once() {
    let app = TestApp::with(&SHARED);
    for round in 0..4 {
        let (mut browser, _) = app.person();
        let requests = (0..2).map(|_| addition(&app, &mut browser)).collect();
        assert_eq!(statuses(&at_once(requests)), [(200, 2)], "round {round}");
        let listed = browser.get("/v1/passkeys").expect(200).json();
        let names: BTreeSet<&str> =
            listed["passkeys"].as_array().unwrap().iter().map(|passkey| passkey["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 3, "round {round}: each has a name of its own: {names:?}");
    }
}

/// However many are added at once, nobody has more than are allowed.
#[test]
fn parallel_adds_stay_within_the_limit() {
    let settings = [("challenges.store", "database"), ("passkeys.per_user", "5")];
    let app = TestApp::with(&Options { settings: &settings, ..SHARED });
    let (mut browser, _) = app.person();
    let replies = at_once((0..64).map(|_| addition(&app, &mut browser)).collect());
    assert_eq!(statuses(&replies), [(200, 4), (409, 60)], "with the one that there was: five");
    for reply in replies.into_iter().filter(|reply| reply.status == 409) {
        reply.expect_problem(409, "too_many_passkeys");
    }
    assert_eq!(browser.get("/v1/passkeys").expect(200).json()["passkeys"].as_array().map(Vec::len), Some(5));
    assert_eq!(app.events("passkey.added"), 4);
}

/// The second call of adding one more passkey, ready to be sent.
fn addition(app: &TestApp, browser: &mut Browser) -> Request {
    let begun = browser.begin_registration(&json!({ "purpose": "add" }));
    let answer = app.passkey().create(&begun["publicKey"]);
    browser.request("POST", REGISTER).json(&verify(&begun, &answer))
}

/// A sign-in while its person is being disabled: whatever comes first, no disabled person stays signed in.
#[test]
fn signing_in_while_being_disabled() {
    let app = TestApp::with(&SHARED);
    for round in 0..8 {
        let (_, mut passkey) = app.person();
        let mut browser = app.browser();
        let begun = browser.begin_sign_in(&json!({}));
        let answer = verify(&begun, &passkey.get(&begun["publicKey"]));
        let request = browser.request("POST", VERIFY).json(&answer);
        let reply = std::thread::scope(|scope| {
            let signing_in = scope.spawn(move || request.send());
            app.sql("UPDATE users SET status = 'disabled', epoch = epoch + 1");
            signing_in.join().unwrap()
        });
        assert!([200, 400, 403].contains(&reply.status), "round {round}: {}", reply.body);
        let mut holder = browser.clone();
        holder.cookies.extend(reply.cookies().into_iter().map(|(name, value, _)| (name, value)));
        holder.get("/v1/passkeys").expect_problem(401, "not_signed_in");
    }
}

/// A step-up answered twice at once renews the cookie once.
#[test]
fn a_step_up_answered_at_two_servers() {
    let one = TestApp::with(&SHARED);
    let other = TestApp::with(&Options { beside: Some(&one), ..SHARED });
    for round in 0..4 {
        let (mut browser, mut passkey) = one.person();
        let begun = browser.begin_sign_in(&json!({ "purpose": "step-up" }));
        let answer = verify(&begun, &passkey.get(&begun["publicKey"]));
        let requests = [&one, &other].map(|server| at(server, &browser).request("POST", VERIFY).json(&answer));
        let replies = at_once(requests.into());
        assert_eq!(statuses(&replies), [(200, 1), (410, 1)], "round {round}");
    }
    assert_eq!(one.events("session.stepped_up"), 4);
}

/// Sends a request and makes a change after the server has read and before it writes: the change keeps its locks until
/// the request waits for one of them.
fn between_reading_and_writing(app: &TestApp, change: &str, request: Request) -> Reply {
    let waiting =
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    std::thread::scope(|scope| {
        let sending = app.db.blocking_tx(|conn| {
            conn.batch_execute(change)?;
            let sending = scope.spawn(move || request.send());
            let deadline = Instant::now() + Duration::from_secs(10);
            while app.count(waiting) == 0 {
                assert!(Instant::now() < deadline && !sending.is_finished(), "the request waits: {change}");
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(sending)
        });
        sending.unwrap().join().unwrap()
    })
}

/// N38, to the last moment: the statement that writes checks again what was read before the signature was verified.
#[test]
fn the_account_changes_while_the_signature_is_checked() {
    const DISABLE: &str = "UPDATE users SET status = 'disabled', epoch = epoch + 1";
    for (change, status, reason) in [
        (DISABLE, 403, "the account is disabled"),
        ("UPDATE users SET epoch = epoch + 1", 400, "the account changed meanwhile"),
        ("DELETE FROM credentials", 400, "the passkey was removed meanwhile"),
        ("UPDATE credentials SET suspended_at = now()", 403, "the passkey is suspended"),
        ("UPDATE credentials SET sign_count = 6", 400, "the counter did not rise"),
    ] {
        let app = TestApp::with(&SHARED);
        let mut key = Authenticator { counter: 5, ..Authenticator::new(&app.origin) };
        app.browser().sign_up(&mut key);
        let mut browser = app.browser();
        let begun = browser.begin_sign_in(&json!({}));
        let request = browser.request("POST", VERIFY).json(&verify(&begun, &key.get(&begun["publicKey"])));
        let reply = between_reading_and_writing(&app, change, request);
        assert_eq!(reply.status, status, "{change}: {}", reply.body);
        assert!(reply.cookies().is_empty(), "{change}");
        assert!(last_reason(&app).contains(reason), "{change}: {}", last_reason(&app));
        assert_eq!(app.count("SELECT count(*) AS n FROM sessions"), 1, "{change}: the one of the sign-up");
        assert_eq!(app.events("ceremony.refused"), 1, "{change}");
        assert_eq!(app.events("session.signed_in"), 0, "{change}");
    }
}

/// A session that ends while its step-up is verified: refused, and the passkey is not taken for a copy.
#[test]
fn a_session_ends_while_its_step_up_is_checked() {
    let app = TestApp::with(&SHARED);
    let mut key = Authenticator { counter: 5, ..Authenticator::new(&app.origin) };
    let mut browser = app.browser();
    browser.sign_up(&mut key);
    let begun = browser.begin_sign_in(&json!({ "purpose": "step-up" }));
    let request = browser.request("POST", VERIFY).json(&verify(&begun, &key.get(&begun["publicKey"])));
    let reply = between_reading_and_writing(&app, "UPDATE sessions SET revoked_at = now()", request);
    assert_eq!((reply.status, reply.body.as_str()), (400, HOSTILE));
    assert!(last_reason(&app).contains("the session ended meanwhile"), "{}", last_reason(&app));
    assert_eq!(app.events("passkey.clone_suspected") + app.events("session.stepped_up"), 0);
    assert_eq!(app.count("SELECT max(sign_count) AS n FROM credentials"), 5, "nothing is written");
    app.browser().sign_in(&mut key).expect(200);
}

/// The same when adding a passkey, which is decided under the lock of the person's row.
#[test]
fn the_account_changes_while_a_passkey_is_added() {
    for (change, reason) in [
        ("UPDATE users SET status = 'disabled', epoch = epoch + 1", "the account changed meanwhile"),
        ("UPDATE users SET epoch = epoch + 1", "the account changed meanwhile"),
        ("UPDATE sessions SET revoked_at = now()", "the session ended meanwhile"),
        ("DELETE FROM sessions", "the session ended meanwhile"),
    ] {
        let app = TestApp::with(&SHARED);
        let (mut browser, _) = app.person();
        let request = addition(&app, &mut browser);
        let reply = between_reading_and_writing(&app, change, request);
        assert_eq!((reply.status, reply.body.as_str()), (400, HOSTILE), "{change}");
        assert!(last_reason(&app).contains(reason), "{change}: {}", last_reason(&app));
        assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1, "{change}");
    }
}

/// Removing a passkey may be meant to lock a thief out: an addition that was begun before ends with it.
#[test]
fn a_passkey_is_removed_while_another_is_added() {
    let app = TestApp::with(&SHARED);
    let (mut browser, _) = app.person();
    browser.add(&mut app.passkey()).expect(200);
    let late = addition(&app, &mut browser);
    let listed = browser.get("/v1/passkeys").expect(200).json();
    let second = listed["passkeys"][1]["id"].as_str().unwrap();
    browser.call("DELETE", &format!("/v1/passkeys/{second}"), None).expect(200);
    let reply = browser.send(late);
    assert_eq!((reply.status, reply.body.as_str()), (400, HOSTILE));
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);
}
