//! A person follows a link that an app gave them, and makes a passkey.

use serde_json::{Value, json};

use super::Desk;
use crate::actions::{Backend, backend, spawn};
use crate::support::TestApp;
use crate::support::webdriver::Device;

fn link(app: &TestApp, shop: &Backend<'_>) -> (Value, String) {
    let user = json!({ "externalId": { "id": "4711" }, "name": "Ada Lovelace" });
    let asked = json!({ "action": "enrol", "user": user, "mailed": true, "returnTo": format!("{}/signed-out?from=id", app.origin) });
    let made = shop.ask(&asked).expect(201).json();
    let link = made["link"].as_str().unwrap().to_owned();
    (made, link)
}

#[test]
fn a_link_becomes_a_passkey_with_one_button_and_leads_back_to_the_app() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let (made, link) = link(&app, &shop);
    let desk = Desk::new(&app);
    desk.open(&link);
    desk.reads("h1", "Create a passkey");
    for told in ["shop", "localhost", "Ada Lovelace"] {
        desk.reads(".card", told);
    }
    assert!(!desk.url().contains("pmt_"), "the token does not stay in the address: {}", desk.url());
    assert_eq!(app.count("SELECT ceremonies::bigint AS n FROM action_tokens"), 0, "looking counts nothing");

    // A dismissed prompt loses nothing.
    desk.hold_prompts(true);
    desk.press("Create a passkey");
    desk.press("Cancel");
    desk.press("Create a passkey");
    desk.touches();
    desk.until("the app has the result", || desk.url().contains("/signed-out?from=id&result=").then_some(()));
    let result = desk.url().split_once("&result=").unwrap().1.to_owned();
    let told = shop.redeem(&made["id"], &json!(result)).expect(200).json();
    assert_eq!((&told["externalId"]["id"], &told["action"]), (&json!("4711"), &json!("enrol")));
    assert_eq!(desk.own_passkeys().len(), 1);

    desk.expect_console("a status of 410");
    desk.open(&link);
    desk.reads("h1", "This link is no longer valid");
}

#[test]
fn a_link_without_a_return_address_ends_on_our_page_and_can_be_pasted() {
    let app = spawn();
    let made = backend(&app, "shop").make("enrol");
    let desk = Desk::new(&app);
    desk.goes_to("/enrol");
    desk.type_into("#action-token", made["token"].as_str().unwrap());
    desk.press("Next");
    // A device that cannot verify its user saves nothing; another one may.
    desk.recognise(&desk.device, false);
    for button in ["Create a passkey", "Try again"] {
        desk.press(button);
        desk.reads("#problem h2", "The passkey was not saved");
    }
    let key = desk.plug_in(Device::SecurityKey);
    desk.press("Save one somewhere else");
    desk.arrives_at("/enrol/done");
    desk.reads("h1", "Your passkey is ready");
    assert_eq!((desk.own_passkeys().len(), desk.passkeys(&key).len()), (0, 1));
}

#[test]
fn a_link_for_somebody_else_waits_until_one_has_signed_out() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let (_, link) = link(&app, &shop);
    let desk = Desk::with_account(&app, "Ben", "");
    desk.expect_console("a status of 403");
    desk.open(&link);
    desk.reads("h1", "This link is for another account");
    assert_eq!(app.events("action_token.refused"), 1);
}

/// If the token is revoked while the page is open, the page says so itself.
#[test]
fn a_link_that_is_taken_back_meanwhile_says_so() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let (_, link) = link(&app, &shop);
    let desk = Desk::new(&app);
    desk.open(&link);
    desk.reads("h1", "Create a passkey");
    app.sql("UPDATE action_tokens SET revoked_at = now()");
    desk.expect_console("a status of 410");
    desk.press("Create a passkey");
    desk.reads("h1", "This link is no longer valid");
    assert_eq!(desk.own_passkeys().len(), 0, "nothing was made in vain");

    // While the prompt is open: the passkey manager is told to forget the passkey that the device made.
    app.sql("UPDATE action_tokens SET revoked_at = NULL");
    desk.goes_to("/signed-out");
    desk.open(&link);
    desk.reads("h1", "Create a passkey");
    desk.hold_prompts(true);
    desk.press("Create a passkey");
    desk.until("the prompt", || (desk.script("return prompts.length", &[]) == json!(1)).then_some(()));
    app.sql("UPDATE action_tokens SET revoked_at = now()");
    desk.touches();
    desk.reads("h1", "This link is no longer valid");
    desk.until("the manager forgets", || desk.own_passkeys().is_empty().then_some(()));
}
