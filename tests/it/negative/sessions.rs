//! W7, W8, W11, N38, 31, 32, 47: sessions, and what their owners do with passkeys.

use chrono::Duration;
use serde_json::{Value, json};

use super::{Begun, HOSTILE, Traces, Which, changes, hostile};
use crate::authenticator::Authenticator;
use crate::support::{Browser, Options, Reply, TestApp};

/// The ids of a person's passkeys, oldest first.
fn passkeys(browser: &mut Browser) -> Vec<String> {
    let listed = browser.get("/v1/passkeys").expect(200).json();
    listed["passkeys"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

fn path(id: &str) -> String {
    format!("/v1/passkeys/{id}")
}

/// Whether a cookie's value still opens a session.
fn is_live(browser: &Browser, value: &str) -> bool {
    let mut other = browser.clone();
    for (name, cookie) in &mut other.cookies {
        if !name.ends_with("-pre") {
            value.clone_into(cookie);
        }
    }
    !other.get("/v1/session").expect(200).json()["session"].is_null()
}

/// 31: the cookie changes whenever the person proves who they are, and its previous value opens nothing.
#[test]
fn cookies_change_at_every_proof() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = app.person();
    let mut old = vec![browser.session().unwrap().to_owned()];
    browser.step_up(&mut passkey).expect(200);
    old.push(browser.session().unwrap().to_owned());
    browser.sign_in(&mut passkey).expect(200);
    old.push(browser.session().unwrap().to_owned());
    browser.sign_up(&mut app.passkey());
    let last = browser.session().unwrap().to_owned();
    for (index, value) in old.iter().enumerate() {
        assert_ne!(value, &last);
        assert!(!is_live(&browser, value), "cookie {index}");
    }
    assert!(is_live(&browser, &last));
    let signed_in = browser.clone();
    browser.call("DELETE", "/v1/session", None).expect(200);
    assert!(!is_live(&signed_in, &last), "after signing out");
}

/// 31: a sign-in never opens a planted cookie, whether it is made up or the attacker's own.
#[test]
fn planted_cookies() {
    let app = TestApp::spawn();
    let (attacker, _) = app.person();
    let attackers = attacker.cookies.iter().find(|(name, _)| !name.ends_with("-pre")).unwrap().clone();
    let made_up = (attackers.0.clone(), attackers.1.chars().rev().collect::<String>());
    for planted in [attackers.clone(), made_up] {
        let (_, mut passkey) = app.person();
        let mut victim = app.browser();
        victim.cookies.push(planted.clone());
        let me = victim.sign_in(&mut passkey).expect(200).json()["user"]["id"].clone();
        assert_ne!(victim.session(), Some(planted.1.as_str()));
        assert_eq!(victim.get("/v1/me").expect(200).json()["id"], me);
        let mut elsewhere = app.browser();
        elsewhere.cookies.push(planted);
        assert_ne!(elsewhere.get("/v1/session").expect(200).json()["user"]["id"], me);
    }
}

/// 32: over https only the cookie that a neighbouring host cannot plant is read.
#[test]
fn only_the_guarded_cookie_counts() {
    let app = TestApp::with(&Options { public_url: Some("https://id.example"), ..Options::default() });
    let (browser, _) = app.person();
    let value = browser.session().unwrap();
    assert!(browser.cookies.iter().all(|(name, _)| name.starts_with("__Host-")), "{:?}", browser.cookies);
    for name in ["passmint", "__Secure-passmint", "__host-passmint", "__Host-passmint-pre", "passmint-dev-443"] {
        let reply = app.request("GET", "/v1/passkeys").header("Cookie", &format!("{name}={value}")).send();
        reply.expect_problem(401, "not_signed_in");
    }
    app.request("GET", "/v1/passkeys").header("Cookie", &format!("__Host-passmint={value}")).send().expect(200);
}

/// 32: a request from elsewhere changes nothing and begins no session.
#[test]
fn another_site_changes_nothing() {
    let app = TestApp::spawn();
    let (mut browser, _) = app.person();
    let own = path(&passkeys(&mut browser)[0]);
    let before = (Traces::of(&app), browser.get("/v1/session").expect(200).json());
    let calls: [(&str, &str, Option<Value>); 6] = [
        ("POST", "/v1/passkeys/authentication/options", Some(json!({}))),
        ("POST", "/v1/passkeys/registration/options", Some(json!({ "purpose": "sign-up" }))),
        ("POST", "/v1/passkeys/registration/options", Some(json!({ "purpose": "add" }))),
        ("PATCH", &own, Some(json!({ "name": "Theirs" }))),
        ("DELETE", &own, None),
        ("DELETE", "/v1/session", None),
    ];
    for (method, path, body) in &calls {
        for (origin, site) in [
            ("https://evil.example", "cross-site"),
            ("https://evil.example", ""),
            ("null", "cross-site"),
            (app.origin.as_str(), "cross-site"),
            (app.origin.as_str(), "same-site"),
            ("", "cross-site"),
            ("", "none"),
        ] {
            let mut request = browser.request(method, path).without("Origin").without("Sec-Fetch-Site");
            for (name, value) in [("Origin", origin), ("Sec-Fetch-Site", site)].iter().filter(|(_, v)| !v.is_empty()) {
                request = request.header(name, value);
            }
            let reply = if let Some(body) = body { request.json(body) } else { request }.send();
            assert!([401, 403].contains(&reply.status), "{method} {path} from {origin:?} {site:?}: {}", reply.body);
            assert!(reply.cookies().is_empty());
        }
    }
    assert_eq!((Traces::of(&app), browser.get("/v1/session").expect(200).json()), before);
    assert_eq!(app.events("passkey.renamed") + app.events("passkey.removed"), 0);
}

/// Everything sensitive, to see whether it is refused as too old.
fn sensitive(browser: &mut Browser, id: &str) -> Vec<Reply> {
    vec![
        browser.post("/v1/passkeys/registration/options", &json!({ "purpose": "add" })),
        browser.call("PATCH", &path(id), Some(&json!({ "name": "Mine" }))),
        browser.call("DELETE", &path(id), None),
    ]
}

/// W8, 47: five minutes after the proof, a new one is required in this session; a proof in another session does not
/// count.
#[test]
fn changes_want_a_fresh_proof() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = app.person();
    browser.add(&mut app.passkey()).expect(200);
    let second = passkeys(&mut browser)[1].clone();
    app.advance(Duration::seconds(301));
    let mut elsewhere = app.browser();
    elsewhere.sign_in(&mut passkey).expect(200);
    let before = Traces::of(&app);
    for reply in sensitive(&mut browser, &second) {
        reply.expect_problem(401, "reauthentication_required");
    }
    assert_eq!(Traces::of(&app), before);
    browser.get("/v1/passkeys").expect(200);
    browser.step_up(&mut passkey).expect(200);
    app.advance(Duration::seconds(290));
    for reply in sensitive(&mut browser, &second) {
        reply.expect(200);
    }
    // 47: a cookie stolen long ago.
    app.advance(Duration::days(20));
    browser.get("/v1/passkeys").expect(200);
    let first = passkeys(&mut browser)[0].clone();
    for reply in sensitive(&mut browser, &first) {
        reply.expect_problem(401, "reauthentication_required");
    }
}

