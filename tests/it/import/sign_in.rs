//! Imported passkeys really sign in; what was not known about them is learned from their first assertion.

use chrono::Duration;
use serde_json::json;

use super::{import, person, row};
use crate::authenticator::{Authenticator, Key, encode};
use crate::cli::Operator;
use crate::support::{Options, TestApp};

/// A device-bound passkey made for localhost at another server, with this user handle.
fn made_elsewhere(app: &TestApp, handle: &[u8]) -> Authenticator {
    let mut passkey = Authenticator::new(&app.origin);
    passkey.user_handle = Some(handle.to_vec());
    passkey
}

#[test]
fn with_the_handle_it_was_made_under_and_without_any() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (mut kept, mut lost) = (made_elsewhere(&app, b"kept"), made_elsewhere(&app, b"lost"));
    lost.backup_eligible = true;
    lost.backup_state = true;
    let mut with_handle = person("kept", &kept);
    with_handle["passkeys"][0]["webauthnUserID"] = json!(encode(b"kept"));
    let told = import(&operator, "simplewebauthn", &[with_handle, person("lost", &lost)], &[]);
    assert_eq!((&told["created"], &told["passkeys"]), (&json!(2), &json!(2)));

    for passkey in [&mut kept, &mut lost] {
        let before =
            app.count("SELECT count(*) AS n FROM credentials WHERE first_use_pending AND NOT backup_flags_known");
        app.browser().sign_in(passkey).expect(200);
        let after = app.count("SELECT count(*) AS n FROM credentials WHERE first_use_pending");
        assert_eq!(after, before - 1, "the first assertion ends that");
    }
    assert_eq!(
        app.count("SELECT count(*) AS n FROM credentials WHERE backup_eligible AND backup_state AND user_verified"),
        1
    );
    assert_eq!(app.count("SELECT count(*) AS n FROM audit_events WHERE detail->>'firstUseSinceImport' = 'true'"), 2);

    kept.user_handle = Some(b"another".to_vec());
    app.browser().sign_in(&mut kept).expect_problem(400, "verification_failed");
    lost.user_handle = Some(b"another".to_vec());
    app.browser().sign_in(&mut lost).expect(200);
    lost.user_handle = None;
    app.browser().sign_in(&mut lost).expect_problem(400, "verification_failed");
    // From its first use on, the flags must stay the same.
    kept.user_handle = Some(b"kept".to_vec());
    kept.backup_eligible = true;
    app.browser().sign_in(&mut kept).expect_problem(400, "verification_failed");
}

#[test]
fn a_counter_that_was_kept_otherwise_warns_once() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let mut passkey = made_elsewhere(&app, b"x");
    let mut line = person("1", &passkey);
    line["passkeys"][0]["counter"] = json!(500);
    import(&operator, "simplewebauthn", &[line], &[]);

    app.browser().sign_in(&mut passkey).expect(200);
    assert_eq!(app.count("SELECT sign_count AS n FROM credentials"), 1, "what it really counts");
    assert_eq!(
        app.count("SELECT count(*) AS n FROM audit_events WHERE detail->'counterWentBack'->>'stored' = '500'"),
        1
    );
    app.browser().sign_in(&mut passkey).expect(200);
    passkey.counter = 0;
    app.browser().sign_in(&mut passkey).expect_problem(400, "verification_failed");
    assert_eq!(app.events("passkey.clone_suspected"), 1, "from then on it is held to it");
}

/// Sixteen answers that all claim to be the first use: the rule is relaxed for one.
#[test]
fn the_first_use_happens_once() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let mut passkey = made_elsewhere(&app, b"x");
    passkey.counter = 1;
    passkey.counter_step = 0;
    let mut line = person("1", &passkey);
    line["passkeys"][0]["counter"] = json!(500);
    import(&operator, "simplewebauthn", &[line], &[]);
    let mut answers = Vec::new();
    for _ in 0..16 {
        let mut browser = app.browser();
        let begun = browser.begin_sign_in(&json!({}));
        let answer = passkey.get_uninvited(&begun["publicKey"]);
        answers.push((browser, begun, answer));
    }
    let accepted: usize = std::thread::scope(|scope| {
        let tries: Vec<_> = answers
            .iter_mut()
            .map(|(browser, begun, answer)| scope.spawn(|| browser.finish_sign_in(begun, answer).status == 200))
            .collect();
        tries.into_iter().map(|one| usize::from(one.join().unwrap())).sum()
    });
    assert_eq!(accepted, 1);
}

