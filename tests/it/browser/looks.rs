//! How the pages look: nothing overflows a narrow screen, and every control can be hit with a thumb.
//!
//! `PASSMINT_PICTURES=<folder> cargo test --test it browser::looks` also writes screenshots of every page, wide and
//! narrow, light and dark.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{BUTTON, Desk};
use crate::device::app_with_devices;
use crate::support::oidc::{self, Ask};
use crate::support::webdriver::Device;
use crate::support::{Options, Request, TestApp};

/// What overflows the page, and what is too small to hit (WCAG 2.2, 2.5.8: 24 px; links in a sentence are exempt).
const MEASURE: &str = r"
  const told = (node) => node.tagName + '.' + node.className + ' “' + node.textContent.trim().slice(0, 40) + '”';
  const seen = [...document.querySelectorAll('body *')].filter((node) => node.checkVisibility({ visibilityProperty: true }));
  const wide = document.documentElement.scrollWidth > innerWidth
    ? seen.filter((node) => node.getBoundingClientRect().right > innerWidth + 1 && !node.closest('pre, .scroll')).map(told) : [];
  const hit = seen.filter((node) => node.matches('a, button, summary, select, input:not([type=hidden])') && !node.closest('p, td, .skip, .prose li'));
  const small = hit.filter((node) => { const box = (node.closest('label') ?? node).getBoundingClientRect(); return box.height < 24 || box.width < 24; }).map(told);
  return { wide, small };";

pub(super) fn measure(desk: &Desk, name: &str) {
    let folder = std::env::var_os("PASSMINT_PICTURES").map(PathBuf::from);
    for (size, width, height) in [("wide", 1280, 800), ("narrow", 360, 720), ("narrowest", 320, 640)] {
        desk.resize(width, height);
        let found = desk.script(MEASURE, &[]);
        assert_eq!(found, json!({ "wide": [], "small": [] }), "{name}, {width} px");
        if let (Some(folder), true) = (&folder, size != "narrowest") {
            std::fs::create_dir_all(folder).unwrap();
            for scheme in ["light", "dark"] {
                desk.prefer(scheme);
                desk.picture(&folder.join(format!("{name}.{size}.{scheme}.png")));
            }
            desk.prefer("light");
        }
    }
    desk.resize(1280, 800);
}

/// The same on a phone with text of twice its size (WCAG 2.2, 1.4.4): no control that decides something is out of
/// reach.
fn measure_large(desk: &Desk, name: &str) {
    desk.resize(360, 720);
    desk.script("document.documentElement.style.fontSize = '200%'", &[]);
    assert_eq!(desk.script(MEASURE, &[]), json!({ "wide": [], "small": [] }), "{name}, large text");
    desk.script("document.documentElement.style.fontSize = ''", &[]);
    desk.resize(1280, 800);
}

const LONG: &str = "Maximiliana Konstantinopolitanskaya of Llanfairpwllgwyngyllgoger";

#[test]
fn the_pages_before_signing_in() {
    let app = TestApp::spawn();
    let desk = Desk::new(&app);
    measure(&desk, "sign-in");
    desk.press("Trouble signing in?");
    desk.press("Use another way");
    measure(&desk, "sign-in-more");
    desk.goes_to("/");
    desk.press(BUTTON);
    desk.reads("#problem h2", "No passkey was used");
    measure(&desk, "sign-in-closed");
    desk.press("I am new: create a passkey");
    measure(&desk, "sign-in-new");
    desk.open(&app.url);
    measure(&desk, "sign-in-wrong-address");
    desk.goes_to("/signed-out");
    measure(&desk, "signed-out");
    desk.expect_console("a status of 404");
    desk.goes_to("/nothing/here");
    measure(&desk, "not-found");
}