/// The proof is required at the first call; the ceremony then has its own deadline.
#[test]
fn an_add_begun_in_time_may_end_later() {
    let app = TestApp::spawn();
    let (mut browser, _) = app.person();
    app.advance(Duration::seconds(280));
    let begun = browser.begin_registration(&json!({ "purpose": "add" }));
    app.advance(Duration::seconds(280));
    let answer = app.passkey().create(&begun["publicKey"]);
    browser.finish_registration(&begun, &answer).expect(200);
}

/// W7: somebody else's passkey looks exactly like one that never existed.
#[test]
fn passkeys_of_others_are_not_there() {
    let app = TestApp::spawn();
    let ((mut alice, _), (mut bob, _)) = (app.person(), app.person());
    let bobs = passkeys(&mut bob)[0].clone();
    let rename = json!({ "name": "Mine" });
    let mut told = Vec::new();
    for id in [bobs.as_str(), "00000000-0000-4000-8000-000000000000", "x", "..%2F", &bobs.to_uppercase()] {
        told.push(alice.call("PATCH", &path(id), Some(&rename)).expect_problem(404, "not_found").body);
        told.push(
            alice.call("PATCH", &path(id), Some(&json!({ "suspended": false }))).expect_problem(404, "not_found").body,
        );
        told.push(alice.call("DELETE", &path(id), None).expect_problem(404, "not_found").body);
    }
    assert!(told.iter().all(|body| *body == told[0]), "{told:?}");
    assert_eq!(passkeys(&mut bob), [bobs]);
    assert!(!passkeys(&mut alice).contains(&passkeys(&mut bob)[0]));
    app.request("GET", "/v1/passkeys").send().expect_problem(401, "not_signed_in");
}

