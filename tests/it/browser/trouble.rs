//! What people are told when something goes wrong: each row of the table of situations, provoked once.

use chrono::Duration;
use serde_json::{Value, json};

use super::{BUTTON, Desk};
use crate::support::webdriver::{Chromium, Device};
use crate::support::{Options, TestApp};

/// Signed out again, with a passkey on the computer and a waiting prompt.
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
    desk.reads("#pk button:focus .label", "Waiting for your device…");
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
    desk.reads("#problem.fault h2", "We cannot check this right now");
    desk.reads("#problem", "It is our fault, and your passkey is fine.");
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
    // Something between the browser and us changes what the browser signed: the origin is checked first.
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
    desk.reads("#problem", "Passkeys work only at the address they were created for.");
    assert!(!desk.sees("#problem a") && !desk.page_text().contains("elsewhere.example"), "what came is not repeated");
    desk.press("Use another way");
}

/// Checks of pages, T25 and 29.
#[test]
fn a_refusal_after_a_good_passkey_says_what_was_refused() {
    for (change, heading, cure, where_to_ask) in [
        (
            "UPDATE users SET status = 'disabled'",
            "This account is turned off",
            "Ask the people who run this service",
            true,
        ),
        (
            "UPDATE credentials SET suspended_at = now(), suspended_reason = 'x'",
            "This passkey is paused for your safety",
            "Sign in with another passkey, then resume this one in your account.",
            false,
        ),
    ] {
        let settings = &[("site.contact", "mailto:help@example.com")];
        let app = TestApp::with(&Options { settings, ..Options::default() });
        let desk = at_the_prompt(&app);
        app.sql(change);
        refused(&desk, 403);
        desk.touches();
        desk.reads("#problem.fault h2", heading);
        desk.reads("#problem", cure);
        assert_eq!(desk.sees("#problem a[href='mailto:help@example.com']"), where_to_ask, "{heading}");
    }
}

/// None of our own pages is restricted to groups, so the refusal is injected between the browser and us.
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
    desk.reads("#problem h2", "No passkey was used");
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
    let said = "const field = document.activeElement, note = document.getElementById('username-err');
        return [field.getAttribute('aria-describedby'), note.nextElementSibling === field, note.textContent,
            document.title.split(' – ')[0]];";
    let words = "Error: Enter an e-mail address, like name@example.com.";
    assert_eq!(desk.script(said, &[]), json!(["username-hint username-err", true, words, "Error: Sign in"]));

    desk.type_into("#username", "example.com");
    desk.hold_prompts(true);
    desk.press("Next");
    desk.reads("#em .label", "Waiting for your device…");
    assert!(!desk.sees("[aria-invalid]") && !desk.sees(".err"));
    let described = "return [document.getElementById('username').getAttribute('aria-describedby'), document.title]";
    assert_eq!(desk.script(described, &[]), json!(["username-hint", "Sign in – Passmint"]));
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

/// Prompts opened by a press end as `thrown` says, after its number of milliseconds, until it is null. Autofill is
/// unaffected.
pub(super) const THROWS: &str = "
    const now = performance.now.bind(performance);
    let later = 0;
    performance.now = () => now() + later;
    for (const call of ['get', 'create']) {
        const real = navigator.credentials[call];
        navigator.credentials[call] = (options) => {
            if (options.mediation || !window.thrown) return real(options);
            window.asked = options.publicKey;
            later += thrown.after;
            return Promise.reject(thrown.name ? new DOMException('', thrown.name) : 'a bare reason');
        };
    }";

pub(super) fn throws(desk: &Desk, name: &str, after: u32) {
    desk.script("window.thrown = { name: arguments[0], after: arguments[1] }", &[json!(name), json!(after)]);
}

/// What the page says after a press that ends in a problem, and where the focus is then.
fn said(desk: &Desk, button: &str) -> Value {
    desk.script("document.querySelector('#problem').replaceChildren()", &[]);
    desk.press(button);
    desk.text("#problem[role=alert] h2");
    let read = "const box = document.querySelector('#problem');
        return { heading: box.querySelector('h2').textContent, text: box.querySelector('p').textContent,
            actions: [...box.querySelectorAll('.actions > *')].map((action) => action.textContent),
            fault: box.classList.contains('fault'), focus: document.activeElement.textContent.trim() };";
    desk.script(read, &[])
}

