//! The headers that every response has.

use std::collections::BTreeSet;

use passmint::routes::{Access, ROUTES};
use serde_json::json;

use super::Sent::{Form, Json, Nothing};
use super::{Caller, Cast, MORE, asset, outcome, row_of};
use crate::support::{Options, Reply, Request, TestApp};

/// Every response of one server, by route, in every class of status that a route can give.
#[test]
fn the_header_policy_holds_for_every_class_of_status() {
    let app = TestApp::with(&Options { config: MORE, ..Options::default() });
    let cast = Cast::new(&app);
    let mut seen = BTreeSet::new();
    let mut check = |reply: Reply, path: &str, statuses: &[u16]| {
        assert!(statuses.contains(&reply.status), "{path}: {} {}", reply.status, reply.body);
        assert_policy(&reply, path, None);
        seen.insert(reply.status);
    };
    for route in ROUTES {
        let row = row_of(route.method, route.path);
        let path = cast.path(route.path, true);
        let of_type = match row.send {
            Nothing => continue,
            // Callers without the right are refused before the body is read.
            _ if matches!(route.access, Access::Admin | Access::Backend)
                || route.path.starts_with("/oauth/register") =>
            {
                continue;
            }
            Json(_) => "application/json",
            // This button has no fields, so nothing is read.
            Form(_) if route.path == "/.passmint/sign-out" => continue,
            // Whatever can be read of the form is redirected to a URL of ours.
            Form(_) if route.path == "/oauth/logout" => continue,
            Form(_) => "application/x-www-form-urlencoded",
        };
        let person = || cast.person.request(route.method, &path);
        check(person().body(of_type, vec![b'a'; 32 * 1024 + 1]).send(), &path, &[413]);
        check(person().body("text/plain", b"{}".to_vec()).send(), &path, &[415]);
        check(person().body("multipart/form-data; boundary=x", b"--x--".to_vec()).send(), &path, &[415]);
        check(person().body("", b"{}".to_vec()).send(), &path, &[415]);
        if matches!(route.access, Access::Page | Access::OwnPage) {
            // A person is looking at it.
            for (reply, status) in [
                (person().body(of_type, vec![b'a'; 32 * 1024 + 1]).send(), 413),
                (person().body("text/plain", b"{}".to_vec()).send(), 415),
                (person().body(of_type, b"csrf=a&csrf=b".to_vec()).send(), 400),
            ] {
                assert_eq!(outcome(&reply), format!("{status} page"), "{path}: {}", reply.body);
            }
        }
        // This form does not need any of its fields.
        let garbage: &[u16] = if route.path == "/signin/passkey" { &[200] } else { &[400, 401, 403, 422] };
        check(person().body(of_type, b"\xff\x00=&{".to_vec()).send(), &path, garbage);
    }
    app.sql("ALTER TABLE sessions RENAME TO elsewhere");
    for route in ROUTES {
        let row = row_of(route.method, route.path);
        let path = cast.path(route.path, true);
        for caller in [Caller::Person, Caller::Bearer] {
            let reply = cast.request(&app, caller, route.method, &path, row.send).send();
            if matches!(route.access, Access::SignedIn | Access::Browser | Access::OwnPage) {
                assert_eq!(reply.status, 503, "{} by {caller:?}: never anything else: {}", row.route, reply.body);
            }
            if reply.status == 503 {
                assert!(reply.header("retry-after").is_some_and(|wait| wait.parse::<u8>().is_ok()), "{}", row.route);
                assert!(!reply.body.contains("sessions\" does not exist"), "{}: {}", row.route, reply.body);
            }
            check(reply, &path, &[200, 303, 400, 401, 403, 404, 409, 410, 422, 503]);
        }
    }
    app.sql("ALTER TABLE elsewhere RENAME TO sessions");
    for status in [200, 413, 415, 503] {
        assert!(seen.contains(&status), "{status} was seen");
    }
}

#[test]
fn over_https_everything_says_so() {
    let app = TestApp::with(&Options { public_url: Some("https://id.example"), ..Options::default() });
    for route in ROUTES {
        let path = route.path.replace("{id}", "x").replace("{name}", &asset());
        let reply = app.request(route.method, &path).header("Host", "id.example").send();
        assert_policy(&reply, &path, Some("max-age=31536000; includeSubDomains"));
    }
    let (browser, _) = app.person();
    let names: Vec<&str> = browser.cookies.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["__Host-passmint-pre", "__Host-passmint"]);
    let mut fresh = app.browser();
    let reply = fresh.post("/v1/passkeys/authentication/options", &json!({})).expect(200);
    let cookie = reply.header("set-cookie").expect("a pre-session");
    for part in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{part}: {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
}

