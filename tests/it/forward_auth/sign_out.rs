//! Signing out at a host, which ends the session everywhere.

use super::{APP, Person, TOKENS, leads_to, spawn};

#[test]
fn signing_out_at_one_host_ends_the_session_everywhere() {
    let app = spawn();
    for by in ["a link of the app", "hand", "a form of the app"] {
        let (mut person, ..) = Person::at(&app, APP);
        person.arrives(TOKENS, "/");
        let request = match by {
            "a link of the app" => {
                let link = person.request(APP, "GET", "/.passmint/sign-out").header("Sec-Fetch-Site", "same-origin");
                link.header("Sec-Fetch-Mode", "navigate").header("Sec-Fetch-Dest", "document")
            }
            "hand" => person.request(APP, "GET", "/.passmint/sign-out").header("Sec-Fetch-Site", "none"),
            _ => {
                let form = person.request(APP, "POST", "/.passmint/sign-out").header("Sec-Fetch-Site", "same-origin");
                form.header("Origin", APP).form(&[])
            }
        };
        let events = app.events("session.signed_out");
        let reply = person.sends(APP, request);
        assert_eq!(leads_to(&reply), format!("{}/signed-out", app.origin), "{by}");
        assert_eq!((person.cookie(APP), app.events("session.signed_out")), (None, events + 1), "{by}");
        person.asks(APP, "/").expect_problem(401, "not_signed_in");
        person.asks(TOKENS, "/").expect_problem(401, "not_signed_in");
        assert!(person.browser.get("/v1/session").json()["session"].is_null(), "{by}");
    }
}

#[test]
fn a_page_elsewhere_signs_nobody_out() {
    let app = spawn();
    let (person, ..) = Person::at(&app, APP);
    for site in [Some("cross-site"), Some("same-site"), None] {
        let link = person.request(APP, "GET", "/.passmint/sign-out");
        let link = match site {
            Some(site) => link.header("Sec-Fetch-Site", site),
            None => link,
        };
        assert_eq!(leads_to(&link.send()), format!("{}/oauth/logout", app.origin), "{site:?}: the question");
    }
    // Whoever can put an image or a frame on a page of the app cannot sign its readers out either.
    for (mode, destination) in [("no-cors", "image"), ("navigate", "iframe"), ("cors", "empty"), ("no-cors", "script")]
    {
        let link = person.request(APP, "GET", "/.passmint/sign-out").header("Sec-Fetch-Site", "same-origin");
        let link = link.header("Sec-Fetch-Mode", mode).header("Sec-Fetch-Dest", destination);
        assert_eq!(leads_to(&link.send()), format!("{}/oauth/logout", app.origin), "{destination}: the question");
    }
    for (name, origin, site) in [
        ("another site", Some("https://evil.example"), Some("cross-site")),
        ("a neighbour", Some("https://evil.example.com"), Some("same-site")),
        ("our own pages", Some(app.origin.as_str()), Some("cross-site")),
        ("a hidden origin", Some("null"), None),
        ("no origin", None, Some("cross-site")),
    ] {
        let mut form = person.request(APP, "POST", "/.passmint/sign-out").form(&[]);
        for (header, value) in [("Origin", origin), ("Sec-Fetch-Site", site)] {
            if let Some(value) = value {
                form = form.header(header, value);
            }
        }
        let reply = form.send();
        assert_eq!(reply.status, 403, "{name}: {}", reply.body);
    }
    person.asks(APP, "/").expect(200);
    assert_eq!(app.events("session.signed_out"), 0);
}

#[test]
fn who_is_signed_out_already_only_leaves() {
    let app = spawn();
    let (mut person, ..) = Person::at(&app, APP);
    person.browser.call("DELETE", "/v1/session", None).expect(200);
    let request = person.request(APP, "GET", "/.passmint/sign-out").header("Sec-Fetch-Site", "none");
    assert_eq!(leads_to(&person.sends(APP, request)), format!("{}/signed-out", app.origin));
    assert_eq!((person.cookie(APP), app.events("session.signed_out")), (None, 1));
}
