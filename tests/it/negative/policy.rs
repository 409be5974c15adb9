//! R1, W5, W9, 34: what is required of passkeys, and how an answer that falls short is treated.

use std::collections::HashSet;

use chrono::Duration;
use serde_json::{Value, json};

use super::{Begun, Which};
use crate::authenticator::{Authenticator, decode, encode};
use crate::support::{Options, TestApp};

fn with(settings: &[(&str, &str)]) -> TestApp {
    TestApp::with(&Options { settings, ..Options::default() })
}

fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&decode(&json!(payload))).unwrap()
}

/// R1, W5: every challenge is new, every handle random, and the person's name appears nowhere else.
#[test]
fn options_ask_for_what_the_policy_says() {
    let app = TestApp::spawn();
    let (mut challenges, mut handles) = (HashSet::new(), HashSet::new());
    for _ in 0..20 {
        let mut browser = app.browser();
        let made = browser.begin_registration(&json!({ "purpose": "sign-up", "email": "a@example.test" }));
        let used = browser.begin_sign_in(&json!({}));
        for begun in [&made, &used] {
            let challenge = decode(&begun["publicKey"]["challenge"]);
            assert_eq!(challenge.len(), 32);
            assert!(challenges.insert(challenge), "a challenge twice");
            assert_eq!(begun["publicKey"]["timeout"], 300_000);
            assert!((299..=300).contains(&begun["expiresIn"].as_i64().unwrap()), "rounded down");
            assert!(!begun.to_string().contains(":null"), "browsers take null for a value: {begun}");
        }
        let options = &made["publicKey"];
        let handle = decode(&options["user"]["id"]);
        assert_eq!((handle.len(), handle[6] >> 4), (16, 4), "a random UUID, which does not tell the time");
        assert!(handles.insert(handle), "a handle twice");
        assert_eq!(options["rp"]["id"], "localhost");
        assert_eq!(options["attestation"], "none");
        let selection = &options["authenticatorSelection"];
        assert_eq!(
            (&selection["residentKey"], &selection["userVerification"]),
            (&json!("required"), &json!("required"))
        );
        let algorithms = options["pubKeyCredParams"].as_array().unwrap().iter().map(|kind| kind["alg"].clone());
        assert_eq!(algorithms.collect::<Vec<_>>(), [-7, -35, -257]);
        assert_eq!(used["publicKey"]["userVerification"], "required");
        assert!(used["publicKey"]["allowCredentials"].as_array().is_none_or(Vec::is_empty), "W6: nobody is named");
    }
    let (mut browser, passkey) = app.person();
    let me = browser.get("/v1/me").expect(200).json();
    let handle = passkey.user_handle.clone().unwrap();
    let sub: uuid::Uuid = me["id"].as_str().unwrap().parse().unwrap();
    assert_ne!(sub.as_bytes(), handle.as_slice(), "W5: the handle is not the `sub`");
    // W7: the owner's passkeys are excluded, and not shown to anybody else.
    let add = browser.begin_registration(&json!({ "purpose": "add" }));
    assert_eq!(decode(&add["publicKey"]["user"]["id"]), handle, "one handle for all passkeys of a person");
    let excluded = add["publicKey"]["excludeCredentials"].as_array().unwrap();
    assert_eq!(excluded.iter().map(|entry| &entry["id"]).collect::<Vec<_>>(), [&json!(encode(&passkey.credential_id))]);
}

/// The prompt never outlives its challenge, whose end is decided by the server's clock.
#[test]
fn the_life_of_a_challenge_is_a_setting() {
    let app = with(&[("challenges.ttl", "40s"), ("passkeys.timeout", "30s")]);
    for which in Which::ALL {
        // Real time passes too, hence the margin on one side.
        for (seconds, status) in [(35, 200), (40, 410)] {
            let mut begun = Begun::new(&app, which, app.passkey());
            assert_eq!(begun.first["publicKey"]["timeout"], 30_000);
            assert!((39..=40).contains(&begun.first["expiresIn"].as_i64().unwrap()), "rounded down");
            let answer = begun.answer();
            app.advance(Duration::seconds(seconds));
            assert_eq!(begun.send(&answer).status, status, "{which:?} after {seconds} s");
        }
    }
}

