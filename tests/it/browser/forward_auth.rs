//! A person reads two apps behind a proxy: signs in at one, is known at the other, signs out of both.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use super::looks::measure;
use super::{BUTTON, Desk};
use crate::support::{Options, Reply, Request, TestApp};

/// A proxy like Caddy, in front of an app that shows who reads it. It asks the server about every request.
struct Proxy {
    listener: TcpListener,
    port: u16,
}

impl Proxy {
    fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        Self { listener, port }
    }

    fn origin(&self, name: &str) -> String {
        format!("http://{name}.localhost:{}", self.port)
    }

    fn serve(self, passmint: String) {
        std::thread::spawn(move || {
            for stream in self.listener.incoming().map_while(Result::ok) {
                let passmint = passmint.clone();
                std::thread::spawn(move || pass(stream, &passmint));
            }
        });
    }
}

/// Handles one request from the browser.
fn pass(stream: TcpStream, passmint: &str) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let (method, target) = (first.split(' ').next()?, first.split(' ').nth(1)?);
    let mut headers = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        let (name, value) = line.trim_end().split_once(": ")?;
        headers.push((name.to_owned(), value.to_owned()));
        line.clear();
    }
    let own = target.starts_with("/.passmint/");
    let mut request =
        Request::new(if own { method } else { "GET" }, passmint, if own { target } else { "/v1/forward-auth" });
    for (name, value) in &headers {
        let name = name.to_ascii_lowercase();
        if name == "host" {
            request = request.header("X-Forwarded-Host", value);
        } else if name == "cookie" || name == "accept" || name == "origin" || name.starts_with("sec-fetch-") {
            request = request.header(&name, value);
        }
    }
    request = request.header("X-Forwarded-Proto", "http");
    let reply = if own {
        request.send()
    } else {
        request.header("X-Forwarded-Method", method).header("X-Forwarded-Uri", target).send()
    };
    answer(reader.get_mut(), &reply, own, target)
}

fn answer(stream: &mut TcpStream, reply: &Reply, own: bool, target: &str) -> Option<()> {
    let body = if reply.status == 200 && !own {
        let reader = reply.header("remote-user")?;
        format!(
            "<!doctype html><link rel=icon href=data:,><title>App</title><h1>{target}</h1><p id=reader>{reader}</p>\
             <a id=out href=/.passmint/sign-out>Leave</a>"
        )
    } else {
        reply.body.clone()
    };
    let kept = ["location", "set-cookie"];
    let headers: String = reply
        .headers
        .iter()
        .filter(|(name, _)| kept.contains(&name.to_ascii_lowercase().as_str()))
        .flat_map(|(name, value)| [name.as_str(), ": ", value.as_str(), "\r\n"])
        .collect();
    let head = format!("HTTP/1.1 {} Passed on\r\n{headers}Content-Type: text/html\r\n", reply.status);
    write!(stream, "{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).ok()
}

#[test]
fn one_sign_in_opens_two_apps_and_signing_out_closes_both() {
    let proxy = Proxy::bind();
    let (wiki, board) = (proxy.origin("wiki"), proxy.origin("board"));
    let config =
        format!("[forward_auth.\"{wiki}\"]\nname = \"The wiki\"\n[forward_auth.\"{board}\"]\nname = \"The board\"");
    let settings = [("trusted_proxies", "127.0.0.1")];
    let app = TestApp::with(&Options { config: &config, settings: &settings, ..Options::default() });
    proxy.serve(app.url.clone());
    let desk = Desk::with_account(&app, "Ana", "");
    desk.signs_out();

    desk.open(&format!("{wiki}/page?a=b%20c"));
    desk.reads(".lede bdi", "The wiki");
    assert!(desk.url().starts_with(&format!("{}/forward-auth?", app.origin)));
    desk.press(BUTTON);
    desk.reads("#pk .label", "Waiting for your device…");
    desk.touches();
    desk.reads("h1", "/page?a=b%20c");
    assert_eq!(desk.url(), format!("{wiki}/page?a=b%20c"));
    let reader = desk.text("#reader");

    desk.open(&format!("{board}/"));
    desk.reads("h1", "/");
    assert_eq!((desk.url(), desk.text("#reader")), (format!("{board}/"), reader), "without being asked again");

    desk.click("#out");
    desk.arrives_at("/signed-out");
    assert!(desk.url().starts_with(&app.origin));
    for gone in [&wiki, &board] {
        desk.open(&format!("{gone}/page"));
        desk.reads(".lede bdi", "The");
        assert!(desk.url().starts_with(&format!("{}/forward-auth?", app.origin)), "{gone}");
    }
    assert_eq!((app.events("forward.signed_in"), app.events("session.signed_out")), (2, 2));
}

#[test]
fn who_may_not_read_a_page_is_told_on_ours_and_may_use_another_account() {
    let proxy = Proxy::bind();
    let wiki = proxy.origin("wiki");
    let rules = "rules = [{ path = \"/admin\", groups = [\"admins\"] }]";
    let config = format!("[forward_auth.\"{wiki}\"]\nname = \"The wiki\"\n{rules}");
    let settings = [
        ("trusted_proxies", "127.0.0.1"),
        ("site.help_url", "https://example.com/help"),
        ("site.privacy_url", "https://example.com/privacy"),
        ("site.terms_url", "https://example.com/terms"),
        ("site.contact", "mailto:help@example.com"),
    ];
    let app = TestApp::with(&Options { config: &config, settings: &settings, ..Options::default() });
    proxy.serve(app.url.clone());
    let desk = Desk::with_account(&app, "Ana", "");
    desk.expect_console("Failed to load resource: the server responded with a status of 403");

    desk.open(&format!("{wiki}/page"));
    desk.reads("h1", "/page");
    desk.open(&format!("{wiki}/admin"));
    desk.reads("h1", "This account cannot open this page");
    desk.reads(".lede bdi", "The wiki");
    desk.reads("main .account", "Ana");
    assert!(desk.url().starts_with(&format!("{}/forward-auth?refused=", app.origin)), "{}", desk.url());
    desk.reads("main", "Contact the people who run this service");
    measure(&desk, "host-refused");

    desk.hold_prompts(true);
    desk.click("main .btn-primary");
    desk.reads("h1", "Sign in");
    desk.reads(".lede bdi", "The wiki");
    desk.press(BUTTON);
    desk.reads("#pk .label", "Waiting for your device…");
    desk.touches();
    desk.reads("h1", "This account cannot open this page");
    assert_eq!(app.events("forward.denied"), 1, "the same account, which is refused before it goes back");
}
