//! N42, W6: asking with an e-mail address does not reveal whether anybody has an account with it.
//!
//! Response times are not measured here, because a figure from a busy machine would say nothing. Both kinds take the
//! same steps and a whole number of time slots (`Ceremonies::listed_for`), and `make bench ARGS=enumeration` measures
//! them.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use passmint::storage::people;
use serde_json::{Value, json};

use super::{HOSTILE, Traces, last_reason};
use crate::authenticator::{Authenticator, Key, decode, encode};
use crate::support::{Browser, Options, Reply, TestApp};

const OPTIONS: &str = "/v1/passkeys/authentication/options";
const KNOWN: &str = "alice@example.test";
/// How many passkeys every address lists.
const LISTED: usize = 20;

/// A person whose account has this address, unverified.
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

/// Verifies an account's address, as its backend might.
fn verify(app: &TestApp, browser: &mut Browser) {
    let id = browser.get("/v1/me").expect(200).json()["id"].as_str().unwrap().to_owned();
    app.sql(&format!("UPDATE users SET email_verified_at = now() WHERE id = '{id}'"));
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
    assert!(ids(&known).contains(&encode(&passkey.credential_id)), "else this tests nothing");
    assert_eq!(ids(&known).len(), LISTED);
    for n in 0..40 {
        let unknown = ask(&app, &format!("nobody{n}@example.test"));
        assert_eq!(shape_but_transports(&unknown), shape_but_transports(&known));
        assert_eq!(names(&unknown), names(&known));
        assert_eq!(ids(&unknown).len(), LISTED, "the number does not tell");
        assert!(ids(&unknown).is_sorted_by_key(|id| decode(&json!(id))), "nor does the order");
        for entry in unknown.json()["publicKey"]["allowCredentials"].as_array().unwrap() {
            assert!([16, 20, 32, 48, 64].contains(&decode(&entry["id"]).len()), "a length that passkeys have");
            assert_eq!(entry["type"], "public-key");
        }
    }
}

fn shape_but_transports(reply: &Reply) -> BTreeSet<String> {
    shape(&reply.json()).into_iter().filter(|name| !name.ends_with(".transports")).collect()
}

/// Some passkeys never reported their transports: that alone must not reveal that there is an account.
#[test]
fn a_passkey_without_transports_does_not_stand_out() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = (app.browser(), Authenticator { transports: Vec::new(), ..app.passkey() });
    let begun = browser.begin_registration(&json!({ "purpose": "sign-up", "email": KNOWN }));
    let credential = passkey.create(&begun["publicKey"]);
    browser.finish_registration(&begun, &credential).expect(200);
    let entries = |email: &str| ask(&app, email).json()["publicKey"]["allowCredentials"].as_array().unwrap().clone();
    let silent = |entry: &Value| entry.get("transports").is_none();
    let own = json!(encode(&passkey.credential_id));
    assert!(entries(KNOWN).iter().any(|entry| entry["id"] == own && silent(entry)), "else this tests nothing");
    let unknown: Vec<Vec<Value>> = (0..50).map(|n| entries(&format!("nobody{n}@example.test"))).collect();
    let alike = unknown.iter().filter(|entries| entries.iter().any(silent)).count();
    assert!(alike > 35, "{alike} of 50 that nobody has look the same");
}

/// The names of a response's headers.
fn names(reply: &Reply) -> BTreeSet<String> {
    reply.headers.iter().map(|(name, _)| name.to_lowercase()).collect()
}

/// Asking twice, in capitals or at another server gives the same result: a difference would reveal which are real.
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