/// The same as expected: a problem that is nobody's fault looks neutral, and the focus stays on the button.
fn problem(heading: &str, text: &str, actions: &[&str], button: &str) -> Value {
    let neutral = [
        "No passkey was used",
        "The passkey was not saved",
        "You already have a passkey here",
        "Another passkey prompt is open",
        "Still checking",
    ];
    let fault = !neutral.contains(&heading);
    json!({ "heading": heading, "text": text, "actions": actions, "fault": fault, "focus": button })
}

/// Checks of pages, T1, 2, 6 to 8, 10 and 12.
#[test]
fn however_a_prompt_to_sign_in_ends_the_page_says_what_to_do() {
    const CLOSED: &str = "The prompt was closed, or there is no passkey here yet.";
    const DEVICE: &str = "Something went wrong on this device";
    let app = TestApp::spawn();
    let desk = Desk::new(&app);
    desk.script(THROWS, &[]);
    desk.type_into("#username", "ana@example.com");
    let closed = ["I am new: create a passkey", "Try again", "Use a phone or security key"];
    let again = ["Try again", "Use another way"];
    for (thrown, after, heading, text, actions) in [
        ("AbortError", 0, "No passkey was used", CLOSED, &closed[..]),
        ("NotAllowedError", 900, "No passkey was used", CLOSED, &closed),
        (
            "NotAllowedError",
            0,
            "This browser view cannot use passkeys",
            "Open this page in your browser.",
            &["Open in your browser", "Copy link", "Use another way"],
        ),
        ("OperationError", 0, "Another passkey prompt is open", "Finish or close it, then try again.", &["Try again"]),
        (
            "SecurityError",
            0,
            "This address cannot use your passkeys",
            "Passkeys work only at the address they were created for.",
            &["Use another way"],
        ),
        ("UnknownError", 0, DEVICE, "Try again, or use another way. Code: UnknownError", &again),
        ("NotReadableError", 0, DEVICE, "Try again, or use another way. Code: NotReadableError", &again),
        ("TypeError", 0, DEVICE, "Try again, or use another way. Code: TypeError", &again),
        ("", 0, DEVICE, "Try again, or use another way. Code: UnknownError", &again),
    ] {
        throws(&desk, thrown, after);
        assert_eq!(said(&desk, "Next"), problem(heading, text, actions, "Next"), "{thrown:?} after {after} ms");
    }
    assert!(desk.sees("#other[open]"), "the other ways are open where this view cannot use passkeys");

    // If the server knows the right address, it is shown as a link; only a web address ever is.
    let knows = "const [goTo] = arguments, send = window.fetch;
        window.fetch = (path, request) =>
            path.endsWith('relying-party') ? Promise.resolve(Response.json({ goTo })) : send(path, request);";
    throws(&desk, "SecurityError", 0);
    desk.script(knows, &[json!("javascript:alert(1)")]);
    said(&desk, "Next");
    assert!(!desk.sees("#problem a"));
    desk.script(knows, &[json!("https://id.example/")]);
    said(&desk, "Next");
    desk.reads("#problem a[href='https://id.example/']", "Go there");
}

/// Checks of pages, T10: behind a tunnel or on another port, the server cannot tell where the page is until it makes a
/// request; the refusal of that request says where passkeys work.
#[test]
fn at_another_port_the_page_links_to_the_right_address() {
    let right = "http://localhost:9";
    let app = TestApp::with(&Options { public_url: Some(right), ..Options::default() });
    let browser = Chromium::start();
    let device = browser.plug_in(Device::Platform);
    let here = app.url.replace("127.0.0.1", "localhost");
    browser.open(&here);
    let desk = Desk { browser, device, origin: here };
    desk.reads("footer", "This is localhost:9");
    refused(&desk, 403);
    desk.press(BUTTON);
    desk.reads("#problem.fault h2", "This address cannot use your passkeys");
    desk.reads(&format!("#problem a[href^='{right}']"), "Go there");
}

