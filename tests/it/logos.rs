//! The logo of an app on the consent page: fetched by the server, never by the browser, and only if it is a bitmap.

use chrono::Duration;

use crate::support::oidc::Ask;
use crate::support::receiver::{Receiver, http};
use crate::support::{Options, TestApp};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nnot much more";

fn spawn(receiver: &Receiver, private: &str) -> TestApp {
    let config = format!(
        "[clients.gallery]\nname = \"Gallery\"\ngrants = [\"authorization_code\"]\nscopes = [\"openid\"]\n\
         redirect_uris = [\"https://gallery.example/cb\"]\nlogo_uri = \"{}/logo?v=1\"\n",
        receiver.url
    );
    let settings = [("outbound.allow_private_addresses", private)];
    TestApp::with(&Options { config: &config, settings: &settings, ..Options::default() })
}

/// What the consent page shows where a logo would be.
fn shown(app: &TestApp) -> String {
    let (mut browser, _) = app.person();
    let path = Ask::of("gallery").send(&mut browser).waits();
    let page = browser.get(&path).expect(200).body;
    let (_, logo) = page.split_once("class=\"logo\" ").expect("a place for it");
    logo.split_once('>').expect("its end").0.to_owned()
}

#[test]
fn a_logo_is_part_of_the_page_and_fetched_once_a_day() {
    let receiver = Receiver::start();
    receiver.sends(|_| http(200, "image/png", PNG));
    let app = spawn(&receiver, "true");
    assert!(shown(&app).starts_with("src=\"data:image/png;base64,iVBORw0KGgpub3QgbXVjaCBtb3Jl\""));
    shown(&app);
    let hits = receiver.hits();
    assert_eq!(hits.len(), 1, "kept");
    assert_eq!(hits[0].line, "GET /logo?v=1");
    for name in ["cookie", "referer", "x-forwarded-for"] {
        assert_eq!(hits[0].header(name), None, "nothing about the person: {name}");
    }
    app.clock.advance(Duration::days(1));
    shown(&app);
    assert_eq!(receiver.hits().len(), 2, "looked for again");
}

#[test]
fn what_is_no_bitmap_is_not_shown_and_left_alone_for_a_while() {
    let letter = "aria-hidden=\"true\"";
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec();
    let large = [PNG, &vec![0; 64 * 1024]].concat();
    for (content_type, body) in [("image/svg+xml", svg.clone()), ("image/png", svg), ("image/png", large)] {
        let receiver = Receiver::start();
        receiver.sends(move |_| http(200, content_type, &body));
        let app = spawn(&receiver, "true");
        assert_eq!(shown(&app), letter);
        assert_eq!(shown(&app), letter);
        assert_eq!(receiver.hits().len(), 1, "not asked again at once");
        app.clock.advance(Duration::minutes(10));
        receiver.sends(|_| http(200, "image/png", PNG));
        assert!(shown(&app).starts_with("src=\"data:"), "asked again");
    }
}

#[test]
fn a_logo_never_leads_into_the_private_network() {
    let receiver = Receiver::start();
    let app = spawn(&receiver, "false");
    assert_eq!(shown(&app), "aria-hidden=\"true\"");
    assert_eq!(receiver.hits().len(), 0);
}