/// An offered passkey that belongs to nobody opens nothing, and fails like a wrong signature of a real passkey.
#[test]
fn decoys_are_never_accepted_and_fail_alike() {
    let app = TestApp::spawn();
    let (_, passkey) = sign_up(&app, KNOWN);
    let decoy = ids(&ask(&app, "nobody@example.test"))[0].clone();
    for (email, id) in [(KNOWN, encode(&passkey.credential_id)), ("nobody@example.test", decoy)] {
        let mut browser = app.browser();
        // An attacker's authenticator that claims the listed id.
        let mut forged = Authenticator::with_key(&app.origin, Key::es256());
        forged.credential_id = decode(&json!(id));
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

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A decoy's answer is verified like that of a stored passkey, or its timing would reveal it, and is refused in any
/// case.
#[test]
fn a_decoys_signature_is_verified_and_never_good() {
    let private = bytes("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let point = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                 7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
    let key = || {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        Key::Es256(EcdsaKeyPair::from_private_key_and_public_key(algorithm, &private, &bytes(point)).unwrap())
    };
    let app = TestApp::spawn();
    let decoy = decode(&json!(ids(&ask(&app, KNOWN))[0]));
    let answered = |key: Key, synced: bool| {
        let mut forged = Authenticator::with_key(&app.origin, key);
        (forged.backup_eligible, forged.backup_state) = (synced, synced);
        forged.credential_id.clone_from(&decoy);
        let mut browser = app.browser();
        let begun = browser.begin_sign_in(&json!({ "email": KNOWN }));
        let reply = browser.finish_sign_in(&begun, &forged.get(&begun["publicKey"]));
        assert_eq!((reply.status, reply.body.as_str()), (400, HOSTILE));
        last_reason(&app)
    };
    // One of the two is of the kind that the decoy would be.
    let reasons = [true, false].map(|synced| answered(key(), synced));
    assert!(reasons.iter().any(|reason| reason == "a decoy was answered with the key that stands in for it"));
    for synced in [true, false] {
        assert_eq!(answered(Key::es256(), synced), "an offered credential is not stored");
    }
}

/// Sign-up gives the same response for an address that is taken; the newcomer gets an account of their own.
#[test]
fn sign_up_does_not_tell_either() {
    let app = TestApp::spawn();
    let (mut alice, passkey) = sign_up(&app, KNOWN);
    let begin = |email: &str| {
        app.browser()
            .post("/v1/passkeys/registration/options", &json!({ "purpose": "sign-up", "email": email }))
            .expect(200)
    };
    let (taken, free) = (begin(KNOWN), begin("free@example.test"));
    assert_eq!(shape(&taken.json()), shape(&free.json()));
    assert_eq!(taken.json()["publicKey"]["excludeCredentials"], json!([]), "W7: nobody's passkeys are listed");
    let (mut second, other_passkey) = sign_up(&app, KNOWN);
    let (one, other) = (alice.get("/v1/me").expect(200).json(), second.get("/v1/me").expect(200).json());
    assert_ne!(one["id"], other["id"]);
    assert_eq!((&one["emailVerified"], &other["emailVerified"]), (&json!(false), &json!(false)));
    let listed = ids(&ask(&app, KNOWN));
    let both = [&passkey, &other_passkey].map(|passkey| encode(&passkey.credential_id));
    assert!(both.iter().all(|id| listed.contains(id)), "both claim it, so both are offered");
}

/// The verified owner is listed however many others merely claimed the address earlier.
#[test]
fn the_verified_owner_is_never_crowded_out() {
    let app = TestApp::spawn();
    for _ in 0..LISTED {
        sign_up(&app, KNOWN);
    }
    let (mut owner, passkey) = sign_up(&app, KNOWN);
    let own = encode(&passkey.credential_id);
    assert!(!ids(&ask(&app, KNOWN)).contains(&own), "the last of too many who claim it");
    verify(&app, &mut owner);
    let listed = ids(&ask(&app, KNOWN));
    assert!(listed.contains(&own));
    assert_eq!(listed.len(), LISTED);
}

/// A person who claims an address finds their own passkey in a list of the usual length, whether or not others have the
/// address.
#[test]
fn claiming_an_address_does_not_tell_either() {
    const PROVEN: &str = "proven@example.test";
    let app = TestApp::spawn();
    sign_up(&app, KNOWN);
    let (mut owner, _) = sign_up(&app, PROVEN);
    verify(&app, &mut owner);
    for email in ["nobody@example.test", KNOWN, PROVEN] {
        let before = ids(&ask(&app, email));
        let (_, mine) = sign_up(&app, email);
        let after = ids(&ask(&app, email));
        assert!(after.contains(&encode(&mine.credential_id)), "{email}");
        assert_eq!((before.len(), after.len()), (LISTED, LISTED), "{email}");
        assert_eq!(after.iter().filter(|id| before.contains(id)).count(), LISTED - 1, "{email}: all but one stay");
    }
}

/// Anybody may claim any address, with any number of passkeys: the response does not grow, and every claimant can sign
/// in.
#[test]
fn an_address_that_many_claim_lists_as_few_as_any_other() {
    let app = TestApp::spawn();
    let mut newest = vec![sign_up(&app, KNOWN).1.credential_id];
    for _ in 0..2 {
        let (mut browser, _) = sign_up(&app, KNOWN);
        let mut made = Vec::new();
        for _ in 0..12 {
            let mut passkey = app.passkey();
            passkey.credential_id.resize(1023, 7);
            browser.add(&mut passkey).expect(200);
            made = passkey.credential_id;
        }
        newest.push(made);
    }
    let listed = ids(&ask(&app, KNOWN));
    assert_eq!(listed.len(), LISTED);
    assert!(newest.iter().all(|id| listed.contains(&encode(id))));
}

/// The database folds some letters differently from Rust: an address is found again as it was typed all the same.
#[test]
fn capitals_of_any_alphabet_are_found_again() {
    let app = TestApp::spawn();
    for email in ["Ada2@example.test", "\u{130}lker@example.test", "ΓΙΩΡΓΟΣ@example.test"] {
        let (mut browser, mut passkey) = sign_up(&app, email);
        let mut elsewhere = app.browser();
        let begun = elsewhere.begin_sign_in(&json!({ "email": email }));
        let credential = passkey.get(&begun["publicKey"]);
        elsewhere.finish_sign_in(&begun, &credential).expect(200);
        verify(&app, &mut browser);
        let found = app.db.blocking(|conn| people::find_by_verified_email(conn, email)).unwrap();
        assert_eq!(found.and_then(|user| user.email).as_deref(), Some(email));
    }
}
