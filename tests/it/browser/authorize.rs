//! An app on this computer sends a person here and gets its response: by redirect, by form, and when the person
//! declines.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::json;

use super::{BUTTON, Desk};
use crate::support::TestApp;
use crate::support::oidc::{self, Ask};

/// An app that listens on a port of its own, as native apps do (RFC 8252 §7.3).
struct Listener {
    redirect_uri: String,
    arrivals: Receiver<(String, String)>,
}

impl Listener {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let redirect_uri = format!("http://{}/cb", listener.local_addr().unwrap());
        let (arrived, arrivals) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A browser also opens connections that it may not need.
                let arrived = arrived.clone();
                std::thread::spawn(move || Self::answer(stream, &arrived));
            }
        });
        Self { redirect_uri, arrivals }
    }

    fn answer(stream: TcpStream, arrived: &Sender<(String, String)>) {
        let mut reader = BufReader::new(stream);
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).is_err() {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut body = vec![0; length];
        let _ = reader.read_exact(&mut body);
        let page = "<!doctype html><link rel=icon href=data:,><h1>Arrived</h1>";
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
            page.len()
        );
        let _ = reader.get_mut().write_all(answer.as_bytes());
        if first.contains("/cb") {
            let _ = arrived.send((first, String::from_utf8_lossy(&body).into_owned()));
        }
    }

    fn ask(&self) -> Ask {
        Ask::of("native").with("redirect_uri", &self.redirect_uri)
    }

    /// What the browser brought: the first line of its request, and the body.
    fn arrival(&self) -> (String, String) {
        self.arrivals.recv_timeout(Duration::from_secs(20)).expect("the browser comes")
    }
}

fn open(desk: &Desk, app: &TestApp, ask: &Ask) {
    desk.open(&format!("{}{}", app.origin, ask.path()));
}

/// The parameters in an address or a body.
fn parameters(text: &str) -> std::collections::BTreeMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn query(first_line: &str) -> std::collections::BTreeMap<String, String> {
    let address = first_line.split(' ').nth(1).expect("an address");
    parameters(address.split_once('?').expect("a query").1)
}

#[test]
fn an_app_is_allowed_and_gets_its_code() {
    let app = oidc::app();
    let desk = Desk::with_account(&app, "Ana", "");
    desk.signs_out();
    let listener = Listener::start();
    open(&desk, &app, &listener.ask().with("scope", "openid offline_access").with("login_hint", "buffy@id.example"));
    desk.reads(".lede bdi", "Native");
    desk.press(BUTTON);
    desk.reads("#pk .label", "Waiting for your device…");
    desk.touches();
    desk.until("the page that asks", || desk.sees("button[value=allow]").then_some(()));
    assert!(desk.page_text().contains("Native") && desk.page_text().contains("Ana"));
    assert!(desk.page_text().contains("127.0.0.1"));
    desk.press("Allow");
    let (line, _) = listener.arrival();
    let arrived = query(&line);
    assert_eq!((arrived["state"].as_str(), arrived["iss"].as_str()), ("the state", app.origin.as_str()));
    let form = oidc::redemption("native", &arrived["code"], &listener.redirect_uri);
    let tokens = app.request("POST", "/oauth/token").form(&form).send().expect(200).json();
    assert_eq!(tokens["scope"], "offline_access openid");
    assert!(tokens["refresh_token"].is_string());
    desk.goes_to("/account/apps");
    assert!(desk.page_text().contains("Native"));
}

/// Libraries of single-page apps open a popup and wait for its page to call back. Neither a page of ours nor a redirect
/// may separate opener and popup on the way; any other page does.
#[test]
fn an_app_that_opened_a_popup_hears_from_it() {
    let app = oidc::app();
    let desk = Desk::with_account(&app, "Ana", "");
    let listener = Listener::start();
    let of_the_app = listener.redirect_uri.trim_end_matches("cb");
    desk.open(of_the_app);
    let opens = "globalThis.popup = window.open(arguments[0]); return popup !== null";
    let address = format!("{}{}", app.origin, listener.ask().path());
    assert_eq!(desk.script(opens, &[json!(address)]), json!(true));
    desk.goes_to_the_other_window();
    desk.press("Allow");
    desk.reads("h1", "Arrived");
    assert_eq!(desk.script("return opener?.location.href", &[]), json!(of_the_app));
    let arrived = query(&listener.arrival().0);
    desk.goes_to_the_other_window();
    let told = desk.script("return new URLSearchParams(popup.location.search).get('code')", &[]);
    assert_eq!(told, json!(arrived["code"]));
    assert_eq!(desk.script(opens, &[json!(format!("{}/account", app.origin))]), json!(true));
    desk.until("a page of the account lets go", || {
        (desk.script("return popup.closed", &[]) == json!(true)).then_some(())
    });
}