#[test]
fn the_pages_of_a_link() {
    let app = crate::actions::spawn();
    let shop = crate::actions::backend(&app, "shop");
    let desk = Desk::new(&app);
    desk.goes_to("/enrol");
    measure(&desk, "enrol-start");
    let user = json!({ "externalId": { "id": "4711" }, "name": &LONG[..60], "email": "maximiliana@llanfairpwllgwyngyllgoger.example" });
    let made = shop.ask(&json!({ "action": "enrol", "user": user })).expect(201).json();
    desk.open(made["link"].as_str().unwrap());
    desk.reads("h1", "Create a passkey");
    measure(&desk, "enrol");
    desk.press("Create a passkey");
    desk.arrives_at("/enrol/done");
    measure(&desk, "enrol-done");
    desk.expect_console("a status of 410");
    desk.open(made["link"].as_str().unwrap());
    desk.reads("h1", "This link is no longer valid");
    measure(&desk, "enrol-over");
    let lines: Vec<Value> =
        (0..6).map(|n| json!({ "label": format!("Line {n}"), "value": format!("{LONG} {LONG}") })).collect();
    let operation = json!({ "kind": "x", "title": format!("{} {}", LONG, "and something more"), "details": lines });
    let user = json!({ "externalId": { "id": "4711" } });
    let made = shop.ask(&json!({ "action": "sign", "user": user, "operation": operation })).expect(201).json();
    desk.open(made["link"].as_str().unwrap());
    desk.reads("h1", "Approve with your passkey");
    measure(&desk, "approve");
}

#[test]
fn the_sign_in_page_while_something_happens() {
    let app = TestApp::spawn();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.signs_out();
    desk.press(BUTTON);
    desk.reads("#pk .label", "Waiting for your device…");
    measure(&desk, "sign-in-waiting");
    app.sql("ALTER TABLE credential_index RENAME TO out_of_reach");
    desk.expect_console("a status of 503");
    desk.touches();
    desk.reads("#problem h2", "We cannot check this right now");
    measure(&desk, "sign-in-fault");
}

#[test]
fn the_account_pages() {
    let app = TestApp::spawn();
    let email = format!("{}@{}.example.com", "a".repeat(64), "b".repeat(60));
    let desk = Desk::with_account(&app, LONG, &email);
    measure(&desk, "account");
    measure_large(&desk, "account");
    desk.goes_to("/account/passkeys");
    desk.press("Add a passkey");
    desk.reads("#problem h2", "You already have a passkey here");
    measure(&desk, "passkeys-have-one");
    desk.plug_in(Device::SecurityKey);
    desk.prefers_the_key();
    desk.press("Use a security key instead");
    desk.arrives_at("/account/passkeys?done=passkey-added");
    measure(&desk, "passkeys");
    desk.click("a[href$=rename]");
    measure(&desk, "rename");
    desk.script("document.querySelector('#name').value = ''", &[]);
    desk.expect_console("a status of 422");
    desk.press("Save");
    desk.reads(".notice-danger", "Enter a name");
    measure(&desk, "rename-empty");
    desk.goes_to("/account/passkeys");
    desk.click("a[href$=remove]");
    measure(&desk, "remove");
    app.advance(chrono::Duration::minutes(6));
    desk.goes_to("/confirm?next=/account/passkeys");
    measure(&desk, "confirm");
    desk.goes_to("/account/activity");
    measure(&desk, "activity");

    let _other = desk.beside(&app);
    desk.goes_to("/account/sessions");
    measure(&desk, "sessions");
}

#[test]
fn the_device_pages() {
    let app = app_with_devices();
    let email = format!("{}@{}.example.com", "a".repeat(64), "b".repeat(60));
    let desk = Desk::with_account(&app, LONG, &email);
    let device = app.device("tv", "openid profile offline_access");
    desk.goes_to(&device.page());
    measure(&desk, "device");
    desk.press("Next");
    measure(&desk, "device-review");
    measure_large(&desk, "device-review");
    desk.expect_console("a status of 422");
    desk.press("Allow");
    measure(&desk, "device-unticked");
    desk.click("#mine");
    desk.press("Allow");
    measure(&desk, "device-done");
}

#[test]
fn the_developer_panel_and_the_documentation() {
    let app = TestApp::with(&Options::default());
    let desk = Desk::new(&app);
    desk.goes_to("/developer");
    measure(&desk, "developer");
    measure_large(&desk, "developer");
    desk.press("Create a passkey first");
    desk.text("#answer");
    measure(&desk, "developer-answer");
    desk.open(&format!("{}/docs", app.admin_url));
    let pages = desk.script("return [...document.querySelectorAll('.side a')].map((link) => link.pathname);", &[]);
    let pages: Vec<&str> = pages.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(pages.len() > 20, "{pages:?}");
    for path in pages {
        let page = path.trim_start_matches("/docs/");
        desk.open(&format!("{}{path}", app.admin_url));
        let headings = desk.script(HEADINGS, &[]);
        assert_eq!(headings, Value::Array(vec![]), "{page}: a heading level is skipped");
        assert_eq!(desk.script(NOWHERE, &[]), json!([]), "{page}: links to sections that are not there");
        for link in desk.script(OWN_LINKS, &[]).as_array().into_iter().flatten() {
            Request::new("GET", &app.admin_url, link.as_str().unwrap()).send().expect(200);
        }
        measure(&desk, &format!("docs-{page}"));
    }
}

