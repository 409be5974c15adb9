//! Operations that a person signs for a backend.

use serde_json::{Value, json};

use super::{Backend, CONFIG, SHOP_PAGE, backend, finish, options, payment, prove, reason, sign, spawn, with_token};
use crate::authenticator::{encode, sha256};
use crate::support::tokens::{at_once, claims};
use crate::support::{Browser, Options, Reply, TestApp};

/// The person 4711 is asked to sign an operation.
fn asked_to_sign(shop: &Backend<'_>, operation: &Value) -> Reply {
    shop.ask(&json!({ "action": "sign", "user": { "externalId": { "id": "4711" } }, "operation": operation }))
}

#[test]
fn a_person_signs_an_operation_for_a_backend() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let (mut passkey, _) = shop.enrol();
    let made = asked_to_sign(&shop, &payment()).expect(201).json();
    assert_eq!(made["link"], format!("{}/approve#{}", app.origin, made["token"].as_str().unwrap()));
    for elsewhere in [None, Some(SHOP_PAGE)] {
        options(&app, "authentication", &made["token"], elsewhere).expect_problem(403, "action_token_misused");
        assert_eq!(reason(&app), "origin", "what is signed is shown by us");
    }
    let begun = options(&app, "authentication", &made["token"], Some(&app.origin)).expect(200).json();
    assert_eq!(begun["publicKey"]["userVerification"], "required");
    passkey.user_verified = false;
    let present = passkey.get(&begun["publicKey"]);
    finish(&app, "authentication", &begun, &present).expect_problem(400, "user_verification_missing");
    passkey.user_verified = true;
    let answer = sign(&app, &mut passkey, &made["token"]).expect(200).json();
    let told = shop.redeem(&made["id"], &answer["result"]).expect(200).json();
    shop.fetch(&made["id"]).expect_problem(400, "result_refused");
    let hash = encode(&sha256(
        br#"{"details":[{"label":"To","value":"Acme"},{"label":"Amount","value":"100.00 EUR"}],"kind":"payment","title":"Pay 100.00 EUR to Acme"}"#,
    ));
    for (member, value) in [
        ("action", json!("sign")),
        ("operation", payment()),
        ("operationHash", json!(hash)),
        ("acr", json!("phr")),
        ("externalId", json!({ "source": "shop", "id": "4711" })),
    ] {
        assert_eq!(told[member], value, "{member}");
    }
    assert_eq!((app.events("transaction.signed"), app.events("action_token.used")), (1, 0), "one event");
    let mut browser = app.browser();
    browser.sign_in(&mut passkey).expect(200);
    let activity = browser.get("/account/activity").expect(200).body;
    assert!(activity.contains("Pay 100.00 EUR to Acme"), "the person sees what they signed");
}

#[test]
fn an_operation_is_for_signing_and_what_cannot_be_shown_is_refused() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let mut turned = payment();
    turned["title"] = json!("Pay \u{202e}00.1");
    let mut twice = payment();
    twice["details"] = json!([{ "label": "To", "value": "a" }, { "label": "To", "value": "b" }]);
    for (name, reply) in [
        ("no operation", shop.ask(&json!({ "action": "sign", "user": { "externalId": { "id": "4711" } } }))),
        ("turned round", asked_to_sign(&shop, &turned)),
        ("a label twice", asked_to_sign(&shop, &twice)),
        ("an unknown member", asked_to_sign(&shop, &json!({ "kind": "x", "title": "X", "html": "<b>" }))),
        (
            "at a relying party without our page",
            backend(&app, "bank").ask(&json!({
                "action": "sign", "user": { "externalId": { "id": "4711" } }, "operation": payment(),
                "relyingParty": "elsewhere",
            })),
        ),
        (
            "on the app's own page",
            shop.ask(&json!({
                "action": "sign", "user": { "externalId": { "id": "4711" } }, "operation": payment(), "origin": SHOP_PAGE,
            })),
        ),
        (
            "for another action",
            shop.ask(&json!({ "action": "enrol", "user": { "externalId": { "id": "4711" } }, "operation": payment() })),
        ),
    ] {
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (400, Some("invalid_request")),
            "{name}: {}",
            reply.body
        );
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM action_tokens"), 0);
    // A ceremony that cannot succeed is not begun: nobody has a passkey yet.
    let made = asked_to_sign(&shop, &payment()).expect(201).json();
    options(&app, "authentication", &made["token"], Some(&app.origin)).expect_problem(404, "no_passkey_yet");
}

/// A link sent by mail returns to no session of the backend's, so the backend fetches the result itself, once.
#[test]
fn what_was_signed_is_fetched_once_by_its_backend() {
    let app =
        TestApp::with(&Options { config: CONFIG, settings: &[("challenges.store", "database")], ..Options::default() });
    let twin = app.twin_with(CONFIG);
    let (shop, bank, other) = (backend(&app, "shop"), backend(&app, "bank"), backend(&twin, "shop"));
    let (mut passkey, _) = shop.enrol();
    let user = json!({ "externalId": { "id": "4711" } });
    let mailed = json!({ "action": "sign", "user": user, "operation": payment(), "mailed": true, "expiresIn": 86_400 });
    let made = shop.ask(&mailed).expect(201).json();
    shop.fetch(&made["id"]).expect_problem(404, "not_found");
    let answer = sign(&app, &mut passkey, &made["token"]).expect(200).json();
    bank.fetch(&made["id"]).expect_problem(404, "not_found");
    let replies = at_once(64, |number| {
        let backend = if number % 2 == 0 { &shop } else { &other };
        backend.fetch(&made["id"])
    });
    let (told, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    assert_eq!((told.len(), refused.len()), (1, 63));
    assert!(refused.iter().all(|reply| reply.json()["code"] == "result_refused"));
    let told = told[0].json();
    let result = claims(answer["result"].as_str().unwrap());
    for (member, claim) in [
        ("action", "action"),
        ("actionToken", "action_token"),
        ("sub", "sub"),
        ("operation", "operation"),
        ("operationHash", "operation_hash"),
        ("credential", "credential"),
        ("acr", "acr"),
        ("amr", "amr"),
        ("iat", "iat"),
    ] {
        assert_eq!(told[member], result[claim], "{member}: the same as the browser brings");
    }
    shop.redeem(&made["id"], &answer["result"]).expect_problem(400, "result_refused");
    assert_eq!(app.events("result.redeemed"), 1);
    // A mere proof has a session to return to, and cannot be fetched.
    let step = shop.make("step_up");
    prove(&app, &mut passkey, &step["token"]).expect(200);
    shop.fetch(&step["id"]).expect_problem(404, "not_found");
}

/// A browser that is already signed in as the same person may use the token.
#[test]
fn ones_own_session_does_not_stand_in_the_way() {
    let app = spawn();
    let bank = backend(&app, "bank");
    let (mut browser, _) = app.person();
    let me = browser.get("/v1/me").expect(200).json()["id"].clone();
    let made = bank.ask(&json!({ "action": "enrol", "user": { "id": me } })).expect(201).json();
    enrol_in(&mut browser, &app, &made["token"]);
    assert_eq!(browser.get("/v1/passkeys").expect(200).json()["passkeys"].as_array().unwrap().len(), 2);
}

fn enrol_in(browser: &mut Browser, app: &TestApp, token: &Value) {
    let request = browser.request("POST", "/v1/passkeys/registration/options").json(&json!({}));
    let begun = browser.send(with_token(request, token)).expect(200).json();
    let credential = app.passkey().create(&begun["publicKey"]);
    browser.finish_registration(&begun, &credential).expect(200);
}
