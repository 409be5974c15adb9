//! Signing up and in: the one button, autofill, the e-mail, the keyboard.

use chrono::Duration;
use serde_json::json;

use super::{BUTTON, Desk};
use crate::support::oidc::{self, Ask};
use crate::support::webdriver::{Chromium, ENTER, SHIFT, TAB};
use crate::support::{Options, TestApp};

#[test]
fn the_one_button_makes_an_account_and_later_signs_in() {
    let app = TestApp::spawn();
    let desk = Desk::new(&app);
    desk.press(BUTTON);
    desk.reads("#problem h2", "No passkey was used");
    assert!(!desk.sees("#problem.fault"), "somebody new did nothing wrong");
    desk.press("I am new: create a passkey");
    desk.type_into("#new-name", "Ana");
    desk.press("Create a passkey");
    desk.arrives_at("/account?done=welcome");
    desk.reads(".notice-ok[role=status]", "Welcome. Your account and its passkey are ready.");
    desk.reads(".account", "Ana");
    assert_eq!(desk.own_passkeys().len(), 1);
    assert_eq!(app.events("user.created"), 1);

    desk.signs_out();
    desk.press(BUTTON);
    desk.reads("#pk .label", "Waiting for your device…");
    desk.touches();
    desk.arrives_at("/account");
    desk.reads(".account", "Ana");
    assert_eq!((app.events("user.created"), app.events("session.signed_in")), (1, 1));
}

#[test]
fn the_cookie_is_out_of_reach_of_scripts() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    assert_eq!(desk.script("return document.cookie", &[]), json!(""));
    let cookies = desk.cookies();
    let session = cookies.iter().find(|cookie| cookie["name"].as_str().is_some_and(|name| !name.ends_with("-pre")));
    let session = session.expect("a session cookie");
    assert_eq!((&session["httpOnly"], &session["sameSite"]), (&json!(true), &json!("Lax")));
}

#[test]
fn autofill_signs_in_without_a_press() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.signs_out();
    desk.touches();
    desk.arrives_at("/account");
}

#[test]
fn the_button_takes_over_from_an_armed_autofill_and_gives_it_back() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.signs_out();
    desk.press(BUTTON);
    desk.reads("#pk .label", "Waiting for your device…");
    desk.press("Cancel");
    desk.reads("#status", "Cancelled. No passkey was used.");
    desk.reads("#pk .label", BUTTON);
    assert_eq!(desk.script("return document.activeElement === document.querySelector('#pk button')", &[]), json!(true));
    // Only autofill can be waiting now.
    desk.touches();
    desk.arrives_at("/account");
}

#[test]
fn an_email_brings_up_its_passkey() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "ana@example.com");
    let known = desk.own_passkeys()[0]["credentialId"].clone();
    desk.signs_out();
    // As the page will ask: the credential is listed.
    let begun = app.browser().begin_sign_in(&json!({ "email": "ana@example.com" }));
    let listed = begun["publicKey"]["allowCredentials"].as_array().unwrap();
    assert!(listed.iter().any(|entry| entry["id"] == known));

    desk.type_into("#username", "ana@example.com");
    desk.press("Next");
    desk.reads("#em .label", "Waiting for your device…");
    desk.touches();
    desk.arrives_at("/account");
    desk.reads(".account", "ana@example.com");
}

#[test]
fn next_without_an_email_asks_for_one() {
    let app = TestApp::spawn();
    let desk = Desk::new(&app);
    desk.press("Next");
    desk.reads("#problem", "Enter an e-mail address, like name@example.com.");
    desk.reads("#username-err", "Enter an e-mail address, like name@example.com.");
    assert_eq!(desk.script("return document.activeElement.id", &[]), json!("username"));
}

#[test]
fn the_keyboard_reaches_everything() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.signs_out();
    let focused = || desk.script("return document.activeElement.textContent.trim() || document.activeElement.id", &[]);
    assert_eq!(focused(), json!("username"), "the e-mail field has the focus");
    desk.script("document.querySelector('.skip').focus()", &[]);
    let mut order = vec![];
    for _ in 0..6 {
        desk.key(TAB, None);
        order.push(focused());
    }
    let names: Vec<&str> = order.iter().filter_map(|name| name.as_str()).collect();
    assert_eq!(names, ["Passmint", BUTTON, "username", "Next", "Use another way", "Trouble signing in?"]);
    for _ in 0..4 {
        desk.key(TAB, Some(SHIFT));
    }
    assert_eq!(focused(), json!(BUTTON));
    desk.key(ENTER, None);
    desk.until("the live region speaks", || {
        let said = desk.script("return document.querySelector('[role=status]').textContent", &[]);
        (said == json!("Waiting for your device…")).then_some(())
    });
    assert_eq!(focused(), json!("Waiting for your device…"), "the focus stays on the button");
    desk.touches();
    desk.arrives_at("/account");
}