/// Checks of pages, T4, 6, 8 to 13 and 34: on a phone the second failure says where to look.
#[test]
fn however_a_prompt_to_make_a_passkey_ends_the_page_says_what_to_do() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.goes_to("/account/passkeys");
    desk.script(THROWS, &[]);
    let not_saved = ["Try again", "Save one somewhere else", "Not now"];
    for (thrown, heading, text, actions) in [
        ("NotAllowedError", "The passkey was not saved", "Nothing changed.", &not_saved[..]),
        ("AbortError", "The passkey was not saved", "Nothing changed.", &not_saved),
        (
            "InvalidStateError",
            "You already have a passkey here",
            "This passkey manager holds one for your account. You can use it, or save one somewhere else.",
            &["See it in your list", "Save one somewhere else"],
        ),
        (
            "ConstraintError",
            "This key cannot hold a passkey with a PIN",
            "Set a PIN on it, or use another one.",
            &["Try again"],
        ),
        (
            "NotSupportedError",
            "This key is too old for this site",
            "Use another key, your phone or your computer.",
            &["Save one somewhere else"],
        ),
        ("OperationError", "Another passkey prompt is open", "Finish or close it, then try again.", &["Try again"]),
        (
            "SecurityError",
            "This address cannot use your passkeys",
            "Passkeys work only at the address they were created for.",
            &[],
        ),
        (
            "EncodingError",
            "Something went wrong on this device",
            "Try again, or use another way. Code: EncodingError",
            &["Try again"],
        ),
    ] {
        throws(&desk, thrown, 0);
        let told = said(&desk, "Add a passkey");
        assert_eq!(told, problem(heading, text, actions, "Add a passkey"), "{thrown}");
    }
    throws(&desk, "NotAllowedError", 0);
    said(&desk, "Add a passkey");
    desk.press("Save one somewhere else");
    desk.until("a prompt for somewhere else", || {
        let attachment = desk.script("return asked.authenticatorSelection.authenticatorAttachment", &[]);
        (attachment == json!("cross-platform")).then_some(())
    });
    desk.press("Not now");
    desk.reads("[data-ceremony=add] button:focus", "Add a passkey");
    assert!(!desk.sees("#problem h2"));

    desk.devtools("Emulation.setTouchEmulationEnabled", &json!({ "enabled": true }));
    desk.goes_to("/account/passkeys");
    desk.script(THROWS, &[]);
    throws(&desk, "NotAllowedError", 0);
    assert_eq!(said(&desk, "Add a passkey")["text"], "Nothing changed.");
    let look = "Nothing changed. Check that iCloud Keychain or Google Password Manager is turned on in settings.";
    assert_eq!(said(&desk, "Add a passkey")["text"], look);
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);
}

