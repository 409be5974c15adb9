//! What people are told when something goes wrong: the rows of the table of situations, each forced once.

use chrono::Duration;
use serde_json::json;

use super::{BUTTON, Desk};
use crate::support::TestApp;

/// Signed out again, with a passkey on the computer, and a prompt that waits.
fn at_the_prompt(app: &TestApp) -> Desk {
    let desk = Desk::with_account(app, "Ana", "");
    desk.signs_out();
    desk.press(BUTTON);
    desk.reads("#pk .label", "Waiting for your device…");
    desk
}

fn refused(desk: &Desk, status: u16) {
    desk.expect_console(&format!("Failed to load resource: the server responded with a status of {status}"));
}

#[test]
fn a_removed_passkey_is_explained_and_leaves_the_manager() {
    let app = TestApp::spawn();
    let desk = at_the_prompt(&app);
    app.sql("DELETE FROM sessions; DELETE FROM credential_index; DELETE FROM credentials");
    refused(&desk, 404);
    desk.touches();
    desk.reads("#problem.fault h2", "This passkey was removed from your account");
    desk.reads("#problem", "Delete it in your passkey manager, then sign in another way.");
    desk.until("the manager is told", || desk.own_passkeys().is_empty().then_some(()));
}

#[test]
fn an_old_challenge_is_said_to_be_old_and_the_next_try_works() {
    let app = TestApp::spawn();
    let desk = at_the_prompt(&app);
    app.advance(Duration::minutes(6));
    refused(&desk, 410);
    desk.touches();
    desk.reads("#problem h2", "That took too long");
    assert!(!desk.sees("#problem.fault"), "being slow is no fault");
    desk.press("Try again");
    desk.touches();
    desk.arrives_at("/account");
}

#[test]
fn autofill_with_an_old_challenge_asks_once_more() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.signs_out();
    app.advance(Duration::minutes(6));
    refused(&desk, 410);
    desk.touches();
    desk.reads("#status", "One more time, please.");
    desk.touches();
    desk.arrives_at("/account");
    assert_eq!(app.events("session.signed_in"), 1);
}

#[test]
fn a_broken_database_is_our_fault_and_passes() {
    let app = TestApp::spawn();
    let desk = at_the_prompt(&app);
    app.sql("ALTER TABLE credential_index RENAME TO out_of_reach");
    refused(&desk, 503);
    desk.touches();
    desk.reads("#problem.fault h2", "We cannot check this now");
    desk.reads("#problem", "It is our fault, your passkey is fine.");
    assert_eq!(desk.own_passkeys().len(), 1, "no signal is sent on our own fault");
    app.sql("ALTER TABLE out_of_reach RENAME TO credential_index");
    desk.press("Try again");
    desk.touches();
    desk.arrives_at("/account");
}

#[test]
fn a_signed_origin_that_is_not_ours_says_where_to_go() {
    let app = TestApp::spawn();
    let desk = at_the_prompt(&app);
    // Something between the browser and us changes what the browser signed: the origin is the first thing checked.
    let elsewhere = "const send = window.fetch; window.fetch = (path, request) => {
        if (!path.endsWith('/verify')) return send(path, request);
        const body = JSON.parse(request.body), response = body.credential.response;
        const data = JSON.parse(atob(response.clientDataJSON.replaceAll('-', '+').replaceAll('_', '/')));
        response.clientDataJSON = btoa(JSON.stringify({ ...data, origin: 'https://elsewhere.example' }))
            .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
        return send(path, { ...request, body: JSON.stringify(body) });
    };";
    desk.script(elsewhere, &[]);
    refused(&desk, 403);
    desk.touches();
    desk.reads("#problem.fault h2", "This address cannot use your passkeys");
    desk.reads("#problem", "Passkeys only work at the address they were made for.");
    desk.press("Use another way");
}