/// W8: the last way in stays; suspended passkeys and those of a retired RP id do not count as one.
#[test]
fn the_last_passkey_stays() {
    let app = TestApp::spawn();
    let (mut browser, _) = app.person();
    let first = passkeys(&mut browser)[0].clone();
    browser.call("DELETE", &path(&first), None).expect_problem(409, "last_sign_in_method");
    browser.add(&mut app.passkey()).expect(200);
    app.sql(&format!("UPDATE credentials SET suspended_at = now() WHERE id <> '{first}'"));
    browser.call("DELETE", &path(&first), None).expect_problem(409, "last_sign_in_method");
    app.sql(&format!(
        "UPDATE credentials SET suspended_at = NULL; UPDATE credentials SET rp_id = 'old.example' WHERE id <> '{first}'"
    ));
    browser.call("DELETE", &path(&first), None).expect_problem(409, "last_sign_in_method");
    app.sql("UPDATE credentials SET rp_id = 'localhost'");
    browser.call("DELETE", &path(&first), None).expect(200);
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);
}

/// N38: what happens to the account between the two calls counts.
#[test]
fn the_account_changes_between_the_two_calls() {
    const DISABLE: &str = "UPDATE users SET status = 'disabled', epoch = epoch + 1";
    const EPOCH: &str = "UPDATE users SET epoch = epoch + 1";
    const DELETE: &str = "DELETE FROM credentials";
    const GONE: &str = "DELETE FROM users";
    const SUSPEND: &str = "UPDATE credentials SET suspended_at = now()";
    const REVOKE: &str = "UPDATE sessions SET revoked_at = now()";
    let refused = |which: Which, change: &str| match (which, change) {
        // Reported only after proof of the passkey.
        (Which::SignIn | Which::Tokens, DISABLE) | (_, SUSPEND) => (403, "sign_in_refused"),
        (Which::SignIn | Which::Tokens, DELETE | GONE) => (404, "passkey_unknown"),
        _ => (400, "verification_failed"),
    };
    for which in [Which::Add, Which::SignIn, Which::StepUp, Which::Tokens] {
        for change in [DISABLE, EPOCH, DELETE, GONE, SUSPEND, REVOKE] {
            let app = TestApp::spawn();
            let mut begun = Begun::new(&app, which, app.passkey());
            let answer = begun.answer();
            app.sql(change);
            let before = Traces::of(&app);
            let reply = begun.send(&answer);
            // A sign-in knows neither its person nor their sessions when it begins, and a passkey that is still theirs
            // is still a proof. Adding does not use the passkey that is deleted or suspended.
            let harmless = match which {
                Which::Add => [DELETE, SUSPEND].contains(&change),
                Which::StepUp => change == EPOCH,
                _ => [EPOCH, REVOKE].contains(&change),
            };
            if harmless {
                assert_eq!(reply.status, 200, "{which:?} after {change}: {}", reply.body);
                continue;
            }
            let (status, code) = refused(which, change);
            let told = (reply.status, reply.json()["code"].clone());
            assert_eq!(told, (status, json!(code)), "{which:?} after {change}: {}", super::last_reason(&app));
            assert!(status != 400 || reply.body == HOSTILE);
            assert!(reply.cookies().is_empty());
            assert_eq!(
                Traces::of(&app),
                Traces { refusals: before.refusals + 1, ..before },
                "{which:?} after {change}"
            );
            begun.send(&answer).expect_problem(410, "ceremony_expired_or_used");
        }
    }
}

