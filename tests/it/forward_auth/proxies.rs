//! Which proxies we trust, and what we accept: a caller's own headers reach us together with those of the proxy.

use super::{APP, CONFIG, Person, join, leads_to, passed_on, question, spawn};
use crate::support::{Options, TestApp};

#[test]
fn only_a_trusted_proxy_may_ask() {
    let settings = [("trusted_proxies", "192.0.2.1")];
    let app = TestApp::with(&Options { config: CONFIG, settings: &settings, ..Options::default() });
    let person = Person::stranger(&app);
    person.asks(APP, "/public/x").expect_problem(403, "forbidden");
    person.visits(APP, "/").expect_problem(403, "forbidden");
    person.asks_by_nginx(APP, "GET", "/public/x").expect_problem(403, "forbidden");
    for path in ["/.passmint/start?rd=/", "/.passmint/return?code=x", "/.passmint/sign-out"] {
        let reply = person.request(APP, "GET", path).send().expect_problem(403, "forbidden");
        assert!(reply.cookies().is_empty());
    }
    let claimed = person.question(APP, "GET", "/public/x").header("X-Forwarded-For", "192.0.2.1");
    claimed.send().expect_problem(403, "forbidden");
}

#[test]
fn where_no_host_is_protected_there_is_nothing() {
    let app = TestApp::with(&Options { settings: &[("trusted_proxies", "127.0.0.1")], ..Options::default() });
    let person = Person::stranger(&app);
    person.asks(APP, "/").expect_problem(404, "not_found");
    person.asks_by_nginx(APP, "GET", "/").expect_problem(404, "not_found");
    person.request(APP, "GET", "/.passmint/start").send().expect_problem(404, "not_found");
    app.request("GET", "/v1/forward-auth/jwks.json").send().expect_problem(404, "not_found");
    app.browser().get("/forward-auth?host=x").expect(404);
}

#[test]
fn hosts_are_a_closed_list_however_they_are_spelled() {
    let app = spawn();
    let asks = |proto: &str, host: &str| {
        let request = app.request("GET", "/v1/forward-auth").header("X-Forwarded-Method", "GET");
        let request = request.header("X-Forwarded-Uri", "/admin").header("X-Forwarded-Proto", proto);
        request.header("X-Forwarded-Host", host).send()
    };
    for (proto, host) in [
        ("https", "app.example.com"),
        ("https", "APP.EXAMPLE.COM"),
        ("https", "app.example.com:443"),
        ("https", "app.example.com."),
    ] {
        let told = asks(proto, host).expect_problem(401, "not_signed_in");
        assert_eq!(told.json()["signIn"], format!("{APP}/.passmint/start?rd=%2Fadmin"), "{host}");
    }
    for (proto, host) in [
        ("http", "app.example.com"),
        ("https", "app.example.com:8443"),
        ("https", "evil.app.example.com"),
        ("https", "app.example.com.evil.example"),
        ("https", "app.example.com, evil.example"),
        ("https", "evil.example"),
        ("https", "localhost"),
    ] {
        asks(proto, host).expect_problem(403, "forbidden");
    }
    asks("gopher", "app.example.com").expect_problem(400, "invalid_request");
    asks("https,http", "app.example.com").expect_problem(400, "invalid_request");
}

/// Caddy passes the query of the original request on with its question, and every proxy its headers.
#[test]
fn a_caller_cannot_choose_how_it_is_asked_about() {
    let app = spawn();
    let person = Person::stranger(&app);
    let public = format!("{APP}/public/x");
    for query in ["mode=nginx", "mode=redirect", "rd=/public/x", "uri=/public/x"] {
        let smuggled = person.question(APP, "GET", "/admin").query(query).header("X-Original-Method", "GET");
        let smuggled = smuggled.header("Forwarded", "host=app.example.com").header("X-Forwarded-Prefix", "/public");
        smuggled.send().expect_problem(401, "not_signed_in");
    }
    let by_nginx = app.request("GET", "/v1/forward-auth/nginx").header("X-Original-URL", &format!("{APP}/admin"));
    let by_nginx = passed_on(by_nginx.header("X-Original-Method", "GET"), APP).header("X-Forwarded-Method", "GET");
    by_nginx.send().expect_problem(401, "not_signed_in");
    // Two headers of one name, whoever wrote the second.
    for name in ["X-Forwarded-Uri", "X-Forwarded-Host", "X-Forwarded-Method", "X-Forwarded-Proto"] {
        let twice = person.question(APP, "GET", "/admin").header(name, "/public/x");
        twice.send().expect_problem(400, "invalid_request");
    }
    let twice = app.request("GET", "/v1/forward-auth/nginx").header("X-Original-Method", "GET");
    let twice = twice.header("X-Original-URL", &format!("{APP}/admin")).header("X-Original-URL", &public);
    twice.send().expect_problem(403, "forbidden");
    for target in ["*", "public/x", "https://app.example.com/public/x", ""] {
        let reply = person.question(APP, "GET", target).send();
        assert_eq!(reply.status, 400, "{target:?}: {}", reply.body);
    }
    app.request("GET", "/v1/forward-auth").send().expect_problem(400, "invalid_request");
    app.request("GET", "/v1/forward-auth/nginx").send().expect_problem(403, "forbidden");
}

