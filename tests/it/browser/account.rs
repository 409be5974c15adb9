//! The account's other pages: sessions and activity.

use serde_json::json;

use super::Desk;
use crate::hooks::AfterSignIn;
use crate::support::TestApp;

#[test]
fn one_browser_signs_the_other_out() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    let other = desk.beside(&app);

    desk.goes_to("/account/sessions");
    desk.reads(".list", "This browser");
    desk.click(".list .item-actions button");
    desk.arrives_at("/account/sessions?done=session-ended");
    desk.reads(".notice-ok", "That session is signed out.");
    desk.reads(".empty", "You are not signed in anywhere else.");

    other.goes_to("/account");
    other.arrives_at("/?next=%2Faccount");
    desk.goes_to("/account");
    desk.reads("h1", "Your account");
}

/// A form that was sent is not sent again until the person comes back to its page.
#[test]
fn a_form_is_sent_once() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    let _other = desk.beside(&app);
    desk.goes_to("/account/sessions");
    let state = "const button = document.querySelector('.list .item-actions button');
        button.click();
        return [sent, button.ariaDisabled];";
    // Nothing is actually sent, so that the page can be inspected.
    let held = "window.sent = 0;
        addEventListener('submit', (event) => { if (!event.defaultPrevented) sent++; event.preventDefault(); });";
    desk.script(held, &[]);
    for _ in 0..2 {
        assert_eq!(desk.script(state, &[]), json!([1, "true"]));
    }
    desk.script("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))", &[]);
    assert_eq!(desk.script(state, &[]), json!([2, "true"]));
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

/// What a hook said after a sign-in is shown as text when the page is opened, and nothing else of it.
#[test]
fn the_page_shows_what_a_hook_said() {
    let hooked = AfterSignIn::new();
    hooked.hook.replies(&json!({
        "title": "Your plan", "text": "<b>Pro</b>, until you end it",
        "items": [{ "label": "Orders", "value": "7" }, { "label": "<img src=x>", "value": "ends \u{5d0}" }],
    }));
    let desk = Desk::with_account(&hooked.app, "Ana", "");
    hooked.has_delivered();
    desk.goes_to("/account");
    desk.reads(".said h2", "Your plan");
    for told in ["<b>Pro</b>, until you end it", "Orders", "7", "<img src=x>"] {
        desk.reads(".said", told);
    }
    desk.reads(".said", "Shown when you signed in");
}

/// In dark mode, on a phone, and with the longest words possible.
#[test]
fn what_a_hook_said_fits_every_screen() {
    let hooked = AfterSignIn::new();
    let item = |n: usize| json!({ "label": "L".repeat(40), "value": format!("{n}{}", "v".repeat(119)) });
    hooked.hook.replies(&json!({
        "title": "T".repeat(60), "text": "x".repeat(500), "items": (0..10).map(item).collect::<Vec<_>>(),
    }));
    let desk = Desk::with_account(&hooked.app, "Ana", "");
    hooked.has_delivered();
    desk.goes_to("/account");
    super::looks::measure(&desk, "account-said");
    hooked.hook.replies(&json!({
        "title": "Your plan", "text": "Pro, until you end it", "items": [{ "label": "Orders", "value": "7" }],
    }));
    desk.signs_out();
    desk.touches();
    desk.arrives_at("/account");
    hooked.has_delivered();
    desk.goes_to("/account");
    super::looks::measure(&desk, "account-said-short");
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