/// W9: two factors only if the person was verified in this very assertion, whatever was requested or stored.
#[test]
fn without_user_verification_a_passkey_is_one_factor() {
    for policy in ["preferred", "discouraged"] {
        let app = with(&[("passkeys.user_verification", policy)]);
        let (mut browser, mut passkey) = (app.browser(), app.passkey());
        let begun = browser.begin_registration(&json!({ "purpose": "sign-up" }));
        assert_eq!(begun["publicKey"]["authenticatorSelection"]["userVerification"], policy);
        passkey.user_verified = false;
        let answer = passkey.create(&begun["publicKey"]);
        let signed_up = browser.finish_registration(&begun, &answer).expect(200).json();
        assert_eq!(signed_up["session"]["acr"], "1", "{policy}: sign-up");
        for (verified, acr, amr) in [
            (false, "1", json!(["pop", "swk"])),
            (true, "phr", json!(["pop", "user", "mfa", "swk"])),
            (false, "1", json!(["pop", "swk"])),
        ] {
            passkey.user_verified = verified;
            let begun = app.browser().begin_sign_in(&json!({}));
            assert_eq!(begun["publicKey"]["userVerification"], policy);
            let session = app.browser().sign_in(&mut passkey).expect(200).json()["session"].clone();
            assert_eq!((&session["acr"], &session["amr"]), (&json!(acr), &amr), "{policy}");
            let tokens = app.client("web").sign_in(&mut passkey, "openid").expect(200).json();
            for token in [&tokens["accessToken"], &tokens["idToken"]] {
                assert_eq!((&claims(token)["acr"], &claims(token)["amr"]), (&json!(acr), &amr), "{policy}");
            }
        }
    }
}

/// 34: one factor opens a session that may read but not change anything.
#[test]
fn one_factor_may_not_change_passkeys() {
    let app = with(&[("passkeys.user_verification", "preferred")]);
    let (mut browser, mut passkey) = (app.browser(), app.passkey());
    passkey.user_verified = false;
    browser.sign_up(&mut passkey);
    let listed = browser.get("/v1/passkeys").expect(200).json();
    let path = format!("/v1/passkeys/{}", listed["passkeys"][0]["id"].as_str().unwrap());
    let rename = json!({ "name": "Mine" });
    for (method, path, body) in [
        ("POST", "/v1/passkeys/registration/options", Some(&json!({ "purpose": "add" }))),
        ("PATCH", path.as_str(), Some(&rename)),
        ("DELETE", path.as_str(), None),
    ] {
        browser.call(method, path, body).expect_problem(401, "reauthentication_required");
    }
    browser.step_up(&mut passkey).expect_problem(400, "user_verification_missing");
    browser.call("PATCH", &path, Some(&rename)).expect_problem(401, "reauthentication_required");
    passkey.user_verified = true;
    assert_eq!(browser.step_up(&mut passkey).expect(200).json()["session"]["acr"], "phr");
    browser.call("PATCH", &path, Some(&rename)).expect(200);
}

/// A step-up makes a session fresh, which presence alone does not: it requires verification, whatever the policy is.
#[test]
fn a_step_up_asks_for_verification_whatever_the_policy_is() {
    for policy in ["preferred", "discouraged"] {
        let app = with(&[("passkeys.user_verification", policy)]);
        let (mut browser, mut passkey) = (app.browser(), app.passkey());
        passkey.user_verified = false;
        browser.sign_up(&mut passkey);
        for verified in [false, true] {
            let begun = browser.begin_sign_in(&json!({ "purpose": "step-up" }));
            assert_eq!(begun["publicKey"]["userVerification"], "required", "{policy}");
            passkey.user_verified = verified;
            let answer = passkey.get(&begun["publicKey"]);
            let reply = browser.finish_sign_in(&begun, &answer);
            if verified {
                assert_eq!(reply.expect(200).json()["session"]["acr"], "phr", "{policy}");
            } else {
                reply.expect_problem(400, "user_verification_missing");
                assert_eq!(browser.get("/v1/session").expect(200).json()["session"]["acr"], "1", "{policy}");
            }
        }
        browser.add(&mut app.passkey()).expect(200);
    }
}