#[test]
fn a_double_click_is_one_ceremony() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.signs_out();
    desk.script("for (let n = 0; n < 3; n++) document.querySelector('#pk button').click()", &[]);
    desk.reads("#pk .label", "Waiting for your device…");
    assert!(!desk.sees("#problem h2"), "a second press of the same button is no problem");
    let asked = "return performance.getEntriesByType('resource').filter((e) => e.name.endsWith('authentication/options')).length";
    assert_eq!(desk.script(asked, &[]), json!(1));
    desk.touches();
    desk.arrives_at("/account");
    assert_eq!(app.events("session.signed_in"), 1);
}

/// Progress is shown on the button and announced, the focus stays, and every wait ends.
#[test]
fn waiting_and_checking_are_told_and_come_to_an_end() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.signs_out();
    let state = || {
        let read = "const button = document.querySelector('#pk button');
            return [button.textContent.trim(), document.querySelector('#status[role=status]').textContent,
                button.ariaDisabled, document.activeElement === button];";
        desk.script(read, &[])
    };
    desk.press(BUTTON);
    desk.reads("#pk .label", "Waiting for your device…");
    assert_eq!(state(), json!(["Waiting for your device…", "Waiting for your device…", "true", true]));
    // The person leaves the page and returns to it as it was.
    for moved in ["pagehide", "pageshow"] {
        desk.script("dispatchEvent(new PageTransitionEvent(arguments[0], { persisted: true }))", &[json!(moved)]);
    }
    desk.reads("#pk .label", BUTTON);
    assert_eq!(state(), json!([BUTTON, "", null, true]));

    let unanswered = "AbortSignal.timeout = (most) => {
            const clock = new AbortController();
            Object.assign(window, { most, over: () => clock.abort(new DOMException('', 'TimeoutError')) });
            return clock.signal;
        };
        const send = window.fetch;
        window.fetch = (path, request) => path.endsWith('/verify')
            ? new Promise((answer, close) => request.signal.addEventListener('abort', () => close(request.signal.reason)))
            : send(path, request);";
    desk.script(unanswered, &[]);
    desk.press(BUTTON);
    desk.touches();
    desk.reads("#pk .label", "Checking…");
    assert_eq!(state(), json!(["Checking…", "Checking…", "true", true]));
    assert_eq!(desk.script("over(); return most", &[]), json!(15_000));
    desk.reads("#problem.fault h2", "We cannot check this right now");
    assert_eq!(state(), json!([BUTTON, "", null, true]));
}

/// Checks of pages, T17 and T48: autofill is renewed at 80 % of the challenge's life, but never while a list may be
/// open under the field, or for a hidden page.
#[test]
fn autofill_stays_fresh() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.signs_out();
    desk.until("the focus in the field", || desk.sees("#username:focus").then_some(()));
    // The server's clock: the challenge that the page was armed with has expired.
    app.advance(Duration::minutes(6));
    let clocks = "Object.assign(window, { asked: 0, later: 0 });
        const [send, now, wait] = [window.fetch, Date.now, window.setTimeout];
        window.fetch = (...all) => { asked++; return send(...all); };
        Date.now = () => now() + later;
        window.setTimeout = (work, after) => after > 1000 ? (window.alarm = { work, after }, 0) : wait(work, after);
        window.look = () => document.dispatchEvent(new Event('visibilitychange'));
        window.set = (name, value) => Object.defineProperty(document, name, { configurable: true, value });";
    desk.script(clocks, &[]);
    for (what, happens, times) in [
        ("the challenge is young", "look()", 0),
        ("the field has the focus", "later = 240_000; look()", 0),
        ("nobody sees the page", "set('activeElement', document.body); set('hidden', true); look()", 0),
        ("it is seen again", "delete document.hidden; look()", 1),
        ("the new challenge is young", "look()", 1),
        ("its time comes", "later += alarm.after; alarm.work()", 2),
    ] {
        desk.script(happens, &[]);
        desk.until(what, || (desk.script("return prompts.length", &[]) == json!(1)).then_some(()));
        assert_eq!(desk.script("return asked", &[]), json!(times), "{what}");
    }
    assert_eq!(desk.script("return 239_000 <= alarm.after && alarm.after <= 240_000", &[]), json!(true));
    desk.script("delete document.activeElement; later += alarm.after; document.activeElement.blur()", &[]);
    desk.until("leaving the field", || (desk.script("return asked", &[]) == json!(3)).then_some(()));
    desk.touches();
    desk.arrives_at("/account");
}

#[test]
fn somebody_signed_in_is_sent_on_and_strangers_come_back_to_where_they_wanted() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.goes_to("/");
    desk.arrives_at("/account");
    desk.signs_out();
    desk.goes_to("/account/sessions");
    desk.arrives_at("/?next=%2Faccount%2Fsessions");
    desk.touches();
    desk.arrives_at("/account/sessions");
}

#[test]
fn another_address_names_the_right_one() {
    let app = TestApp::spawn();
    let browser = Chromium::start();
    browser.open(&app.url);
    browser.reads(".notice-warn[role=alert]:focus h2", "This address cannot use your passkeys");
    assert!(browser.sees("#pk fieldset:disabled"));
    browser.press(&format!("Open {}/ instead.", app.origin));
    browser.until("the right address", || (browser.url() == format!("{}/", app.origin)).then_some(()));
    assert!(!browser.sees(".notice-warn"));
}