/// Links to places on the page that do not exist.
const NOWHERE: &str = "return [...document.querySelectorAll('a[href^=\"#\"]')]
  .map((link) => link.hash).filter((hash) => !document.getElementById(hash.slice(1)));";

/// The paths that the text links to.
const OWN_LINKS: &str = "return [...new Set([...document.querySelectorAll('main a')]
  .filter((link) => link.origin === location.origin).map((link) => link.pathname))];";

/// Headings that are more than one level below the one before them, or a second `h1`.
const HEADINGS: &str = r"
  const all = [...document.querySelectorAll('h1, h2, h3, h4, h5')].map((node) => [Number(node.tagName[1]), node.textContent]);
  return all.filter(([level], at) => (at ? level > all[at - 1][0] + 1 || level === 1 : level !== 1)).map(([, text]) => text);";

/// An unverified app asks for many rights of a person with a long name.
#[test]
fn the_pages_on_the_way_to_an_app() {
    let config = oidc::CLIENTS
        .replace("[clients.shop]", "[clients.shop]\ninitiate_login_uri = \"https://shop.example/login\"")
        + "\n[resources.\"https://api.example/a-rather-long-path/of-an-api-with-many-words\"]\nname = \"Notes\"\n\
           scopes = { \"notes:write\" = \"Write and delete your notes\" }";
    let settings = [
        ("registration.mode", "open"),
        ("registration.scopes", "openid,profile,email,address,phone,offline_access,notes:write"),
        ("registration.audiences", "https://api.example/a-rather-long-path/of-an-api-with-many-words"),
    ];
    let app = TestApp::with(&Options { config: &config, settings: &settings, ..Options::default() });
    let body = json!({
        "client_name": "Maximiliana’s Llanfairpwllgwyngyllgogerychwyrndrobwll Reader",
        "redirect_uris": ["https://a-rather-long-name-of-a-host.and-a-subdomain.rp.example/cb"],
        "token_endpoint_auth_method": "none",
    });
    let client = app.request("POST", "/oauth/register").json(&body).send().expect(201).json();
    let desk = Desk::with_account(&app, LONG, &format!("{}@{}.example.com", "a".repeat(60), "b".repeat(60)));
    let ask = Ask::of("rp")
        .with("client_id", client["client_id"].as_str().unwrap())
        .with("redirect_uri", "https://a-rather-long-name-of-a-host.and-a-subdomain.rp.example/cb")
        .with("scope", "openid profile email address phone notes:write")
        .with("resource", "https://api.example/a-rather-long-path/of-an-api-with-many-words");
    desk.goes_to(&ask.path());
    desk.until("the question", || desk.sees("button[value=allow]").then_some(()));
    measure(&desk, "consent");
    measure_large(&desk, "consent");
    desk.goes_to(&Ask::of("shop").with("prompt", "select_account").path());
    desk.until("the choice", || desk.sees("button[value=continue]").then_some(()));
    measure(&desk, "choose-account");
    desk.expect_console("a status of 400");
    desk.goes_to(&Ask::of("shop").with("redirect_uri", "https://evil.example/cb").path());
    measure(&desk, "authorize-error");
    desk.goes_to("/oauth/logout?client_id=shop");
    measure(&desk, "sign-out");
    measure_large(&desk, "sign-out");
    for client in ["shop", "app"] {
        desk.goes_to(&Ask::of(client).with("scope", "openid profile email").path());
        desk.until("the question", || desk.sees("button[value=allow]").then_some(()));
        measure(&desk, &format!("consent-{client}"));
    }
    desk.goes_to("/account/apps");
    measure(&desk, "apps-none");
    app.sql(
        "INSERT INTO consents (user_id, client_id, scope, granted_at, updated_at)
         SELECT users.id, clients.id, 'openid profile email notes:write', now(), now() FROM users, clients
         WHERE clients.id NOT IN ('web', 'api')",
    );
    desk.goes_to("/account/apps");
    measure(&desk, "apps");
}