/// Checks of pages, T12, 21, 25, 26 and 31 to 33. Responses that the server gives only after a race, a fault or a hook
/// are injected between the browser and us.
#[test]
fn each_code_of_the_server_has_its_words() {
    let app = TestApp::spawn();
    let desk = Desk::new(&app);
    let answers = "const send = window.fetch;
        window.fetch = (path, request) => {
            if (!window.told || !path.endsWith('/options')) return send(path, request);
            const [status, body, wait] = told;
            const headers = { 'X-Request-Id': 'abc123', ...(wait && { 'Retry-After': wait }) };
            return Promise.resolve(new Response(body, { status, headers }));
        };";
    desk.script(answers, &[]);
    let again = ["Try again", "Use another way"];
    for (status, body, wait, heading, text, actions) in [
        (502, "<h1>", "", "We cannot check this right now", "It is our fault, and your passkey is fine.", &again[..]),
        (
            500,
            r#"{"code":"internal"}"#,
            "",
            "We cannot check this right now",
            "It is our fault, and your passkey is fine.",
            &again,
        ),
        (
            400,
            r#"{"code":"invalid_request"}"#,
            "",
            "Something went wrong on this device",
            "Try again, or use another way. Code: abc123",
            &again,
        ),
        (409, r#"{"code":"busy"}"#, "", "Still checking", "Wait a moment.", &[]),
        (
            409,
            r#"{"code":"credential_exists"}"#,
            "",
            "This passkey is already in use",
            "Create a new one.",
            &["Create a new one"],
        ),
        (
            429,
            r#"{"code":"rate_limited"}"#,
            "61",
            "Too many attempts",
            "Wait 2 minutes. Other ways still work.",
            &["Use another way"],
        ),
        (
            429,
            r#"{"code":"rate_limited"}"#,
            "",
            "Too many attempts",
            "Wait a moment, then try again.",
            &["Use another way"],
        ),
        (
            403,
            r#"{"code":"sign_in_refused"}"#,
            "",
            "You cannot sign in now",
            "The people who run this service do not allow it. Ask them why.",
            &[],
        ),
        (
            403,
            r#"{"code":"sign_in_denied","message":"Pay <b>first</b>"}"#,
            "",
            "You cannot sign in now",
            "Pay <b>first</b>",
            &[],
        ),
        (
            403,
            r#"{"code":"csrf"}"#,
            "",
            "This page is out of date",
            "You may have signed in or out in another tab.",
            &["Reload"],
        ),
    ] {
        desk.script("window.told = [...arguments]", &[json!(status), json!(body), json!(wait)]);
        assert_eq!(said(&desk, BUTTON), problem(heading, text, actions, BUTTON), "{status} {body}");
    }
    desk.press("Reload");
    desk.until("the page anew", || (!desk.sees("#problem h2")).then_some(()));
}

/// Checks of pages, T31: the page itself is always served, without autofill.
#[test]
fn too_many_tries_are_told_the_time_to_wait() {
    let settings = [("limits.enabled", "true"), ("limits.starts_per_minute", "1"), ("limits.starts_burst", "1")];
    let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
    let desk = Desk::new(&app);
    refused(&desk, 429);
    for _ in 0..2 {
        let wait = "Wait 1 minute. Other ways still work.";
        assert_eq!(said(&desk, BUTTON), problem("Too many attempts", wait, &["Use another way"], BUTTON));
        desk.goes_to("/");
    }
}

/// Checks of pages, T23 and 24: when autofill was answered without user verification, the button asks for it.
#[test]
fn a_passkey_that_fails_a_check_says_what_to_do() {
    let app = TestApp::spawn();
    let desk = at_the_prompt(&app);
    // Something between the browser and us changes the signature.
    let altered = "const send = window.fetch; window.fetch = (path, request) => {
        if (!path.endsWith('/verify')) return send(path, request);
        const body = JSON.parse(request.body), response = body.credential.response;
        response.signature = response.signature.replace(/.{4}$/, (end) => end === 'AAAA' ? 'BBBB' : 'AAAA');
        return send(path, { ...request, body: JSON.stringify(body) });
    };";
    desk.script(altered, &[]);
    refused(&desk, 400);
    desk.touches();
    desk.reads("#problem.fault h2", "We could not confirm this passkey");
    desk.reads("#problem", "Try again, or use another way.");

    desk.goes_to("/");
    let unlocked = "const real = navigator.credentials.get;
        navigator.credentials.get = (options) => {
            if (options.mediation) options.publicKey.userVerification = 'discouraged';
            return real(options);
        };";
    desk.script(unlocked, &[]);
    desk.press(BUTTON);
    // Arms autofill again.
    desk.press("Cancel");
    desk.touches();
    desk.reads("#problem.fault h2", "Your device did not verify that it is you");
    desk.reads("#problem", "Unlock it with your PIN, fingerprint or face when it asks.");
    desk.press("Try again");
    desk.touches();
    desk.arrives_at("/account");
}

/// Checks of pages, T16. A request for autofill that never ends, even when aborted, does not block the button.
#[test]
fn autofill_that_fails_says_nothing() {
    let fails = "globalThis.tried = 0;
        for (const real of [navigator.credentials?.get].filter(Boolean)) navigator.credentials.get = (options) => {
            const end = options.mediation && sessionStorage.getItem('autofill');
            if (!end) return real(options);
            tried++;
            if (end === 'throws') throw new TypeError('');
            if (end === 'never ends') return new Promise(() => {});
            return end === 'rejects' ? Promise.reject(new DOMException('', 'NotAllowedError')) : Promise.resolve(null);
        };";
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": fails }));
    desk.signs_out();
    for end in ["rejects", "throws", "gives nothing", "never ends"] {
        desk.script("sessionStorage.setItem('autofill', arguments[0])", &[json!(end)]);
        desk.goes_to("/");
        desk.until("autofill", || (desk.script("return tried", &[]) == json!(1)).then_some(()));
        assert!(!desk.sees("#problem h2"), "{end}");
        desk.press(BUTTON);
        desk.press("Cancel");
        desk.press(BUTTON);
        desk.touches();
        desk.arrives_at("/account");
        desk.signs_out();
    }
}