/// `pages.md` §3, rows 25 and 29.
#[test]
fn a_refusal_after_a_good_passkey_says_what_was_refused() {
    for (change, heading, cure) in [
        ("UPDATE users SET status = 'disabled'", "This account is turned off", "Ask those who run this service"),
        (
            "UPDATE credentials SET suspended_at = now(), suspended_reason = 'x'",
            "This passkey is paused for your safety",
            "Sign in with another passkey, then resume this one in your account.",
        ),
    ] {
        let app = TestApp::spawn();
        let desk = at_the_prompt(&app);
        app.sql(change);
        refused(&desk, 403);
        desk.touches();
        desk.reads("#problem.fault h2", heading);
        desk.reads("#problem", cure);
    }
}

/// No page of ours is for groups alone, so the refusal of an app that is comes from between the browser and us.
#[test]
fn somebody_in_no_group_of_an_app_is_told_so() {
    let app = TestApp::spawn();
    let desk = at_the_prompt(&app);
    let refuse = "const send = window.fetch; window.fetch = (path, request) => path.endsWith('/verify')
        ? Promise.resolve(new Response(JSON.stringify({ code: 'sign_in_refused', reason: 'no_group' }), { status: 403 }))
        : send(path, request);";
    desk.script(refuse, &[]);
    desk.touches();
    desk.reads("#problem.fault h2", "This app is not for your account");
    desk.reads("#problem", "It is for members of certain groups.");
}

#[test]
fn a_network_that_is_gone_is_told_from_a_fault_of_ours() {
    let app = TestApp::spawn();
    let desk = at_the_prompt(&app);
    let conditions = |offline: bool| {
        let parameters = json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        desk.devtools("Network.enable", &json!({}));
        desk.devtools("Network.emulateNetworkConditions", &parameters);
    };
    conditions(true);
    desk.expect_console("net::ERR_INTERNET_DISCONNECTED");
    desk.touches();
    desk.reads("#problem h2", "You are offline");
    conditions(false);
    desk.press("Try again");
    desk.touches();
    desk.arrives_at("/account");
}

#[test]
fn closing_the_prompt_is_no_failure() {
    let app = TestApp::spawn();
    let desk = at_the_prompt(&app);
    // What browsers answer when the prompt is closed.
    desk.recognise(&desk.device, false);
    desk.touches();
    desk.reads("#problem h2", "Nothing was used");
    assert!(!desk.sees("#problem.fault"));
    assert!(!desk.page_text().to_lowercase().contains("failed"));
    desk.press("Use another way");
    desk.reads("#other", "Use a phone or security key");
}

#[test]
fn a_second_prompt_says_that_one_is_open() {
    let app = TestApp::spawn();
    let desk = at_the_prompt(&app);
    desk.type_into("#username", "ana@example.com");
    desk.press("Next");
    desk.reads("#problem h2", "Another passkey prompt is open");
    desk.touches();
    desk.arrives_at("/account");
}

#[test]
fn a_mistyped_email_is_said_at_its_field_and_kept() {
    let app = TestApp::spawn();
    let desk = Desk::new(&app);
    refused(&desk, 400);
    desk.type_into("#username", "ana@");
    desk.press("Next");
    desk.reads("#problem", "Enter an e-mail address, like name@example.com.");
    let field =
        "const field = document.activeElement; return [field.id, field.value, field.getAttribute('aria-invalid')]";
    assert_eq!(desk.script(field, &[]), json!(["username", "ana@", "true"]));

    desk.type_into("#username", "example.com");
    desk.hold_prompts(true);
    desk.press("Next");
    desk.reads("#em .label", "Waiting for your device…");
    assert!(!desk.sees("[aria-invalid]"));
    desk.press("Cancel");
    desk.press(BUTTON);
    desk.touches();
    desk.press("I am new: create a passkey");
    desk.type_into("#new-email", " oh");
    desk.press("Create a passkey");
    desk.reads("#problem h2", "Check the e-mail address");
    assert_eq!(desk.script("return document.activeElement.id", &[]), json!("new-email"));
    assert_eq!(app.events("user.created"), 0);
}