/// 38: the session of a person who has been disabled in the meantime opens nothing.
#[test]
fn sessions_of_the_disabled_are_dead() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = app.person();
    app.sql("UPDATE users SET status = 'disabled', epoch = epoch + 1");
    browser.get("/v1/passkeys").expect_problem(401, "not_signed_in");
    assert!(browser.get("/v1/session").expect(200).json()["session"].is_null());
    app.browser().sign_in(&mut passkey).expect_problem(403, "sign_in_refused");
    app.sql("UPDATE users SET status = 'active', epoch = epoch + 1");
    app.browser().sign_in(&mut passkey).expect(200);
}

/// Whoever has proven a passkey is told why they are refused; anybody else is told nothing.
#[test]
fn a_refusal_after_proof_says_why() {
    const DISABLE: &str = "UPDATE users SET status = 'disabled', epoch = epoch + 1";
    const SUSPEND: &str = "UPDATE credentials SET suspended_at = now(), suspended_reason = 'x'";
    const LEAVE: &str = "DELETE FROM group_members";
    let config = "[clients.club]\nname = \"Club\"\nfirst_party = true\norigins = [\"ORIGIN\"]\n\
                  grants = [\"passkey\"]\nscopes = [\"openid\"]\nallowed_groups = [\"members\"]";
    let app = TestApp::with(&Options { config, ..Options::default() });
    for (client, change, reason) in
        [("web", DISABLE, "account_disabled"), ("web", SUSPEND, "passkey_paused"), ("club", LEAVE, "no_group")]
    {
        let (_, mut passkey) = app.person();
        app.sql(change);
        let told = app.client(client).sign_in(&mut passkey, "openid").expect_problem(403, "sign_in_refused");
        assert_eq!(told.json()["reason"], reason, "{}", told.body);
        if client == "web" {
            let on_our_page = app.browser().sign_in(&mut passkey).expect_problem(403, "sign_in_refused");
            assert_eq!(on_our_page.json()["reason"], reason, "{}", on_our_page.body);
        }
        changes::signature(|bytes| changes::appended(bytes, &[0]))(&mut passkey);
        hostile(&app, reason, &app.client(client).sign_in(&mut passkey, "openid"), "");
    }
}

/// W11: a passkey whose counter went back signs nobody in until its owner, signed in with another one, resumes it.
#[test]
fn a_suspended_passkey_is_resumed_by_another_one() {
    let app = TestApp::spawn();
    let (mut browser, mut bound, mut synced) = (app.browser(), Authenticator::new(&app.origin), app.passkey());
    bound.counter = 5;
    browser.sign_up(&mut bound);
    browser.add(&mut synced).expect(200);
    let id = passkeys(&mut browser)[0].clone();
    bound.counter = 3;
    hostile(&app, "a copy", &app.browser().sign_in(&mut bound), "the counter did not rise");
    assert_eq!(app.events("passkey.clone_suspected"), 1);
    // The genuine passkey, with a higher counter, is refused as well, also in a step-up.
    bound.counter = 20;
    app.browser().sign_in(&mut bound).expect_problem(403, "sign_in_refused");
    app.client("web").sign_in(&mut bound, "openid").expect_problem(403, "sign_in_refused");
    browser.step_up(&mut bound).expect_problem(403, "sign_in_refused");
    assert_eq!(app.count("SELECT max(sign_count) AS n FROM credentials"), 5, "the stored counter stays");

    let resume = json!({ "suspended": false });
    let by_itself = browser.call("PATCH", &path(&id), Some(&resume));
    by_itself.expect_problem(401, "reauthentication_required");
    let mut other = app.browser();
    other.sign_in(&mut synced).expect(200);
    assert_eq!(other.get("/v1/passkeys").expect(200).json()["passkeys"][0]["suspended"], true);
    other.call("PATCH", &path(&id), Some(&json!({ "suspended": true }))).expect_problem(400, "invalid_request");
    assert_eq!(other.call("PATCH", &path(&id), Some(&resume)).expect(200).json()["suspended"], false);
    other.call("PATCH", &path(&id), Some(&resume)).expect_problem(404, "not_found");
    bound.counter = 20;
    app.browser().sign_in(&mut bound).expect(200);
    assert_eq!(app.events("passkey.resumed"), 1);
}

