//! N42, W6: asking with an e-mail address does not tell whether anybody has an account under it.
//!
//! How long the answer takes is not measured here, because a figure from a busy machine would say nothing: both kinds take
//! the same steps and whole beats of time (`Ceremonies::listed_for`), and `make bench ARGS=enumeration` measures it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{HOSTILE, Traces};
use crate::authenticator::{Authenticator, Key, decode};
use crate::support::{Browser, Options, Reply, TestApp};

const OPTIONS: &str = "/v1/passkeys/authentication/options";
const KNOWN: &str = "alice@example.test";

/// Somebody whose account has this address, unverified.
fn sign_up(app: &TestApp, email: &str) -> (Browser, Authenticator) {
    let (mut browser, mut passkey) = (app.browser(), app.passkey());
    let begun = browser.begin_registration(&json!({ "purpose": "sign-up", "email": email }));
    let credential = passkey.create(&begun["publicKey"]);
    browser.finish_registration(&begun, &credential).expect(200);
    (browser, passkey)
}

fn ask(app: &TestApp, email: &str) -> Reply {
    app.browser().post(OPTIONS, &json!({ "email": email })).expect(200)
}

fn ids(reply: &Reply) -> Vec<String> {
    let listed = reply.json()["publicKey"]["allowCredentials"].as_array().cloned().unwrap_or_default();
    listed.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

/// The names of all members, at every level, without their values.
fn shape(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| {
                let inner = shape(value).into_iter().map(move |below| format!("{name}.{below}"));
                inner.chain([name.clone()]).collect::<Vec<_>>()
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(shape).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn known_and_unknown_addresses_look_alike() {
    let app = TestApp::spawn();
    let (_, passkey) = sign_up(&app, KNOWN);
    let known = ask(&app, KNOWN);
    assert_eq!(ids(&known), [crate::authenticator::encode(&passkey.credential_id)], "else this tests nothing");
    for n in 0..40 {
        let unknown = ask(&app, &format!("nobody{n}@example.test"));
        assert_eq!(shape_but_transports(&unknown), shape_but_transports(&known));
        assert_eq!(names(&unknown), names(&known));
        assert!((1..=3).contains(&ids(&unknown).len()), "never none");
        for entry in unknown.json()["publicKey"]["allowCredentials"].as_array().unwrap() {
            assert!([16, 20, 32, 48, 64].contains(&decode(&entry["id"]).len()), "a length that passkeys have");
            assert_eq!(entry["type"], "public-key");
        }
    }
}

fn shape_but_transports(reply: &Reply) -> BTreeSet<String> {
    shape(&reply.json()).into_iter().filter(|name| !name.ends_with(".transports")).collect()
}

/// Some passkeys never told how they are reached: that alone must not tell that there is somebody.
#[test]
fn a_passkey_without_transports_does_not_stand_out() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = (app.browser(), Authenticator { transports: Vec::new(), ..app.passkey() });
    let begun = browser.begin_registration(&json!({ "purpose": "sign-up", "email": KNOWN }));
    let credential = passkey.create(&begun["publicKey"]);
    browser.finish_registration(&begun, &credential).expect(200);
    let entries = |email: &str| ask(&app, email).json()["publicKey"]["allowCredentials"].as_array().unwrap().clone();
    let silent = |entry: &Value| entry.get("transports").is_none();
    assert!(entries(KNOWN).iter().all(silent), "else this tests nothing");
    let unknown: Vec<Vec<Value>> = (0..200).map(|n| entries(&format!("nobody{n}@example.test"))).collect();
    let alike = unknown.iter().filter(|entries| entries.iter().all(silent)).count();
    assert!((3..60).contains(&alike), "{alike} of 200 that nobody has look the same");
}

/// The names of the headers that every answer has.
fn names(reply: &Reply) -> BTreeSet<String> {
    reply.headers.iter().map(|(name, _)| name.to_lowercase()).collect()
}

/// Whoever asks twice, or in capitals, or at another server, sees the same: else a change would tell real from made up.
#[test]
fn answers_are_stable() {
    let options = Options { public_url: Some("https://id.example"), ..Options::default() };
    let app = TestApp::with(&options);
    let beside = TestApp::with(&Options { beside: Some(&app), ..options });
    sign_up(&app, KNOWN);
    for email in [KNOWN, "nobody@example.test", "someone.else+tag@example.test"] {
        let first = ids(&ask(&app, email));
        for variant in
            [email.to_owned(), email.to_uppercase(), email.replace("example", "eXample"), format!(" {email} ")]
        {
            assert_eq!(ids(&ask(&app, &variant)), first, "{variant:?}");
            assert_eq!(ids(&ask(&beside, &variant)), first, "{variant:?} at another server");
        }
    }
    let (one, other) = (ids(&ask(&app, "one@example.test")), ids(&ask(&app, "other@example.test")));
    assert!(one.iter().all(|id| !other.contains(id)));
}

/// What is offered to nobody opens nothing, and fails as a bad signature of a real passkey does.
#[test]
fn decoys_are_never_accepted_and_fail_alike() {
    let app = TestApp::spawn();
    sign_up(&app, KNOWN);
    for email in [KNOWN, "nobody@example.test"] {
        let mut browser = app.browser();
        let begun = browser.begin_sign_in(&json!({ "email": email }));
        // An attacker's authenticator that claims to be the listed one.
        let mut forged = Authenticator::with_key(&app.origin, Key::es256());
        forged.credential_id = decode(&begun["publicKey"]["allowCredentials"][0]["id"]);
        for handle in [None, Some(vec![7; 16])] {
            let begun = browser.begin_sign_in(&json!({ "email": email }));
            forged.user_handle = handle;
            let answer = forged.get(&begun["publicKey"]);
            let before = Traces::of(&app);
            let reply = browser.finish_sign_in(&begun, &answer);
            assert_eq!((reply.status, reply.body.as_str()), (400, HOSTILE), "{email}");
            assert!(reply.cookies().is_empty());
            assert_eq!(Traces::of(&app), Traces { refusals: before.refusals + 1, ..before });
        }
    }
}

/// Sign-up answers the same for an address that is taken; the newcomer becomes somebody of their own.
#[test]
fn sign_up_does_not_tell_either() {
    let app = TestApp::spawn();
    let (mut alice, _) = sign_up(&app, KNOWN);
    let begin = |email: &str| {
        app.browser()
            .post("/v1/passkeys/registration/options", &json!({ "purpose": "sign-up", "email": email }))
            .expect(200)
    };
    let (taken, free) = (begin(KNOWN), begin("free@example.test"));
    assert_eq!(shape(&taken.json()), shape(&free.json()));
    assert_eq!(taken.json()["publicKey"]["excludeCredentials"], json!([]), "W7: nobody's passkeys are listed");
    let (mut second, _) = sign_up(&app, KNOWN);
    let (one, other) = (alice.get("/v1/me").expect(200).json(), second.get("/v1/me").expect(200).json());
    assert_ne!(one["id"], other["id"]);
    assert_eq!((&one["emailVerified"], &other["emailVerified"]), (&json!(false), &json!(false)));
    assert_eq!(ids(&ask(&app, KNOWN)).len(), 2, "both claim it, so both are offered");
}

/// A verified owner is the only one listed; those who merely claim the address are not.
#[test]
fn the_verified_owner_is_listed_alone() {
    let app = TestApp::spawn();
    let (_, _) = sign_up(&app, KNOWN);
    let (mut owner, passkey) = sign_up(&app, KNOWN);
    let id = owner.get("/v1/me").expect(200).json()["id"].as_str().unwrap().to_owned();
    app.sql(&format!("UPDATE users SET email_verified_at = now() WHERE id = '{id}'"));
    assert_eq!(ids(&ask(&app, KNOWN)), [crate::authenticator::encode(&passkey.credential_id)]);
}
