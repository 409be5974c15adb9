//! What is answered outside the routes: other paths, other methods, links.

use std::collections::BTreeSet;

use passmint::routes::{ROUTES, methods_of};

use super::Sent::Nothing;
use super::policy::assert_policy;
use super::{Caller, Cast, MORE, outcome, plain};
use crate::support::{Options, Reply, Request, TestApp};

/// An error in the form of its place: under `/oauth/` that of RFC 6749 §5.2, otherwise a problem document.
#[track_caller]
fn told(reply: Reply, path: &str, status: u16, code: &str) -> Reply {
    if path.starts_with("/oauth/") {
        reply.expect_oauth(status, "invalid_request")
    } else {
        reply.expect_problem(status, code)
    }
}

#[test]
fn there_is_nothing_beside_the_routes() {
    let app = TestApp::spawn();
    let mut unknown: BTreeSet<String> = [
        "/nothing",
        "/v1",
        "/v1/",
        "/V1/passkeys",
        "/oauth",
        "/.well-known/",
        "/admin",
        "/metrics",
        "/docs",
        "/openapi.json",
        "//",
        "/%2e%2e/etc/passwd",
        "/account/../livez",
        "/assets/",
        "/assets/../app.css",
        "/.git/config",
        "/%00",
    ]
    .map(str::to_owned)
    .into();
    for route in ROUTES {
        let path = plain(route.path);
        unknown.extend([format!("{path}/x"), format!("{}/", path.trim_end_matches('/')), format!("{path}%20")]);
    }
    unknown.retain(|path| path != "/" && methods_of(path).is_empty());
    assert!(unknown.len() > 60, "{}", unknown.len());
    for path in &unknown {
        for method in ["GET", "POST", "DELETE"] {
            let reply = told(app.request(method, path).send(), path, 404, "not_found");
            assert_policy(&reply, path, None);
        }
        let reply = app.request("GET", path).header("Accept", "text/html").send();
        let for_programs =
            ["/v1/", "/oauth/", "/.well-known/", "/.passmint/"].iter().any(|start| path.starts_with(start));
        let expected = match path.as_str() {
            oauth if oauth.starts_with("/oauth/") => "404 invalid_request",
            _ if for_programs => "404 not_found",
            _ => "404 page",
        };
        assert_eq!(outcome(&reply), expected, "{path}");
        assert_policy(&reply, path, None);
    }
}

/// RFC 9110 §15.5.6.
#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::spawn();
    let paths: BTreeSet<String> = ROUTES.iter().map(|route| plain(route.path)).collect();
    for path in &paths {
        let right = methods_of(path);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            if right.contains(&method) {
                continue;
            }
            let reply = told(app.request(method, path).send(), path, 405, "method_not_allowed");
            assert_eq!(reply.header("allow"), Some(right.join(", ").as_str()), "{method} {path}");
            assert_policy(&reply, path, None);
        }
    }
}

/// RFC 9110 §9.3.2: the headers that GET would have, and no body.
#[test]
fn head_answers_as_get_does_without_the_body() {
    let app = TestApp::with(&Options { config: MORE, ..Options::default() });
    let cast = Cast::new(&app);
    // Different in every response: the time, the request's id, and a page's nonce and cookies.
    let lasting = |reply: &Reply| -> BTreeSet<(String, String)> {
        let varies = ["date", "x-request-id", "content-security-policy", "set-cookie"];
        let value = |name: &str, value: &str| if varies.contains(&name) { String::new() } else { value.to_owned() };
        reply.headers.iter().map(|(name, text)| (name.clone(), value(name, text))).collect()
    };
    let mut paths: Vec<String> =
        ROUTES.iter().filter(|route| route.method == "GET").map(|route| cast.path(route.path, true)).collect();
    paths.push("/nothing".to_owned());
    for path in &paths {
        for caller in [Caller::Stranger, Caller::Person] {
            let [get, head] = ["GET", "HEAD"].map(|method| cast.request(&app, caller, method, path, Nothing).send());
            assert_eq!(head.status, get.status, "{path} by {caller:?}");
            assert_eq!(lasting(&head), lasting(&get), "{path} by {caller:?}");
            assert_policy(&head, path, None);
        }
        let text = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8(crate::raw::exchange(&app.url, text.as_bytes())).expect("text");
        assert!(answer.starts_with("HTTP/1.1 ") && answer.ends_with("\r\n\r\n"), "{path}: {answer}");
        assert_eq!(answer.matches("\r\n\r\n").count(), 1, "{path}: nothing after the headers: {answer}");
    }
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/README.md", "/nothing"] {
        let [get, head] = ["GET", "HEAD"].map(|method| Request::new(method, &app.admin_url, path).send());
        assert_eq!((head.status, head.header("content-type")), (get.status, get.header("content-type")), "{path}");
        assert_eq!(head.body, "", "{path}");
    }
    let reply = app.request("HEAD", "/oauth/token").send().expect(405);
    assert_eq!(reply.header("allow"), Some("POST"));
}

/// The documentation is read at the administration listener, which has none of the other pages.
#[test]
fn no_link_of_the_documentation_leads_nowhere() {
    let app = TestApp::spawn();
    let (mut seen, mut waiting) = (BTreeSet::new(), vec!["/docs".to_owned()]);
    let mut elsewhere = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        let page = Request::new("GET", &app.admin_url, &path).send().expect(200).body;
        for link in page.split("<a ").skip(1).filter_map(|tag| tag.split('>').next()?.split("href=\"").nth(1)) {
            let link = link.split(['"', '#']).next().unwrap_or_default().to_owned();
            if link.starts_with('/') && seen.insert(link.clone()) {
                waiting.push(link);
            } else if let Some(path) = link.strip_prefix(&app.origin).filter(|path| path.starts_with('/')) {
                elsewhere.insert(path.to_owned());
            }
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
    assert!(elsewhere.contains("/") && elsewhere.contains("/developer"), "{elsewhere:?}");
    for path in elsewhere {
        app.request("GET", &path).send().expect(200);
    }
    let lost =
        Request::new("GET", &app.admin_url, "/docs/nothing").header("accept", "text/html").send().expect(404).body;
    assert!(!lost.contains("href=\"/\""), "{lost}");
}