#[test]
fn every_supported_key_and_none_other() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let mut people = Vec::new();
    let mut passkeys = Vec::new();
    for (id, key) in [("es256", Key::es256()), ("es384", Key::es384()), ("rs256", Key::rs256())] {
        let mut passkey = Authenticator::with_key(&app.origin, key);
        passkey.user_handle = Some(id.as_bytes().to_vec());
        people.push(person(id, &passkey));
        passkeys.push(passkey);
    }
    import(&operator, "simplewebauthn", &people, &[]);
    for passkey in &mut passkeys {
        app.browser().sign_in(passkey).expect(200);
    }
}

#[test]
fn an_unsupported_one_is_shown_until_a_new_one_is_made() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let mut good = made_elsewhere(&app, b"x");
    // Ed25519, whose private key is not needed here.
    let ed25519 = [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 0x20][..], &[7; 32]].concat();
    let mut line = person("1", &good);
    line["passkeys"].as_array_mut().unwrap().push(json!({
        "credentialID": encode(&[9; 32]), "publicKey": encode(&ed25519), "name": "Old <key>", "rpId": "localhost"
    }));
    let told = import(&operator, "simplewebauthn", &[line], &[]);
    assert_eq!(told["notes"]["unsupported algorithms"], 1);

    let mut browser = app.browser();
    browser.sign_in(&mut good).expect(200);
    let page = browser.get("/account/passkeys").expect(200).body;
    assert!(page.contains("Create a new passkey") && page.contains("Old &#60;key&#62;"), "{page}");
    let mut unusable = made_elsewhere(&app, b"x");
    unusable.credential_id = vec![9; 32];
    app.browser().sign_in(&mut unusable).expect_problem(400, "verification_failed");

    app.advance(Duration::seconds(2));
    browser.add(&mut app.passkey()).expect(200);
    let page = browser.get("/account/passkeys").expect(200).body;
    assert!(!page.contains("Create a new passkey"), "it was made");
}

#[test]
fn passkeys_of_a_domain_that_is_not_configured_wait() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let mut line = person("1", &app.passkey());
    line["passkeys"][0]["rpId"] = json!("old.example");
    let told = import(&operator, "simplewebauthn", std::slice::from_ref(&line), &["--dry-run"]);
    assert_eq!(told["notes"]["unknown RP ids"], 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM retired_relying_parties"), 0);
    operator.write("people.ndjson", &super::lines(&[line]));
    let words = operator.ok(&["import", "people.ndjson", "--format", "simplewebauthn", "--source", "old"]);
    assert!(words.contains("sign nobody in until they are"), "{words}");
    assert!(operator.ok(&["relying-parties", "list"]).contains("imported, waits to be configured"));

    let beside = TestApp::with(&Options {
        beside: Some(&app),
        settings: &[("challenges.store", "database")],
        ..Options::default()
    });
    assert_eq!(app.count("SELECT count(*) AS n FROM retired_relying_parties"), 1, "a server starts beside them");
    drop(beside);
    let configured = TestApp::with(&Options {
        beside: Some(&app),
        settings: &[("challenges.store", "database")],
        public_url: Some("https://old.example"),
        ..Options::default()
    });
    assert_eq!(app.count("SELECT count(*) AS n FROM retired_relying_parties"), 0, "configured, they are in use");
    drop(configured);
    // From then on, a start without that configuration is an error again.
    let guard = operator.run(&["doctor"]);
    assert!(format!("{}{}", guard.out, guard.err).contains("old.example (1)"), "{}{}", guard.out, guard.err);
}

#[test]
fn a_row_of_a_passkey_is_enough() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let passkey = app.passkey();
    let bare = json!({"id": "1", "passkeys": [{"credentialID": row(&passkey)["credentialID"], "publicKey": row(&passkey)["publicKey"]}]});
    import(&operator, "simplewebauthn", &[bare], &["--rp-id", "localhost"]);
    let mut passkey = passkey;
    passkey.user_handle = Some(b"whatever".to_vec());
    app.browser().sign_in(&mut passkey).expect(200);
}
