//! Ceremonies over HTTP: signing up, signing in, adding, managing.

use serde_json::json;

use crate::support::TestApp;

#[test]
fn a_person_signs_up_signs_out_and_signs_in_again() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = app.person();
    let who = browser.get("/v1/session").expect(200).json();
    assert_eq!(who["session"]["acr"], "phr");

    browser.call("DELETE", "/v1/session", None).expect(200);
    assert!(browser.session().is_none());
    assert!(browser.get("/v1/session").expect(200).json()["session"].is_null());

    let answer = browser.sign_in(&mut passkey).expect(200).json();
    assert_eq!(answer["user"]["id"], who["user"]["id"]);
    assert_eq!(answer["signals"][0]["allAcceptedCredentialIds"].as_array().map(Vec::len), Some(1));
    assert_eq!(app.events("session.signed_in"), 1);
}

#[test]
fn two_calls_give_tokens() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    let tokens = app.client("web").sign_in(&mut passkey, "openid passkeys").expect(200).json();
    assert_eq!(tokens["kind"], "tokens");
    let listed = app.client("web").bearer("GET", "/v1/passkeys", tokens["accessToken"].as_str().unwrap()).send();
    assert_eq!(listed.expect(200).json()["passkeys"].as_array().map(Vec::len), Some(1));
    let fresh = app.client("web").refresh(tokens["refreshToken"].as_str().unwrap()).expect(200).json();
    assert_eq!(fresh["token_type"], json!("Bearer"));
    assert_ne!(fresh["refresh_token"], tokens["refreshToken"]);
}

/// Removing the passkey of a lost device ends what is signed in there.
#[test]
fn removing_a_passkey_ends_the_sessions_it_opened_elsewhere() {
    let app = TestApp::spawn();
    let (mut here, mut first) = app.person();
    let mut lost = app.passkey();
    here.add(&mut lost).expect(200);
    let mut elsewhere = app.browser();
    elsewhere.sign_in(&mut lost).expect(200);
    let tokens = app.client("web").sign_in(&mut lost, "openid passkeys").expect(200).json();
    let other = app.client("web").sign_in(&mut first, "openid").expect(200).json();

    let passkeys = here.get("/v1/passkeys").expect(200).json();
    let id = passkeys["passkeys"][1]["id"].as_str().unwrap();
    here.call("DELETE", &format!("/v1/passkeys/{id}"), None).expect(200);

    assert!(elsewhere.get("/v1/session").expect(200).json()["session"].is_null());
    let refresh = tokens["refreshToken"].as_str().unwrap();
    app.client("web").refresh(refresh).expect_oauth(400, "invalid_grant");
    assert!(here.get("/v1/session").expect(200).json()["session"].is_object(), "this session stays");
    app.client("web").refresh(other["refreshToken"].as_str().unwrap()).expect(200);
}
