//! A person follows a link, reads what an app wants approved, and signs it.

use serde_json::{Value, json};

use super::Desk;
use super::trouble::{THROWS, throws};
use crate::actions::{Backend, backend, payment, spawn};
use crate::support::TestApp;

/// A person who made a passkey by a link from the shop.
fn customer(app: &TestApp, shop: &Backend<'_>) -> Desk {
    let made = shop.make("enrol");
    let desk = Desk::new(app);
    desk.open(made["link"].as_str().unwrap());
    desk.press("Create a passkey");
    desk.arrives_at("/enrol/done");
    desk
}

fn asked(app: &TestApp, shop: &Backend<'_>) -> Value {
    let (user, back) = (json!({ "externalId": { "id": "4711" } }), format!("{}/signed-out?from=id", app.origin));
    let body = json!({ "action": "sign", "user": user, "operation": payment(), "returnTo": back });
    shop.ask(&body).expect(201).json()
}

#[test]
fn an_operation_is_read_approved_and_told_to_the_app() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let desk = customer(&app, &shop);
    let made = asked(&app, &shop);
    desk.open(made["link"].as_str().unwrap());
    desk.reads("h1", "Approve with your passkey");
    for told in ["shop", "Pay 100.00 EUR to Acme", "To", "Amount", "100.00 EUR", "Ada"] {
        desk.reads(".card", told);
    }
    desk.press("Approve with a passkey");
    desk.until("the app has the result", || desk.url().contains("/signed-out?from=id&result=").then_some(()));
    let result = desk.url().split_once("&result=").unwrap().1.to_owned();
    let told = shop.redeem(&made["id"], &json!(result)).expect(200).json();
    assert_eq!((&told["operation"], &told["acr"]), (&payment(), &json!("phr")));
    assert_eq!(app.events("transaction.signed"), 1);
    desk.expect_console("a status of 410");
    desk.open(made["link"].as_str().unwrap());
    desk.reads("h1", "This link is no longer valid");
}

/// A mail scanner opens every link, follows what it finds, and posts nothing: the page stays the same however often it
/// is opened.
#[test]
fn looking_at_it_uses_nothing_up_and_a_backend_without_an_address_fetches() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let desk = customer(&app, &shop);
    let user = json!({ "externalId": { "id": "4711" } });
    let body = json!({ "action": "sign", "user": user, "operation": payment(), "mailed": true });
    let made = shop.ask(&body).expect(201).json();
    for _ in 0..7 {
        desk.open(made["link"].as_str().unwrap());
        desk.reads("h1", "Approve with your passkey");
    }
    assert!(!desk.url().contains("pmt_"), "the token does not stay in the address: {}", desk.url());
    assert_eq!(app.count("SELECT sum(ceremonies)::bigint AS n FROM action_tokens WHERE action = 'sign'"), 0);
    // A dismissed prompt loses nothing.
    desk.hold_prompts(true);
    desk.press("Approve with a passkey");
    desk.press("Cancel");
    // A request that was cancelled while the server was still working opens no prompt when the answer arrives.
    desk.script(
        "const send = window.fetch, get = navigator.credentials.get.bind(navigator.credentials);
        window.opened = 0;
        navigator.credentials.get = (options) => { opened++; return get(options); };
        window.fetch = (path, request) => new Promise((go) => {
            window.fetch = send;
            window.answer = async () => {
                const sent = await send(path, request);
                go(sent.clone());
                await sent.json();
                await new Promise((done) => setTimeout(done, 100));
                return opened;
            };
        });",
        &[],
    );
    desk.press("Approve with a passkey");
    desk.until("it is asked for", || (desk.script("return !!window.answer", &[]) == json!(true)).then_some(()));
    desk.press("Cancel");
    assert_eq!(desk.script("return answer()", &[]), json!(0));
    assert_eq!(app.events("transaction.signed"), 0);
    // A prompt that was closed loses nothing either; what is offered then is approving, not signing in.
    desk.script(THROWS, &[]);
    throws(&desk, "NotAllowedError", 900);
    desk.press("Approve with a passkey");
    desk.reads("#problem h2", "No passkey was used");
    let actions = "return [...document.querySelectorAll('#problem .actions > *')].map((action) => action.textContent)";
    assert_eq!(desk.script(actions, &[]), json!(["Try again"]));
    desk.script("window.thrown = null", &[]);
    desk.press("Try again");
    desk.touches();
    desk.arrives_at("/approve/done");
    desk.reads("h1", "Approved");
    assert_eq!(shop.fetch(&made["id"]).expect(200).json()["operation"], payment());
    shop.fetch(&made["id"]).expect_problem(400, "result_refused");
}

#[test]
fn a_link_that_is_over_or_anothers_approves_nothing() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let desk = customer(&app, &shop);
    let made = asked(&app, &shop);
    desk.open(made["link"].as_str().unwrap());
    desk.reads("h1", "Approve with your passkey");
    app.advance(chrono::Duration::minutes(6));
    desk.expect_console("a status of 410");
    desk.press("Approve with a passkey");
    desk.reads("h1", "This link is no longer valid");

    let ben = Desk::with_account(&app, "Ben", "");
    ben.expect_console("a status of 403");
    ben.open(asked(&app, &shop)["link"].as_str().unwrap());
    ben.reads("h1", "This link is for another account");
    assert_eq!(app.events("transaction.signed"), 0);
}

#[test]
fn no_is_no_and_the_app_hears_it() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let desk = customer(&app, &shop);
    desk.open(asked(&app, &shop)["link"].as_str().unwrap());
    desk.reads("h1", "Approve with your passkey");
    desk.press("Cancel");
    desk.until("the app hears it", || desk.url().ends_with("/signed-out?from=id&error=access_denied").then_some(()));
    assert_eq!(app.events("transaction.signed"), 0);
}

#[test]
fn a_link_for_something_else_approves_nothing() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let desk = customer(&app, &shop);
    let made = shop.make("step_up");
    desk.expect_console("a status of 403");
    desk.goes_to(&format!("/approve#{}", made["token"].as_str().unwrap()));
    desk.reads("h1", "This link is no longer valid");
}
