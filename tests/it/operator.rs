//! The site's operator, on its pages.

use crate::support::{Browser, Options, TestApp};

const GIVEN: &str = r#"
[site]
help_url = "https://example.com/help"
privacy_url = "https://example.com/privacy"
terms_url = "https://example.com/terms"
contact = "mailto:help@example.com"
"#;

const LINKS: [(&str, &str); 4] = [
    ("https://example.com/help", "Help"),
    ("mailto:help@example.com", "Contact"),
    ("https://example.com/privacy", "Privacy"),
    ("https://example.com/terms", "Terms"),
];

/// A page, as a browser requests it.
fn page(browser: &mut Browser, path: &str) -> String {
    let request = browser.request("GET", path).header("Accept", "text/html");
    browser.send(request).body
}

/// The footer of a page.
fn foot(body: &str) -> &str {
    body.split("<footer").nth(1).expect("every page has a foot")
}

#[test]
fn every_page_links_to_those_who_run_the_site() {
    let app = TestApp::with(&Options { config: GIVEN, ..Options::default() });
    let (mut person, _) = app.person();
    let mut stranger = app.browser();
    for (name, body) in [
        ("sign in", page(&mut stranger, "/")),
        ("no page", page(&mut stranger, "/nowhere")),
        ("a link", page(&mut stranger, "/enrol")),
        ("signed out", page(&mut stranger, "/signed-out")),
        ("the account", page(&mut person, "/account")),
        ("devices", page(&mut person, "/device")),
    ] {
        for (href, label) in LINKS {
            assert!(foot(&body).contains(&format!("<a href=\"{href}\">{label}</a>")), "{label} at {name}: {body}");
        }
    }
}

#[test]
fn who_is_told_to_ask_is_told_where() {
    let app = TestApp::with(&Options { config: GIVEN, ..Options::default() });
    let mut stranger = app.browser();
    let ask = "<a href=\"mailto:help@example.com\">Contact the people who run this service</a>";
    assert!(page(&mut stranger, "/").contains(ask), "trouble signing in");
    assert!(page(&mut stranger, "/nowhere").contains(ask), "an error");
    let form = stranger.request("POST", "/enrol").form(&[("token", "unknown")]);
    let used = stranger.send(form.header("Accept", "text/html"));
    assert!(
        used.body.contains("This link is no longer valid") && used.body.contains(ask),
        "a link that is over: {}",
        used.body
    );
    assert!(page(&mut stranger, "/").contains("\"contact\":\"mailto:help@example.com\""), "the page's module is told");
}

#[test]
fn what_is_not_given_is_shown_nowhere() {
    let app = TestApp::spawn();
    let mut stranger = app.browser();
    for path in ["/", "/nowhere"] {
        let body = page(&mut stranger, path);
        for (_, label) in LINKS {
            assert!(!foot(&body).contains(&format!(">{label}</a>")), "{label} at {path}");
        }
        assert!(!body.contains("Contact the people") && !body.contains("\"contact\":\"mailto"), "{path}");
    }
}
