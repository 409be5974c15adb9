//! A device is approved by a person at a browser elsewhere.

use serde_json::json;

use super::Desk;
use crate::device::app_with_devices;

#[test]
fn the_address_from_the_device_leads_to_the_question_and_nothing_is_sent_by_itself() {
    let app = app_with_devices();
    let desk = Desk::with_account(&app, "Ana", "ana@example.com");
    desk.press("Sign out");
    desk.arrives_at("/signed-out");
    desk.hold_prompts(true);
    let device = app.device("tv", "openid profile offline_access");
    desk.goes_to(&device.page());
    desk.arrives_at(&format!("/?next=%2Fdevice%3Fuser_code%3D{}", device.user_code));
    desk.touches();
    desk.arrives_at(&device.page());
    let entered = desk.script("return document.querySelector('#user-code').value", &[]);
    assert_eq!(entered, json!(device.user_code));
    assert_eq!(app.count("SELECT count(*) AS n FROM device_codes WHERE claimed_by IS NOT NULL"), 0);

    desk.press("Next");
    desk.reads("h1", "Give a device access to your account?");
    desk.reads(".compare", &device.user_code);
    for told in ["Acme TV", "Your name and profile", "Keep this access until you withdraw it", "ana@example.com"] {
        desk.reads(".card", told);
    }
    let focused = desk.script("return document.activeElement.tagName", &[]);
    assert_eq!(focused, json!("BODY"), "nothing is a key press away");
    desk.expect_console("a status of 422");
    desk.press("Allow");
    desk.reads(".notice-danger", "Tick the box");
    device.poll().expect_oauth(400, "authorization_pending");
    desk.click("#mine");
    desk.press("Allow");
    desk.reads("h1", "Your device is connected");
    device.poll().expect(200);
}

#[test]
fn a_mistyped_code_stays_in_the_field_and_no_is_no() {
    let app = app_with_devices();
    let desk = Desk::with_account(&app, "Ana", "");
    let device = app.device("tv", "openid");
    desk.goes_to("/device");
    desk.type_into("#user-code", "bbbb bbbb");
    desk.expect_console("a status of 422");
    desk.press("Next");
    desk.reads(".notice-danger", "wrong, has expired or was already used");
    let typed = desk.script("return document.querySelector('#user-code').value", &[]);
    assert_eq!(typed, json!("bbbb bbbb"));
    desk.script("document.querySelector('#user-code').value = ''", &[]);
    desk.type_into("#user-code", &device.user_code.to_lowercase());
    desk.press("Next");
    desk.press("Cancel");
    desk.reads("h1", "Denied");
    device.poll().expect_oauth(400, "access_denied");
}