/// A second submission would be answered that the request is over.
#[test]
fn a_double_click_on_allow_is_one_answer() {
    let app = oidc::app();
    let desk = Desk::with_account(&app, "Ana", "");
    let listener = Listener::start();
    open(&desk, &app, &listener.ask());
    desk.until("the page that asks", || desk.sees("button[value=allow]").then_some(()));
    let twice = "const sent = [];
        addEventListener('submit', (event) => sent.push(!event.defaultPrevented));
        const button = document.querySelector('button[value=allow]');
        button.click();
        button.click();
        return [sent, button.ariaDisabled];";
    assert_eq!(desk.script(twice, &[]), json!([[true, false], "true"]));
    assert!(query(&listener.arrival().0).contains_key("code"));
    desk.reads("h1", "Arrived");
}

/// OpenID Connect's `prompt=create`.
#[test]
fn an_app_that_asks_for_a_new_account_gets_one() {
    let app = oidc::app();
    let desk = Desk::new(&app);
    let listener = Listener::start();
    open(&desk, &app, &listener.ask().with("prompt", "create"));
    desk.reads("h1", "Create a passkey");
    assert!(!desk.sees("#pk"), "one thing is asked");
    desk.type_into("#new-name", "Ana");
    desk.press("Create a passkey");
    desk.press("Allow");
    assert!(query(&listener.arrival().0).contains_key("code"));
    assert_eq!(app.events("user.created"), 1);

    let closed = oidc::app_with(&[("allow_sign_up", "false")]);
    let mut browser = closed.browser();
    let path = Ask::of("shop").with("prompt", "create").send(&mut browser).waits();
    let host = closed.origin.trim_start_matches("http://");
    let page = browser.request("GET", &path).header("Host", host).send().expect(200).body;
    assert!(
        page.contains("<h1>Sign in</h1>") && page.contains("\"armed\":{") && !page.contains("id=\"new\""),
        "{page}"
    );
}

#[test]
fn no_brings_the_person_back_without_anything() {
    let app = oidc::app();
    let desk = Desk::with_account(&app, "Ana", "");
    let listener = Listener::start();
    open(&desk, &app, &listener.ask());
    desk.press("Cancel");
    let arrived = query(&listener.arrival().0);
    assert_eq!((arrived["error"].as_str(), arrived.get("code")), ("access_denied", None));
    desk.reads("h1", "Arrived");
}

/// Over plain HTTP: a person who does not want to sign in, or to make an account, goes back with `access_denied`.
#[test]
fn nobody_has_to_sign_in_to_get_back_to_the_app() {
    let app = oidc::app();
    let mut browser = app.browser();
    for ask in [Ask::of("shop"), Ask::of("shop").with("prompt", "create")] {
        let path = ask.send(&mut browser).waits();
        let cancel = format!("{path}/cancel");
        let page = browser.get(&path).expect(200).body;
        assert!(page.contains(&format!("href=\"{cancel}\"")), "{page}");
        assert!(page.contains("Cancel and return to <bdi>Shop</bdi>"), "{page}");
        let back = browser.get(&cancel).back();
        assert_eq!((back.error(), back.get("state")), ("access_denied", Some("the state")));
        assert_eq!(browser.get(&path).status, 400, "it is answered");
    }
    assert!(!browser.get("/").expect(200).body.contains("Cancel and return"), "nobody sent them");
}

/// Over plain HTTP: an app wants a fresh sign-in, and somebody else is at the browser.
#[test]
fn who_is_asked_to_confirm_may_sign_in_as_somebody_else() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let (_, mut other) = app.person();
    let path = Ask::of("house").with("prompt", "login").send(&mut browser).waits();
    let another = format!("{path}/another");
    let page = browser.get(&path).expect(200).body;
    assert!(page.contains("data-ceremony=\"step-up\"") && page.contains(&format!("href=\"{another}\"")), "{page}");
    let page = browser.get(&another).expect(200).body;
    assert!(page.contains("data-ceremony=\"get\"") && page.contains(&format!("href=\"{path}/cancel\"")), "{page}");
    app.advance(chrono::Duration::seconds(1));
    browser.sign_in(&mut other).expect(200);
    browser.get(&path).back().code();
    assert!(!browser.get("/confirm").expect(200).body.contains("Use another account"), "only where an app asks");
}

/// OAuth 2.0 Form Post Response Mode, under a policy that lets the page's form be sent to that app alone.
#[test]
fn an_answer_by_form_posts_itself() {
    let app = oidc::app();
    let desk = Desk::with_account(&app, "Ana", "");
    let listener = Listener::start();
    let state = "\"><b>&é";
    open(&desk, &app, &listener.ask().with("response_mode", "form_post").with("state", state));
    desk.press("Allow");
    let (line, body) = listener.arrival();
    assert!(line.starts_with("POST /cb HTTP"), "{line}");
    let arrived = parameters(&body);
    assert_eq!(arrived["state"], state);
    assert!(arrived["code"].starts_with("pma_"));
    desk.reads("h1", "Arrived");
}