/// Whoever has the copy may hold a session that the suspended passkey opened, and must not be able to make changes with
/// it.
#[test]
fn sessions_of_a_suspended_passkey_change_nothing() {
    let app = TestApp::spawn();
    let (mut browser, mut bound) = (app.browser(), Authenticator::new(&app.origin));
    bound.counter = 5;
    browser.sign_up(&mut bound);
    browser.add(&mut app.passkey()).expect(200);
    let second = passkeys(&mut browser)[1].clone();
    bound.counter = 3;
    hostile(&app, "a copy", &app.browser().sign_in(&mut bound), "the counter did not rise");
    for reply in sensitive(&mut browser, &second) {
        reply.expect_problem(401, "reauthentication_required");
    }
}

/// W11: neither may an access token of that session, which is older than its last sign-in, nor what was begun in it
/// earlier.
#[test]
fn tokens_and_additions_of_a_suspended_passkey_change_nothing() {
    let app = TestApp::spawn();
    let (mut browser, mut bound) = (app.browser(), Authenticator::new(&app.origin));
    bound.counter = 5;
    browser.sign_up(&mut bound);
    browser.add(&mut app.passkey()).expect(200);
    let ids = passkeys(&mut browser);
    let tokens = app.client("web").sign_in(&mut bound, "openid passkeys").expect(200).json();
    // The holder of the copy signed in once more; the token is older.
    app.advance(Duration::seconds(10));
    let now = app.clock.now();
    app.sql(&format!("UPDATE sessions SET auth_time = '{now}', verified_at = '{now}' WHERE client_id = 'web'"));
    let by_token = |method: &str, path: &str, body: Option<&Value>| {
        let request = app.client("web").bearer(method, path, tokens["accessToken"].as_str().unwrap());
        if let Some(body) = body { request.json(body) } else { request }.send()
    };
    let add = json!({ "purpose": "add" });
    let ask = || by_token("POST", "/v1/passkeys/registration/options", Some(&add));
    ask().expect(200);
    let begun = browser.begin_registration(&add);

    bound.counter = 3;
    hostile(&app, "a copy", &app.browser().sign_in(&mut bound), "the counter did not rise");
    for reply in [
        ask(),
        by_token("PATCH", &path(&ids[0]), Some(&json!({ "suspended": false }))),
        by_token("DELETE", &path(&ids[1]), None),
    ] {
        reply.expect_problem(401, "reauthentication_required");
    }
    let added = app.passkey().create(&begun["publicKey"]);
    hostile(&app, "begun before", &browser.finish_registration(&begun, &added), "the account changed meanwhile");
    assert_eq!(passkeys(&mut browser), ids);
}

/// W11: resuming a passkey requires a proof with another one, and an old token does not say which one was used.
#[test]
fn a_token_that_is_older_than_its_session_resumes_nothing() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = app.person();
    browser.add(&mut app.passkey()).expect(200);
    let second = passkeys(&mut browser)[1].clone();
    app.sql(&format!("UPDATE credentials SET suspended_at = now(), suspended_reason = 'x' WHERE id = '{second}'"));
    let tokens = app.client("web").sign_in(&mut passkey, "openid passkeys").expect(200).json();
    let resume = || {
        let request = app.client("web").bearer("PATCH", &path(&second), tokens["accessToken"].as_str().unwrap());
        request.json(&json!({ "suspended": false })).send()
    };
    app.advance(Duration::seconds(10));
    app.sql("UPDATE sessions SET auth_time = auth_time + interval '5 s' WHERE client_id = 'web'");
    resume().expect_problem(401, "reauthentication_required");
    app.sql("UPDATE sessions SET auth_time = auth_time - interval '5 s' WHERE client_id = 'web'");
    assert_eq!(resume().expect(200).json()["suspended"], false);
}