#[test]
fn the_administration_listener_keeps_the_same_policy() {
    let app = TestApp::spawn();
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/openapi.json", 200),
        ("/docs", 200),
        ("/docs/nothing", 404),
        ("/nothing", 404),
        // What the public listener serves does not exist here, and is not mentioned.
        ("/v1/session", 404),
        ("/", 404),
    ] {
        let reply = Request::new("GET", &app.admin_url, path).send();
        assert_policy(&reply, path, None);
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
    }
}

/// CSP level 3: a nonce that can be guessed, or that is used twice, lets an injected script run.
#[test]
fn a_nonce_is_used_once_and_nothing_runs_without_it() {
    let app = TestApp::spawn();
    let (mut person, _) = app.person();
    let mut nonces = BTreeSet::new();
    for _ in 0..1_000 {
        let reply = app.request("GET", "/signed-out").send().expect(200);
        nonces.insert(nonce_of(&reply));
    }
    assert_eq!(nonces.len(), 1_000, "each page has a nonce of its own");
    let mut pages =
        vec![app.request("GET", "/").send(), app.request("GET", "/nothing").header("Accept", "text/html").send()];
    for path in ["/account", "/account/passkeys", "/account/sessions", "/account/activity", "/confirm", "/developer"] {
        pages.push(person.get(path).expect(200));
    }
    for page in pages {
        let nonce = nonce_of(&page);
        for opening in page.body.split('<').filter(|tag| tag.starts_with("script") || tag.starts_with("style")) {
            let tag = opening.split('>').next().unwrap_or_default();
            // A data block is not executed.
            let data = tag.contains("type=\"application/json\"");
            assert!(data || tag.contains(&format!("nonce=\"{nonce}\"")), "<{tag}>");
        }
        for tag in page.body.split('<').filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag) {
            let inline =
                tag.split(' ').any(|part| part.starts_with("on") && part.contains('=')) || tag.contains(" style=");
            assert!(!inline && !tag.contains("javascript:"), "<{tag}>");
        }
    }
}

fn nonce_of(reply: &Reply) -> String {
    let policy = reply.header("content-security-policy").expect("a policy");
    let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce");
    assert_eq!(nonce.len(), 22, "128 bits: {nonce}");
    nonce.to_owned()
}

/// H1–H9 of the security page; `hsts` is the value of `Strict-Transport-Security`, if present.
#[track_caller]
pub fn assert_policy(reply: &Reply, path: &str, hsts: Option<&str>) {
    let status = reply.status;
    // An app that opened a popup for its request waits for it there.
    let plain = path.split('?').next().unwrap_or_default();
    let of_a_request = plain == "/oauth/authorize" || plain.starts_with("/oauth/interaction/");
    let opener = if of_a_request { "unsafe-none" } else { "same-origin" };
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", opener),
        ("x-frame-options", "DENY"),
        (
            "permissions-policy",
            "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()",
        ),
    ] {
        assert_eq!(reply.header(name), Some(value), "{path} {status}: {name}");
    }
    let shared = reply.header("access-control-allow-origin").is_some();
    let resource = if shared { "cross-origin" } else { "same-origin" };
    assert_eq!(reply.header("cross-origin-resource-policy"), Some(resource), "{path} {status}");
    assert_eq!(reply.header("strict-transport-security"), hsts, "{path} {status}");
    for banned in ["server", "x-powered-by", "via"] {
        assert_eq!(reply.header(banned), None, "{path} {status}");
    }
    let cached = match path {
        "/.well-known/jwks.json" | "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server"
            if status == 200 =>
        {
            "public, max-age=300"
        }
        "/.well-known/oauth-protected-resource" if status == 200 => "public, max-age=3600",
        _ if path.starts_with("/v1/bridges/") && path.ends_with("/jwks.json") && status == 200 => "public, max-age=300",
        _ if path.starts_with("/assets/") && status == 200 => "public, max-age=31536000, immutable",
        _ => "no-store",
    };
    assert_eq!(reply.header("cache-control"), Some(cached), "{path} {status}");
    let policy = reply.header("content-security-policy").unwrap_or_else(|| panic!("{path} {status}: no policy"));
    let expected = if reply.header("content-type").is_some_and(|of_type| of_type.starts_with("text/html")) {
        let nonce = nonce_of(reply);
        format!(
            "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'nonce-{nonce}'; \
             img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'"
        )
    } else {
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'".to_owned()
    };
    assert_eq!(policy, expected, "{path} {status}");
    let once: BTreeSet<&str> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
    let several = reply.headers.iter().filter(|(name, _)| name != "set-cookie" && name != "vary").count();
    let names = once.iter().filter(|name| **name != "set-cookie" && **name != "vary").count();
    assert_eq!(several, names, "{path} {status}: a header twice: {:?}", reply.headers);
    assert!(reply.header("x-request-id").is_some_and(|id| id.len() == 32), "{path} {status}");
}