/// Missing verification can be remedied, so where it is required it is reported, but only if the signature is valid.
#[test]
fn missing_user_verification_is_told_after_the_signature() {
    let app = TestApp::spawn();
    for which in Which::SIGN_INS {
        let mut begun = Begun::new(&app, which, app.passkey());
        begun.passkey.user_verified = false;
        begun.passkey.key = crate::authenticator::Key::es256();
        let answer = begun.answer();
        super::hostile(&app, "no verification, no signature", &begun.send(&answer), "AuthenticationFailure");
    }
}

/// BE and BS are stored, shown and put into tokens as the authenticator reports them.
#[test]
fn backup_flags() {
    let app = TestApp::spawn();
    for (eligible, state, kind, class) in [
        (false, false, "singleDevice", "device_bound_unverified"),
        (true, false, "multiDevice", "synced"),
        (true, true, "multiDevice", "synced"),
    ] {
        let (mut browser, mut passkey) = (app.browser(), Authenticator::new(&app.origin));
        (passkey.backup_eligible, passkey.backup_state) = (eligible, state);
        browser.sign_up(&mut passkey);
        let listed = browser.get("/v1/passkeys").expect(200).json()["passkeys"][0].clone();
        assert_eq!((&listed["backupEligible"], &listed["backedUp"]), (&json!(eligible), &json!(state)));
        assert_eq!(listed["deviceType"], kind);
        let tokens = app.client("web").sign_in(&mut passkey, "openid").expect(200).json();
        assert_eq!(claims(&tokens["accessToken"])["credential_class"], class);
    }
}

/// An attestation without a trusted root changes nothing: no class, no `hwk`, no `phrh`.
#[test]
fn an_unverified_model_is_a_label_only() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = (app.browser(), Authenticator::new(&app.origin));
    // W10: the AAGUID of a hardware key, claimed by a software passkey.
    passkey.aaguid = [0x2f, 0xc0, 0x57, 0x9f, 0x81, 0x13, 0x47, 0xea, 0xb1, 0x16, 0xbb, 0x5a, 0x8d, 0xb9, 0x20, 0x2a];
    let answer = browser.sign_up(&mut passkey);
    assert_eq!((&answer["session"]["acr"], &answer["session"]["amr"]), (&json!("phr"), &json!(["pop", "user", "mfa"])));
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials WHERE attested"), 0);
}

#[test]
fn sign_up_can_be_closed() {
    let options = Options { public_url: Some("https://id.example"), ..Options::default() };
    let open = TestApp::with(&options);
    let closed = TestApp::with(&Options { settings: &[("allow_sign_up", "false")], beside: Some(&open), ..options });
    let (_, mut passkey) = open.person();
    for body in [
        json!({ "purpose": "sign-up" }),
        json!({}),
        json!({ "email": "a@example.test" }),
        json!({ "purpose": "sign-up", "result": { "kind": "tokens", "clientId": "web" } }),
    ] {
        let refused = closed.browser().post("/v1/passkeys/registration/options", &body);
        assert!(refused.cookies().is_empty());
        refused.expect_problem(403, "sign_up_closed");
    }
    // People who already have an account are not affected.
    let mut browser = closed.browser();
    browser.sign_in(&mut passkey).expect(200);
    browser.add(&mut closed.passkey()).expect(200);
    assert_eq!(open.count("SELECT count(*) AS n FROM users"), 1);
}

#[test]
fn so_many_passkeys_and_no_more() {
    let app = with(&[("passkeys.per_user", "3")]);
    let (mut browser, _) = app.person();
    browser.add(&mut app.passkey()).expect(200);
    browser.add(&mut app.passkey()).expect(200);
    let full = browser.post("/v1/passkeys/registration/options", &json!({ "purpose": "add" }));
    full.expect_problem(409, "too_many_passkeys");
    let listed = browser.get("/v1/passkeys").expect(200).json();
    let newest = listed["passkeys"][2]["id"].as_str().unwrap();
    browser.call("DELETE", &format!("/v1/passkeys/{newest}"), None).expect(200);
    browser.add(&mut app.passkey()).expect(200);
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 3);
    // Passkeys of a retired RP id sign nobody in, and do not count.
    app.sql("UPDATE credentials SET rp_id = 'old.example' WHERE id = (SELECT id FROM credentials LIMIT 1)");
    browser.add(&mut app.passkey()).expect(200);
    let full = browser.post("/v1/passkeys/registration/options", &json!({ "purpose": "add" }));
    full.expect_problem(409, "too_many_passkeys");
}
