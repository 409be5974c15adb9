//! The passkey page: adding, naming, removing, and proving again who one is.

use chrono::Duration;

use super::Desk;
use crate::support::TestApp;
use crate::support::webdriver::Device;

const LIST: &str = "/account/passkeys";

#[test]
fn the_same_device_holds_one_passkey_of_an_account() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.goes_to(LIST);
    desk.press("Add a passkey");
    desk.reads("#problem h2", "You already have a passkey here");
    assert!(!desk.sees("#problem.fault"));
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);
}

#[test]
fn a_security_key_is_added_renamed_used_and_removed() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    let key = desk.plug_in(Device::SecurityKey);
    desk.goes_to(LIST);
    desk.prefers_the_key();
    desk.press("Use a security key instead");
    desk.arrives_at("/account/passkeys?done=passkey-added");
    desk.reads(".notice-ok", "Passkey saved.");
    assert_eq!(desk.passkeys(&key).len(), 1, "it is on the key");
    desk.reads(".content", "On security keys");
    desk.reads(".content", "Only on this security key");

    desk.click("h2 + .list ~ h2 + .list a[href$=rename]");
    desk.script("document.querySelector('#name').value = ''", &[]);
    desk.expect_console("a status of 422");
    desk.press("Save");
    desk.reads(".notice-danger", "Enter a name for this passkey.");
    assert!(desk.script("return document.title", &[]).as_str().unwrap().starts_with("Error: "));
    desk.type_into("#name", "Blue <key>");
    desk.press("Save");
    desk.arrives_at("/account/passkeys?done=passkey-renamed");
    desk.reads(".content", "Blue <key>");

    desk.signs_out();
    desk.press(super::BUTTON);
    desk.touches();
    desk.arrives_at("/account");
    desk.goes_to(LIST);
    desk.reads("h2 + .list ~ h2 + .list h3", "Used for this sign-in");

    desk.click("a[href$=remove]");
    desk.reads("h1", "Remove this passkey?");
    desk.press("Remove passkey");
    desk.arrives_at("/account/passkeys?done=passkey-removed");
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);
    desk.until("the manager forgets the removed passkey", || desk.own_passkeys().is_empty().then_some(()));
}

#[test]
fn the_last_passkey_stays() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.goes_to(LIST);
    desk.press("Remove");
    desk.reads(".notice-warn", "This is your only way to sign in. Add another passkey first.");
    assert!(!desk.sees("form[action$=remove] button"));
}

#[test]
fn after_five_minutes_removing_wants_a_confirmation() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    let _key = desk.plug_in(Device::SecurityKey);
    desk.prefers_the_key();
    desk.goes_to(LIST);
    desk.press("Use a security key instead");
    desk.arrives_at("/account/passkeys?done=passkey-added");

    app.advance(Duration::minutes(6));
    desk.click("h2 + .list ~ h2 + .list a[href$=remove]");
    desk.reads("h1", "Confirm it is you");
    desk.reads(".lede", "To remove the passkey");
    desk.press("Confirm with a passkey");
    desk.reads("h1", "Remove this passkey?");
    desk.press("Remove passkey");
    desk.arrives_at("/account/passkeys?done=passkey-removed");
    assert_eq!(app.events("session.stepped_up"), 1);
}

const PAUSE_THE_FIRST: &str = "UPDATE credentials SET suspended_at = now(), suspended_reason = 'x'
     WHERE created_at = (SELECT min(created_at) FROM credentials)";

#[test]
fn a_paused_passkey_is_resumed_with_another_one() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    let _key = desk.plug_in(Device::SecurityKey);
    desk.prefers_the_key();
    desk.goes_to(LIST);
    desk.press("Use a security key instead");
    desk.arrives_at("/account/passkeys?done=passkey-added");
    app.sql(PAUSE_THE_FIRST);
    desk.goes_to(LIST);
    desk.reads(".chip-warn", "Paused for your safety");
    desk.press("Resume");
    desk.reads("h1", "Confirm it is you");
    desk.reads(".lede", "Confirm with another passkey.");
    desk.press("Confirm with a passkey");
    desk.reads("h1", "Resume this passkey?");
    desk.press("Resume passkey");
    desk.arrives_at("/account/passkeys?done=passkey-resumed");
    desk.reads(".notice-ok", "The passkey can sign you in again.");
    assert!(!desk.sees(".chip-warn"));
    desk.goes_to("/account/activity");
    desk.reads(".log", "Passkey resumed");
}

/// The same over plain HTTP: whoever holds a copy of the paused passkey must not resume it.
#[test]
fn resuming_wants_a_fresh_proof_with_another_passkey() {
    let app = TestApp::spawn();
    let (mut browser, _) = app.person();
    let mut second = app.passkey();
    browser.add(&mut second).expect(200);
    let listed = browser.get("/v1/passkeys").expect(200).json();
    let id = listed["passkeys"][0]["id"].as_str().unwrap();
    let (path, confirm) =
        (format!("/account/passkeys/{id}/resume"), format!("/confirm?next=%2Faccount%2Fpasskeys%2F{id}%2Fresume"));
    app.sql(PAUSE_THE_FIRST);
    assert_eq!(browser.get(&path).expect(303).header("location"), Some(confirm.as_str()), "it is the paused one's");
    let sessions = browser.get("/account/sessions").expect(200);
    let posted = browser.submit(&sessions, &path, &[]).expect(303);
    assert_eq!(posted.header("location"), Some(confirm.as_str()), "and so is the form");
    assert!(browser.get(&confirm).expect(200).body.contains("To use the paused passkey"));

    browser.step_up(&mut second).expect(200);
    let page = browser.get(&path).expect(200);
    assert!(page.body.contains("Resume passkey"), "{}", page.body);
    app.advance(Duration::minutes(6));
    let late = browser.submit(&page, &path, &[]).expect(303);
    assert_eq!((late.header("location"), app.events("passkey.resumed")), (Some(confirm.as_str()), 0));

    browser.step_up(&mut second).expect(200);
    for (name, to) in [("once", "/account/passkeys?done=passkey-resumed"), ("again", LIST)] {
        assert_eq!(browser.submit(&page, &path, &[]).expect(303).header("location"), Some(to), "{name}");
    }
    assert_eq!(app.events("passkey.resumed"), 1);
    assert!(browser.get("/account/activity").expect(200).body.contains("Passkey resumed"));
}

#[test]
fn after_five_minutes_adding_confirms_first_and_then_goes_on() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.goes_to(LIST);
    app.advance(Duration::minutes(6));
    desk.expect_console("registration/options - Failed to load resource: the server responded with a status of 401");
    desk.press("Use a security key instead");
    desk.until("the step-up", || (app.events("session.stepped_up") == 1).then_some(()));
    // There is no key yet: the prompt for it waits or ends, and nothing was made.
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);
}

#[test]
fn a_device_that_does_not_know_its_person_makes_no_passkey() {
    let app = TestApp::spawn();
    let desk = Desk::new(&app);
    desk.recognise(&desk.device, false);
    desk.press(super::BUTTON);
    desk.press("I am new: create a passkey");
    desk.press("Create a passkey");
    desk.reads("#problem h2", "The passkey was not saved");
    assert_eq!(app.events("user.created"), 0, "no account without its passkey");
    desk.recognise(&desk.device, true);
    desk.press("Try again");
    desk.arrives_at("/account");
}
