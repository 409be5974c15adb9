//! Required behaviours that no other file covers; the table is docs/reference/seed-table.md.

use serde_json::{Value, json};

use crate::support::{Options, TestApp};

/// Check 3.8: libraries with a known vulnerability, or excluded altogether, are not in what is built.
#[test]
fn no_library_with_a_known_hole_is_locked() {
    let lock = include_str!("../../Cargo.lock");
    let number = |text: &str| -> Vec<u32> {
        text.split(['.', '-', '+']).take(3).map(|part| part.parse().expect("a number")).collect()
    };
    let versions = |name: &str| -> Vec<Vec<u32>> {
        let entry = format!("name = \"{name}\"\nversion = \"");
        lock.split(&entry).skip(1).filter_map(|rest| rest.split('"').next()).map(number).collect()
    };
    for (name, mended) in
        [("actix-http", [3, 18, 9]), ("diesel", [2, 3, 10]), ("idna", [1, 0, 3]), ("jsonwebtoken", [10, 3, 0])]
    {
        let locked = versions(name);
        assert!(!locked.is_empty(), "{name} is found");
        assert!(locked.iter().all(|version| *version >= mended.to_vec()), "{name}: {locked:?}");
    }
    for none in ["h2", "serde_cbor", "tokio-postgres"] {
        assert_eq!(versions(none), Vec::<Vec<u32>>::new(), "{none}");
    }
}

#[test]
fn options_carry_the_choices_of_the_configuration_and_of_the_request() {
    let settings = [
        ("realm", "Example"),
        ("passkeys.attachment", "platform"),
        ("passkeys.resident_key", "preferred"),
        ("passkeys.user_verification", "preferred"),
        ("passkeys.hints", "client-device,hybrid"),
        ("passkeys.timeout", "90s"),
    ];
    let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
    let options = |request: Value| app.browser().begin_registration(&request)["publicKey"].clone();

    let made = options(json!({ "purpose": "sign-up" }));
    assert_eq!(made["rp"], json!({ "id": "localhost", "name": "Example" }));
    assert_eq!(made["timeout"], 90_000);
    assert_eq!(made["hints"], json!(["client-device", "hybrid"]));
    let selection = &made["authenticatorSelection"];
    assert_eq!(selection["authenticatorAttachment"], "platform");
    assert_eq!((&selection["residentKey"], &selection["userVerification"]), (&json!("preferred"), &json!("preferred")));

    let made = options(json!({ "purpose": "sign-up", "attachment": "platform" }));
    assert_eq!(made["authenticatorSelection"]["authenticatorAttachment"], "platform");
    let refused = |app: &TestApp, more: Value| {
        let mut request = json!({ "purpose": "sign-up" });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        app.browser().post("/v1/passkeys/registration/options", &request).expect_problem(400, "invalid_request");
    };
    refused(&app, json!({ "hints": ["hybrid"] }));
    // No request overrides what the operator decided.
    refused(&app, json!({ "attachment": "cross-platform" }));
    refused(&app, json!({ "hints": ["security-key"] }));

    let app = TestApp::spawn();
    let options = |request: Value| app.browser().begin_registration(&request)["publicKey"].clone();
    let made = options(json!({ "purpose": "sign-up", "attachment": "cross-platform", "hints": ["security-key"] }));
    assert_eq!(made["authenticatorSelection"]["authenticatorAttachment"], "cross-platform", "the request chooses");
    assert_eq!(made["hints"], json!(["security-key"]));

    let settings = [("passkeys.attachment", "cross-platform")];
    let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
    refused(&app, json!({ "attachment": "platform" }));
    let made = app.browser().begin_registration(&json!({ "purpose": "sign-up", "hints": ["security-key"] }));
    assert_eq!(made["publicKey"]["authenticatorSelection"]["authenticatorAttachment"], "cross-platform");
}

/// Where security keys are not wanted, our own page offers none.
#[test]
fn the_page_of_passkeys_offers_what_may_be_made() {
    for (attachment, offered) in [("any", true), ("cross-platform", true), ("platform", false)] {
        let settings = [("passkeys.attachment", attachment)];
        let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
        let (mut browser, _) = app.person();
        let page = browser.get("/account/passkeys").expect(200).body;
        assert_eq!(page.contains("value=\"security-key\""), offered, "{attachment}");
        assert_eq!(page.contains("\"hereOnly\":true"), !offered, "{attachment}");
    }
}