/// What the sign-in page contains when it can be used: forms, and a request for autofill.
fn offers_sign_in(page: &str) -> bool {
    page.contains("\"armed\":{") && !page.contains("<fieldset disabled>")
}

/// Proxies send the name that they know this server by unless configured otherwise.
#[test]
fn a_proxys_name_for_the_server_locks_nobody_out() {
    let public_url = Some("https://id.example");
    let app = TestApp::with(&Options { public_url, config: oidc::CLIENTS, ..Options::default() });
    let mut browser = app.browser();
    let asked = Ask::of("shop").send(&mut browser).waits();
    for host in ["upstream:9000", "127.0.0.1:9000", "localhost", "id.example", "ID.example:443"] {
        for path in ["/", asked.as_str()] {
            let page = app.request("GET", path).header("Host", host).send().expect(200).body;
            assert!(offers_sign_in(&page), "{host} {path}: {page}");
        }
    }
}

#[test]
fn another_name_of_this_machine_is_told_the_right_one() {
    let app = TestApp::spawn();
    let page = app.request("GET", "/").send().expect(200).body;
    assert!(!offers_sign_in(&page) && page.contains(&format!("href=\"{}/\"", app.origin)), "{page}");
    let right = app.origin.trim_start_matches("http://");
    assert!(offers_sign_in(&app.request("GET", "/").header("Host", right).send().expect(200).body));
    let wanted = "/?next=%2Faccount%2Fsessions";
    let page = app.request("GET", wanted).send().expect(200).body;
    assert!(page.contains(&format!("href=\"{}{wanted}\"", app.origin)), "what was wanted is kept: {page}");
}

#[test]
fn the_form_for_new_people_asks_what_is_configured() {
    for (settings, fields) in [
        (&[("sign_up_asks", "nothing")][..], [false, false]),
        (&[("sign_up_asks", "name")], [true, false]),
        (&[("sign_up_asks", "email")], [false, true]),
        (&[], [true, true]),
    ] {
        let app = TestApp::with(&Options { settings, ..Options::default() });
        let host = app.origin.trim_start_matches("http://");
        let page = app.request("GET", "/").header("Host", host).send().expect(200).body;
        let shown = ["id=\"new-name\"", "id=\"new-email\""].map(|field| page.contains(field));
        assert_eq!(shown, fields, "{settings:?}");
    }
}

#[test]
fn an_account_is_made_where_nothing_is_asked() {
    let app = TestApp::with(&Options { settings: &[("sign_up_asks", "nothing")], ..Options::default() });
    let desk = Desk::new(&app);
    desk.type_into("#username", "ana@example.com");
    desk.press(BUTTON);
    desk.press("I am new: create a passkey");
    desk.press("Create a passkey");
    desk.arrives_at("/account?done=welcome");
    assert_eq!(app.count("SELECT count(*) AS n FROM users WHERE name IS NULL AND email IS NULL"), 1);
}

#[test]
fn a_browser_without_passkeys_says_so_once() {
    let app = TestApp::spawn();
    let browser = Chromium::start();
    let without = json!({ "source": "delete window.PublicKeyCredential" });
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", &without);
    browser.open(&app.origin);
    browser.reads("#problem h2", "Passkeys need a current browser and https");
    // There is no other way to sign in yet: nothing is offered that would end at a passkey.
    for without in ["#pk", ".or", "#em", "#other", "#problem .actions"] {
        assert!(!browser.sees(without), "{without}");
    }
}

/// What a browser without script is sent, over plain HTTP.
#[test]
fn without_script_the_forms_explain_and_keep_what_was_typed() {
    let app = TestApp::spawn();
    let mut browser = app.browser();
    let page = browser.get("/").expect(200).body;
    assert!(page.contains("<noscript>"));

    let request = browser.request("POST", "/signin/passkey").form(&[]);
    let reply = browser.send(request).expect(200);
    assert!(
        reply.body.contains("Passkeys need JavaScript") && reply.body.contains("Nothing happened to your account.")
    );
    for (next, back) in [
        ("/account/sessions", "/account/sessions"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/.//evil.example", "/"),
    ] {
        let request = browser.request("POST", "/signin/passkey").form(&[("next", next)]);
        let page = browser.send(request).expect(200).body;
        assert!(page.contains(&format!("href=\"{back}\">Back to sign in</a>")), "{next}: {page}");
    }
    for path in ["/signin", "/signin/passkey"] {
        assert_eq!(browser.get(path).expect(303).header("location"), Some("/"), "{path} is reloaded");
    }

    let request = browser.request("POST", "/signin").form(&[("username", "<b>ana")]);
    let reply = browser.send(request).expect(422);
    assert!(reply.body.contains("<title>Error: ") && reply.body.contains("aria-invalid=\"true\""));
    assert!(reply.body.contains(r#"value="&#60;b&#62;ana""#), "{}", reply.body);
}
