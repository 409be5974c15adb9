//! The passkey page: adding, naming, removing, and confirming one's identity again.

use chrono::Duration;
use serde_json::json;

use super::Desk;
use crate::support::TestApp;
use crate::support::webdriver::Device;

const LIST: &str = "/account/passkeys";

/// A person with a passkey on this device and another on a security key.
fn with_a_key(app: &TestApp) -> Desk {
    let desk = Desk::with_account(app, "Ana", "");
    desk.plug_in(Device::SecurityKey);
    desk.prefers_the_key();
    desk.goes_to(LIST);
    desk.press("Use a security key instead");
    desk.arrives_at("/account/passkeys?done=passkey-added");
    desk
}

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
    desk.reads(".notice-ok[role=status]", "Passkey saved.");
    assert_eq!(desk.passkeys(&key).len(), 1, "it is on the key");
    desk.reads(".content", "On security keys");
    desk.reads(".content", "Only on this security key");

    desk.click("h2 + .list ~ h2 + .list a[href$=rename]");
    desk.script("document.querySelector('#name').value = ''", &[]);
    desk.expect_console("a status of 422");
    desk.press("Save");
    desk.reads(".notice-danger[role=alert]:focus", "Enter a name for this passkey.");
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
    let desk = with_a_key(&app);

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
    let desk = with_a_key(&app);
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

/// The same over plain HTTP: somebody with a copy of the paused passkey must not be able to resume it.
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
    // There is no security key yet: its prompt waits or ends, and nothing was made.
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
    desk.reads("#problem .actions", "Save one somewhere else");
    assert_eq!(app.events("user.created"), 0, "no account without its passkey");
    desk.recognise(&desk.device, true);
    desk.press("Try again");
    desk.arrives_at("/account?done=welcome");
}

/// What happens to a response for the server: it is altered on its way, never sent, or the server's reply is lost.
const FAULTS: &str = "
    const send = window.fetch;
    window.fetch = async (path, request) => {
        if (!path.endsWith('/verify')) return send(path, request);
        if (fault === 'never sent') throw new TypeError('');
        if (fault === 'altered') request.body = request.body.replace('\"clientDataJSON\":\"ey', '\"clientDataJSON\":\"fy');
        const answer = await send(path, request);
        if (fault === 'lost') throw new TypeError('');
        return answer;
    };";

/// A passkey that the server refused for good is removed from its manager; one that it may have stored stays.
#[test]
fn a_new_passkey_leaves_the_manager_only_when_it_was_refused() {
    let app = TestApp::spawn();
    let desk = Desk::new(&app);
    let suffers = |fault: &str| desk.script("window.fault = arguments[0]", &[json!(fault)]);
    desk.script(FAULTS, &[]);
    desk.press(super::BUTTON);
    desk.press("I am new: create a passkey");
    desk.hold_prompts(true);
    desk.expect_console("a status of 400");
    for (fault, heading, kept) in
        [("altered", "We could not confirm this passkey", 0), ("never sent", "We cannot check this right now", 1)]
    {
        suffers(fault);
        desk.press("Create a passkey");
        desk.touches();
        desk.reads("#problem.fault h2", heading);
        desk.until(fault, || (desk.own_passkeys().len() == kept).then_some(()));
    }
    assert_eq!(app.events("user.created"), 0);
    // The server did sign up and said so, but the reply was lost; the page asks it before it decides.
    suffers("lost");
    desk.press("Create a passkey");
    desk.touches();
    desk.arrives_at("/account?done=welcome");
    assert_eq!((desk.own_passkeys().len(), app.events("user.created")), (2, 1));

    let key = desk.plug_in(Device::SecurityKey);
    desk.prefers_the_key();
    desk.goes_to(LIST);
    desk.script(FAULTS, &[]);
    suffers("lost");
    desk.press("Use a security key instead");
    desk.touches();
    desk.arrives_at("/account/passkeys?done=passkey-added");
    assert_eq!((desk.passkeys(&key).len(), app.events("passkey.added")), (1, 1));
}

/// The manager learns which passkeys are valid, paused ones included, and the person's name, without delaying the
/// sign-in.
#[test]
fn a_sign_in_brings_the_passkey_manager_up_to_date() {
    let app = TestApp::spawn();
    let desk = with_a_key(&app);
    let signs_in = || {
        desk.press(super::BUTTON);
        desk.touches();
        desk.arrives_at("/account");
    };
    app.sql(PAUSE_THE_FIRST);
    app.sql("UPDATE users SET name = 'Ana Maria'");
    desk.signs_out();
    signs_in();
    desk.until("the new name", || {
        let kept = desk.own_passkeys();
        (kept.first().expect("paused, not removed")["userDisplayName"] == "Ana Maria").then_some(())
    });
    app.sql("DELETE FROM credentials WHERE suspended_at IS NOT NULL");
    desk.signs_out();
    signs_in();
    desk.until("the manager forgets what was removed", || desk.own_passkeys().is_empty().then_some(()));

    desk.signs_out();
    let broken = "PublicKeyCredential.signalAllAcceptedCredentials = () => new Promise(() => {});
        PublicKeyCredential.signalCurrentUserDetails = () => { throw new TypeError(''); };";
    desk.script(broken, &[]);
    signs_in();
}

/// Checks of pages, T19, 30, 33 and 47: what happened since the page was opened.
#[test]
fn a_page_that_events_overtook_says_where_to_go() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.goes_to(LIST);
    // In another tab, somebody else signs in.
    let (ben, _) = app.person();
    let (name, value) = ben.cookies.iter().find(|(name, _)| !name.ends_with("-pre")).expect("a session");
    let cookie = json!({ "url": app.origin, "name": name, "value": value, "path": "/", "httpOnly": true });
    desk.devtools("Network.setCookie", &cookie);
    desk.expect_console("a status of 403");
    desk.press("Add a passkey");
    desk.reads("#problem.fault h2", "This page is out of date");
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 2);
    desk.press("Reload");
    desk.until("the page anew", || (!desk.sees("#problem h2")).then_some(()));

    app.advance(Duration::minutes(6));
    // A browser that requires a press for each prompt refuses at once: confirming has a page of its own.
    desk.script("navigator.credentials.get = () => Promise.reject(new DOMException('', 'NotAllowedError'))", &[]);
    desk.expect_console("a status of 401");
    desk.press("Add a passkey");
    desk.arrives_at("/confirm?next=%2Faccount%2Fpasskeys");

    app.sql("DELETE FROM credentials");
    desk.expect_console("a status of 404");
    desk.press("Confirm with a passkey");
    desk.reads("#problem h2", "There is no passkey on this account yet");
    assert!(!desk.sees("#problem.fault"));
    app.sql("DELETE FROM sessions");
    desk.press("Confirm with a passkey");
    desk.reads("#problem.fault h2", "You are signed out");
    desk.hold_prompts(true);
    desk.press("Sign in");
    desk.arrives_at("/");
}