/// WebAuthn Level 3 §5.8.4: unknown transport names are kept, and returned.
#[test]
fn transports_are_given_back_as_they_came() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = (app.browser(), app.passkey());
    passkey.transports = vec!["usb", "smart-card", "carrier-pigeon"];
    let begun = browser.begin_registration(&json!({ "purpose": "sign-up", "email": "ada@example.test" }));
    let answer = passkey.create(&begun["publicKey"]);
    browser.finish_registration(&begun, &answer).expect(200);
    let kept = json!([{
        "type": "public-key",
        "id": crate::authenticator::encode(&passkey.credential_id),
        "transports": ["carrier-pigeon", "smart-card", "usb"],
    }]);
    let add = browser.begin_registration(&json!({ "purpose": "add" }));
    assert_eq!(add["publicKey"]["excludeCredentials"], kept);
    let step_up = browser.begin_sign_in(&json!({ "purpose": "step-up" }));
    assert_eq!(step_up["publicKey"]["allowCredentials"], kept);
    let by_address = app.browser().begin_sign_in(&json!({ "email": "ada@example.test" }));
    assert!(by_address["publicKey"]["allowCredentials"].as_array().unwrap().contains(&kept[0]), "{by_address}");
}

#[test]
fn an_account_without_a_name_has_a_label_and_a_name_is_shown() {
    let app = TestApp::spawn();
    let user = |request: Value| app.browser().begin_registration(&request)["publicKey"]["user"].clone();
    for (name, request, shown, displayed) in [
        ("both", json!({ "name": "Ada", "email": "ada@example.test" }), "ada@example.test", "Ada"),
        ("name", json!({ "name": "Ada" }), "Ada", "Ada"),
        ("e-mail", json!({ "email": "ada@example.test" }), "ada@example.test", "ada@example.test"),
    ] {
        let user = user(request);
        assert_eq!((user["name"].as_str(), user["displayName"].as_str()), (Some(shown), Some(displayed)), "{name}");
    }
    let (one, other) = (user(json!({})), user(json!({})));
    assert!(one["name"].as_str().is_some_and(|name| !name.is_empty()), "passkey managers show a name");
    assert_ne!(one["name"], other["name"], "two accounts on one device can be told apart");
}

#[test]
fn a_list_tells_what_is_kept_of_a_passkey() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = app.person();
    let mut key = crate::authenticator::Authenticator::new(&app.origin);
    key.transports = vec!["usb"];
    let added = browser.add(&mut key).expect(200).json();
    assert_eq!(added["passkey"]["credentialId"], crate::authenticator::encode(&key.credential_id));
    assert!(added["passkey"].get("lastUsedAt").is_none(), "never used yet");
    assert_eq!(added["signals"][0]["allAcceptedCredentialIds"].as_array().map(Vec::len), Some(2));

    browser.sign_in(&mut passkey).expect(200);
    let listed = browser.get("/v1/passkeys").expect(200).json();
    let [synced, bound] = listed["passkeys"].as_array().map(Vec::as_slice).unwrap() else { panic!("{listed}") };
    assert_eq!(
        (&synced["deviceType"], &synced["backedUp"], &synced["current"]),
        (&json!("multiDevice"), &json!(true), &json!(true))
    );
    assert_eq!(
        (&bound["deviceType"], &bound["backedUp"], &bound["transports"]),
        (&json!("singleDevice"), &json!(false), &json!(["usb"]))
    );
    assert!(synced["createdAt"].is_string() && synced["lastUsedAt"].is_string() && synced["aaguid"].is_string());
}

#[test]
fn the_audit_trail_keeps_the_name_that_a_removed_passkey_had() {
    let app = TestApp::spawn();
    let (mut browser, _) = app.person();
    let added = browser.add(&mut app.passkey()).expect(200).json();
    let path = format!("/v1/passkeys/{}", added["passkey"]["id"].as_str().unwrap());
    browser.call("PATCH", &path, Some(&json!({ "name": "Old phone" }))).expect(200);
    browser.call("DELETE", &path, None).expect(200);
    let events = browser.get("/v1/me/activity").expect(200).json();
    let named: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|event| (&event["kind"], &event["name"])).collect();
    assert_eq!(named[0], (&json!("passkey.removed"), &json!("Old phone")));
    assert_eq!(named[1].0, "passkey.renamed");
    assert_eq!(named[2], (&json!("passkey.added"), &added["passkey"]["name"]));
}

#[test]
fn a_deleted_person_takes_everything_along_but_the_audit_trail() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    app.client("web").sign_in(&mut passkey, "openid").expect(200);
    let kept = app.count("SELECT count(*) AS n FROM audit_events");
    app.sql("DELETE FROM users");
    for table in ["credentials", "credential_index", "sessions", "refresh_tokens"] {
        assert_eq!(app.count(&format!("SELECT count(*) AS n FROM {table}")), 0, "{table}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM audit_events"), kept);
    let begun = app.client("web").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    app.client("web").finish(&begun, &credential).expect_problem(404, "passkey_unknown");
}
