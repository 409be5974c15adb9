//! The account's other pages: sessions and activity.

use super::{BUTTON, Desk};
use crate::support::TestApp;

#[test]
fn one_browser_signs_the_other_out() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    let other = Desk::new(&app);
    other.copy_passkey(&other.device, &desk.own_passkeys()[0]);
    other.press(BUTTON);
    other.arrives_at("/account");

    desk.goes_to("/account/sessions");
    desk.reads(".list", "This browser");
    desk.click(".list .item-actions button");
    desk.arrives_at("/account/sessions?done=session-ended");
    desk.reads(".notice-ok", "That session is signed out.");
    desk.reads(".empty", "You are signed in nowhere else.");

    other.hold_prompts(true);
    other.goes_to("/account");
    other.arrives_at("/?next=%2Faccount");
    desk.goes_to("/account");
    desk.reads("h1", "Your account");
}

#[test]
fn the_activity_tells_what_happened() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.signs_out();
    desk.touches();
    desk.arrives_at("/account");
    desk.press("See activity");
    desk.arrives_at("/account/activity");
    for told in ["Signed in", "Signed out", "Account created"] {
        desk.reads(".log", told);
    }
    assert!(!desk.page_text().contains("Account changed"), "every entry has its own words");
}

#[test]
fn a_page_from_before_signing_out_changes_nothing() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.script("document.querySelector('form[action=\"/signout\"] [name=csrf]').value = 'AAAA'", &[]);
    desk.expect_console("signout - Failed to load resource: the server responded with a status of 403");
    desk.press("Sign out");
    desk.reads("h1", "This page is out of date");
    assert_eq!(app.events("session.signed_out"), 0);
}
