//! The developer panel: each kind of result, run in the browser.

use serde_json::{Value, json};

use super::Desk;
use crate::support::{Options, TestApp};

const BRIDGE: &str = r#"
[bridges.legacy]
preset = "jwt"
issuer = "https://id.example"
audience = "https://legacy.example"
algorithm = "ES256"

[bridges.legacy.allow]
clients = ["quickstart"]
"#;

fn panel() -> (TestApp, Desk) {
    let app = TestApp::with(&Options { config: BRIDGE, ..Options::default() });
    let desk = Desk::new(&app);
    desk.goes_to("/developer");
    (app, desk)
}

fn answer(desk: &Desk) -> Value {
    serde_json::from_str(&desk.text("#answer")).expect("the raw answer is JSON")
}

#[test]
fn a_passkey_is_made_and_tokens_come_out() {
    let (app, desk) = panel();
    desk.press("Run with a passkey");
    desk.reads("#problem h2", "No passkey was used");
    desk.press("I am new: create a passkey");
    let first = answer(&desk);
    assert_eq!(first["kind"], "tokens");
    desk.reads("#decoded", "\"typ\": \"at+jwt\"");

    desk.press("Run with a passkey");
    desk.until("another run", || (answer(&desk)["accessToken"] != first["accessToken"]).then_some(()));
    desk.hold_prompts(true);
    let token = answer(&desk)["accessToken"].as_str().unwrap().to_owned();
    let me = app.client("web").bearer("GET", "/v1/passkeys", &token).send().expect(200).json();
    assert_eq!(me["passkeys"].as_array().map(Vec::len), Some(1), "the token works");
    desk.goes_to("/account");
    desk.arrives_at("/?next=%2Faccount");
}

#[test]
fn nobody_is_made_where_nobody_may_sign_up() {
    let app = TestApp::with(&Options { settings: &[("allow_sign_up", "false")], ..Options::default() });
    let desk = Desk::new(&app);
    desk.goes_to("/developer");
    desk.press("Run with a passkey");
    desk.reads("#problem h2", "No passkey was used");
    assert!(!desk.sees("[name=create]") && !desk.page_text().contains("create a passkey"));
}

#[test]
fn a_session_comes_out() {
    let (_app, desk) = panel();
    desk.click("[value=session]");
    desk.press("Create a passkey first");
    assert_eq!(answer(&desk)["kind"], "session");
    desk.goes_to("/account");
    desk.reads("h1", "Your account");
}

#[test]
fn a_custom_token_comes_out_decoded() {
    let (_app, desk) = panel();
    desk.click("[value=bridge]");
    desk.press("Create a passkey first");
    let answer = answer(&desk);
    assert_eq!((&answer["kind"], &answer["bridge"]), (&json!("bridge"), &json!("legacy")));
    desk.reads("#decoded", "\"aud\": \"https://legacy.example\"");
    desk.reads(".calls.only-bridge", "\"bridge\":\"legacy\"");
}