/// If nginx used the endpoint of Caddy and Traefik, or they nginx's, callers could choose what is asked about them.
#[test]
fn a_proxy_that_asks_at_the_wrong_address_lets_nothing_through() {
    let app = spawn();
    let public = format!("{APP}/public/x");
    question(&app, APP, "GET", "/public/x").send().expect(200);
    let nginx = question(&app, APP, "GET", "/public/x").header("X-Original-URL", &format!("{APP}/admin"));
    nginx.header("X-Original-Method", "GET").send().expect_problem(403, "forbidden");
    let original = |path: &str| {
        let request = app.request("GET", "/v1/forward-auth/nginx").header("X-Original-Method", "GET");
        request.header("X-Original-URL", &format!("{APP}{path}"))
    };
    original("/public/x").send().expect(200);
    let caddy = passed_on(original("/public/x"), APP).header("X-Forwarded-Method", "GET");
    caddy.header("X-Forwarded-Uri", "/admin").send().expect_problem(403, "forbidden");
    let empty = app.request("GET", "/v1/forward-auth").header("X-Original-URL", &public);
    empty.send().expect_problem(403, "forbidden");
}

#[test]
fn the_identity_headers_of_a_request_are_never_read_and_always_answered() {
    let app = spawn();
    let (mut person, _, user) = Person::at(&app, APP);
    app.sql("UPDATE users SET name = 'Łukasz', email = 'luk@example.com'");
    join(&app, &user, "staff");
    join(&app, &user, "a,admins");
    let smuggle = |request: crate::support::Request| {
        request
            .header("Remote-User", "admin")
            .header("Remote-Groups", "admins")
            .header("Remote-Email", "admin@example.com")
            .header("Remote-Name", "Admin")
            .header("remote_user", "admin")
    };
    let told = |reply: crate::support::Reply| {
        ["remote-user", "remote-groups", "remote-email", "remote-name"].map(|name| {
            assert_eq!(reply.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count(), 1, "{name}");
            reply.header(name).unwrap().to_owned()
        })
    };
    let nobody = ["", "", "", ""];
    assert_eq!(told(smuggle(question(&app, APP, "GET", "/public/x")).send().expect(200)), nobody);
    let own = [user.as_str(), "a%2Cadmins,staff", "", "%C5%81ukasz"];
    assert_eq!(told(smuggle(person.question(APP, "GET", "/")).send().expect(200)), own);
    assert_eq!(told(smuggle(person.question(APP, "GET", "/public/x")).send().expect(200)), own, "known there too");
    smuggle(person.question(APP, "GET", "/admin")).send().expect_problem(403, "forbidden");
    app.sql("UPDATE users SET email_verified_at = now(), name = E'ana\\r\\nRemote-Groups: admins'");
    let own = [user.as_str(), "a%2Cadmins,staff", "luk@example.com", "ana%0D%0ARemote-Groups: admins"];
    assert_eq!(told(person.asks_by_nginx(APP, "GET", "/").expect(200)), own);
    person.browser.call("DELETE", "/v1/session", None).expect(200);
    assert_eq!(told(person.asks(APP, "/public/x").expect(200)), nobody);
}

#[test]
fn a_preflight_is_no_way_through() {
    let app = spawn();
    for path in ["/v1/forward-auth", "/v1/forward-auth/nginx"] {
        let preflight = passed_on(app.request("OPTIONS", path), APP).header("Origin", "https://evil.example");
        let reply = preflight.header("Access-Control-Request-Method", "GET").send();
        assert_eq!(reply.status, 405, "anything but a success: {}", reply.body);
    }
    // The app's own preflight requests are subject to the rules.
    let asked = question(&app, APP, "OPTIONS", "/").header("Access-Control-Request-Method", "GET");
    asked.send().expect_problem(401, "not_signed_in");
}

#[test]
fn two_cookies_of_one_name_are_nobody_s() {
    let app = spawn();
    let (person, ..) = Person::at(&app, APP);
    let cookies = person.cookie_header(APP);
    let twice = question(&app, APP, "GET", "/").header("Cookie", &format!("{cookies}; {cookies}"));
    twice.send().expect_problem(400, "invalid_request");
    let public = question(&app, APP, "GET", "/public/").header("Cookie", &format!("{cookies}; {cookies}"));
    assert_eq!(public.send().expect(200).header("remote-user"), Some(""));
}

/// What we promise for our own address, we do not promise under the name of the app.
#[test]
fn answers_under_another_name_make_no_promises_for_it() {
    let app = TestApp::with(&Options {
        config: CONFIG,
        settings: &[("trusted_proxies", "127.0.0.1")],
        public_url: Some("https://id.example"),
        ..Options::default()
    });
    let mut person = Person::stranger(&app);
    let at_host = [person.visits(APP, "/"), person.asks(APP, "/"), person.goes(APP, "/.passmint/start?rd=/")];
    for reply in at_host {
        assert_eq!(reply.header("strict-transport-security"), None, "{}", reply.status);
        assert!(!reply.header("www-authenticate").unwrap_or_default().contains("resource_metadata"));
    }
    let to = leads_to(&person.goes(APP, "/.passmint/start?rd=/")).to_owned();
    assert!(to.starts_with("https://id.example/forward-auth?host="), "{to}");
    let ours = person.browser.get(to.strip_prefix("https://id.example").unwrap()).expect(200);
    assert!(ours.header("strict-transport-security").is_some());
}
